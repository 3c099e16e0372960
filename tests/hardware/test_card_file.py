import pytest

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware.card_file import check_cards

GOOD = """* a comment, and .control in it
.param lot=1.02
.model n nmos level = 54 $ another
+ vth0={0.4*lot} ; and another
.MODEL P pmos LEVEL=8.0 vth0=-0.4
"""
MODELS = {"nmos": "n", "pmos": "p"}


def test_models_and_parameters_pass():
    check_cards(GOOD, MODELS, {"shift"})


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("* a comment, and", ".control\n* and", r"line 1: '\.control' is not allowed, only \.model and \.param"),
        (".param lot", ".include 'x'\n.param lot", r"line 2: '\.include' is not allowed"),
        (".param lot", "shell rm x\n.param lot", r"line 2: 'shell' is not allowed"),
        (".param lot", ".lib 'x' tt\n.param lot", r"line 2: '\.lib' is not allowed"),
        (".param lot", "M1 d g s b n\n.param lot", r"line 2: 'm1' is not allowed"),
        ("lot=1.02", "lot=agauss(1, 0.1, 1)", "line 2: it draws at random; mismatch is drawn by mtc_hw"),
        ("lot=1.02", "lot=1.02 SHIFT=0", "line 2: shift is what the corner sets"),
        ("comment", "comm\u00e9nt", "character '\u00e9' at offset 8"),
        (".model n nmos", ".model other nmos", "it holds no `.model n nmos`"),
        (".model n nmos", ".model n pmos", "it holds no `.model n nmos`"),
        ("level = 54", "level = 1", "n has level 1; use BSIM3 or BSIM4: 8, 49, 14, 54"),
        ("level = 54", "", "n has level none; use BSIM3 or BSIM4"),
    ],
)
def test_anything_else_is_refused(old, new, text):
    assert old in GOOD
    with pytest.raises(TechnologyError, match=f"^the card file is refused: {text}"):
        check_cards(GOOD.replace(old, new, 1), MODELS, {"shift"})


def test_every_finding_is_told():
    with pytest.raises(TechnologyError, match=r"line 1: '\.exec'.*; it holds no `\.model n nmos`; it holds no `"):
        check_cards(".exec x\n", MODELS, set())
