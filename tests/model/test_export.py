"""Between a torch network and its spec nothing is lost, and what has no circuit is refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mtc_hw.errors import SpecError, UnmappableError
from mtc_hw.model.build import initial_network
from mtc_hw.model.export import from_spec, to_spec, with_codes
from mtc_hw.model.mtc_neurons import MtcNeurons
from mtc_hw.model.network import Network
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.run import run_spec
from mtc_hw.spec import ModelSpec, Neurons, Readout, Task

Population = Callable[..., Neurons]
OPTIONS = TrainOptions(hidden=6, curves="linear")
TASK = Task("own", horizon=2.0, sample=1.0, mean=0.0, scale=1.0)
SERIES = np.sin(np.arange(40) / 5)


def network(**options: object) -> Network:
    return initial_network(replace(OPTIONS, **options), 1.0, 1, torch.Generator().manual_seed(0))  # type: ignore[arg-type]


def spec_of(one: Network) -> ModelSpec:
    return to_spec(one, Readout(np.ones((1, 6)), np.zeros(1), 3.0), TASK)


@pytest.mark.parametrize(
    "options",
    [{}, {"curves": "circuit"}, {"integrator": "euler"}, {"synapse": "rectified_tanh"}, {"substeps": 4}],
    ids=str,
)
def test_network_and_spec_are_one_round_trip(options: dict[str, object]) -> None:
    spec = spec_of(network(**options))
    again = to_spec(from_spec(spec), spec.readout, spec.task)
    for name, array in spec.arrays().items():
        assert np.allclose(again.arrays()[name], array, rtol=1e-6), name
    assert again.header() == spec.header()


def test_the_spec_answers_as_the_network() -> None:
    one = network()
    with torch.no_grad():
        seen = one.observe(torch.tensor(SERIES, dtype=torch.float32)[None], range(1, 40))
    assert np.abs(run_spec(spec_of(one), SERIES).features[1:] - seen.features[0].numpy()).max() < 1e-4


def test_a_trained_network_is_exported_without_its_graph() -> None:
    one = network()
    for tensor in one.tensors().values():
        tensor.requires_grad_()
    assert np.isfinite(to_spec(one).weights).all()


def test_absent_elements_stay_absent() -> None:
    spec = spec_of(network())
    assert (spec.neurons.alpha[2:, :3] == 0).all()
    neurons = from_spec(spec).layers[0].neurons
    assert isinstance(neurons, MtcNeurons)
    assert (neurons.present[2:, 0, :3] == 0).all() and (neurons.parameters().alpha[2:, 0, :3] == 0).all()


def test_baselines_have_no_circuit() -> None:
    message = r"^LifNeurons have no conductance elements to map; train with neuron = 'mtc'$"
    with pytest.raises(UnmappableError, match=message):
        to_spec(network(neuron="lif"))


@pytest.mark.parametrize("options", [{"layers": 2}, {"recurrent": True}], ids=str)
def test_several_layers_or_recurrent_weights_have_no_circuit(options: dict[str, object]) -> None:
    message = r"^only one layer without recurrent weights has a circuit; train with layers = 1$"
    with pytest.raises(UnmappableError, match=message):
        to_spec(network(**options))


@pytest.mark.parametrize("name", ["leak", "rest", "offset", "tau"])
@pytest.mark.parametrize("place", [0, 3, 5])
def test_mismatched_neurons_are_not_trainable(name: str, place: int) -> None:
    spec = spec_of(network())
    array = getattr(spec.neurons, name).copy()
    array[..., place] += 0.1
    message = r"^training needs instantaneous fast elements, unit leaks, zero rests and zero filter offsets$"
    with pytest.raises(SpecError, match=message):
        from_spec(replace(spec, neurons=replace(spec.neurons, **{name: array})))


def coarse(spec: ModelSpec, step: float = 0.25) -> ModelSpec:
    """What converters with so wide a step would make of a spec; no conductance or time constant becomes 0."""
    n = spec.neurons
    neurons = replace(
        n,
        alpha=np.where(n.alpha > 0, np.maximum(np.round(n.alpha / step), 1) * step, 0.0),
        delta=np.round(n.delta / step) * step,
        tau=np.vstack([n.tau[:1], 2.0 ** np.round(np.log2(n.tau[1:]))]),
    )
    weights, bias = (np.round(array / step) * step for array in (spec.weights, spec.bias))
    return replace(spec, neurons=neurons, weights=weights, bias=bias)


def gradients(one: Network, leaves: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    draw = torch.Generator().manual_seed(1)
    seen = one.observe(torch.randn((2, 20), generator=draw), range(4, 20, 3))
    loss = (seen.features * torch.randn(seen.features.shape, generator=draw)).sum() + seen.excess.sum()
    return seen.features.detach(), dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


@pytest.fixture
def quantised() -> tuple[Network, ModelSpec, Network]:
    """A network, its quantised spec, and that spec as a network; all tensors collect gradients."""
    one = network()
    spec = coarse(to_spec(one, task=TASK))
    other = from_spec(spec)
    for tensor in (*one.tensors().values(), *other.tensors().values()):
        tensor.requires_grad_()
    return one, spec, other


def test_codes_give_the_quantised_specs_values(quantised: tuple[Network, ModelSpec, Network]) -> None:
    one, spec, _ = quantised
    snapped = with_codes(one, spec)
    assert isinstance(snapped.layers[0].neurons, MtcNeurons)
    p = snapped.layers[0].neurons.parameters()
    for name in ("alpha", "delta", "tau", "leak", "rest"):
        found = getattr(p, name).detach().squeeze(-2).numpy()
        assert np.allclose(found, getattr(spec.neurons, name), rtol=1e-6, atol=1e-6), name
    assert np.allclose(snapped.layers[0].weights.detach().numpy(), spec.weights, atol=1e-6)
    assert np.allclose(snapped.layers[0].bias.detach().numpy(), spec.bias, atol=1e-6)


def test_gradients_pass_the_codes_as_if_they_were_the_values(quantised: tuple[Network, ModelSpec, Network]) -> None:
    one, spec, other = quantised
    features, found = gradients(with_codes(one, spec), one.tensors())
    expected, truth = gradients(other, other.tensors())
    assert torch.allclose(features, expected, atol=1e-4)
    # A logarithm's own slope is that of the float value, not of the code.
    logarithms = {name: tensor.detach().exp() for name, tensor in one.tensors().items() if ".log_" in name}
    codes = {name: other.tensors()[name].detach().exp() for name in logarithms}
    for name, gradient in found.items():
        wanted = truth[name]
        if name in logarithms:
            wanted = wanted / codes[name] * logarithms[name]
        assert torch.allclose(gradient, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max())), name


def test_a_quantised_network_is_exported_with_its_own_values(quantised: tuple[Network, ModelSpec, Network]) -> None:
    one, spec, _ = quantised
    snapped = replace(one, layers=(replace(one.layers[0], neurons=with_codes(one, spec).layers[0].neurons),))
    assert to_spec(snapped).digest() == to_spec(one).digest()
