import re

import pytest

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.converters import DEFAULT_SIZES, device_count
from mtc_hw.hardware.dac import Dac
from mtc_hw.netlist.converters import bias_instance, converter_context, sign_nodes
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.render import common_context
from mtc_hw.netlist.templates import render


@pytest.fixture(scope="module")
def printed(technology):
    def of(template: str, *dacs: Dac, reference_bits: int = 8) -> str:
        context = common_context(technology, 4e-6, 4e-6)
        context |= converter_context(technology, DEFAULT_SIZES, dacs, reference_bits)
        return render(f"transistor/{template}.cir.j2", context)

    return of


def test_a_code_is_read_from_the_ports():
    """Bits from the least: vss switches a leg on, and its complement drains what is off."""
    instance = bias_instance(Dac(4, 1e-9), 0b0110)
    assert instance.cell == "bias_dac_4"
    assert instance.nodes == ("vss", *("vdd", "vss", "vss", "vdd"), *("vss", "vdd", "vdd", "vss"))
    assert instance.parameters == {"lsb": 1e-9}


def test_an_octave_is_read_from_the_ports():
    """Octave 2 of 3: the first two halves are dropped, and the third is let pass."""
    instance = bias_instance(Dac(2, 1e-9, octaves=3), 2 * 4 + 3)
    assert instance.cell == "split_bias_dac_2_3"
    assert instance.nodes[5:] == (*("vdd", "vdd", "vss"), *("vss", "vss", "vdd"))


def test_every_code_has_its_own_ports():
    dac = Dac(3, 1e-9, octaves=4)
    assert len({bias_instance(dac, code).nodes for code in range(5 * 8)}) == 5 * 8


def test_a_measured_gain_is_taken_from_the_reference_current():
    assert bias_instance(Dac(4, 1e-9), 3, gain=1.25).parameters == {"lsb": 1e-9, "gain": 1.25}


@pytest.mark.parametrize("code", [-1, 0.5, 16, float("inf")])
def test_a_code_that_does_not_exist_is_refused(code):
    with pytest.raises(UnmappableError, match=rf"^{code} is no code of a 4-bit converter of 0 octaves$"):
        bias_instance(Dac(4, 1e-9), code)


def test_an_ideal_converter_has_no_transistors(printed):
    text = r"^an ideal converter has no transistors; map with --bits 8, or MappingOptions.bits$"
    with pytest.raises(UnmappableError, match=text):
        bias_instance(Dac(None, 1e-9), 3)
    with pytest.raises(UnmappableError, match=text):
        printed("bias_dac", Dac(None, 1e-9))


@pytest.mark.parametrize(("bits", "octaves"), [(4, 0), (8, 0), (6, 3), (8, 12)])
def test_the_netlist_has_the_devices_that_the_area_counts(printed, bits, octaves):
    """Fingers are units; all devices of a converter have the same."""
    text = printed("bias_dac", Dac(bits, 1e-9, octaves=octaves))
    fingers = [int(each) for each in re.findall(r" nf=(\d+)$", text, re.MULTILINE)]
    assert sum(fingers) == device_count("bias", bits, octaves).devices
    widths = [float(each) for each in re.findall(r" w=(\S+) l=1.6e-05 nf=", text)]
    assert widths == pytest.approx([DEFAULT_SIZES.width * each for each in fingers])


def test_the_sign_names_the_switch():
    assert sign_nodes(5) == ("vss", "vdd")
    assert sign_nodes(-5) == ("vdd", "vss")
    assert sign_nodes(0) == ("vdd", "vdd")  # what a synapse without bias leaks goes to neither


def test_converters_alike_are_one_subcircuit(printed):
    text = printed("bias_dac", Dac(8, 1e-9), Dac(8, 2e-9), Dac(8, 1e-9, octaves=12))
    assert re.findall(r"^\.subckt (\S+)", text, re.MULTILINE) == ["bias_dac_8", "split_bias_dac_8_12"]
    lint(f"* all converters\n{text}\n{printed('reference_dac')}\n{printed('weight_dac')}")


def test_a_reference_passes_one_switch_a_bit(printed):
    for bits in (4, 8):
        assert len(re.findall(r"^mpath", printed("reference_dac", reference_bits=bits), re.MULTILINE)) == bits
