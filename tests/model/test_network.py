"""Layers of neurons: what the readout sees is what the voltages say."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mtc_hw.model.chips import Chips
from mtc_hw.model.lif import initial_lif
from mtc_hw.model.mtc_neurons import initial_mtc
from mtc_hw.model.network import Layer, Network, Timing
from mtc_hw.readout import features, lowpass
from mtc_hw.spec import INITIAL_VOLTAGE, AnySynapse, RectifiedTanh, Synapse
from mtc_hw.spread import Spread

RELU = Synapse(0.1, 1.3)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(*sizes: int, inputs: int = 1, recurrent: bool = False, synapse: AnySynapse = RELU) -> Network:
    """Layers of so many neurons."""
    draw, layers, fan = torch.Generator().manual_seed(0), [], inputs
    for index, size in enumerate(sizes):
        weights, bias = normal(index + 1, size, fan), normal(index + 5, size) * 0.4 - 0.3
        own = 0.3 * normal(index + 9, size, size) if recurrent else None
        layers.append(Layer(initial_mtc(size, draw), weights, bias, own))
        fan = size
    return Network(tuple(layers), synapse, Timing(1.0, 2, 3.0), limit=1.5)


def series(rows: int = 2, samples: int = 30, inputs: int = 1) -> Tensor:
    x = 1.5 * normal(4, rows, samples, inputs)
    return x[..., 0] if inputs == 1 else x


def exact_features(shown: Tensor, one: Network) -> np.ndarray:
    """Features of the last layer at every sample, by numpy."""
    t = one.timing
    voltages = shown.double().numpy()
    if one.synapse is None:
        return np.stack([lowpass(each, t.step, t.readout)[:: t.substeps] for each in voltages])
    return np.stack([features(each, t.step, one.synapse, t.readout)[:: t.substeps] for each in voltages])


@pytest.mark.parametrize(
    "one",
    [
        network(5),
        network(5, synapse=RectifiedTanh(0.2)),
        network(5, recurrent=True),
        network(4, 6),
        network(4, 6, recurrent=True),
        network(3, 5, 4),
    ],
    ids=["one", "tanh", "recurrent", "two", "two recurrent", "three"],
)
def test_features_are_those_of_the_visible_voltages(one: Network) -> None:
    kept = range(3, 30, 4)
    with torch.no_grad():
        seen, shown = one.observe(series(), kept), one.visible(series())
    assert len(shown) == len(one.layers)
    assert np.abs(seen.features.double().numpy() - exact_features(shown[-1], one)[:, kept]).max() < 1e-4
    assert one.synapse is not None
    voltage = torch.cat([each[:, 1:] for each in shown], 2).double().numpy()
    excess = (np.maximum(np.abs(voltage) - 1.5, 0) ** 2).mean((0, 1))
    assert np.allclose(seen.activity.numpy(), one.synapse(voltage).mean((0, 1)), rtol=1e-3, atol=1e-4)
    assert np.allclose(seen.excess.numpy(), excess, rtol=1e-3, atol=1e-4)


def test_features_of_spiking_neurons_are_low_passed_spikes() -> None:
    lif = initial_lif(5, torch.Generator().manual_seed(0))
    one = Network((Layer(lif, 8 * normal(1, 5, 1), torch.zeros(5)),), None, Timing(1.0, 1, 3.0))
    with torch.no_grad():
        seen, (shown,) = one.observe(series(), range(1, 30)), one.visible(series())
    assert set(shown.unique().tolist()) == {0.0, 1.0} and (shown[:, 0] == 0).all()
    assert np.abs(seen.features.double().numpy() - exact_features(shown, one)[:, 1:]).max() < 1e-5
    assert torch.allclose(seen.activity, shown[:, 1:].mean((0, 1)))


def test_visible_voltages_start_at_the_initial_voltage() -> None:
    with torch.no_grad():
        shown = network(4, 6).visible(series())
    assert [each.shape for each in shown] == [(2, 59, 4), (2, 59, 6)]
    assert all((each[:, 0] == torch.tensor(INITIAL_VOLTAGE)).all() for each in shown)


@pytest.mark.parametrize("sizes", [(5,), (4, 6), (3, 5, 4)])
@pytest.mark.parametrize("recurrent", [False, True])
def test_every_tensor_gets_a_finite_gradient(sizes: tuple[int, ...], recurrent: bool) -> None:
    one = network(*sizes, recurrent=recurrent)
    tensors = one.tensors()
    for tensor in tensors.values():
        tensor.requires_grad_()
    seen = one.observe(series(), range(5, 30, 5))
    loss = (seen.features * normal(8, *seen.features.shape)).sum() + (seen.activity + seen.excess).sum()
    for name, gradient in zip(tensors, torch.autograd.grad(loss, list(tensors.values())), strict=True):
        assert torch.isfinite(gradient).all() and gradient.abs().max() > 0, name


def test_one_input_or_a_column_of_one_are_the_same() -> None:
    with torch.no_grad():
        one, other = (network(5).observe(x, range(1, 30)) for x in (series(), series().unsqueeze(-1)))
    assert torch.allclose(one.features, other.features, atol=1e-4)


def test_two_inputs_are_weighed_and_added() -> None:
    double = network(5, inputs=2)
    layer = double.layers[0]
    single = replace(double, layers=(replace(layer, weights=layer.weights.sum(1, keepdim=True)),))
    with torch.no_grad():
        seen = double.observe(series().unsqueeze(-1).expand(-1, -1, 2), range(1, 30))
        assert torch.allclose(seen.features, single.observe(series(), range(1, 30)).features, atol=1e-4)


def test_recurrent_weights_of_zero_are_none() -> None:
    one = network(5)
    silent = replace(one, layers=(replace(one.layers[0], recurrent=torch.zeros(5, 5)),))
    with torch.no_grad():
        seen, other = one.observe(series(), range(1, 30)), silent.observe(series(), range(1, 30))
    assert torch.allclose(seen.features, other.features, atol=1e-4)


def test_chips_without_spread_are_the_nominal_one() -> None:
    one, chips = network(4, 6), Chips(Spread(), 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        nominal, drawn = (one.observe(series(), range(1, 30), each) for each in (None, chips))
    assert all(torch.equal(part, other) for part, other in zip(nominal, drawn, strict=True))


@pytest.mark.parametrize("name", ["alpha", "tau", "leak", "delta", "rest", "offset", "current"])
def test_every_spread_reaches_the_features(name: str) -> None:
    chips = Chips(Spread(**{name: 0.1}), 2, torch.Generator().manual_seed(0))
    alike = series(1).expand(2, -1).contiguous()
    with torch.no_grad():
        seen = network(5).observe(alike, range(1, 30), chips).features
    assert not torch.equal(seen[0], seen[1])


def test_a_single_chip_is_the_same_for_every_item() -> None:
    chips = Chips(Spread.uniform(0.1), 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        seen = network(5).observe(series(1).expand(2, -1).contiguous(), range(1, 30), chips).features
    assert torch.equal(seen[0], seen[1])


def test_an_item_alone_has_the_features_that_it_has_in_a_batch() -> None:
    with torch.no_grad():
        batch, alone = (network(4, 6).observe(x, range(1, 30)).features for x in (series(3), series(3)[1:2]))
    assert torch.equal(batch[1:2], alone)


def test_tensors_have_a_name_in_a_fixed_order() -> None:
    own = ["log_alpha", "delta", "log_tau", "weights", "bias"]
    assert list(network(4, 6).tensors()) == [f"layer{index}.{name}" for index in (0, 1) for name in own]
    assert list(network(4, recurrent=True).tensors())[-1] == "layer0.recurrent"


def test_confining_reaches_every_layer() -> None:
    one = network(4, 6)
    for tensor in one.tensors().values():
        tensor.requires_grad_().data.fill_(50.0)
    one.confine()
    assert all(float(layer.neurons.tensors()["delta"].detach().max()) == 3.5 for layer in one.layers)


def test_a_step_is_a_whole_part_of_a_sample() -> None:
    assert Timing(1.5, 3).step == 0.5 and math.isclose(Timing().step * Timing().substeps, Timing().sample)
