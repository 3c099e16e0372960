import dataclasses

import numpy as np
import pytest
from trimmed import trimmed

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import LEAK, as_spec
from mtc_hw.hardware.design_file import load_design, save_design
from mtc_hw.hardware.mapping import MappingOptions, trim_reach
from mtc_hw.hardware.mismatch import perturb, spread_of, unit_error
from mtc_hw.hardware.trim import TRIM_BITS, trim_value
from mtc_hw.hardware.variation import Variation
from mtc_hw.netlist.readback import with_deck
from mtc_hw.netlist.render import neuron_deck
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.neuron_file import Initial, Stimulus

STILL = Stimulus(((0.0, 0.0),))


@pytest.fixture(scope="module")
def burster(preset):
    return preset("bursting", bits=8)[2]


def test_a_bit_s_error_counts_where_the_bit_is_set():
    errors = np.zeros((TRIM_BITS, 4))
    errors[1], errors[4] = 0.1, -0.01
    codes, dac = np.array([0.0, 2.0, -18.0, 5.0]), Dac(6, 0.5, signed=True)
    assert trim_value(dac, codes, errors) == pytest.approx([0.0, 1.1, -0.5 * (18 + 0.2 - 0.16), 2.5])
    assert trim_value(dac, codes).tolist() == [0.0, 1.0, -9.0, 2.5]
    assert trim_value(Dac(None, 0.5, signed=True), codes, errors).tolist() == [0.0, 1.0, -9.0, 2.5]


def test_trims_are_bounded_and_small(burster):
    current, reference, offset = trim_reach(burster.technology, burster.cells)
    for dac, reach in (
        (burster.trim.current, current),
        (burster.trim.reference, reference * burster.scale.volt),
        (burster.trim.offset, offset * burster.scale.amp),
    ):
        assert (dac.bits, dac.signed) == (6, True)
        assert float(dac.decode(dac.nearest(np.array(9.0)))) == pytest.approx(reach)
        assert float(dac.decode(dac.nearest(np.array(-9.0)))) == pytest.approx(-reach)


def test_a_trim_moves_what_its_code_says(burster):
    current, reference, offset = trim_reach(burster.technology, burster.cells)
    up = dataclasses.replace(
        burster,
        bias_trim=np.where(burster.present, 10.0, 0.0),
        reference_trim=np.full((LEAK + 1, 1), -4.0),
        offset_trim=np.array([7.0]),
    )
    before, after = as_spec(burster), as_spec(up)
    present = before.neurons.alpha > 0
    assert (after.neurons.alpha / np.where(present, before.neurons.alpha, 1.0))[present] == pytest.approx(
        1 + 10 * current / 31, rel=0.01
    )  # a cell's gain per bias goes a little with the bias
    assert after.neurons.delta[present] - before.neurons.delta[present] == pytest.approx(-4 * reference / 31)
    assert after.bias - before.bias == pytest.approx(7 * offset / 31)
    assert (after.neurons.tau[1:] < before.neurons.tau[1:]).all()


def test_the_converters_own_mismatch_is_in_the_chip_and_not_in_the_design(burster):
    codes = trimmed(burster, 3)
    chip, same = perturb(codes, 5, 2), perturb(burster, 5, 2)
    assert (chip.deviations.threshold == same.deviations.threshold).all()
    assert (chip.deviations.current_trim == Variation().draw(codes, 5, 2).deviations.current_trim).all()
    off = chip.bias_trims()[chip.present] / codes.bias_trims()[codes.present] - 1.0
    assert np.abs(off).max() > 1e-4
    assert (chip.references() != codes.references()).any()
    assert (chip.offset_current() != codes.offset_current()).all()
    assert (same.bias() == burster.bias()).all()


def test_a_bit_of_2_to_the_k_units_has_a_unit_s_error_over_the_root(burster):
    drawn = np.array([perturb(burster, 0, k).deviations.current_trim[:5, :, 0] for k in range(400)])
    sigma = drawn.std(axis=(0, 2)) / unit_error(burster.technology, burster.cells)
    assert sigma == pytest.approx(2.0 ** (-np.arange(5) / 2), rel=0.06)  # 3,200 draws: 4.8 standard errors
    assert not perturb(burster, 0, 0).deviations.current_trim[5:].any()


def test_no_local_variation_spares_the_trims(burster):
    assert not Variation(local="none").draw(burster, 0, 0).deviations.current_trim.any()


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
@pytest.mark.parametrize("drawn", [False, True])
def test_a_deck_holds_the_trims(burster, level, drawn):
    codes = trimmed(burster, 1)
    design = perturb(codes, 1, 0) if drawn else codes
    text = neuron_deck(design, 0, level, STILL, 10.0, Initial(), TRANSISTOR).text
    assert with_deck(dataclasses.replace(burster, deviations=design.deviations), text).digest == design.digest
    bare = neuron_deck(burster, 0, level, STILL, 10.0, Initial(), TRANSISTOR).text
    assert "_trim" not in bare
    assert with_deck(codes, bare).digest == burster.digest


def test_a_file_holds_them_too(burster, tmp_path):
    design = perturb(trimmed(burster, 1), 1, 0)
    save_design(design, tmp_path / "design.json")
    assert load_design(tmp_path / "design.json").digest == design.digest


def test_trims_reach_as_far_as_the_mismatch_of_the_size_asks(burster, mapped, network):
    current, reference, offset = trim_reach(burster.technology, burster.cells)
    spread = spread_of(burster.technology, burster.cells)
    assert current > 4.0 * spread.alpha and reference > 3.5 * spread.rest and offset > 3.5 * spread.current
    asked = mapped(network, bits=8, trim_bits=4, trim_current=0.2, trim_reference=0.3, trim_offset=0.1)
    assert asked.trim.current.lsb == pytest.approx(0.2 / 7)
    assert asked.trim.reference.lsb == pytest.approx(0.3 * asked.scale.volt / 7)
    assert asked.trim.offset.lsb == pytest.approx(0.1 * asked.scale.amp / 7)


def test_wrong_options_are_named():
    with pytest.raises(
        UnmappableError, match=r"trim_bits is 13; use 2 to 12.*trim_current is 1.5; it must be between"
    ):
        MappingOptions(trim_bits=13, trim_current=1.5)
    assert MappingOptions(bits=None).trim_bits == 6


def test_exact_mapping_has_exact_trims(preset):
    assert preset("tonic")[2].trim.current.bits is None
