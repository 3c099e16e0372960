import pytest

from mtc_hw.errors import DataError
from mtc_hw.hardware.codes_file import CODES, save_codes
from mtc_hw.netlist.export_folder import write_export
from mtc_hw.netlist.render import own_deck
from mtc_hw.sources import load_source


def test_an_exported_folder_is_its_design(mapped, network, tmp_path):
    design = mapped(network, bits=8)
    save_codes(design, tmp_path)
    source = load_source(str(tmp_path))
    assert source.design.digest == design.digest
    assert source.neuron is None and source.spec is None


def test_a_neuron_s_folder_gives_its_stimulus_too(preset, tmp_path):
    file, _, design = preset("tonic", bits=8)
    write_export([own_deck(design, file, "transistor", 20.0)], design, "transistor", "xyce", tmp_path, file)
    source = load_source(str(tmp_path))
    assert source.design.digest == design.digest
    assert source.neuron.stimulus == file.stimulus and source.neuron.initial == file.initial


def test_the_table_s_codes_count(mapped, network, tmp_path):
    design = mapped(network, bits=8)
    save_codes(design, tmp_path)
    path = tmp_path / CODES
    old = f"2,leak,bias,{design.bias_code[4, 2]:g},"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, "2,leak,bias,99,"))
    assert load_source(str(tmp_path)).design.bias_code[4, 2] == 99
    path.write_text(path.read_text().replace("2,leak,bias,99,", "2,leak,bias,999,"))
    with pytest.raises(
        DataError, match=r"codes\.csv:\d+: neuron 2 'leak' 'bias': code is 999; the converter has 0 to 255$"
    ):
        load_source(str(tmp_path))


def test_a_deck_in_such_a_folder_gives_its_own_codes(preset, tmp_path):
    file, _, design = preset("tonic", bits=8)
    (path,) = write_export([own_deck(design, file, "transistor", 20.0)], design, "transistor", "ngspice", tmp_path)
    assert load_source(str(path)).design.digest == design.digest
    text = path.read_text()
    old = f"bias_dac code={design.bias_code[4, 0]:g} "
    assert old in text
    path.write_text(text.replace(old, "bias_dac code=99 "))
    assert load_source(str(path)).design.bias_code[4, 0] == 99
    path.write_text(text.replace(old, "bias_dac code=999 "))
    with pytest.raises(
        DataError, match=r"neuron_0\.cir gives no codes: neuron 0 'leak' 'bias': code 999 is none of "
    ):
        load_source(str(path))
    (tmp_path / CODES).unlink()
    with pytest.raises(
        DataError, match=r"neuron_0\.cir does not stand in a folder that `mtc-hw netlist` wrote; keep "
    ):
        load_source(str(path))


def test_a_folder_of_neither_kind_says_what_would_do(tmp_path):
    with pytest.raises(DataError, match=r"is no preset .*, checkpoint, design or exported folder; check the path$"):
        load_source(str(tmp_path))
