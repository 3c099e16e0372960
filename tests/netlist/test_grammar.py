import re

import pytest
from golden_decks import FOLDER

from mtc_hw.errors import DeckError
from mtc_hw.netlist.grammar import check


def golden(name: str) -> str:
    return (FOLDER / name).read_text(encoding="ascii")


def refusal(text: str, dialect: str) -> str:
    with pytest.raises(DeckError, match=rf"^{dialect} netlist refused: ") as caught:
        check(text, dialect)
    return str(caught.value)


XYCE = [
    # what is changed, into what, what is said
    (r"^Xslow_positive_bias (\w+) vdd ", r"Xslow_positive_bias \1 ", "bias_dac has 2 ports, called with 1 nodes"),
    (r" bias_dac PARAMS: code=", " bias_doc PARAMS: code=", "no subcircuit bias_doc"),
    (r" bias_dac PARAMS: code=", " bias_dac PARAMS: cod=", "bias_dac has no parameter cod"),
    (r" bias_dac PARAMS: code=", " bias_dac code=", "is not understood"),
    (r"I=\{gain", "I={again", "again is not known here"),
    (r"I=\{(gain\S*)\}", r"I=\1", "is not understood"),
    (r"tanh\(\(", "tan((", "tan is not known here"),
    (r"\{gain\*a\*", "{sin(gain)*a*", "sin is not known here"),
    (r"^Cmembrane v vss .*$", "Cmembrane v vss", "is not understood"),
    (r"^Cmembrane v", "cmembrane v vss 1\nCmembrane v", "Cmembrane is there twice"),
    (r"^Isum_0 vdd b_sum_0 ", "Isum_0 vdd B_sum_0 ", "node b_sum_0 differs in capitals only"),
    (r"fasttable\(time, ", "pwl(time,", "pwl is not known here"),
    (r"^\.ends ota$", "", "subcircuit linear_ota inside ota"),
    (r"^\.ends ota$", ".ends oto", "ota is open, not oto"),
    (r"^\.print tran .*$", ".save v(v_0)", "is not understood"),
    (r"V\(v_1\) ", "V(v_9) ", "there is no node v_9"),
    (r"I\(Vdd\)", "I(vdd)", "there is no source vdd"),
    (r"^\.ic V\(v_0\)", ".ic V(v_8)", "there is no node v_8"),
    (r"^\.options device temp=27$", ".temp 27", "is not understood"),
    (r"^\.end$", "", "the last line is not .end"),
    (r"^\.end$", ".control\n.end", "is not understood"),
    (r"\A\*", "V1 a 0 DC 1 *", "the title is no comment"),
]
SPECTRE = [
    (r"^Xslow_positive_bias \((\w+) vdd\)", r"Xslow_positive_bias (\1)", "bias_dac has 2 ports, called with 1 nodes"),
    (r"\) bias_dac ", ") bias_doc ", "no subcircuit bias_doc"),
    (r"\) bias_dac code=", ") bias_dac cod=", "bias_dac has no parameter cod"),
    (r"bsource i=\(gain", "bsource i=(again", "again is not known here"),
    (r"^(Bmirror .* bsource) i=", r"\1 q=", "bsource needs one of i and v"),
    (r"^Cmembrane \(v vss\)", "Cmembrane (v)", "capacitor has 2 nodes, not 1"),
    (r"capacitor c=5", "capacitor r=5", "capacitor needs c"),
    (r"^Isum_0 ", "Isum_0: ", "is not understood"),
    (r"^Isum_0 ", "to ", "to is a reserved word"),
    (r"^subckt lowpass ", "subckt out ", "out is a reserved word"),
    (r"^transient tran ", "time tran ", "time is a reserved word"),
    (r"^Isum_0 \(vdd b_sum_0\)", "Isum_0 (vdd B_sum_0)", "node b_sum_0 differs in capitals only"),
    (r"^ends ota$", "", "subcircuit linear_ota inside ota"),
    (r"^ends neuron_1$", "", "subcircuit neuron_1 is not closed"),
    (r"^parameters code=0 lsb=0 base=0$", "", "base is not known here"),
    (r"^global 0$", "", "a comment, the language and the ground come first"),
    (r"^simulator lang=spectre$", "simulator lang=spice", "is not understood"),
    (r"^save ", ".save ", "is not understood"),
    (r"^save v_0", "save v_7", "there is no node v_7"),
    (r" Vdd:p", " vdd:p", "there is no source vdd"),
    (r"^ic v_0=", "ic v_6=", "there is no node v_6"),
    (r"^transient tran.*$", "", "there is not one transient analysis"),
    (r"maxstep=\S+", "maxstep=fast", "is not understood"),
    (r"wave=\[ 0", "wave=[", "is not understood"),
    (r"^model nch bsim4 type=n", "model nch bsim4 type=x", "is not understood"),
]


@pytest.mark.parametrize(
    ("dialect", "change", "into", "said"),
    [("xyce", *each) for each in XYCE] + [("spectre", *each) for each in SPECTRE],
)
def test_a_deck_with_one_fault_is_refused(dialect, change, into, said):
    text = golden(f"two.{dialect}")
    wrong, count = re.subn(change, into, text, count=1, flags=re.MULTILINE)
    assert count == 1, "the golden deck has no such place"
    assert said in refusal(wrong, dialect)


@pytest.mark.parametrize(
    ("dialect", "change", "into", "said"),
    [
        ("xyce", r"^mb (\w+ \w+ \w+ \w+) nch", r"mb \1 nchh", "no model nchh"),
        ("xyce", r"delvto=\{vt_mb\}", "delvto={vt_mx}", "vt_mx is not known here"),
        ("spectre", r"^mb \((\w+ \w+ \w+) \w+\)", r"mb (\1)", "a transistor has 4 nodes, not 3"),
        ("spectre", r"^mb \((.*)\) nch", r"mb (\1) nchh", "no subcircuit nchh"),
        ("spectre", r"delvto=\(vt_mb\)", "delvto={vt_mb", "is no expression"),
    ],
)
def test_a_transistor_with_one_fault_is_refused(dialect, change, into, said):
    text = golden(f"tonic.{dialect}")
    wrong, count = re.subn(change, into, text, count=1, flags=re.MULTILINE)
    assert count == 1, "the golden deck has no such place"
    assert said in refusal(wrong, dialect)


@pytest.mark.parametrize("name", ["two", "tonic"])
@pytest.mark.parametrize(("deck", "dialect"), [("ngspice", "xyce"), ("ngspice", "spectre"), ("xyce", "spectre")])
def test_a_deck_of_another_dialect_is_refused(name, deck, dialect):
    refusal(golden(f"{name}.{deck}"), dialect)


def test_every_finding_comes_with_its_line():
    text = golden("two.spectre").replace("ends ota", "ends oto", 1).replace("save v_0", "save v_7")
    lines = text.splitlines()
    said = refusal(text, "spectre")
    for wrong in ("ends oto", next(line for line in lines if line.startswith("save"))):
        assert f"line {lines.index(wrong) + 1}: " in said


def test_the_grammar_of_ngspice_is_lint_and_our_own_forms():
    with pytest.raises(DeckError, match=r"^netlist refused: line 2: \.control is not allowed"):
        check(golden("two.ngspice").replace("\n", "\n.control\n", 1), "ngspice")
    with pytest.raises(DeckError, match=r"^line 2: 'D1 a 0 d1' has no counterpart in other dialects$"):
        check(golden("two.ngspice").replace("\n", "\nD1 a 0 d1\n", 1), "ngspice")
