"""Each rule by its name: what breaks it is named with place, value, limit and remedy, and what keeps it passes."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.hardware.mapping import MappingOptions, draft_of
from mtc_hw.hardware.rules import PLATEAU, violations, window
from mtc_hw.spec import ModelSpec, Neurons, Readout


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


@pytest.fixture(scope="module")
def broken(technology, cells):
    """The violations of a neuron, or of three of which the middle one differs."""

    def found(neuron=None, changed_cells=None, **options):
        usual = {"alpha": column(2, 2, 1.5, 1.5), "delta": column(0, 0, -1.5, -1.5), "tau": column(0, 50, 2500)}
        odd = usual | (neuron or {})
        rows = {name: np.hstack([usual[name], odd[name], usual[name]]) for name in usual}
        if "offset" in odd:
            rows["offset"] = np.hstack([np.zeros((3, 1)), odd["offset"], np.zeros((3, 1))])
        neurons = Neurons(**rows)
        spec = ModelSpec(neurons, np.zeros((3, 0)), np.zeros(3))
        chosen = MappingOptions(**options)
        return violations(draft_of(spec, technology, changed_cells or cells, chosen), chosen)

    return found


def test_a_possible_neuron_breaks_no_rule(broken):
    assert broken() == []


ONE_NEURON = {
    "converter reach": (
        {"neuron": {"alpha": column(2, 9, 1.5, 1.5)}},
        "slow_positive",
        lambda cells: cells.ota.bias_for(9e-9),
        "bias {value:.3g} A is outside the 8-bit converter's 0 to 4e-09 A (rule: converter reach); lower alpha or "
        "raise MappingOptions.alpha_max",
    ),
    "inversion": (
        {"neuron": {"alpha": column(2, 2, 60, 1.5)}, "alpha_max": 100.0},
        "slow_negative",
        lambda cells: cells.ota.bias_for(6e-8),
        "bias {value:.3g} A is outside 1e-12 to 3e-08 A: it passes 3e-08 A, above which the transistors leave weak "
        "inversion (rule: inversion); lower alpha or MappingOptions.unit_current, or use wider transistors",
    ),
    "leakage": (
        {"neuron": {"alpha": column(2, 2, 1.5, 5e-4)}, "bits": None},
        "ultraslow_positive",
        lambda cells: cells.ota.bias_for(5e-13),
        "bias {value:.3g} A is outside 1e-12 to 3e-08 A: it passes 1e-12 A, below which off-currents rule (rule: "
        "leakage); raise MappingOptions.capacitor or MappingOptions.unit_current, or use longer transistors",
    ),
    "maximum capacitor": (
        {"neuron": {"tau": column(0, 50, 1e5)}},
        "ultraslow",
        lambda cells: 128 * 1e-11 - 2 * cells.input_parasitic[1] - cells.output_parasitic[1],
        "the time constant needs {value:.3g} F, more than 2e-10 F (rule: maximum capacitor); shorten it, raise "
        "MappingOptions.unit_current or raise MappingOptions.capacitor_max",
    ),
    "headroom": (
        {"neuron": {"delta": column(0, 0, -1.5, 3.5)}, "input_range": (0.85, 1.3)},
        "ultraslow_positive",
        lambda cells: 1.1 + 3.5 * cells.unit,
        "reference {value:.3g} V is outside the OTAs' input range, 0.85 to 1.3 V (rule: headroom); bring delta "
        "nearer to zero or move the technology's analog ground",
    ),
    "filter offset": (
        {"neuron": {"offset": column(0, 0.1, 0)}},
        "slow_filter",
        lambda cells: 0.1,
        "offset {value:.3g} has no circuit (rule: filter offset); subtract it from the delta of the elements that "
        "listen to this filter",
    ),
}


@pytest.mark.parametrize("rule", ONE_NEURON)
def test_a_rule_names_neuron_element_value_limit_and_remedy(broken, cells, rule):
    arguments, element, value, text = ONE_NEURON[rule]
    (found,) = broken(**arguments)
    assert (found.rule, found.neuron, found.element) == (rule, 1, element)
    assert found.value == pytest.approx(float(value(cells)), rel=1e-3)
    assert str(found) == f"neuron 1 {element!r}: {text.format(value=found.value)}"


@pytest.mark.parametrize("rule", ["converter reach", "inversion", "maximum capacitor", "headroom"])
def test_the_value_has_passed_the_limit(broken, rule):
    (found,) = broken(**ONE_NEURON[rule][0])
    assert found.value > found.limit > 0.0


def test_small_capacitors_break_two_rules_at_every_capacitor_that_is_there(broken):
    found = broken(capacitor=1e-13)
    assert {each.rule for each in found} == {"parasitics", "minimum capacitor"}
    assert {each.element for each in found} == {"membrane", "slow", "ultraslow"}
    assert broken(capacitor=5e-13) == []


def test_a_swing_out_of_the_input_range_concerns_every_neuron(broken):
    (found,) = broken(input_range=(0.95, 1.5))
    assert str(found) == (
        "every membrane: swing 0.912 V is outside the OTAs' input range, 0.95 to 1.5 V (rule: headroom); move the "
        "technology's analog ground or raise its supply"
    )


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (
            {"width": 4.004e-6},
            "width 4.004 um is not a multiple of 0.01 um (rule: legal grid); use 4.01 um",
        ),
        (
            {"length": 1e-7},
            "length 0.1 um is outside the process's 0.2 to 100 um (rule: legal grid); choose a size within",
        ),
        (
            {"width": 6e-5},
            "width 60 um is outside the process's 0.2 to 50 um (rule: legal grid); choose a size within",
        ),
    ],
)
def test_a_size_off_the_grid_is_refused(broken, cells, size, text):
    (found,) = broken(changed_cells=dataclasses.replace(cells, **size))
    assert str(found) == f"every transistor: {text}"


def test_the_window_ends_where_the_gain_has_departed(cells):
    bias = np.logspace(-12, -8, 401)
    gain = 0.3 * (1.0 + 1e-12 / bias - bias / 1e-7)
    cell = dataclasses.replace(cells.ota, bias=bias, gain=gain)
    plateau = 1.0 + 1e-12 / PLATEAU - PLATEAU / 1e-7
    options = MappingOptions(leakage_departure=0.2, inversion_departure=0.05)
    low, high = window(cell, options)
    assert low == pytest.approx(1e-12 / (1.2 * plateau - 1.0), rel=1e-3)
    assert high == pytest.approx(1e-7 * (1.0 - 0.95 * plateau), rel=2e-2)


def test_a_stricter_departure_narrows_the_window(cells):
    for cell in (cells.ota, cells.wide_ota):
        wide, narrow = (
            window(cell, MappingOptions(leakage_departure=d, inversion_departure=d / 2)) for d in (0.3, 0.1)
        )
        assert wide[0] < narrow[0] < narrow[1] <= wide[1]


def low_passes(technology, cells, tau: float, weight: float = 1.0, **options):
    """The low-pass of a network whose readout has this tau, and what breaks a rule in it."""
    neurons = Neurons(column(2, 2, 0, 0), column(0, 0, 0, 0), column(0, 50, 2500))
    spec = ModelSpec(
        neurons, np.zeros((1, 0)), np.zeros(1), readout=Readout(np.array([[weight]]), np.zeros(1), tau=tau)
    )
    chosen = MappingOptions(**options)
    draft = draft_of(spec, technology, cells, chosen)
    return draft, violations(draft, chosen)


@pytest.mark.parametrize(("tau", "weight"), [(0.5, 1.0), (3.0, 1.0), (30.0, 0.01), (30.0, 30.0), (1000.0, 1.0)])
def test_a_low_pass_s_currents_are_such_as_converters_have(technology, cells, tau, weight):
    draft, found = low_passes(technology, cells, tau, weight)
    assert found == []
    current = draft.low_pass.bias * cells.wide_ota.gain_at(draft.low_pass.bias)
    assert draft.low_pass.bias[0] < 0.85 * draft.dacs["pole"].reach[1]  # a trim has room
    assert (current[1:] <= MappingOptions().filter_max * (1 + 1e-9)).all()
    assert draft.low_pass.unit == pytest.approx(current[0] * MappingOptions().readout_span, rel=1e-6)


def test_a_low_pass_that_no_capacitor_makes_is_refused(technology, cells):
    _, found = low_passes(technology, cells, 5e4)
    places = [(each.rule, each.element) for each in found]
    assert places == [
        ("leakage", "low-pass, pole 1"),
        *(("maximum capacitor", f"low-pass, pole {i}") for i in (2, 3, 4)),
    ]
    assert str(found[-1]).startswith(
        "low-pass, pole 4: 6.4e-10 F is outside 5e-13 to 2e-10 F (rule: maximum capacitor)"
    )
    assert all(each.remedy == "change the readout's tau or MappingOptions.capacitor" for each in found)
