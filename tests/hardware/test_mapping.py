import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.design import LEAK, as_spec
from mtc_hw.hardware.mapping import MappingOptions, present_branches
from mtc_hw.spec import ModelSpec, Neurons, Readout


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def one_neuron(**changed) -> Neurons:
    usual = {"alpha": column(2, 2, 0, 0), "delta": column(0, 0, 0, 0), "tau": column(0, 50, 2500)}
    return Neurons(**(usual | changed))


def bare(neurons: Neurons) -> ModelSpec:
    return ModelSpec(neurons, np.zeros((neurons.count, 0)), np.zeros(neurons.count))


@st.composite
def specs(draw) -> ModelSpec:
    """Networks in the converters' reach."""
    n = draw(st.integers(1, 3))

    def rows(count: int, low: float, high: float) -> np.ndarray:
        return np.array(draw(st.lists(st.floats(low, high), min_size=count * n, max_size=count * n))).reshape(
            count, n
        )

    absent = np.array(draw(st.lists(st.booleans(), min_size=4 * n, max_size=4 * n))).reshape(4, n)
    tau_fast = np.where(rows(1, 0.0, 1.0) < 0.5, 0.0, rows(1, 1.0, 6.0))
    neurons = Neurons(
        alpha=np.where(absent, 0.0, rows(4, 0.05, 3.4)),
        delta=np.where(absent, 0.0, rows(4, -3.5, 3.4)),
        tau=np.vstack([tau_fast, rows(1, 5.0, 200.0), rows(1, 100.0, 4000.0)]),
        leak=rows(1, 0.3, 1.1)[0],
        rest=rows(1, -1.0, 1.0)[0],
    )
    readout = Readout(rows(2, -3.0, 3.0), np.array([0.3, -0.1]), tau=30.0)
    return ModelSpec(neurons, rows(2, -2.0, 2.0).T, rows(1, -3.0, 3.0)[0], readout=readout)


@settings(max_examples=60, deadline=None)
@given(spec=specs(), bits=st.integers(4, 12))
def test_what_the_hardware_means_is_within_half_a_step_of_the_model(mapped, spec, bits):
    design = mapped(spec, bits=bits)
    meant, scale, ulp = as_spec(design), design.scale, 1.0 + 1e-9
    # Conductances are code times gain, and the gain falls slowly with the bias: its largest value bounds the step.
    half = [0.5 * ulp * design.dac(b).step(design.bias_code[b]) / scale.amp for b in range(8)]
    gain = [1.4, 1.4, 1.4, 1.4, 0.37] + [0.48] * 3
    assert (np.abs(meant.neurons.alpha - spec.neurons.alpha) <= np.array(half[:4]) * column(*gain[:4])).all()
    assert (np.abs(meant.neurons.leak - spec.neurons.leak) <= half[LEAK] * gain[LEAK]).all()
    for row, size in ((0, 1.0), (1, 1.0), (2, 2.0)):
        has = design.present[LEAK + 1 + row]
        wanted, got = size / np.where(has, spec.neurons.tau[row], 1), size / np.where(has, meant.neurons.tau[row], 1)
        assert (np.abs(got - wanted) <= half[LEAK + 1 + row] * gain[LEAK + 1 + row])[has].all()
    volts = 0.5 * ulp * design.reference_dac.lsb / scale.volt
    assert np.abs(meant.neurons.delta - spec.neurons.delta).max() <= volts
    assert np.abs(meant.neurons.rest - spec.neurons.rest).max() <= volts
    # No gain above a half step's matters: what is below it rounds to nothing.
    step = 0.5 * ulp * design.input_dac.lsb
    assert np.abs(meant.weights - spec.weights).max() <= step * design.cells.wide_ota.gain_at(step) / scale.amp
    assert np.abs(meant.bias - spec.bias).max() <= 0.5 * ulp * design.offset_dac.lsb / scale.amp
    step = 0.5 * ulp * design.readout_dac.lsb
    most = step * design.cells.synapse.gain_at(step) / design.readout_unit
    assert np.abs(meant.readout.weights - spec.readout.weights).max() <= most
    # Four poles, each half a step of its own bias; the mean is no further off than the worst.
    poles, bias = design.filter_dac.step(design.pole_code), design.filter_dac.decode(design.pole_code)
    assert abs(meant.readout.tau / spec.readout.tau - 1.0) <= (0.55 * poles / bias).max()


@settings(max_examples=60, deadline=None)
@given(spec=specs())
def test_ideal_converters_map_exactly(mapped, spec):
    meant = as_spec(mapped(spec))
    heard = present_branches(spec)[LEAK + 1 :]
    for name in ("alpha", "delta", "leak", "rest", "offset"):
        assert getattr(meant.neurons, name) == pytest.approx(getattr(spec.neurons, name), rel=1e-12, abs=1e-12)
    assert meant.neurons.tau[heard] == pytest.approx(spec.neurons.tau[heard], rel=1e-12)
    for name in ("weights", "bias"):
        assert getattr(meant, name) == pytest.approx(getattr(spec, name), rel=1e-12, abs=1e-12)
    assert meant.readout.weights == pytest.approx(spec.readout.weights, rel=1e-12, abs=1e-12)
    assert meant.readout.tau == pytest.approx(spec.readout.tau, rel=1e-12)
    assert meant.readout.offset == pytest.approx(spec.readout.offset, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(spec=specs(), bits=st.integers(8, 12))
def test_mapping_what_the_hardware_means_gives_the_same_codes(mapped, spec, bits):
    design = mapped(spec, bits=bits)
    again = mapped(as_spec(design), bits=bits)
    for name in ("bias_code", "present"):
        assert np.array_equal(getattr(again, name), getattr(design, name)), name
    elements = np.where(design.present[: LEAK + 1], again.reference_code - design.reference_code, 0.0)
    assert not elements.any()


def test_a_model_keeps_what_codes_do_not_hold(mapped, network):
    meant = as_spec(mapped(network))
    for name in ("synapse", "task", "step", "integrator"):
        assert getattr(meant, name) == getattr(network, name)
    assert meant.neurons.leak_curve == network.neurons.leak_curve
    assert meant.neurons.filter_curve == network.neurons.filter_curve


def test_an_element_without_strength_has_no_ota_and_its_filter_neither():
    present = present_branches(bare(one_neuron(alpha=column(2, 0, 0, 1.5), tau=column(3, 50, 2500))))[:, 0]
    assert present.tolist() == [True, False, False, True, True, True, False, True]


def test_an_instantaneous_element_has_no_filter():
    assert not present_branches(bare(one_neuron()))[LEAK + 1, 0]


REFUSALS = {
    "bias": (
        one_neuron(alpha=column(9, 2, 0, 0)),
        r"neuron 0 'fast_negative': bias 8\.\d+e-09 A is outside the 8-bit converter's 0 to 4e-09 A "
        r"\(rule: converter reach\); "
        r"lower alpha or raise MappingOptions\.alpha_max",
    ),
    "reference": (
        one_neuron(delta=column(0, 7, 0, 0)),
        r"neuron 0 'slow_positive': reference 1\.54 V is outside the 8-bit converter's 0\.849 to 1\.35 V "
        r"\(rule: converter reach\); "
        r"bring delta nearer to zero or raise MappingOptions\.delta_max",
    ),
    "filter": (
        one_neuron(tau=column(0.02, 50, 2500)),
        r"neuron 0 'fast_filter': filter \S+ A is outside the 8-bit converter's \S+ to 4e-09 A "
        r"\(rule: converter reach\); change tau, "
        r"MappingOptions\.capacitor or MappingOptions\.filter_octaves",
    ),
    "capacitor": (
        one_neuron(tau=column(0, 5e4, 2500)),
        r"neuron 0 'slow': the time constant needs 6\.4e-10 F, more than 2e-10 F "
        r"\(rule: maximum capacitor\); shorten it, raise MappingOptions\.unit_current or raise "
        r"MappingOptions\.capacitor_max",
    ),
    "offset": (
        one_neuron(offset=column(0, 0.25, 0)),
        r"neuron 0 'slow_filter': offset 0\.25 has no circuit \(rule: filter offset\); subtract it from the delta of "
        r"the elements that listen to this filter",
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_what_no_code_can_hold_is_refused(mapped, why):
    neurons, text = REFUSALS[why]
    with pytest.raises(UnmappableError, match=f"^{text}$"):
        mapped(bare(neurons), bits=8)


def test_a_current_out_of_weak_inversion_is_refused_even_by_ideal_converters(mapped):
    with pytest.raises(
        UnmappableError, match=r"^neuron 0 'fast_negative': bias 4\.\d+e-08 A is outside 1e-12 to 3e-08"
    ):
        mapped(bare(one_neuron(alpha=column(50, 2, 0, 0))))


def test_parasitics_larger_than_the_capacitor_are_refused(mapped):
    text = (
        r"neuron 0 'membrane': parasitics of 9\.\d+e-14 F are more than 50% of the 1e-13 F capacitor "
        r"\(rule: parasitics\); raise MappingOptions\.capacitor or use smaller transistors"
    )
    with pytest.raises(UnmappableError, match=f"^{text}"):
        mapped(bare(one_neuron()), capacitor=1e-13, capacitor_min=1e-14)


def test_every_violation_is_named_at_once(mapped):
    first = one_neuron(alpha=column(9, 2, 9, 0), delta=column(0, 7, 0, 0))
    both = Neurons(*(np.hstack([getattr(first, k), getattr(one_neuron(), k)]) for k in ("alpha", "delta", "tau")))
    flipped = Neurons(*(getattr(both, k)[:, ::-1] for k in ("alpha", "delta", "tau")))
    for neurons, culprit in ((both, 0), (flipped, 1)):
        with pytest.raises(UnmappableError) as caught:
            mapped(bare(neurons), bits=8)
        named = [re.match(r"neuron (\d) '(\w+)': (\w+)", text).groups() for text in caught.value.violations]
        expected = [("fast_negative", "bias"), ("slow_negative", "bias"), ("slow_positive", "reference")]
        assert named == [(str(culprit), *each) for each in expected]
        assert str(caught.value) == "; ".join(caught.value.violations)


def test_options_without_meaning_are_refused_together():
    text = (
        r"^MappingOptions\.bits is 1; use 2 to 24, or None for ideal converters; "
        r"MappingOptions\.filter_octaves is -1; use 0 to 40; "
        r"MappingOptions\.capacitor is nan; it must be finite and > 0$"
    )
    with pytest.raises(UnmappableError, match=text):
        MappingOptions(bits=1, filter_octaves=-1, capacitor=float("nan"))
    with pytest.raises(UnmappableError, match=r"^MappingOptions\.input_range is \(1\.0, 0\.5\); the first voltage"):
        MappingOptions(input_range=(1.0, 0.5))


def test_the_drawn_capacitors_are_smaller_by_what_the_otas_add(mapped, network):
    smaller, larger = (mapped(network, capacitor=c) for c in (5e-12, 6e-12))
    assert larger.capacitor - smaller.capacitor == pytest.approx(
        np.outer([1.0, 1.0, 1.0, 2.0], np.full(network.neurons.count, 1e-12)), rel=1e-9
    )
    assert (smaller.capacitor[0] < 5e-12).all()


def test_a_larger_capacitor_slows_the_circuit_and_not_the_model(mapped, network):
    slow, fast = mapped(network, capacitor=10e-12), mapped(network, capacitor=5e-12)
    assert slow.scale.second == pytest.approx(2.0 * fast.scale.second, rel=1e-12)
    assert as_spec(slow).neurons.alpha == pytest.approx(as_spec(fast).neurons.alpha, rel=1e-12)
    assert slow.bias() == pytest.approx(fast.bias(), rel=1e-12)


def test_a_mapped_design_remembers_its_model(mapped, network):
    assert mapped(network).spec_digest == network.digest()
    other = dataclasses.replace(network, bias=network.bias + 0.1)
    assert mapped(other).spec_digest != mapped(network).spec_digest


def test_a_long_time_constant_takes_a_larger_capacitor_not_a_leaking_current(mapped):
    bursting = {"alpha": column(2, 2, 1.5, 1.5), "delta": column(0, 0, -1.5, -1.5)}
    short, long = (mapped(bare(one_neuron(**bursting, tau=column(0, 50, tau)))) for tau in (2500, 20000))
    assert long.capacitor[3, 0] > 3.0 * short.capacitor[3, 0]
    assert long.bias()[7, 0] >= 1e-12
    assert as_spec(long).neurons.tau[2, 0] == pytest.approx(20000, rel=1e-9)
