import dataclasses

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import chi2

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.observables import Curves, Request
from mtc_hw.course import POINTS, Course
from mtc_hw.hardware.cells import DEVICES
from mtc_hw.hardware.design import BRANCH_CELL, BRANCHES, LEAK, as_spec, row_constant, row_gain, row_offset
from mtc_hw.hardware.mismatch import device_sigmas, perturb, spread_of
from mtc_hw.hardware.variation import Variation
from mtc_hw.netlist.render import neuron_deck
from mtc_hw.netlist.solver import ACCURATE
from mtc_hw.neuron_run import meant
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import SIGNS, ModelSpec, Neurons, RectifiedTanh
from mtc_hw.spread import Spread


@pytest.fixture(scope="module")
def crowd(mapped):
    """Two hundred equal neurons with all their OTAs."""
    n = 200
    alpha, delta = np.full((4, n), 1.5), np.tile([[0.0], [0.0], [-1.5], [-1.5]], n)
    neurons = Neurons(alpha, delta, np.tile([[2.0], [50.0], [2500.0]], n))
    return mapped(ModelSpec(neurons, np.zeros((n, 0)), np.zeros(n)))


def of_neurons(design, keep):
    """The design of some of the neurons, in that order."""
    rows = ("present", "bias_code", "reference_code", "capacitor", "readout_code")
    return dataclasses.replace(
        design,
        **{name: getattr(design, name)[:, keep] for name in rows},
        input_code=design.input_code[keep],
        offset_code=design.offset_code[keep],
    )


def assert_same_draws(one, other) -> None:
    assert np.array_equal(one.threshold, other.threshold)
    assert np.array_equal(one.width, other.width)


def test_the_same_seed_and_sample_are_the_same_chip(crowd):
    assert perturb(crowd, 5, 2).digest == perturb(crowd, 5, 2).digest


@pytest.mark.parametrize(("seed", "sample"), [(6, 2), (5, 3), (2, 5)])
def test_another_seed_or_sample_is_another_chip(crowd, seed, sample):
    one, other = perturb(crowd, 5, 2).deviations, perturb(crowd, seed, sample).deviations
    assert not np.any((one.threshold == other.threshold) & (one.threshold != 0.0))


def test_adding_a_neuron_changes_no_other_draw(crowd):
    few, more = (perturb(of_neurons(crowd, np.arange(n)), 1, 0).deviations for n in (3, 7))
    for neuron in range(3):
        assert_same_draws(few.take(neuron), more.take(neuron))


def test_a_draw_belongs_to_its_place_and_not_to_what_stands_there(mapped, network):
    design = mapped(network)
    flipped = of_neurons(design, np.arange(design.count)[::-1])
    one, other = perturb(design, 1, 0).deviations, perturb(flipped, 1, 0).deviations
    both = np.vstack([design.present & flipped.present, np.ones((len(design.rows) - len(design.present), 4), bool)])
    at = np.broadcast_to(both[:, None], one.threshold.shape)
    assert np.array_equal(one.threshold[at], other.threshold[at])


def test_removing_an_element_changes_no_other_draw(mapped, network):
    design = mapped(network)
    present = design.present.copy()
    present[0, 1] = False
    one, other = (
        perturb(design, 1, 0).deviations,
        perturb(dataclasses.replace(design, present=present), 1, 0).deviations,
    )
    assert one.threshold[0, :, 1].any() and not other.threshold[0, :, 1].any()
    kept = other.threshold != 0.0
    assert np.array_equal(one.threshold[kept], other.threshold[kept])


def test_only_devices_that_exist_deviate(mapped, network):
    design = mapped(network)
    deviations = perturb(design, 1, 0).deviations
    assert len(deviations.threshold) == len(deviations.width) == len(design.rows)
    for row, (_, kind) in enumerate(design.rows):
        exist = np.zeros(deviations.threshold.shape[1:], bool)
        exist[: len(DEVICES[kind]), design.present[row] if row < len(BRANCHES) else slice(None)] = True
        for drawn in (deviations.threshold[row], deviations.width[row]):
            assert np.array_equal(drawn != 0.0, exist)


def test_another_readout_or_input_changes_no_other_draw(mapped, network):
    """A draw belongs to its row's name: a second output or input moves nothing of the first's."""
    readout = dataclasses.replace(network.readout, weights=network.readout.weights[:1], offset=np.zeros(1))
    fewer = dataclasses.replace(network, weights=network.weights[:, :1], readout=readout)
    designs = mapped(fewer), mapped(network)
    one, other = (
        {name: perturb(d, 1, 0).deviations.threshold[row] for row, (name, _) in enumerate(d.rows)} for d in designs
    )
    assert set(one) < set(other)
    for name, drawn in one.items():
        assert np.array_equal(drawn, other[name]), name


def test_deviations_cannot_be_written(crowd):
    with pytest.raises(ValueError, match="read-only"):
        perturb(crowd, 0, 0).deviations.threshold[0, 0, 0] = 1.0


@pytest.mark.parametrize("quantity", ["threshold", "width"])
@pytest.mark.parametrize("branch", [0, LEAK])
def test_every_device_spreads_as_pelgrom_says(crowd, quantity, branch):
    kind = BRANCH_CELL[branch]
    sigmas = dict(zip(("threshold", "width"), device_sigmas(crowd.technology, kind, 4e-6, 4e-6), strict=True))
    drawn = getattr(perturb(crowd, 12, 0).deviations, quantity)[branch, : len(DEVICES[kind])]
    low, high = chi2.interval(0.99, drawn.size)
    assert low < np.sum((drawn / sigmas[quantity][:, None]) ** 2) < high
    assert abs(np.mean(drawn / sigmas[quantity][:, None])) < 2.58 / np.sqrt(drawn.size)


def test_a_pair_differs_by_the_matching_coefficient_over_the_root_of_its_area(technology):
    threshold, gain = device_sigmas(technology, "ota", 4e-6, 9e-6)
    assert np.hypot(threshold[2], threshold[3]) == pytest.approx(technology.nmos.threshold_mismatch / 6e-6)
    assert np.hypot(gain[4], gain[5]) == pytest.approx(technology.pmos.gain_mismatch / 6e-6)


@pytest.mark.parametrize("kind", ["ota", "wide_ota"])
def test_four_times_the_area_halves_the_spread(technology, kind):
    for small, large in zip(
        device_sigmas(technology, kind, 2e-6, 3e-6), device_sigmas(technology, kind, 4e-6, 6e-6), strict=True
    ):
        assert large == pytest.approx(small / 2.0, rel=1e-12)


def test_devices_of_different_cells_are_independent(crowd):
    deviations = perturb(crowd, 3, 0).deviations
    columns = np.concatenate([deviations.threshold[b, : len(DEVICES[k])] for b, k in enumerate(BRANCH_CELL)])
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 5.0 / np.sqrt(crowd.count)


CLAMP = 1  # of the outputs below: what every output is held at, and a filter follows
OUTPUTS = (-2.5, -1.0, 0.5)


def transfer(design, seen, branch: int, delta: float) -> tuple[float, float, float]:
    """Amplitude of the cell's shape, its middle (a wide OTA's zero crossing), and the constant beside it."""
    centre = delta if branch < LEAK else 0.0 if branch == LEAK else OUTPUTS[CLAMP]
    sign = SIGNS[branch] if branch < LEAK else -1.0 if branch == LEAK else 1.0
    near = np.abs(seen.voltage - centre) < 3.0
    x, current = seen.voltage[near], sign * seen.current[branch, near, CLAMP, 0]
    curve = design.cells.leak_curve if branch == LEAK else design.cells.filter_curve
    shape = np.tanh if branch < LEAK else curve
    fit = least_squares(lambda p: p[0] * shape(x - p[1]) + p[2] - current, [current[-1], centre, 0.0], x_scale=0.1).x
    if branch < LEAK:
        return float(fit[0]), float(fit[1]), float(sign * fit[2])
    return float(fit[0]), float(np.interp(0.0, current, x)), 0.0


def moved(design, chip, level, run, delta) -> np.ndarray:
    """By how much ln(gain), offset and constant, unit currents, of every OTA differ between chip and design."""
    request = Request(curves=Curves(step=0.05, outputs=OUTPUTS))
    held = np.zeros((POINTS, 1))
    course = Course(held, np.stack([held] * 3), np.zeros((POINTS, 0, 1)))
    instruments = (NgspiceInstrument(each, level, run, course) for each in (design, chip))
    before, after = (each.measure(design, request).curves for each in instruments)
    here = np.flatnonzero(design.present[:, 0])
    old, new = (np.array([transfer(design, seen, b, delta[min(b, 3)]) for b in here]).T for seen in (before, after))
    return np.array([np.log(new[0] / old[0]), new[1] - old[1], new[2] - old[2]])


def predicted(design, chip) -> np.ndarray:
    here = np.flatnonzero(design.present[:, 0])
    gain = np.log(row_gain(chip) / row_gain(design))[here, 0]
    # An element whose reference is on the positive input, and the leak, shift the other way.
    side = np.array([1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0])[here]
    offset = side * row_offset(chip)[here, 0] / design.scale.volt
    return np.array([gain, offset, row_constant(chip)[here, 0] / design.scale.amp])


@pytest.fixture(scope="module")
def curved(mapped, preset, cells):
    """The bursting neuron with the cells' own curves in leak and filters."""
    neurons = dataclasses.replace(preset("bursting")[1].neurons, leak_curve=cells.leak_curve)
    neurons = dataclasses.replace(neurons, filter_curve=cells.filter_curve)
    return mapped(ModelSpec(neurons, np.zeros((1, 0)), np.zeros(1)))


def test_a_behavioural_sweep_shows_the_predicted_deviations(curved, runner):
    chip = perturb(curved, 7, 0)
    delta = as_spec(curved).neurons.delta[:, 0]
    seen, said = moved(curved, chip, "behavioural", runner, delta), predicted(curved, chip)
    assert seen == pytest.approx(said, rel=0.002, abs=1e-5)  # a crossing is read between points of the sweep


def test_a_transistor_sweep_shows_the_predicted_deviations(curved, runner):
    delta = as_spec(curved).neurons.delta[:, 0]
    chips = [perturb(curved, 7, sample) for sample in range(4)]
    seen = np.array([moved(curved, chip, "transistor", runner, delta) for chip in chips])
    said = np.array([predicted(curved, chip) for chip in chips])
    spread = np.sqrt(np.mean(said**2, axis=0))
    off = np.sqrt(np.mean((seen - said) ** 2, axis=0)) / np.where(spread > 0, spread, 1.0)  # (quantity, OTA)
    assert off[:, :LEAK].max() < 0.06
    # The wide OTA's sensitivities are taken at the leak's bias; a filter runs at a thousandth of it.
    assert off[:, LEAK].max() < 0.15
    assert off[1, LEAK + 1 :].max() < 0.1


def test_a_transistor_sweep_shows_the_drawn_parameters(curved, runner):
    """5 % and 0.05 unit voltages, as drawn for each transconductor: what its devices were solved for."""
    delta = as_spec(curved).neurons.delta[:, 0]
    drawn = Variation(Spread(alpha=0.05, leak=0.05, tau=0.05, delta=0.05, rest=0.05, offset=0.05))
    chips = [drawn.draw(curved, 7, sample) for sample in range(4)]
    seen = np.array([moved(curved, chip, "transistor", runner, delta) for chip in chips])
    said = np.array([predicted(curved, chip) for chip in chips])
    assert 0.02 < np.abs(said[:, :2]).max() < 0.2 and np.abs(said[:, 2]).max() < 1e-12
    off = np.sqrt(np.mean((seen - said) ** 2, axis=0))  # (quantity, OTA)
    assert off[0, : LEAK + 1].max() < 0.001 and off[0].max() < 0.005
    # The slowest filter runs at a few picoamperes, where the sensitivities of the leak's bias hold less well.
    assert off[1, :-1].max() < 0.001 and off[1].max() < 0.004
    assert off[2].max() < 0.002


@pytest.mark.parametrize(("nmos", "pmos", "gain"), [(0.02, 0.0, 0.0), (0.0, -0.02, 0.0), (0.0, 0.0, 0.05)])
def test_what_all_transistors_share_nearly_cancels(curved, runner, nmos, pmos, gain):
    """Two standard deviations of the process: the equations leave it out."""
    none = Variation("none").draw(curved, 0, 0).deviations
    common = np.array([[nmos], [pmos], [gain], [gain]])
    chip = dataclasses.replace(curved, deviations=dataclasses.replace(none, common=common))
    assert as_spec(chip).digest() == as_spec(curved).digest()
    seen = np.abs(moved(curved, chip, "transistor", runner, as_spec(curved).neurons.delta[:, 0]))
    assert seen.max() > 1e-4
    assert seen[:, :-1].max() < 0.01
    # The slowest filter's few picoamperes are not far from the off-currents, which a threshold moves.
    assert seen[:, -1].max() < 0.035


@pytest.fixture(scope="module")
def weighing(mapped, network):
    """One neuron with an input and a synapse."""
    readout = dataclasses.replace(network.readout, weights=np.array([[1.0]]), offset=np.zeros(1))
    return mapped(
        dataclasses.replace(
            network,
            neurons=network.neurons.take(0),
            weights=np.array([[1.0]]),
            bias=np.zeros(1),
            synapse=RectifiedTanh(0.0),
            readout=readout,
            input_curve=network.neurons.leak_curve,
        )
    )


@pytest.mark.parametrize(("level", "most"), [("behavioural", 0.01), ("transistor", 0.15)])
def test_an_input_s_and_a_synapse_s_sweep_shows_the_predicted_deviations(weighing, runner, level, most):
    """Gain and offset of both, over a few chips, against the spread that is predicted."""
    request = Request(curves=Curves(step=0.1, outputs=(-1.0, 0.0, 1.0)))
    held = np.zeros((POINTS, 1))
    course = Course(held, np.stack([held] * 3), np.zeros((POINTS, 1, 1)))
    shapes = {len(BRANCHES): weighing.input_curve, len(BRANCHES) + 1: weighing.synapse}

    def fitted(chip) -> np.ndarray:
        seen = NgspiceInstrument(chip, level, runner, course).measure(weighing, request).curves
        near = np.abs(seen.voltage) < 2.5
        x = seen.voltage[near]
        found = []
        for row, shape in shapes.items():
            current = seen.current[row, near, 1, 0]

            def residual(p, shape=shape, current=current):
                return p[0] * shape(x - p[1]) - current

            found.append(least_squares(residual, [current[-1], 0.01]).x)
        return np.array(found)

    nominal = fitted(weighing)
    chips = [perturb(weighing, 7, sample) for sample in range(4)]
    rows = list(shapes)
    seen = np.array([fitted(chip) for chip in chips])
    seen = np.stack([np.log(seen[..., 0] / nominal[:, 0]), seen[..., 1] - nominal[:, 1]], axis=-1)
    gain = np.array([np.log(row_gain(chip) / row_gain(weighing))[rows, 0] for chip in chips])
    said = np.stack([gain, np.array([row_offset(c)[rows, 0] for c in chips]) / weighing.scale.volt], axis=-1)
    spread, off = (np.sqrt(np.mean(each**2, axis=0)) for each in (said, seen - said))
    assert spread.min() > 0.01
    assert (off / spread).max() < most


@pytest.mark.parametrize(
    ("name", "duration"), [("tonic", 1500.0), pytest.param("bursting", 4000.0, marks=pytest.mark.slow)]
)
def test_the_ode_and_the_behavioural_deck_see_the_same_chip(preset, runner, name, duration):
    file, _, design = preset(name, bits=8)
    chip = perturb(design, seed=7, sample=1)
    reference = meant(chip, file, duration)
    deck = neuron_deck(chip, 0, "behavioural", file.stimulus, duration, file.initial, ACCURATE)
    trace = to_trace(runner([deck])[0].waveforms, chip, 0)
    expected, got = (spike_times(t.time, t.voltage[:, 0]) for t in (reference, trace))
    assert len(expected) == len(got) > 10
    assert np.abs(expected - got).max() < 1.0
    nominal = meant(design, file, duration)
    assert len(spike_times(nominal.time, nominal.voltage[:, 0])) != len(expected) or (
        np.abs(spike_times(nominal.time, nominal.voltage[:, 0]) - expected).max() > 5.0
    )


def test_the_spread_is_that_of_many_drawn_chips(curved, cells):
    spread = spread_of(curved.technology, cells)
    chips = [as_spec(perturb(curved, 3, sample)).neurons for sample in range(400)]
    nominal = as_spec(curved).neurons
    alpha = np.array([np.log(chip.alpha[:, 0] / nominal.alpha[:, 0]) for chip in chips])
    tau = np.array([np.log(chip.tau[1:, 0] / nominal.tau[1:, 0]) for chip in chips])
    delta = np.array([chip.delta[:, 0] - nominal.delta[:, 0] for chip in chips])
    # Four hundred draws know a deviation to 3.5 %; the four elements' to half of that.
    for seen, said in ((alpha, spread.alpha), (tau, spread.tau), (delta, spread.delta)):
        assert np.sqrt(np.mean(seen**2)) == pytest.approx(said, rel=0.1)
    rest, offset = (np.array([getattr(chip, name)[-1] for chip in chips]) for name in ("rest", "offset"))
    assert np.std(rest) == pytest.approx(spread.rest, rel=0.15)
    assert np.std(offset) == pytest.approx(spread.offset, rel=0.15)
