"""One step of a layer: synapse, low-pass and penalties; the reference run."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from mtc_hw.model.algebra import Value
from mtc_hw.model.mtc import coefficients, dynamics, parameters
from mtc_hw.model.program import Coefficients, Output, Program, State, shares, unrolled
from mtc_hw.readout import POLES, features
from mtc_hw.spec import INITIAL_VOLTAGE, AnySynapse, Neurons, RectifiedTanh, Synapse

Population = Callable[..., Neurons]
RELU = Synapse(0.1, 1.3)


@dataclass(frozen=True)
class Adder:
    """A state that adds up its current, so that a run can be done by hand."""

    @property
    def initial(self) -> tuple[float, ...]:
        return (0.0,)

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        return (state[0] + c["gain"] * current,)

    def visible(self, state: State) -> Value:
        return state[0]


def adding(
    substeps: int = 1, output: Output = "state", limit: float = 3.2, synapse: AnySynapse | None = None
) -> Program:
    return Program(Adder(), substeps, synapse, output, decay=0.5, limit=limit)  # type: ignore[arg-type]


GAIN: dict[str, Value] = {"gain": 1.0}


def column(*values: float) -> Tensor:
    """Currents (1, samples, 1)."""
    return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1)


@pytest.mark.parametrize("synapse", [RELU, Synapse(-1.0, 0.5), RectifiedTanh(), RectifiedTanh(-0.4)], ids=str)
def test_what_a_neuron_emits_is_the_specs_synapse(synapse: AnySynapse) -> None:
    voltage = torch.linspace(-3, 3, 61, dtype=torch.float64)
    emitted = adding(synapse=synapse).emitted(voltage).numpy()
    assert np.allclose(emitted, synapse(voltage.numpy()), atol=1e-15)


def test_spikes_pass_as_they_are() -> None:
    spikes = torch.tensor([0.0, 1.0])
    assert adding().emitted(spikes) is spikes


def test_shares_are_the_middles_of_the_steps() -> None:
    assert shares(1) == [0.5] and shares(2) == [0.25, 0.75] and shares(4) == [0.125, 0.375, 0.625, 0.875]


def test_only_features_have_poles() -> None:
    assert [len(adding(output=each).initial) for each in ("state", "synapse", "features")] == [1, 1, 1 + POLES]


def test_a_step_sees_the_current_in_its_middle() -> None:
    run = unrolled(adding(substeps=2), column(0.0, 1.0, -1.0), GAIN)
    assert run.outputs.flatten().tolist() == [0.25, 1.0, 1.5, 1.0]  # adds 0.25, 0.75, 0.5, -0.5


def test_activity_and_excess_of_a_neuron_add_up_over_rows_and_steps() -> None:
    current = torch.tensor([[[0.5, -2.0]] * 4], dtype=torch.float64)  # states 0.5, 1, 1.5 and -2, -4, -6
    program = adding(limit=1.0, synapse=Synapse())
    once, twice = (unrolled(program, each, GAIN).sums for each in (current, current.expand(2, -1, -1)))
    assert once.tolist() == [[0.5 + 1 + 1, 0], [0.5**2, 1 + 3**2 + 5**2]]
    assert torch.equal(twice, 2 * once)


def test_the_low_pass_is_the_readouts(population: Population) -> None:
    p = parameters(population(3))
    law = dynamics(p, "split", 0.5)
    c, current = (
        coefficients(p, law),
        torch.randn((1, 30, 3), generator=torch.Generator().manual_seed(0)).double() * 2,
    )
    runs = {
        output: unrolled(Program(law, 2, RELU, output, decay=math.exp(-0.5 / 3)), current, c).outputs[0]
        for output in ("state", "synapse", "features")
    }
    voltage = np.vstack([np.full((1, 3), INITIAL_VOLTAGE), runs["state"].numpy()])
    assert np.allclose(runs["synapse"].numpy(), RELU(voltage)[1:], atol=1e-14)
    assert np.allclose(runs["features"].numpy(), features(voltage, 0.5, RELU, 3.0)[1:], atol=1e-13)


def test_recurrent_weights_feed_back_what_the_last_sample_emitted() -> None:
    """By hand: a(k + 1) = a(k) + 0.1 - 0.5 b(k), b(k + 1) = b(k) + 2 a(k), for a, b within the synapse's range."""
    recurrent = torch.tensor([[0.0, -0.5], [2.0, 0.0]], dtype=torch.float64)
    current = torch.tensor([0.1, 0.0], dtype=torch.float64).expand(1, 5, 2)
    run = unrolled(adding(synapse=Synapse(0.0, 1.0)), current, GAIN, recurrent)
    assert np.allclose(run.outputs[0].numpy(), [[0.1, 0.0], [0.2, 0.2], [0.2, 0.6], [0.0, 1.0]])


def test_what_is_fed_back_stays_between_samples() -> None:
    recurrent = torch.tensor([[1.0]], dtype=torch.float64)
    run = unrolled(adding(substeps=2, synapse=Synapse(0.0, 10.0)), column(1.0, 1.0, 1.0), GAIN, recurrent)
    assert np.allclose(run.outputs.flatten().numpy(), [1.0, 2.0, 3.2, 4.4])  # s = 0, then 0.2


def test_recurrent_weights_of_zero_change_nothing() -> None:
    current = torch.randn((2, 9, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    program = adding(2, "features", synapse=RELU)
    one, other = unrolled(program, current, GAIN), unrolled(program, current, GAIN, current.new_zeros((3, 3)))
    assert torch.equal(one.outputs, other.outputs) and torch.equal(one.sums, other.sums)


def test_a_run_has_exact_gradients_with_feedback(population: Population) -> None:
    p = parameters(population(2))
    program = Program(dynamics(p, "split", 0.5), 2, RectifiedTanh(-2.0), "features", decay=0.8, limit=1.0)
    c = coefficients(p, dynamics(p, "split", 0.5))
    leaves = [torch.zeros((1, 4, 2)).double().requires_grad_(), 0.3 * torch.eye(2).double().requires_grad_()]

    def run(current: Tensor, recurrent: Tensor) -> tuple[Tensor, Tensor]:
        return tuple(unrolled(program, current, c, recurrent))  # type: ignore[return-value]

    assert torch.autograd.gradcheck(run, leaves)


def test_equal_programs_are_equal() -> None:
    assert adding() == adding() and hash(adding()) == hash(adding()) and adding() != adding(2)
