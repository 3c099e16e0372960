import dataclasses
import json
import math

import numpy as np
import pytest
from scipy.stats import chi2, f

from mtc_hw.errors import SpecError, TechnologyError
from mtc_hw.hardware.bank import Bank
from mtc_hw.hardware.cells import DEVICES
from mtc_hw.hardware.design import (
    COMMON,
    LEAK,
    Deviations,
    as_spec,
    load_capacitance,
    row_constant,
    row_gain,
    row_offset,
)
from mtc_hw.hardware.design_file import load_design, save_design
from mtc_hw.hardware.library import library_cell
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.process import ProcessSpread
from mtc_hw.hardware.technology import load_technology, process_spread
from mtc_hw.hardware.variation import Variation, variation_of
from mtc_hw.netlist.views import neuron_view, readout_views
from mtc_hw.spec import ModelSpec, Neurons
from mtc_hw.spread import Spread

PROCESS = ProcessSpread(0.010, 0.012, 0.02, 0.03, 0.05)
SIGMAS = Spread(alpha=0.05, leak=0.04, tau=0.03, delta=0.05, rest=0.06, offset=0.02)
MEANS = [
    Variation(),
    Variation("none", PROCESS),
    Variation(SIGMAS, PROCESS, "lhs", 100),
    Variation("pdk", None),
    Variation("pelgrom", PROCESS, "sobol", 64),
]


@pytest.fixture(scope="module")
def crowd(mapped):
    """A thousand equal neurons with all their OTAs."""
    n = 1000
    alpha, delta = np.full((4, n), 1.5), np.tile([[0.0], [0.0], [-1.5], [-1.5]], n)
    neurons = Neurons(alpha, delta, np.tile([[2.0], [50.0], [2500.0]], n))
    return mapped(ModelSpec(neurons, np.zeros((n, 0)), np.zeros(n)))


def sized(design, width: float, length: float):
    return dataclasses.replace(design, cells=dataclasses.replace(design.cells, width=width, length=length))


def spread(values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def by_kind(design, deviations, quantity: str, kind: str) -> np.ndarray:
    """Draws of the plain OTAs' unit devices of one kind, over neurons and chips."""
    devices = [i for i, each in enumerate(library_cell("ota").devices) if each.polarity == kind[0]]
    return np.concatenate([getattr(each, quantity)[:4, devices].ravel() for each in deviations])


@pytest.mark.parametrize("variation", MEANS)
def test_a_variation_comes_back_from_json(variation):
    assert variation_of(json.loads(json.dumps(variation.to_json()))) == variation


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"local": "gauss"}, "local"),
        ({"sampling": "halton"}, r"sampling is 'halton': Input should be 'plain', 'lhs' or 'sobol'"),
        ({"process": {"nmos_threshold": 0.1}}, r"process\.pmos_threshold is missing"),
        ({"sigma": 1.0}, "sigma is no known key"),
    ],
)
def test_what_is_no_variation_is_refused(change, text):
    with pytest.raises(SpecError, match=rf"^no variation: {text}"):
        variation_of(Variation().to_json() | change)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"sampling": "lhs"}, "lhs sampling needs the number of samples, 1 or more, not None"),
        (
            {"sampling": "sobol", "samples": 100},
            r"Sobol' points are balanced in powers of two; give 128 samples or 64,",
        ),
        ({"sampling": "lhs", "samples": 8, "local": "pdk"}, "a PDK's draws are a list, which lhs cannot order"),
        ({"local": Spread(current=0.1)}, "a spread of the input current belongs to no transconductor"),
    ],
)
def test_a_variation_that_cannot_be_drawn_is_refused(fields, text):
    with pytest.raises(SpecError, match=rf"^{text}"):
        Variation(**fields)


@pytest.mark.parametrize("value", [-0.1, 0.5, math.nan])
def test_a_process_spread_out_of_bounds_is_refused(value):
    with pytest.raises(
        TechnologyError, match=r"^process spread of pmos_gain is \S+; it must be at least 0, below 0.5$"
    ):
        dataclasses.replace(PROCESS, pmos_gain=value)


def test_plain_pelgrom_draws_are_those_of_perturb(mapped, network):
    design = mapped(network, bits=8)
    assert Variation().draw(design, 4, 9).digest == perturb(design, 4, 9).digest


@pytest.fixture(scope="module", params=[("plain", None), ("lhs", 5)])
def five(crowd, request):
    """Five chips of a thousand neurons."""
    sampling, samples = request.param
    return [Variation(sampling=sampling, samples=samples).draw(crowd, 8, k).deviations for k in range(5)]


@pytest.mark.parametrize("kind", ["nmos", "pmos"])
@pytest.mark.parametrize(("quantity", "figure"), [("threshold", "threshold_mismatch"), ("width", "gain_mismatch")])
def test_pelgrom_s_figures_are_recovered_from_five_thousand_draws(crowd, five, kind, quantity, figure):
    """One device's of each neuron: the pair's coefficient is within their 99 % interval."""
    index = 4 if kind == "pmos" else 2
    drawn = np.concatenate([getattr(chip, quantity)[0, index] for chip in five])
    assert drawn.size == 5000
    low, high = drawn.size * np.var(drawn) / np.array(chi2.interval(0.99, drawn.size - 1))[::-1]
    area = crowd.cells.width * crowd.cells.length
    coefficient = getattr(crowd.technology.device(kind), figure)
    assert math.sqrt(2.0 * low * area) < coefficient < math.sqrt(2.0 * high * area)


@pytest.mark.parametrize("kind", ["nmos", "pmos"])
@pytest.mark.parametrize("quantity", ["threshold", "width"])
def test_four_times_the_area_halves_the_spread(crowd, kind, quantity):
    small, large = (
        by_kind(crowd, [Variation().draw(sized(crowd, side, side), seed, 0).deviations], quantity, kind)
        for seed, side in ((1, 2e-6), (2, 4e-6))
    )
    low, high = f.interval(0.99, small.size, large.size)
    assert low < (spread(small) / spread(large)) ** 2 / 4.0 < high


def test_a_process_draw_is_common_to_a_chip_and_to_all_its_devices(mapped, network):
    design = mapped(network)
    chips = [Variation("none", PROCESS).draw(design, 1, k).deviations for k in range(2)]
    for chip in chips:
        assert not chip.threshold.any() and not chip.width.any()
        assert np.array_equal(chip.common, np.repeat(chip.common[:, :1], 4, axis=1)) and chip.common.all()
        assert len(set(chip.capacitance)) == 1 and chip.capacitance.all()
    assert not np.any(chips[0].common == chips[1].common)


def test_process_draws_spread_as_the_figures_say(preset):
    design = preset("tonic")[2]
    drawn = [Variation("none", PROCESS).draw(design, 2, k).deviations for k in range(2000)]
    found = np.array([[*each.common[:, 0], each.capacitance[0]] for each in drawn])
    sigmas = np.array([getattr(PROCESS, name) for name in (*COMMON, "capacitor")])
    low, high = chi2.interval(0.998, len(drawn))  # 99 % for all five
    squares = ((found / sigmas) ** 2).sum(axis=0)
    assert np.all((low < squares) & (squares < high))
    assert np.abs(np.corrcoef(found.T) - np.eye(5)).max() < 3.3 / math.sqrt(len(drawn))


def deck_parameters(chip, cell: str) -> dict[str, np.ndarray]:
    """Parameters of all instances of a cell in a chip's transistor view."""
    branches = [b for n in range(chip.count) for b in neuron_view(chip, n, "transistor").branches if b.cell == cell]
    return {name: np.array([each.parameters[name] for each in branches]) for name in branches[0].parameters}


def test_local_and_global_add_up_in_every_transistor_and_so_do_their_variances(preset):
    design = preset("bursting")[2]
    local, common, both = Variation(), Variation("none", PROCESS), Variation("pelgrom", PROCESS)
    shares = {"vt_m1": [], "vt_m3": [], "b_m1": [], "b_m3": []}
    for sample in range(1000):
        ota, shared, whole = (deck_parameters(each.draw(design, 6, sample), "ota") for each in (local, common, both))
        for name, values in shares.items():
            assert whole[name] == pytest.approx(ota[name] + shared[name], rel=1e-12)
            assert len(set(shared[name])) == 1
            values.append((ota[name][0], shared[name][0], whole[name][0]))
    for name, values in shares.items():
        own, shared, whole = np.var(np.array(values), axis=0)
        # The difference is twice the covariance, whose standard deviation is known of independent draws.
        assert abs(whole - own - shared) < 2.58 * 2.0 * math.sqrt(own * shared / 1000), name


def test_adding_a_neuron_changes_no_other_neuron_s_draws(mapped, network):
    fewer = dataclasses.replace(
        network,
        neurons=Neurons(*(getattr(network.neurons, name)[:, :3] for name in ("alpha", "delta", "tau"))),
        weights=network.weights[:3],
        bias=network.bias[:3],
        readout=dataclasses.replace(network.readout, weights=network.readout.weights[:, :3]),
    )
    for local in ("pelgrom", SIGMAS):
        few, more = (Variation(local, PROCESS).draw(mapped(spec), 1, 0).deviations for spec in (fewer, network))
        for neuron in range(3):
            for name in ("threshold", "width", "common", "capacitance"):
                assert np.array_equal(getattr(few.take(neuron), name), getattr(more.take(neuron), name)), name


def test_parameter_sigmas_are_what_the_equations_see(crowd):
    """Drawn gain and offset in each branch and no constant current; inputs and synapses as designed."""
    chip = Variation(SIGMAS).draw(crowd, 3, 0)
    gain, offset = np.log(row_gain(chip) / row_gain(crowd)), row_offset(chip) / crowd.scale.volt
    sigmas = [(0.05, 0.05)] * 4 + [(0.04, 0.06)] + [(0.03, 0.02)] * 3
    low, high = np.array(chi2.interval(0.999, crowd.count)) / crowd.count
    for row, wanted in enumerate(sigmas):
        for drawn, sigma in zip((gain[row], offset[row]), wanted, strict=True):
            assert low < np.mean(drawn**2) / sigma**2 < high
        assert abs(np.corrcoef(gain[row], offset[row])[0, 1]) < 3.3 / math.sqrt(crowd.count)
    assert np.abs(row_constant(chip)).max() < 1e-12 * crowd.scale.amp
    one, meant = as_spec(chip).neurons, as_spec(crowd).neurons
    assert np.log(one.alpha / meant.alpha) == pytest.approx(gain[:4], abs=1e-12)
    assert np.log(one.tau / meant.tau) == pytest.approx(-gain[LEAK + 1 :], abs=1e-12)


def test_parameter_sigmas_of_zero_are_the_design(mapped, network):
    design = mapped(network)
    chip = Variation(Spread()).draw(design, 0, 0)
    assert (
        as_spec(chip).digest() == as_spec(design).digest() == as_spec(Variation("none").draw(design, 0, 0)).digest()
    )


def test_common_capacitors_are_seen_by_equations_and_decks(mapped, network, tmp_path):
    design = mapped(network)
    chip = Variation("none", PROCESS).draw(design, 5, 1)
    factor = math.exp(chip.deviations.capacitance[0])
    assert factor != pytest.approx(1.0, abs=0.01)
    added = load_capacitance(design) - design.capacitor
    assert load_capacitance(chip) == pytest.approx(factor * design.capacitor + added, rel=1e-12, abs=0.0)
    for neuron in range(4):
        nominal, made = (neuron_view(each, neuron, "transistor").capacitors for each in (design, chip))
        drawn = np.array([each.value for each in nominal])
        assert [each.value for each in made] == pytest.approx(factor * drawn, rel=1e-12, abs=0.0)
        nominal, made = (neuron_view(each, neuron, "behavioural").capacitors for each in (design, chip))
        assert made[0].value == load_capacitance(chip)[0, neuron] != nominal[0].value
    drawn = [readout_views(each, "transistor")[0].parameters["c2"] for each in (design, chip)]
    assert drawn[1] == pytest.approx(factor * drawn[0], rel=1e-12, abs=0.0)
    assert as_spec(chip).readout.tau == pytest.approx(factor * as_spec(design).readout.tau, rel=0.02)
    save_design(chip, tmp_path / "chip.json")
    loaded = load_design(tmp_path / "chip.json")
    assert loaded.digest == chip.digest != design.digest
    assert np.array_equal(loaded.deviations.common, chip.deviations.common)


def test_a_chip_of_before_process_spread_keeps_its_digest_and_its_file(mapped, network, tmp_path):
    chip, path = perturb(mapped(network), 5, 1), tmp_path / "chip.json"
    save_design(chip, path)
    document = json.loads(path.read_text())
    for name in ("common", "capacitance"):
        del document["design"]["deviations"][name]
    path.write_text(json.dumps(document))
    assert load_design(path).digest == chip.digest


def test_deviations_of_another_shape_are_refused():
    with pytest.raises(SpecError, match=r"^deviations' capacitance has shape \(3,\), expected \(2,\)$"):
        Deviations(0, 0, np.zeros((8, 10, 2)), np.zeros((8, 10, 2)), capacitance=np.zeros(3))


def test_a_bank_s_draws_are_its_own_and_keyed_by_path(mapped, network):
    design, rng = mapped(network), np.random.default_rng(1)
    bank = Bank(design.technology.digest(), 4e-6, 4e-6, *rng.normal(size=(2, 2, 2, 50)))
    variation = Variation("pdk")
    chip = variation.draw(design, 2, 3, bank).deviations
    for row, (_, kind) in enumerate(design.rows):
        for index, device in enumerate(library_cell(kind).devices):
            at = "np".index(device.polarity), int(device.width) - 1
            for neuron in range(4):
                if row < 8 and not design.present[row, neuron]:
                    continue
                found = int(np.flatnonzero(bank.threshold[at] == chip.threshold[row, index, neuron])[0])
                assert chip.width[row, index, neuron] == bank.gain[at][found]
        assert not chip.threshold[row, len(DEVICES[kind]) :].any()
    assert np.array_equal(chip.threshold, variation.draw(design, 2, 3, bank).deviations.threshold)
    assert not np.array_equal(chip.threshold, variation.draw(design, 2, 4, bank).deviations.threshold)


def test_a_bank_that_is_missing_or_of_another_size_is_refused(mapped, network):
    design = mapped(network)
    with pytest.raises(
        SpecError, match=r"^draws of the PDK come from a bank; measure it with mtc_hw\.pdk_statistics"
    ):
        Variation("pdk").draw(design, 0, 0)
    other = Bank(design.technology.digest(), 2e-6, 4e-6, *np.zeros((2, 2, 2, 5)))
    with pytest.raises(
        SpecError, match=r"^the bank of PDK draws is of another technology, corner or size than the d"
    ):
        Variation("pdk").draw(design, 0, 0, other)


def test_generic_s_process_spread_is_a_third_of_its_corners():
    found = process_spread("generic")
    fast = load_technology("generic", "ff").cards.splitlines()[:4]
    shift = {line.split()[1].split("=")[0]: float(line.split("=")[1]) for line in fast}
    assert 3.0 * found.nmos_threshold == pytest.approx(abs(shift["nshift"]))
    assert 3.0 * found.pmos_gain == pytest.approx(shift["pmobility"] - 1.0, rel=0.01)


@pytest.mark.parametrize("name", ["generic", "gf180mcuD", "sky130A"])
def test_every_shipped_technology_has_a_process_spread(name):
    assert all(0.0 < value < 0.1 for value in dataclasses.astuple(process_spread(name)))


def test_a_technology_without_process_spread_says_so(tmp_path):
    from minipdk import write_record

    record = write_record(tmp_path / "mini.toml", "0", "1")
    with pytest.raises(
        TechnologyError, match=r"mini\.toml has no process spread; give its file a section \[process\]$"
    ):
        process_spread(str(record))
