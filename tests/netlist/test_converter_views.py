"""Decks whose converters are of transistors: the codes are in the wires, the currents those of ideal ones."""

import dataclasses
import re

import numpy as np
import pytest

from mtc_hw.converters import transistor_converters
from mtc_hw.errors import DeckError, UnmappableError
from mtc_hw.hardware.codes_file import rows_of
from mtc_hw.hardware.dac import Dac
from mtc_hw.netlist.converter_views import Converters, drawn_dacs
from mtc_hw.netlist.dialects import DIALECTS, export
from mtc_hw.netlist.export_folder import ideal_converters
from mtc_hw.netlist.grammar import check
from mtc_hw.netlist.readback import deck_codes, differences, with_deck
from mtc_hw.netlist.render import Series, network_deck, neuron_deck
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.neuron_file import Initial
from mtc_hw.simulate import ngspice
from mtc_hw.spec import RectifiedTanh

SERIES = Series(np.array([[0.0, 1.0], [0.5, -1.0], [-0.3, 0.2], [0.1, 0.1]]), 8.0)


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(dataclasses.replace(network, synapse=RectifiedTanh(0.0)), bits=8)


@pytest.fixture(scope="module")
def converters(technology):
    return Converters(technology)


def whole(design, converters):
    return network_deck(design, "transistor", SERIES, 20.0, Initial(), TRANSISTOR, converters)


def one(design, index, converters=None, duration=20.0):
    return neuron_deck(design, index, "transistor", SERIES, duration, Initial(), TRANSISTOR, converters)


def test_every_code_comes_back_from_the_wires(design, converters):
    text = whole(design, converters).text
    assert deck_codes(text) == deck_codes(whole(design, None).text)
    assert differences(rows_of(design), text) == []
    lost = dataclasses.replace(
        design,
        bias_code=np.where(design.present, 1.0, design.bias_code),
        readout_code=np.ones_like(design.readout_code),
        pole_code=np.ones_like(design.pole_code),
    )
    assert with_deck(lost, text).digest == design.digest


def test_only_inputs_offsets_and_trims_are_left_ideal(design, converters):
    text = whole(design, converters).text
    ideal = re.findall(r"^X(\w+)_bias .* bias_dac code=", text, re.MULTILINE)
    assert set(ideal) == {"input_0", "input_1"}
    assert ideal_converters(text) == ["bias_dac", "offset_dac", "series_dac"]
    present = int(design.present.sum()) + 8 + 2 * 4  # branches, synapses, poles
    assert len(re.findall(r"^X\w+_bias .* (?:split_)?bias_dac_\d", text, re.MULTILINE)) == present
    assert len(re.findall(r"^X\w+_sign .* sign_switch$", text, re.MULTILINE)) == 8


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_can_say_it(design, converters, dialect):
    check(export(whole(design, converters), dialect).text, dialect)
    check(export(one(design, 1, converters), dialect).text, dialect)


def test_a_gain_is_printed_where_it_is_not_one(design, technology):
    known = Converters(technology, gains={design.filter_dac: tuple(1.0 + 0.01 * octave for octave in range(13))})
    lines = re.findall(r"^Xslow_filter_bias .*$", one(design, 0, known).text, re.MULTILINE)
    octave = int(design.bias_code[6, 0] // 256)
    assert octave > 0
    assert [line.rpartition(" ")[2] for line in lines] == [f"gain={1.0 + 0.01 * octave!r}"]
    assert " gain=" not in re.search(r"^Xleak_bias .*$", one(design, 0, known).text, re.MULTILINE)[0]


def test_a_signed_converter_has_a_bit_less(design):
    dacs = drawn_dacs(design)
    assert [dac.bits for dac in dacs] == [8, 8, 8, 7]
    assert not any(dac.signed for dac in dacs)


def test_what_has_no_transistors_is_refused(design, mapped, network, converters):
    with pytest.raises(DeckError, match=r"^converters of transistors are for the transistor level; this is the beh"):
        neuron_deck(design, 0, "behavioural", SERIES, 20.0, Initial(), TRANSISTOR, converters)
    with pytest.raises(UnmappableError, match=r"^an ideal converter has no transistors; map with --bits 8, or "):
        one(mapped(network), 0, converters)


@pytest.mark.parametrize(
    ("port", "tied"),
    [(3, "v"), (3, "both"), (19, "both")],
    ids=["no supply", "leg and drain", "octave and drain"],
)
def test_ports_that_are_no_code_are_refused(design, converters, port, tied):
    """`both`: the switch and its complement alike."""
    text = one(design, 0, converters).text
    line = re.search(r"^Xslow_filter_bias .*$", text, re.MULTILINE)[0]
    words = line.split()
    words[port + 1] = {"vss": "vdd", "vdd": "vss"}[words[port + 1]] if tied == "both" else tied
    wanted = r"^line \d+: Xslow_filter_bias has no ports tied to a code and lsb= that is a number$"
    with pytest.raises(DeckError, match=wanted):
        deck_codes(text.replace(line, " ".join(words)))


def test_synapses_send_as_much_to_the_same_sums(design, converters):
    """The readout's converters give 2 % more than their code, and the other sum gets nothing."""
    sent = []
    for each in (None, converters):
        outcome = ngspice.run(one(design, 0, each, 10.0), 60.0)
        assert outcome.ok, outcome.reason
        waves = outcome.waveforms
        time = waves.axis / waves.axis[-1]
        sent.append([float(np.trapezoid(waves[name], time)) for name in ("i(vsum_p_0)", "i(vsum_n_1)")])
    assert min(sent[0]) > 1e-11
    assert sent[1] == pytest.approx(sent[0], rel=0.06)


@pytest.mark.slow
def test_a_whole_network_on_transistor_converters_answers_as_on_ideal_ones(design):
    """With gains taken out, sums and low-pass within half a millivolt, a thirtieth of what they move."""
    answers = []
    for each in (None, transistor_converters(design)):
        outcome = ngspice.run(network_deck(design, "transistor", SERIES, 20.0, Initial(), TRANSISTOR, each), 300.0)
        assert outcome.ok, outcome.reason
        waves = outcome.waveforms
        grid = np.linspace(0.0, waves.axis[-1], 50)
        answers.append([np.interp(grid, waves.axis, waves[name]) for name in ("v(y_0)", "v(y_1)")])
    assert answers[1] == pytest.approx(np.array(answers[0]), abs=5e-4)


def test_a_gain_belongs_to_one_kind_of_converter(technology):
    converters = Converters(technology, gains={Dac(8, 1e-9, octaves=1): (1.0, 1.1)})
    assert converters.gain(Dac(8, 1e-9, octaves=1), 1) == 1.1
    assert converters.gain(Dac(8, 2e-9, octaves=1), 1) == 1.0
