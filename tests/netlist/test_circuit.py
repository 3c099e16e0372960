import pytest

from mtc_hw.errors import DeckError
from mtc_hw.netlist.circuit import parse
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.dialects import DIALECTS, export
from mtc_hw.netlist.grammar import check
from mtc_hw.netlist.lint import lint

# Every form that a template may use, a transistor cell as another hand would write it among them.
PLAIN = """* title
* a card
.model nch nmos level=54 version = 4.8
+ toxe=4.1n
* between
+ vth0=0.42
.param unit=1.5

.subckt string_dac top bottom out bulk
+ r=1e5 code=0
Rtop top out {r*(1-code/256)}
Rbottom out bottom {r*code/256}
mswitch out top bottom bulk nch w={4e-06*(1+code)} l=4e-06 delvto={0*r} m=2
Cload out 0 1p
Ibias top 0 dc {1e-9*code}
Eamp buffered 0 out 0 {2*unit}
.ends string_dac
Vdd vdd 0 dc 1.8
Vin in 0 pwl(0 0
+ 1 {x})
X1 vdd 0 out 0 string_dac r=2e5 code=17
Ein a 0 out 0 2
Rin in a 10
.temp 27
.options method=trap gmin=1e-16 abstol=1e-16 vntol=1e-8 chgtol=1e-19 reltol=1e-4 trtol=1 itl4=50
.ic v(out)=0.5
.save v(out) i(vdd)
.tran 1e-6 1e-3 0 1e-6
.end
""".replace("{x}", "-1.5")


def test_a_deck_is_read_statement_by_statement():
    kinds = [each.kind for each in parse(PLAIN) if each.kind not in ("comment", "blank")]
    assert kinds == [
        "model", "parameter", "subckt", "resistor", "resistor", "transistor", "capacitor", "current", "amplifier",
        "ends", "voltage", "voltage_wave", "instance", "amplifier", "resistor", "temperature", "options", "initial",
        "save", "transient", "end",
    ]  # fmt: skip


def test_continuations_join_and_comments_between_stay():
    model = next(each for each in parse(PLAIN) if each.kind == "model")
    assert model.parameters == (("level", "54"), ("version", "4.8"), ("toxe", "4.1n"), ("vth0", "0.42"))
    assert [each.value for each in parse(PLAIN) if each.kind == "comment"] == [" title", " a card", " between"]


def test_a_wave_is_pairs():
    wave = next(each for each in parse(PLAIN) if each.kind == "voltage_wave")
    assert wave.pairs == [("0", "0"), ("1", "-1.5")]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_template_of_plain_elements_is_expressed(dialect):
    lint(PLAIN)
    text = export(Deck("plain", PLAIN, (), 1e-3), dialect).text
    check(text, dialect)
    assert all(f"{name} " in text for name in ("mswitch", "Rtop", "Cload", "Ibias", "Eamp", "X1", "string_dac"))


@pytest.mark.parametrize(
    "line",
    ["Q1 a b c npn", "R1 a 0", "R1 a b c 5", "V1 a 0 sin(0 1 1)", "V1 a 0 pwl(0 1 2)", "V1 a 0 pwl(0 x)",
     "B1 a 0 q=1", ".tran 1 1", ".dc Vin 0 1 0.1", ".ic v(a)=x", ".save all", "G1 a b c 5", "M1 d g s b",
     ".subckt", "X1"],
)  # fmt: skip
@pytest.mark.parametrize("place", [3, 10, -2])
def test_another_line_is_named_with_its_number(line, place):
    lines = PLAIN.splitlines()
    lines.insert(place, line)
    number = lines.index(line) + 1
    # What stands before a continuation takes it along.
    with pytest.raises(DeckError, match=rf"line {number}: '.*' has no counterpart in other dialects"):
        parse("\n".join(lines))


def test_every_wrong_line_is_reported():
    text = PLAIN.replace("Ein a 0 out 0 2", "Ein a 0 out 2").replace(".temp 27", ".temp warm")
    with pytest.raises(DeckError, match=r"^line 22: .*; line 24: "):
        parse(text)
