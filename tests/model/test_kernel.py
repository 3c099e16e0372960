"""The fused kernel equals the float64 reference, forward and backward."""

import gc
import math
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from kernel_calls import BATCH, RELU, Case, Problem, assert_equal_to_reference, far, gradients, normal
from torch import Tensor

from mtc_hw.formula.emit import BLOCK, vector_width
from mtc_hw.model import kernel as module
from mtc_hw.model.kernel import Buffers, padded_lanes, supported
from mtc_hw.model.mtc import TENSORS, Parameters, coefficients, dynamics, parameters
from mtc_hw.model.program import Program
from mtc_hw.spec import Curve, Neurons, RectifiedTanh

Population = Callable[..., Neurons]
CIRCUIT = Curve(0.45, 1.502)
TANH = RectifiedTanh(0.2)


STRUCTURES = [
    Case(output="state", neurons=16),
    Case(output="synapse", synapse=TANH, dense=False, rows=BATCH, matched=True),
    Case(curve=CIRCUIT, dense=False, sparse=True, rows=BATCH),
    Case("euler", 1, dense=False, sparse=True, matched=True, neurons=33),
    Case("euler", 2, CIRCUIT, output="synapse", synapse=TANH, rows=BATCH),
    Case("euler", 3, synapse=None, dense=False, output="synapse"),
    Case("euler", 4, output="state", synapse=TANH, sparse=True, neurons=1),
    Case("euler", 8, matched=True, rows=BATCH),
    Case("split", 1, CIRCUIT, output="state", synapse=None),
    Case("split", 3, matched=True, dense=False, sparse=True, neurons=16),
    Case("split", 4, synapse=TANH, rows=BATCH, sparse=True),
    Case("split", 8, CIRCUIT, matched=True, dense=False, output="synapse"),
    Case("split", 2, fast=1.0, matched=True, rows=BATCH),
    Case("euler", 2, fast=1.0, dense=False, output="state"),
    Case("split", 1, CIRCUIT, fast=1.5, output="synapse", sparse=True),
]
SIZES = [Case(neurons=n, rows=rows, matched=True) for n in (1, 5, 16, 33, BLOCK + 3) for rows in (1, BATCH)]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def chips(neurons: Neurons, rows: int, matched: bool) -> Parameters:
    """As many rows of slightly different parameters, in float64."""
    p = parameters(neurons)
    factor = 1 + 0.02 * normal(3, rows, neurons.count) if rows > 1 else torch.ones((1, neurons.count)).double()
    own = TENSORS[:3] if matched else TENSORS
    usual = {"leak": torch.ones_like(p.leak), "rest": 0 * p.rest, "offset": 0 * p.offset}
    return replace(p, **usual | {name: getattr(p, name) * factor for name in own})


def problem(case: Case, population: Population, drive: float = 1.5, calm: float = 1.0) -> Problem:
    """A case's program with coefficients of float64; `calm` scales all conductances."""
    p = chips(population(case.neurons, case.curve, fast=case.fast), case.rows, case.matched)
    p = replace(p, alpha=calm * p.alpha)
    law = dynamics(p, case.integrator, 1 / case.substeps)
    program = Program(law, case.substeps, case.synapse, case.output, decay=math.exp(-1 / case.substeps), limit=1.0)
    c = coefficients(p, law)
    shape = (BATCH, case.samples) + ((case.neurons,) if case.dense else ())
    if not case.dense:
        c |= {"weight": 1 + 0.5 * normal(5, 1, case.neurons), "bias": 0.5 * normal(6, case.rows, case.neurons) - 0.5}
    kept = [case.substeps * sample for sample in range(2, case.samples, 2)] if case.sparse else None
    return Problem(program, drive * normal(4, *shape), c, kept)


@pytest.mark.parametrize("case", STRUCTURES, ids=str)
def test_a_short_spiking_run_equals_the_reference(population: Population, case: Case) -> None:
    assert_equal_to_reference(problem(case, population))


@pytest.mark.parametrize("case", SIZES, ids=str)
def test_any_number_of_neurons_equals_the_reference(population: Population, case: Case) -> None:
    assert_equal_to_reference(problem(case, population))


@pytest.mark.parametrize("drive", [10.0, 200.0])
@pytest.mark.parametrize("case", [STRUCTURES[0], STRUCTURES[4]], ids=["linear", "curved"])
def test_a_violent_drive_equals_the_reference(population: Population, case: Case, drive: float) -> None:
    assert_equal_to_reference(problem(case, population, drive))


def test_a_single_sample_equals_the_reference(population: Population) -> None:
    assert_equal_to_reference(problem(replace(SIZES[2], samples=2), population))


@pytest.mark.parametrize(
    "case",
    [Case(output="state", samples=400), Case(curve=CIRCUIT, dense=False, sparse=True, samples=400)],
    ids=["linear", "curved"],
)
def test_a_long_contractive_run_equals_the_reference(population: Population, case: Case) -> None:
    assert_equal_to_reference(problem(case, population, drive=0.5, calm=0.2))


@pytest.mark.parametrize("case", [SIZES[0], SIZES[-1], STRUCTURES[2]], ids=["one", "many", "curved"])
def test_the_number_of_threads_changes_nothing(population: Population, case: Case) -> None:
    runs = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        single = problem(case, population).cast(torch.float32)
        run = single.fused()
        runs.append([run.outputs.detach(), run.sums.detach(), *gradients(single, run).values()])
    for other in runs[1:]:
        assert all(torch.equal(one, each) for one, each in zip(runs[0], other, strict=True))


def test_the_rows_of_a_batch_are_independent(population: Population) -> None:
    single = problem(SIZES[3], population)
    flipped = {name: value.flip(0) if isinstance(value, Tensor) else value for name, value in single.c.items()}
    mirrored = replace(single, drive=single.drive.flip(0), c=flipped)
    assert torch.equal(mirrored.fused().outputs, single.fused().outputs.flip(0))


def test_outputs_come_only_for_kept_steps(population: Population) -> None:
    whole = problem(SIZES[2], population)
    some = replace(whole, kept=[1, 4, 11])
    assert torch.equal(some.fused().outputs, whole.fused().outputs[:, [0, 3, 10]])
    assert torch.equal(some.fused().sums, whole.fused().sums)


@pytest.mark.parametrize("retained", [False, True])
def test_a_second_backward_is_an_error(population: Population, retained: bool) -> None:
    single = problem(SIZES[2], population).cast(torch.float32)
    loss = single.fused().outputs.sum()
    loss.backward(retain_graph=retained)  # type: ignore[no-untyped-call]
    message = r"^the tape of this forward pass is used up; run it again before another backward pass$"
    with pytest.raises(RuntimeError, match=message):
        loss.backward()  # type: ignore[no-untyped-call]


def test_graphs_that_live_at_once_do_not_disturb_each_other(population: Population) -> None:
    cases = [SIZES[2], SIZES[4], SIZES[2]]
    alone = []
    for case in cases:
        single = problem(case, population).cast(torch.float32)
        alone.append(gradients(single, single.fused()))
    several = [problem(case, population).cast(torch.float32) for case in cases]
    runs = [each.fused() for each in several]
    for index in (1, 2, 0):
        found = gradients(several[index], runs[index])
        assert all(torch.equal(found[name], alone[index][name]) for name in found)


def test_a_forward_pass_without_a_backward_one_leaves_no_trace(population: Population) -> None:
    single = problem(SIZES[2], population).cast(torch.float32)
    expected = gradients(single, single.fused())
    forgotten = problem(SIZES[2], population, drive=3.0).cast(torch.float32).fused()
    run = single.fused()
    del forgotten
    gc.collect()
    with torch.no_grad():
        problem(SIZES[2], population, drive=3.0).fused()
    found = gradients(single, run)
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_memory_is_used_again_once_nobody_holds_it() -> None:
    buffers = Buffers()
    first = buffers.lend(3000)
    place, part = first.data_ptr(), first.view(3, 1000)[1]
    del first
    assert buffers.lend(3000).data_ptr() != place
    del part
    assert buffers.lend(2000).data_ptr() == place
    assert place % 4096 == 0


def test_nothing_needs_a_gradient(population: Population) -> None:
    with_gradient = problem(SIZES[2], population).cast(torch.float32)
    run = problem(SIZES[2], population).fused()
    assert not run.outputs.requires_grad and not run.sums.requires_grad
    assert torch.equal(run.outputs, with_gradient.fused().outputs)


def test_only_some_leaves_need_a_gradient(population: Population) -> None:
    both = problem(SIZES[2], population).cast(torch.float32)
    expected = gradients(both, both.fused())
    some = problem(SIZES[2], population).cast(torch.float32)
    some.drive.requires_grad_(False)
    some.c["delta_fast_negative"].requires_grad_(False)
    found = gradients(some, some.fused())
    assert "drive" not in found and all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("part", ["outputs", "sums"])
def test_either_result_alone_gives_its_own_gradient(population: Population, part: str) -> None:
    exact, single = (problem(SIZES[2], population).cast(dtype) for dtype in (torch.float64, torch.float32))
    names = [name for name, each in exact.leaves.items() if each.requires_grad]
    truth = torch.autograd.grad(getattr(exact.reference(), part).sum(), [exact.leaves[name] for name in names])
    found = torch.autograd.grad(getattr(single.fused(), part).sum(), [single.leaves[name] for name in names])
    assert all(far(one, other) < 1e-4 for one, other in zip(found, truth, strict=True))


def test_a_gradient_of_any_stride_is_understood(population: Population) -> None:
    one, other = (problem(SIZES[2], population).cast(torch.float32) for _ in range(2))
    weights = normal(1, 12, 5, BATCH).float()
    (one.fused().outputs.permute(1, 2, 0) * weights).sum().backward()  # type: ignore[no-untyped-call]
    (other.fused().outputs * weights.permute(2, 0, 1).contiguous()).sum().backward()  # type: ignore[no-untyped-call]
    assert one.drive.grad is not None and torch.equal(one.drive.grad, other.drive.grad)


def test_the_kernel_declines_what_its_approximations_do_not_cover(population: Population) -> None:
    for step, fine in ((0.5, True), (1.0, False)):
        p = parameters(population(2))
        p = replace(p, alpha=torch.full_like(p.alpha, 3.1))
        law = dynamics(p, "split", step)
        assert supported(Program(law, 1, RELU, "state"), coefficients(p, law)) == fine


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 0, 1), (3, 0, 2)])
@pytest.mark.parametrize(
    ("delta", "fine"), [(6.5, True), (-6.5, True), (6.6, False), (-6.6, False), (math.nan, False)]
)
def test_the_kernel_declines_a_large_offset(
    population: Population, place: tuple[int, int, int], delta: float, fine: bool
) -> None:
    p = parameters(population(3))
    p.delta[place] = delta
    law = dynamics(p, "split", 0.5)
    assert supported(Program(law, 2, RELU, "state"), coefficients(p, law)) == fine


def test_neurons_are_padded_to_whole_vectors() -> None:
    for neurons in (1, 5, 16, 33, 131):
        lanes, width = padded_lanes(neurons), vector_width()
        assert lanes % width == 0 and neurons <= lanes < neurons + width


class Interrupted(ThreadPoolExecutor):
    """Ctrl-C comes while a share of the rows is being computed."""

    def submit(self, *args: Any, **_: Any) -> Any:
        self.job: Future[Any] = super().submit(*args)
        return SimpleNamespace(result=self.interrupt)

    def interrupt(self) -> None:
        raise KeyboardInterrupt


def test_memory_stays_while_code_may_write_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, pool = Event(), Interrupted(1)
    monkeypatch.setattr(module, "_pool", lambda _: pool)
    code: Any = SimpleNamespace(call=lambda *_: gate.wait(20.0))
    plan: Any = SimpleNamespace(places=torch.zeros(1), shares=torch.zeros(1), lanes=1, records=1)
    written = torch.zeros(1, 1)
    held = weakref.ref(written)
    try:
        module._run(code, 1, plan, coefficients=written)
    except KeyboardInterrupt:
        del written
    gc.collect()
    assert held() is not None
    gate.set()
    pool.shutdown()
