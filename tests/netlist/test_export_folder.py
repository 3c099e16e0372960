import dataclasses
import re
from hashlib import sha256

import numpy as np
import pytest

from mtc_hw import __version__
from mtc_hw.errors import DeckError
from mtc_hw.hardware.codes_file import load_codes, rows_of
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.deck import read_deck
from mtc_hw.netlist.dialects import DIALECTS, EXTENSION, export
from mtc_hw.netlist.export_folder import ideal_converters, write_export
from mtc_hw.netlist.grammar import check
from mtc_hw.netlist.readback import differences
from mtc_hw.netlist.render import Series, network_deck, neuron_deck, own_deck
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.neuron_file import Initial, Stimulus, load_neuron
from mtc_hw.spec import RectifiedTanh, Synapse


def decks_of(design):
    stimulus = Stimulus(((0.0, -0.5),))
    return [
        neuron_deck(design, index, "transistor", stimulus, 10.0, Initial(), TRANSISTOR)
        for index in range(design.count)
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_folder_holds_decks_codes_module_and_readme(mapped, network, tmp_path, dialect):
    design = mapped(network, bits=8)
    paths = write_export(decks_of(design), design, "transistor", dialect, tmp_path / "deck")
    assert [path.name for path in paths] == [f"neuron_{i}{EXTENSION[dialect]}" for i in range(design.count)]
    files = {path.name for path in (tmp_path / "deck").iterdir()} - {path.name for path in paths}
    assert files - {".spiceinit"} == {"README.md", "codes.csv", "design.json", "mtc_neuron.va", "mtc_neurons.inc"}
    assert (".spiceinit" in files) == (dialect == "ngspice")
    for deck, path in zip(decks_of(design), paths, strict=True):
        assert path.read_text() == export(deck, dialect).text
        check(path.read_text(), dialect)
    assert load_codes(tmp_path / "deck").digest == design.digest


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_readme_tells_what_when_and_how(mapped, network, tmp_path, dialect):
    design = perturb(mapped(network, bits=8), 4, 2)
    decks = decks_of(design)
    paths = write_export(decks, design, "transistor", dialect, tmp_path)
    text = (tmp_path / "README.md").read_text()
    for said in (
        f"mtc_hw {__version__}",
        design.digest,
        "virtual chip: seed 4, sample 2",
        f"dialect `{dialect}`",
        f"{design.scale.volt!r} V",
        "reltol=0.0001",
        "bias 8, filter 8, reference 8",
        f"a\n  weight of one is {design.readout_unit!r} A",
        f"{design.readout_span!r} unit voltages above `ref` for a standardised prediction of one",
        "bias_dac, reference_dac, offset_dac",
        {"ngspice": "ngspice -b", "xyce": "Xyce DECK.cir", "spectre": "spectre DECK.scs"}[dialect],
    ):
        assert said in text, said
    assert ("was not run in this simulator" in text) == (dialect != "ngspice")
    rows = re.findall(r"^\| `(\S+)` \| `([0-9a-f]{64})` \| `([0-9a-f]{64})` \|$", text, re.MULTILINE)
    assert rows == [(p.name, sha256(p.read_bytes()).hexdigest(), d.digest) for p, d in zip(paths, decks, strict=True)]
    assert not re.search(r"<<|>>|<%", text)


@pytest.mark.parametrize("synapse", [Synapse(), RectifiedTanh(0.1)], ids=["relu", "tanh"])
def test_the_readme_says_what_is_no_circuit(mapped, network, preset, tmp_path, synapse):
    """Sources and equations that a transistor-level deck still has."""
    design = mapped(dataclasses.replace(network, synapse=synapse), bits=8)
    series = Series(np.zeros((3, 2)), 5.0)
    deck = network_deck(design, "transistor", series, 10.0, Initial(), TRANSISTOR)
    write_export([deck], design, "transistor", "ngspice", tmp_path / "network")
    text = (tmp_path / "network" / "README.md").read_text()
    assert ("The synapses are equations, whatever the level" in text) == ("saturated_relu" in deck.text)
    assert ("saturated_relu" in deck.text) == isinstance(synapse, Synapse)
    assert "`Ioffset_<o>`" in text and "\nIoffset_0 0 sum_p_0 dc " in deck.text
    file, _, bare = preset("tonic", bits=8)
    write_export([own_deck(bare, file, "transistor", 20.0)], bare, "transistor", "ngspice", tmp_path / "bare", file)
    text = (tmp_path / "bare" / "README.md").read_text()
    assert "Ioffset" not in text and "synapse" not in text.split("## Converters")[0]


def test_a_neuron_s_own_file_comes_along(preset, tmp_path):
    file, _, design = preset("bursting", bits=8)
    deck = own_deck(design, file, "transistor", 20.0)
    write_export([deck], design, "transistor", "ngspice", tmp_path, file)
    again = load_neuron(str(tmp_path / "neuron.toml"))
    assert own_deck(load_codes(tmp_path), again, "transistor", 20.0) == deck
    assert differences(rows_of(design), (tmp_path / "neuron_0.cir").read_text()) == []


def test_exact_codes_are_called_so(mapped, network, tmp_path):
    design = mapped(network)
    write_export(decks_of(design), design, "transistor", "spectre", tmp_path)
    assert "All codes are real numbers" in (tmp_path / "README.md").read_text()


def test_a_converter_with_a_transistor_is_not_ideal():
    text = (
        "* t\n.subckt bias_dac out vdd code=0 lsb=0\nIout vdd out dc {code*lsb}\n.ends bias_dac\n"
        ".subckt real_dac out vdd code=0\nm1 out vdd 0 0 nch w=1 l=1\n.ends real_dac\n"
        ".subckt nested_dac out vdd code=0\nX1 out vdd ladder\n.ends nested_dac\n"
    )
    assert ideal_converters(text) == ["bias_dac"]


def test_a_deck_of_another_design_is_refused(mapped, network, tmp_path):
    design, other = mapped(network, bits=8), mapped(network, bits=6)
    with pytest.raises(DeckError, match=r"^deck neuron_0 is not of this design: |: lsb is .*, no octave of "):
        write_export(decks_of(other), design, "transistor", "ngspice", tmp_path)
    codes = design.offset_code + 1
    with pytest.raises(DeckError, match=r"^deck neuron_0 is not of this design: neuron 0 'offset' 'offset': "):
        write_export(
            decks_of(dataclasses.replace(design, offset_code=codes)), design, "transistor", "ngspice", tmp_path
        )
    assert not (tmp_path / "codes.csv").exists()


def test_a_deck_for_xyce_is_not_run_in_ngspice(mapped, network, tmp_path):
    design = mapped(network, bits=8)
    path = write_export(decks_of(design), design, "transistor", "xyce", tmp_path)[0]
    said = r"^deck \S+neuron_0\.cir is for Xyce; run it there, or export it again with --dialect ngspice$"
    with pytest.raises(DeckError, match=said):
        read_deck(path)


def test_an_export_without_decks_is_refused(mapped, network, tmp_path):
    with pytest.raises(DeckError, match=r"^there is no deck to export; the design has no neuron$"):
        write_export([], mapped(network), "transistor", "ngspice", tmp_path)
