import dataclasses
import re

import numpy as np
import pytest

from mtc_hw.errors import DeckError
from mtc_hw.hardware.codes_file import rows_of
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.readback import deck_codes, differences, with_deck
from mtc_hw.netlist.render import Series, network_deck, neuron_deck
from mtc_hw.netlist.solver import NETWORK
from mtc_hw.neuron_file import Initial, Stimulus

SERIES = Series(np.array([[0.0, 1.0], [0.5, -1.0], [-0.3, 0.2], [0.1, 0.1]]), 4.0)


@pytest.fixture(params=[None, 8], ids=["exact", "8 bits"])
def chip(mapped, network, request):
    return perturb(mapped(network, bits=request.param), 1, 1)


def whole(design, level="transistor") -> str:
    return network_deck(design, level, SERIES, 10.0, Initial(), NETWORK).text


def one(design, index: int, level: str = "transistor") -> str:
    return neuron_deck(design, index, level, Stimulus(((0.0, 0.0),)), 10.0, Initial(), NETWORK).text


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_a_deck_holds_every_code_of_its_design(chip, level):
    text = whole(chip, level)
    assert differences(rows_of(chip), text) == []
    silent = {
        key
        for key, row in rows_of(chip).items()
        if (key.kind in ("offset", "input", "readout") or key.kind.endswith("_trim")) and row.stored == 0
    }
    assert set(deck_codes(text)) == {key for key, row in rows_of(chip).items() if row.dac is not None} - silent
    signed = {key: code for key, (code, _) in deck_codes(text).items() if key.kind in ("input", "readout")}
    assert min(signed.values()) < 0 < max(signed.values())


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_a_design_comes_back_from_its_decks(chip, level):
    """Codes out of the text into a design that has lost them all."""
    lost = dataclasses.replace(
        chip,
        bias_code=np.where(chip.present, 1.0, chip.bias_code),
        input_code=np.zeros_like(chip.input_code),
        readout_code=np.zeros_like(chip.readout_code),
        pole_code=np.ones_like(chip.pole_code),
    )
    assert with_deck(lost, whole(chip, level)).digest == chip.digest
    for index in range(chip.count):
        lost = with_deck(lost, one(chip, index, level))
    assert lost.bias_code.tobytes() == chip.bias_code.tobytes()
    assert lost.input_code.tobytes() == chip.input_code.tobytes()


def driven(design, index: int, level: str = "transistor") -> str:
    return neuron_deck(design, index, level, SERIES, 10.0, Initial(), NETWORK).text


def test_a_driven_neuron_s_deck_holds_its_weights(chip):
    lost = dataclasses.replace(chip, readout_code=np.zeros_like(chip.readout_code))
    for index in range(chip.count):
        lost = with_deck(lost, driven(chip, index))
    assert lost.readout_code.tobytes() == chip.readout_code.tobytes()


@pytest.mark.parametrize(
    ("wires", "into", "array", "at"),
    [
        (r"(Xinput_0) (\S+) (\S+) ", r"\1 \3 \2 ", "input_code", (2, 0)),
        (r"(Xsynapse_1_2 \S+ \S+) sum_p_1 ", r"\1 sum_n_1 ", "readout_code", (1, 2)),
    ],
)
def test_the_other_wiring_is_the_other_sign(mapped, network, wires, into, array, at):
    design = mapped(network, bits=8)
    text = re.sub(wires, into, driven(design, 2))
    found = getattr(with_deck(design, text), array)
    assert found[at] == -getattr(design, array)[at] != 0.0
    assert (found != getattr(design, array)).sum() == 1


def test_low_passes_that_differ_are_no_design(mapped, network):
    text = re.sub(r"(Xpole_2_1_bias \S+ vdd bias_dac code=)\d+", r"\g<1>7", whole(mapped(network, bits=8)))
    with pytest.raises(DeckError, match=r"^line \d+: 'pole_2' 'pole' differs from one before; a design has one$"):
        deck_codes(text)


def test_a_bias_without_its_transconductor_is_refused(mapped, network):
    text = re.sub(r"Xinput_0 ", "Xsomething ", one(mapped(network, bits=8), 2))
    with pytest.raises(DeckError, match=r"^neuron 2 'input_0' 'input' has a bias and no transconductor whose wires"):
        deck_codes(text)


def test_an_edited_code_is_found_and_taken(mapped, network):
    design = mapped(network, bits=8)
    text = re.sub(r"(Xleak_bias b_leak vdd bias_dac code=)\d+", r"\g<1>77", one(design, 2))
    assert differences(rows_of(design), text) == [
        f"neuron 2 'leak' 'bias': 77 in the deck, {design.bias_code[4, 2]:g} in the design"
    ]
    trimmed = with_deck(design, text)
    assert trimmed.bias_code[4, 2] == 77
    assert differences(rows_of(trimmed), text) == []


def test_a_converter_that_the_design_has_not_is_found(mapped, network):
    design = mapped(network, bits=8)
    text = one(design, 2).replace("input_1", "input_7")
    assert differences(rows_of(design), text) == ["neuron 2 'input_7' 'input' is in the deck only"]


@pytest.mark.parametrize(
    ("change", "into", "said"),
    [
        (
            r"(bias_dac code=\d+) lsb=\S+",
            r"\1 lsb=2e-11",
            r"^neuron 2 'fast_negative' 'bias': lsb is 2e-11, no octave of ",
        ),
        (
            r"bias_dac code=\d+",
            "bias_dac code=300",
            r"^neuron 2 'fast_negative' 'bias': code 300 is none of the converter's$",
        ),
        (r"bias_dac code=\d+", "bias_dac code=7.5", r"^neuron 2 'fast_negative' 'bias': code 7.5 is none of the "),
        (
            r"bias_dac code=\d+",
            "bias_dac code=inf",
            r"^line \d+: Xfast_negative_bias has no code= and lsb= that are ",
        ),
        (r"^X.*$", "", r"^no converter's code is in it; give an ngspice deck$"),
        (r"bias_dac code=\d+", "bias_dac", r"^line \d+: Xfast_negative_bias has no code= and lsb= that are numbers$"),
        (r"input_0", "input_7", r"^the design has no neuron 2 'input_7' 'input'$"),
        (r"neuron_2\b", "neuron_9", r"^the design has no neuron 9 'fast_negative' 'bias'$"),
    ],
)
def test_a_deck_that_is_not_of_the_design_is_refused(mapped, network, change, into, said):
    design = mapped(network, bits=8)
    text = re.sub(
        change,
        into,
        one(design, 2),
        count=0 if "put" in change or "neuron" in change or not into else 1,
        flags=re.MULTILINE,
    )
    with pytest.raises(DeckError, match=said):
        with_deck(design, text)
