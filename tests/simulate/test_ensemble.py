"""Many neurons at once do what LSODA has each do alone, and each does the same whatever the others are."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from mtc_hw.analysis.firing import repeat, started
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Initial, Stimulus, load_neuron
from mtc_hw.simulate import ensemble, ensemble_loop
from mtc_hw.simulate.ensemble import STEP, Holds, integrate_many, step_of, steps_of
from mtc_hw.simulate.ensemble_flow import select, structures
from mtc_hw.simulate.ode import SampledCurrent, integrate
from mtc_hw.spec import EFFECT_ROWS, CellEffects, Curve, Neurons

CURVE = Curve(slope=0.8, shift=0.6)
UNLIKE = Neurons(
    alpha=np.array([[2.0, 2.5], [2.0, 1.5], [0.5, 0.0], [0.3, 0.4]]),
    delta=np.array([[0.0, 0.1], [0.0, -0.2], [-1.0, 0.0], [-1.0, 0.3]]),
    tau=np.array([[0.0, 0.7], [20.0, 8.0], [80.0, 60.0]]),
    leak=np.array([1.1, 0.9]),
    rest=np.array([0.1, -0.2]),
    offset=np.array([[0.3, 0.05], [-0.1, 0.02], [0.04, -0.03]]),
)
"""Every parameter in use; one neuron has a fast filter, the other all elements."""

SEEN = 0.02
"""Unit voltages that the two methods may differ by at the default step, where they are recorded."""


def effects(neurons: Neurons, seed: int = 0) -> Neurons:
    """The same with every effect of a circuit, different in every neuron; one of them without a lag."""
    draw = np.random.default_rng(seed)
    shapes = {name: (rows, neurons.count) if rows else (neurons.count,) for name, rows in EFFECT_ROWS.items()}
    values = {name: 0.02 * draw.normal(size=shape) for name, shape in shapes.items()}
    for name, middle in (("sharpness", 1.1), ("slope", 0.6), ("shift", 0.7), ("conductance", 0.05), ("lag", 0.6)):
        values[name] = middle * np.exp(values[name])
    values["lag"][:, -1] = 0.0
    return dataclasses.replace(neurons, cells=CellEffects(**values))


def variants(neurons: Neurons, count: int) -> Neurons:
    """As many as that, all different, of several structures: some have no fast filter, some lack an element."""
    draw = np.random.default_rng(1)
    many = repeat(neurons, count)
    tau = many.tau * np.exp(0.1 * draw.normal(size=many.tau.shape))
    tau[0] = np.where(np.arange(count) % 3 == 0, 0.7, 0.0)
    alpha = many.alpha * np.exp(0.1 * draw.normal(size=many.alpha.shape))
    alpha[3, ::5] = 0.0
    return dataclasses.replace(many, alpha=alpha, delta=many.delta + 0.1 * draw.normal(size=alpha.shape), tau=tau)


def both(neurons: Neurons, stimulus: Stimulus, duration: float, initial: Initial):
    trace = integrate_many(neurons, Holds.shared(stimulus, neurons.count), duration, started(initial, neurons.count))
    accurate = integrate(neurons, stimulus, duration, initial, spacing=0.25)
    return trace, accurate


def error(trace, accurate) -> float:
    pairs = zip(trace.voltage.T, accurate.voltage.T, strict=True)
    return max(np.abs(own - np.interp(trace.time, accurate.time, there)).max() for own, there in pairs)


@pytest.mark.parametrize(("name", "duration"), [("tonic", 800.0), ("bursting", 3000.0), ("adapting", 1200.0)])
def test_spikes_are_as_many_as_lsoda_s_and_lie_beside_them(name, duration):
    file = load_neuron(name)
    trace, accurate = both(file.neurons, file.stimulus, duration, file.initial)
    fast, slow = (spike_times(each.time, each.voltage[:, 0]) for each in (trace, accurate))
    assert fast.size > 3
    assert fast == pytest.approx(slow, abs=0.1)


@pytest.mark.parametrize("leak", [None, CURVE])
@pytest.mark.parametrize("filters", [None, CURVE])
def test_leaks_rests_offsets_curves_and_a_fast_filter_enter_as_in_lsoda(leak, filters):
    neurons = dataclasses.replace(UNLIKE, leak_curve=leak, filter_curve=filters)
    assert error(*both(neurons, Stimulus(((0.0, -0.6), (30.3, -0.2))), 60.0, Initial(fast=-1.0))) < SEEN


def test_a_circuit_s_effects_enter_as_in_lsoda():
    neurons = effects(UNLIKE)
    assert len(structures(neurons)) == 2
    assert error(*both(neurons, Stimulus(((0.0, -0.6), (30.3, -0.2))), 60.0, Initial(fast=-1.0))) < SEEN


@pytest.mark.parametrize("neurons", [UNLIKE, effects(UNLIKE)], ids=["ideal", "circuit"])
def test_the_error_falls_with_the_fourth_power_of_the_step(neurons):
    """Towards that of single precision, or LSODA's own."""
    initial, stimulus = Initial(-1.0, -0.5, -0.7, fast=-1.0), Stimulus(((0.0, -0.2),))
    accurate = integrate(neurons, stimulus, 20.0, initial, rtol=1e-12, atol=1e-12, spacing=0.125).voltage
    holds, start = Holds.shared(stimulus, 2), started(initial, 2)

    def worst(step: float, precision: str) -> float:
        every = round(0.125 / step)
        trace = integrate_many(neurons, holds, 20.0, start, step=step, precision=precision, every=every)
        return np.abs(trace.voltage - accurate).max()

    coarse, fine = worst(0.125, "float64"), worst(0.03125, "float64")
    assert 100.0 < coarse / fine < 600.0
    assert fine < 1e-6
    assert fine < worst(0.03125, "float32") < 2e-4


@pytest.mark.parametrize("columns", [None, 2])
def test_a_sampled_current_is_linear_between_its_samples_and_held_after_the_last(columns):
    shape = (31,) if columns is None else (31, columns)
    current = SampledCurrent(-0.5 + np.random.default_rng(2).normal(size=shape), 1.7)
    for duration in (60.0, 51.0, 30.2):  # beyond the last sample, at it, between two
        trace = integrate_many(UNLIKE, current, duration, started(Initial(fast=-1.0), 2))
        accurate = integrate(UNLIKE, current, duration, Initial(fast=-1.0), spacing=0.05)
        assert error(trace, accurate) < SEEN
        assert np.isin(np.round(current.times()[current.times() < duration], 9), np.round(trace.time, 9)).all()
        assert trace.time[-1] == duration


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("circuit", [False, True])
def test_a_neuron_does_the_same_to_the_bit_whatever_the_others_are(circuit, precision):
    count = 301
    neurons = variants(load_neuron("bursting").neurons, count)
    neurons = effects(neurons) if circuit else neurons
    levels = np.random.default_rng(3).normal(size=(2, count)) - 1.0
    samples = np.random.default_rng(4).normal(size=(9, count)) - 1.0
    start = started(Initial(), count)
    shuffled = np.random.default_rng(5).permutation(count)
    for make in (lambda of: Holds((0.0, 3.3), levels[:, of]), lambda of: SampledCurrent(samples[:, of], 1.0)):
        asked = {"step": 0.5, "precision": precision}
        whole = integrate_many(neurons, make(np.arange(count)), 12.0, start, threads=2, **asked)
        assert whole.voltage.dtype == precision and np.isfinite(whole.voltage).all()
        for some in ([7], [count - 1, 0, 0], shuffled, shuffled[:64]):
            part = integrate_many(select(neurons, some), make(some), 12.0, start[:, some], threads=1, **asked)
            assert np.array_equal(part.voltage, whole.voltage[:, some])


@pytest.mark.parametrize("width", [2, 4])
def test_the_width_of_the_processor_s_vectors_changes_no_bit(monkeypatch, width):
    neurons = select(effects(UNLIKE), np.arange(37) % 2)
    holds, start = Holds.constant(np.linspace(-2.0, 1.0, 37)), started(Initial(), 37)
    expected = integrate_many(neurons, holds, 10.0, start, step=0.25).voltage
    for module in (ensemble, ensemble_loop):
        monkeypatch.setattr(module, "vector_width", lambda _: width)
    ensemble_loop.compiled.cache_clear()
    try:
        assert np.array_equal(integrate_many(neurons, holds, 10.0, start, step=0.25).voltage, expected)
    finally:
        ensemble_loop.compiled.cache_clear()


def test_a_hold_that_is_cut_in_two_goes_on_where_it_was():
    neurons, start = variants(load_neuron("bursting").neurons, 300), started(Initial(), 300)
    level = np.random.default_rng(6).normal(size=300)
    whole = integrate_many(neurons, Holds.constant(level), 16.0, start, step=0.25)
    cut = integrate_many(neurons, Holds((0.0, 5.0), np.stack([level, level])), 16.0, start, step=0.25)
    assert np.array_equal(cut.voltage, whole.voltage) and np.array_equal(cut.time, whole.time)


def test_an_error_in_a_thread_ends_the_run(monkeypatch):
    monkeypatch.setattr(ensemble._Run, "_states", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(load_neuron("tonic").neurons)


def test_every_so_many_steps_are_kept_and_the_last_of_a_hold():
    holds = Holds((0.0, 3.3), np.array([[-1.0, 0.0], [0.5, 0.2]]))
    start = started(Initial(), 2)
    whole, some = (integrate_many(UNLIKE, holds, 10.0, start, step=0.1, every=each) for each in (1, 8))
    assert some.time == pytest.approx([0.0, 0.8, 1.6, 2.4, 3.2, 3.3, 4.1, 4.9, 5.7, 6.5, 7.3, 8.1, 8.9, 9.7, 10.0],
                                      abs=0.05)  # fmt: skip
    assert np.array_equal(some.voltage, whole.voltage[np.isin(whole.time, some.time)])


def test_every_change_of_current_falls_on_a_sample():
    neurons = load_neuron("tonic").neurons
    holds = Holds((0.0, 3.3, 7.1), np.array([[-1.0], [-0.5], [0.0]]))
    time = integrate_many(neurons, holds, 10.0, started(Initial(), 1)).time
    assert {0.0, 3.3, 7.1, 10.0} <= set(time.tolist())
    assert np.diff(time).max() <= STEP


def test_a_neuron_that_is_too_fast_for_the_step_takes_several_and_the_others_do_not():
    mixed = dataclasses.replace(UNLIKE, tau=np.array([[0.0, 0.02], [20.0, 8.0], [80.0, 60.0]]))
    holds, start = Holds.constant(np.array([-0.2, -0.2])), started(Initial(fast=-1.0), 2)
    assert steps_of(mixed)[1] < 0.02 < steps_of(mixed)[0]
    trace = integrate_many(mixed, holds, 40.0, start, step=0.25)
    assert np.diff(trace.time) == pytest.approx(0.25)
    alone = integrate_many(mixed.take(0), Holds.constant(np.array([-0.2])), 40.0, start[:, :1], step=0.25)
    assert np.array_equal(alone.voltage[:, 0], trace.voltage[:, 0])
    accurate = integrate(mixed, Stimulus(((0.0, -0.2),)), 40.0, Initial(fast=-1.0), spacing=0.25)
    assert np.abs(trace.voltage - accurate.voltage)[:, 1].max() < 1e-3


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_offsets_however_large_are_exact(precision):
    far = dataclasses.replace(UNLIKE, delta=np.array([[0.0, 90.0], [9.0, -0.2], [-200.0, 0.0], [-1.0, 1e4]]))
    start = started(Initial(90.0, 9.5, fast=89.5), 2)
    initial = Initial(90.0, 9.5, fast=89.5)
    trace = integrate_many(far, Holds.constant(np.zeros(2)), 5.0, start, step=1 / 64, every=4, precision=precision)
    accurate = integrate(far, Stimulus(((0.0, 0.0),)), 5.0, initial, spacing=0.0625)
    assert trace.voltage == pytest.approx(accurate.voltage, rel=1e-6, abs=2e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_neuron_that_is_not_finite_is_marked_and_the_others_go_on(bad, precision):
    neurons = repeat(load_neuron("tonic").neurons, 20)
    holds, start = Holds.constant(np.full(20, -0.5)), started(Initial(), 20)
    good = integrate_many(neurons, holds, 20.0, start, step=0.5, precision=precision).voltage
    start[1, 4], start[3, 11] = bad, bad
    found = integrate_many(neurons, holds, 20.0, start, step=0.5, precision=precision).voltage
    lost = np.isnan(found)
    assert lost[:, 11].all()
    assert lost[:, 4].all()
    others = np.delete(np.arange(20), [4, 11])
    assert np.array_equal(found[:, others], good[:, others])


@pytest.mark.parametrize(("precision", "high"), [("float32", 95.0), ("float64", 800.0)])
def test_a_circuit_whose_exponential_is_out_of_reach_is_marked(precision, high):
    neurons, start = select(effects(UNLIKE), [0, 0]), started(Initial(), 2)
    start[3, 1] = high
    found = integrate_many(neurons, Holds.constant(np.zeros(2)), 5.0, start, step=0.125, precision=precision)
    assert np.isnan(found.voltage).all(axis=0).tolist() == [False, True]
    ideal = integrate_many(neurons.ideal(), Holds.constant(np.zeros(2)), 5.0, start, step=0.125, precision=precision)
    assert np.isfinite(ideal.voltage).all()


def test_the_step_shrinks_with_what_is_fast_and_used_and_with_nothing_else():
    plain = load_neuron("tonic").neurons
    tau = plain.tau.copy()
    unused = dataclasses.replace(plain, tau=np.where(np.arange(3)[:, None] == 2, 1e-6, tau))
    fast = dataclasses.replace(plain, tau=np.where(np.arange(3)[:, None] == 0, 0.1, tau))
    leaky = dataclasses.replace(plain, leak=np.array([5.0]))
    assert step_of(unused) == step_of(plain) == STEP
    assert step_of(fast) == pytest.approx(STEP * 0.1)
    assert step_of(leaky) == pytest.approx(STEP / 5.0)


def test_neurons_are_taken_with_their_circuits():
    neurons = effects(UNLIKE)
    taken = select(neurons, [1, 0, 1])
    assert taken.cells is not None and neurons.cells is not None
    assert np.array_equal(taken.cells.lag, neurons.cells.lag[:, [1, 0, 1]])
    assert np.array_equal(taken.tau, neurons.tau[:, [1, 0, 1]])


def test_it_needs_no_torch():
    code = "import sys, mtc_hw.simulate.ensemble; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda n: Holds((0.0,), np.zeros((2, 1))), r"currents have shape \(2, 1\), expected \(1, N\)"),
        (lambda n: Holds((0.0,), np.array([[np.nan]])), r"current \[0, 0\] is nan; every current must be finite"),
        (lambda n: Holds((1.0,), np.zeros((1, 1))), "the first must start at 0"),
        (lambda n: Holds((0.0, 0.0), np.zeros((2, 1))), "the first must start at 0 and the others after it"),
        (lambda n: run(n, duration=0.0), r"duration is 0\.0; it must be finite and > 0"),
        (lambda n: run(n, step=-1.0), r"step is -1\.0; it must be finite and > 0"),
        (lambda n: run(n, every=0), "every is 0 and threads 0; give every >= 1 and threads >= 0"),
        (lambda n: run(n, threads=-1), "every is 1 and threads -1"),
        (lambda n: run(n, precision="half"), "precision is 'half'; there are float32 and float64"),
        (lambda n: run(n, lanes=2), "currents of 2 neurons .* for 1 neurons; give a column for each"),
        (lambda n: run(n, duration=1e11), r"2e\+11 steps are too many: 200000000000 of 0\.5 tau_m for neuron 0 of 1"),
        (lambda n: run(quick(n), step=0.5), "steps are too many: 20 of .* lengthen the shortest time constant"),
        (lambda n: run(n, duration=1e10), "voltages of each of 1 neurons are too many; raise `every`"),
        (
            lambda n: integrate_many(n, SampledCurrent(np.zeros((3, 2)), 1.0), 1.0, started(Initial(), 1)),
            "currents of 2 neurons",
        ),
    ],
)
def test_what_cannot_be_run_is_refused(make, said):
    with pytest.raises(SpecError, match=said):
        make(load_neuron("tonic").neurons)


def quick(neurons):
    return dataclasses.replace(neurons, tau=np.vstack([[1e-300], neurons.tau[1:]]))


def run(neurons, duration=10.0, lanes=1, **asked):
    return integrate_many(neurons, Holds.constant(np.zeros(lanes)), duration, started(Initial(), 1), **asked)
