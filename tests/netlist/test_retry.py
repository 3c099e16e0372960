import pytest

from mtc_hw.errors import DeckError
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import own_deck
from mtc_hw.netlist.retry import RUNGS, on_rung
from mtc_hw.spice_lines import logical_lines

TEXT = """* title with reltol=5 .tran
R1 a 0 1
.options method=trap gmin=1e-15 reltol=1e-6
+ trtol=1 itl4=10
.save v(a)
{}
.end
"""


def deck(tran: str = ".tran 1e-5 5e-3 0 2e-5", **replaced: str) -> Deck:
    text = TEXT.format(tran)
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return Deck("rc", text, ("v(a)",), 5e-3)


def settings(text: str) -> dict[str, str]:
    """All options of a deck; the words must not come twice."""
    words = " ".join(line[len(".options") :] for _, line in logical_lines(text, 2) if line.startswith(".options"))
    pairs = [word.split("=") for word in words.replace(" = ", "=").split()]
    assert len({name for name, _ in pairs}) == len(pairs)
    return {name: value for name, value in pairs}


def test_a_rung_changes_method_step_and_iterations_and_nothing_else():
    changed = on_rung(deck(), 1)
    assert settings(changed.text) == {
        "method": "gear", "maxord": "2", "itl1": "1000", "itl2": "1000", "itl4": "200",
        "gmin": "1e-15", "reltol": "1e-6", "trtol": "1",
    }  # fmt: skip
    assert ".tran 1e-05 0.005 0 5e-06\n" in changed.text
    assert changed.text.splitlines()[0] == "* title with reltol=5 .tran"
    assert (changed.name, changed.wanted, changed.end) == ("rc at rung 1", ("v(a)",), 5e-3)


def test_the_second_rung_loosens_the_tolerance_too():
    first, second = (settings(on_rung(deck(), rung).text) for rung in RUNGS)
    assert second == first | {"reltol": "1e-05"}


@pytest.mark.parametrize(
    ("own", "loosened"), [("1e-8", "1e-07"), ("2e-4", "0.001"), ("1e-3", "0.001"), ("5e-3", "0.005"), ("1u", "1u")]
)
def test_no_tolerance_is_loosened_beyond_the_bound(own, loosened):
    changed = on_rung(deck(**{"reltol=1e-6": f"RELTOL = {own}"}), 2)
    assert "RELTOL" not in changed.text
    assert settings(changed.text)["reltol"] == loosened


def test_a_deck_without_options_has_ngspice_s_own_tolerance():
    text = TEXT.format(".tran 1e-5 5e-3").replace(
        ".options method=trap gmin=1e-15 reltol=1e-6\n+ trtol=1 itl4=10\n", ""
    )
    assert settings(on_rung(Deck("rc", text, ("v(a)",), 5e-3), 2).text)["reltol"] == "0.001"


@pytest.mark.parametrize(
    ("tran", "shorter"),
    [
        (".tran 1e-5 5e-3", ".tran 1e-05 0.005 0 2.5e-06"),
        (".tran 1e-3 5e-3 0", ".tran 0.001 0.005 0 2.5e-05"),
        (".TRAN 1e-3 5e-3 3e-3 UIC", ".tran 0.001 0.005 0.003 1e-05 UIC"),
        (".tran 1e-5 5e-3 0 1e-4 uic", ".tran 1e-05 0.005 0 2.5e-05 uic"),
        (".tran 10u 5m", ".tran 10u 5m"),
        (".dc Vin 0 1 0.1", ".dc Vin 0 1 0.1"),
    ],
)
def test_the_largest_step_is_cut_to_a_quarter(tran, shorter):
    assert f"\n{shorter}\n" in on_rung(deck(tran), 1).text


def test_a_changed_deck_is_read_once_more():
    with pytest.raises(DeckError, match=r"^netlist refused: line 3: \.control is not allowed"):
        on_rung(deck(**{"R1 a 0 1": ".control\nR1 a 0 1"}), 1)


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_a_neuron_s_deck_keeps_its_circuit(preset, level):
    file, _, design = preset("tonic")
    own = own_deck(design, file, level, 50.0)
    changed = on_rung(own, 2)
    lines, others = (
        [line for line in text.splitlines() if not line.startswith((".options", ".tran"))]
        for text in (own.text, changed.text)
    )
    assert lines == others
    before, after = settings(own.text), settings(changed.text)
    assert before.keys() < after.keys()
    assert {name for name in before if before[name] != after[name]} == {"method", "reltol", "itl4"}
