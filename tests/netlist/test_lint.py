import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.errors import DeckError
from mtc_hw.netlist.lint import ALLOWED, lint

GOOD = """title
.subckt divider a b params: r=1
R1 a b {r}
R2 b 0 {r}
.ends divider
.model d1 d is=1e-14
Vin in 0 dc 1 * not a comment
X1 in out divider r=5
D1 out 0 d1
R1 out 0
+ 1000
C1 out 0 1e-12 ; a comment
.save v(out)
.TRAN 1e-6 1e-3
.end
"""


def refusal(text: str) -> str:
    with pytest.raises(DeckError) as caught:
        lint(text)
    return str(caught.value)


def after_title(line: str) -> str:
    return GOOD.replace("title\n", f"title\n{line}\n")


def test_a_plain_deck_passes():
    lint(GOOD)


@pytest.mark.parametrize(
    "command", [".control", ".include", ".inc", ".lib", ".exec", ".func", ".csparam", ".measure"]
)
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("place", ["{} x", "  {} x", "{}=x", "{}", "{};x"])
def test_a_command_that_could_do_more_than_simulate_is_refused(command, case, place):
    assert refusal(after_title(place.format(case(command)))) == f"netlist refused: line 2: {command} is not allowed"


@pytest.mark.parametrize("before", ["\n\n", "* comment\n", "R9 a 0 1\n", "+ R9 a 0 1\n"])
@pytest.mark.parametrize("after", ["", "\n+ shell touch x", "\nshell touch x\n.endc"])
def test_such_a_command_is_found_wherever_it_stands(before, after):
    assert ".control is not allowed" in refusal(GOOD.replace(".end\n", f"{before}.control{after}\n.end\n"))


def test_a_continuation_does_not_hide_a_command_that_follows_it():
    assert "line 4: .include is not allowed" in refusal(after_title("R9 a\n+ 0 1\n.include /etc/passwd"))


def test_a_command_inside_a_subcircuit_is_refused():
    assert "line 3: .lib is not allowed" in refusal(GOOD.replace("R1 a b {r}", ".LIB x y\nR1 a b {r}"))


@pytest.mark.parametrize("command", sorted(ALLOWED - {".subckt", ".ends", ".model"}))
def test_what_a_simulation_needs_is_allowed(command):
    lint(after_title(command))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("R1 x 0 1", "r1"),
        ("r1 x 0 1", "r1"),
        ("vIN x 0 1", "vin"),
        ("x1 a b divider", "x1"),
        (".MODEL D1 d", ".model d1"),
        (".subckt DIVIDER a b\n.ends", ".subckt divider"),
    ],
)
def test_a_name_used_twice_is_refused_whatever_its_case(line, name):
    text = refusal(GOOD.replace(".save", f"{line}\n.save"))
    assert text.startswith(f"netlist refused: line 13: {name} is already on line ")


def test_a_name_may_come_again_in_another_scope():
    lint(GOOD.replace("R2 b 0 {r}", "R2 b 0 {r}\nC1 b 0 1e-12"))


def test_a_missing_subcircuit_is_refused():
    assert refusal(after_title("X7 a b nothing")) == "netlist refused: line 2: no subcircuit 'nothing'"
    assert refusal(after_title("X7")) == "netlist refused: line 2: no subcircuit ''"


@pytest.mark.parametrize(("nodes", "count"), [("a", 1), ("a b c", 3), ("", 0)])
def test_a_call_with_another_number_of_nodes_is_refused(nodes, count):
    text = refusal(after_title(f"X7 {nodes} Divider r=2"))
    assert text == f"netlist refused: line 2: divider has 2 ports, called with {count} nodes"


@pytest.mark.parametrize("line", ["R7 a 0", "C7 a 0", "l7 a 0", "R7 a 0 ; 1000", "R7 a 0 $ 1000", "R7 a\n+ 0", "R7"])
def test_a_passive_without_a_value_is_refused(line):
    assert refusal(after_title(line)).endswith(f"line 2: {line[:2].lower()} has no value")


@pytest.mark.parametrize("wrong", ["\t", "\r", "\x00", "é", "\x85", "\u2028", "\x7f"])
@pytest.mark.parametrize("place", [0, 7, -1])
def test_a_character_that_is_not_printable_ascii_is_refused(wrong, place):
    at = place % len(GOOD)
    assert f"character {wrong!r} at offset {at}" in refusal(GOOD[:at] + wrong + GOOD[at:])


@pytest.mark.parametrize("command", [".subckt", ".model"])
def test_a_definition_without_a_name_is_refused(command):
    assert refusal(after_title(command)) == f"netlist refused: line 2: {command} has no name"


def test_every_finding_is_reported():
    text = refusal(after_title(".control\nR7 a 0\nX7 a b nothing"))
    assert text == (
        "netlist refused: line 2: .control is not allowed; line 3: r7 has no value; line 4: no subcircuit 'nothing'"
    )


@given(st.text(alphabet="xXrR .=+*;${}\n1acedlontrsubkp", max_size=80))
def test_whatever_the_text_the_answer_is_a_verdict(text):
    with contextlib.suppress(DeckError):
        lint(text)
