import dataclasses
import re

import numpy as np
import pytest
from golden_decks import FOLDER, mapped, texts, tonic, two
from respelled import from_spectre, from_xyce

from mtc_hw.errors import DeckError
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.circuit import parse
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.dialects import DIALECTS, OPTIONS, export
from mtc_hw.netlist.grammar import check
from mtc_hw.netlist.render import Series, network_deck, neuron_deck
from mtc_hw.netlist.solver import NETWORK, TRANSISTOR, Solver
from mtc_hw.neuron_file import Initial, Stimulus

FOREIGN = ["xyce", "spectre"]
STEPS = Stimulus(((0.0, -0.5), (10.0, 1.0), (15.0, 0.0)))
NUMBER = re.compile(r"(?<![\w.])-?\d+\.?\d*(?:e[-+]?\d+)?(?![\w.])")
VARIES = re.compile(r"mtc_hw \S+?(?=,|$)|\b[0-9a-f]{16}\b", re.MULTILINE)


def figures(text: str) -> tuple[str, list[float]]:
    """A deck without versions and digests: what is no number, and the numbers."""
    bare = VARIES.sub("", text.replace("\n+ ", " "))
    return NUMBER.sub("#", bare), [float(found) for found in NUMBER.findall(bare)]


@pytest.mark.parametrize(
    "name", [f"{deck}.{dialect}" for deck in ("tonic", "two") for dialect in DIALECTS] + ["two.va"]
)
def test_a_deck_is_the_golden_one(name):
    """`python tests/golden_decks.py` writes them anew. Numbers may differ in the last digits of a logarithm."""
    form, numbers = figures(texts()[name])
    golden_form, golden_numbers = figures((FOLDER / name).read_text(encoding="ascii"))
    assert form == golden_form
    assert numbers == pytest.approx(golden_numbers, rel=1e-9, abs=1e-30)


@pytest.mark.parametrize("name", [f"{deck}.{dialect}" for deck in ("tonic", "two") for dialect in DIALECTS])
def test_a_golden_deck_is_the_dialect_s_grammar(name):
    check((FOLDER / name).read_text(encoding="ascii"), name.split(".")[1])


def test_the_ngspice_dialect_is_the_deck_that_we_simulate():
    deck = two()[1]
    assert export(deck, "ngspice") is deck


@pytest.mark.parametrize("dialect", FOREIGN)
def test_a_dialect_names_the_deck_that_it_comes_from(dialect):
    deck = tonic()[1]
    assert f"dialect of the ngspice deck {deck.digest[:16]}\n" in export(deck, dialect).text


@pytest.mark.parametrize("dialect", FOREIGN)
@pytest.mark.parametrize("level", ["behavioural", "transistor"])
@pytest.mark.parametrize("bits", [None, 8])
def test_every_deck_of_a_chip_is_expressed(dialect, level, bits, network, mapped):
    design = perturb(mapped(network, bits=bits), 1, 1)
    series = Series(np.array([[0.0, 1.0], [0.5, -1.0], [-0.3, 0.2], [0.1, 0.1]]), 4.0)
    for index in range(design.count):
        for stimulus in (series, STEPS, Stimulus(((0.0, -0.5),))):
            export(neuron_deck(design, index, level, stimulus, 10.0, Initial(), TRANSISTOR), dialect)
    export(network_deck(design, level, series, 10.0, Initial(), NETWORK), dialect)


@pytest.mark.parametrize("dialect", FOREIGN)
def test_every_element_and_subcircuit_keeps_its_name(dialect):
    deck = two()[1]
    named = [each.name for each in parse(deck.text) if each.name and each.kind != "ends"]
    text = export(deck, dialect).text
    for name in named:
        assert re.search(rf"^(?:\.?subckt |\.?model )?{name}\b", text, re.MULTILINE), name


def commands(deck: Deck) -> list[str]:
    return [line for line in deck.text.splitlines() if line.startswith((".temp", ".opt", ".ic", ".save", ".tran"))]


@pytest.mark.parametrize("back", [from_xyce, from_spectre])
@pytest.mark.parametrize("which", ["stepped", "two", "chip"])
def test_ngspice_finds_the_same_circuit_in_a_dialect(back, which, runner):
    """Every element, node, code and expression of the dialect, run by ngspice after a respelling line by line."""
    if which == "two":
        deck = two()[1]
    else:
        chip = mapped(two()[0]) if which == "stepped" else perturb(mapped(two()[0]), 3, 0)
        level = "behavioural" if which == "stepped" else "transistor"
        deck = neuron_deck(chip, 1, level, STEPS, 40.0, Initial(), TRANSISTOR)
    dialect = export(deck, "xyce" if back is from_xyce else "spectre")
    again = dataclasses.replace(deck, text=back(dialect.text, commands(deck)))
    assert again.text != deck.text
    native, respelled = (outcome.waveforms for outcome in runner([deck, again]))
    grid = np.linspace(0.0, deck.end, 200)
    for vector in (name for name in deck.wanted if name.startswith("v(")):
        one, other = (np.interp(grid, each.axis, each[vector]) for each in (native, respelled))
        assert np.ptp(one) > 1e-3, vector
        # A voltage source's breakpoints where the native deck has none: the steps differ by as much.
        assert other == pytest.approx(one, abs=2e-3), vector


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("D1 v_0 0 d1", r"line 100: 'D1 v_0 0 d1' has no counterpart in other dialects"),
        ("R1 v_0 0 1 tc1=2", r"line 100: 'R1 v_0 0 1 tc1=2' has no counterpart in other dialects"),
        (".measure tran x max v(v_0)", r"line 100: '\.measure tran x max v\(v_0\)' has no counterpart"),
        ("B1 v_0 0 i=ternary_fcn(1,2,3)", r"line 100: function ternary_fcn has no counterpart in dialect "),
        ("B1 v_0 0 i=v(v_0)^2", r"line 100: 'v\(v_0\)\^2' holds what no simulator's expression may in dialect "),
        (".model d1 nmos level=8", r"line 100: \.model d1, nmos of level 8, has no counterpart in dialect spectre"),
        (".options temper=3", r"^option temper has no counterpart in other dialects$"),
    ],
)
def test_what_a_dialect_cannot_express_is_one_message_with_the_line(line, said):
    deck = tonic()[1]
    lines = deck.text.splitlines()
    lines.insert(99, line)
    with pytest.raises(DeckError, match=said):
        export(dataclasses.replace(deck, text="\n".join(lines) + "\n"), "spectre")


def test_every_option_of_the_solver_is_known_to_the_dialects():
    assert {option.split("=")[0] for option in Solver().options()} == set(OPTIONS)


def test_a_card_s_suffixes_are_plain_numbers_in_spectre():
    text = export(tonic()[1], "spectre").text
    assert " toxe=4.1e-09 " in text.replace("\n+ ", " ")
    assert " cgso=3e-10 " in text.replace("\n+ ", " ")


def test_a_comment_never_continues():
    deck = tonic()[1]
    text = deck.text.replace("\n\n", "\n* ends in a backslash \\\n", 1)
    assert "// ends in a backslash\n" in export(dataclasses.replace(deck, text=text), "spectre").text


@pytest.mark.parametrize(
    ("dialect", "said"), [("xyce", "V={1*fasttable(time, 0, 0.5, "), ("spectre", "wave=[ 0 0.5 ")]
)
def test_an_input_without_a_factor_has_the_factor_one(dialect, said):
    deck = two()[1]
    text = re.sub(r"v=\S+?\*pwl\(time,0,0,", "v=pwl(time,0,0.5,", deck.text)
    assert text != deck.text
    assert said in export(dataclasses.replace(deck, text=text), dialect).text


def test_an_empty_deck_is_refused():
    with pytest.raises(DeckError, match=r"^deck nothing is empty$"):
        export(Deck("nothing", "", (), None), "xyce")
