import csv
import dataclasses
import re

import numpy as np
import pytest

from mtc_hw.errors import DataError
from mtc_hw.hardware.codes_file import CODES, COLUMNS, DESIGN, Key, load_codes, rows_of, save_codes
from mtc_hw.hardware.design import BRANCHES, LEAK
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.spec import ModelSpec


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deck"


@pytest.fixture
def saved(mapped, network, folder):
    """A mismatched chip of 8-bit converters, written."""
    design = perturb(mapped(network, bits=8), 1, 2)
    save_codes(design, folder)
    return design


def table(folder) -> list[list[str]]:
    return list(csv.reader((folder / CODES).read_text().splitlines()))


def edited(folder, key: tuple[str, str, str], **cells: str) -> int:
    """Changes cells of one row; gives its line."""
    rows = table(folder)
    line = next(i for i, row in enumerate(rows) if tuple(row[:3]) == key)
    for name, text in cells.items():
        rows[line][COLUMNS.index(name)] = text
    write(folder, rows)
    return line + 1


def write(folder, rows, separator=",") -> None:
    (folder / CODES).write_text("\n".join(separator.join(row) for row in rows) + "\n")


def refusal(folder) -> str:
    with pytest.raises(DataError) as caught:
        load_codes(folder)
    assert str(caught.value).isprintable()
    return str(caught.value).replace(str(folder), "FOLDER")


@pytest.mark.parametrize("bits", [None, 2, 8, 16])
@pytest.mark.parametrize("sample", [None, 3])
def test_a_design_comes_back_bit_for_bit(mapped, network, folder, bits, sample):
    design = mapped(network, bits=bits) if bits != 2 else mapped(network, bits=bits, filter_octaves=12)
    design = design if sample is None else perturb(design, 7, sample)
    save_codes(design, folder)
    assert load_codes(folder).digest == design.digest


def test_bare_neurons_come_back(preset, folder):
    _, _, design = preset("bursting", bits=6)
    save_codes(design, folder)
    assert load_codes(folder).digest == design.digest


def test_every_code_that_a_neuron_has_is_a_row(saved, folder):
    rows = {Key(*row[:3]): row for row in table(folder)[1:]}
    assert set(rows) == set(rows_of(saved))
    present = saved.present.sum()
    biased = [key for key in rows if key.kind in ("bias", "filter")]
    assert len(biased) == present
    assert sum(key.kind == "reference" for key in rows) == saved.present[: LEAK + 1].sum()
    assert sum(key.kind == "input" for key in rows) == saved.input_code.size
    assert sum(key.kind == "readout" for key in rows) == saved.readout_code.size
    assert sum(key.kind == "offset" for key in rows) == saved.count
    assert [key.element for key in rows if key.kind == "pole"] == ["pole_1", "pole_2", "pole_3", "pole_4"]
    assert sum(key.kind == "capacitor" and key.neuron == "" for key in rows) == 4


RELATIVE = ("bias_trim", "filter_trim", "input_trim")


def test_a_value_is_base_and_code_times_lsb(saved, folder):
    bias = saved.bias()
    inputs, synapses = saved.input_dac.decode(saved.input_code), saved.readout_dac.decode(saved.readout_code)
    poles = saved.pole_dac.decode(saved.pole_code)
    for row in csv.DictReader((folder / CODES).read_text().splitlines()):
        if not row["code"]:
            continue
        step = float(row["lsb"]) / 2.0 ** float(row["octave"] or 0)
        value = float(row["base"]) + float(row["code"]) * step
        assert float(row["value"]) == pytest.approx(value, rel=1e-15)
        if row["kind"] in ("bias", "filter"):
            assert float(row["value"]) == bias[BRANCHES.index(row["element"]), int(row["neuron"])]
        index = int(row["element"].split("_")[1]) if row["kind"] in ("input", "readout", "pole") else 0
        assert row["unit"] == ("1" if row["kind"] in RELATIVE else "V" if "reference" in row["kind"] else "A")
        if row["kind"] == "input":
            assert float(row["value"]) == inputs[int(row["neuron"]), index]
        if row["kind"] == "readout":
            assert float(row["value"]) == synapses[index, int(row["neuron"])]
        if row["kind"] == "pole":
            assert float(row["value"]) == poles[index - 1]


@pytest.mark.parametrize(
    ("key", "changes", "array", "index", "stored"),
    [
        (("1", "leak", "bias"), {"code": "77"}, "bias_code", (LEAK, 1), 77),
        (("1", "slow_filter", "filter"), {"code": "200", "octave": "3"}, "bias_code", (LEAK + 2, 1), 200 + 3 * 256),
        (("2", "fast_negative", "reference"), {"code": "0"}, "reference_code", (0, 2), 0),
        (("3", "input_1", "input"), {"code": "-127"}, "input_code", (3, 1), -127),
        (("0", "offset", "offset"), {"code": "12", "value": ""}, "offset_code", (0,), 12),
        (("2", "output_1", "readout"), {"code": "5.0"}, "readout_code", (1, 2), 5),
        (("1", "ultraslow", "capacitor"), {"value": "1.1e-11"}, "capacitor", (3, 1), 1.1e-11),
        (("", "output_1", "readout_offset"), {"value": "-0.3"}, "readout_offset", (1,), -0.3),
        (("", "pole_2", "pole"), {"code": "200", "octave": "3"}, "pole_code", (1,), 200 + 3 * 256),
        (("", "pole_1", "capacitor"), {"value": "9e-11"}, "pole_capacitor", (0,), 9e-11),
    ],
)
def test_an_edited_row_is_the_only_thing_that_changes(saved, folder, key, changes, array, index, stored):
    edited(folder, key, **changes)
    loaded = load_codes(folder)
    wanted = getattr(saved, array).copy()
    assert wanted[index] != stored
    wanted[index] = stored
    assert getattr(loaded, array).tobytes() == wanted.tobytes()
    assert dataclasses.replace(loaded, **{array: getattr(saved, array)}).digest == saved.digest


def test_a_value_that_follows_the_edited_code_is_fine(saved, folder):
    edited(folder, ("1", "leak", "bias"), code="77", value=repr(77 * saved.bias_dac.lsb))
    assert load_codes(folder).bias_code[LEAK, 1] == 77


def test_a_spreadsheet_s_manners_change_nothing(saved, folder):
    """A mark of the byte order, carriage returns, other column order, numbers rounded to the digits shown."""
    head, *rows = table(folder)
    rounded = [[f"{float(c):.5E}" if "e-" in c or "." in c else c for c in row] for row in rows]
    swapped = [[*row[3:], *row[:3]] for row in (head, *rounded)]
    (folder / CODES).write_text("\ufeff" + "\r\n".join(",".join(row) for row in swapped), encoding="utf-8")
    assert load_codes(folder).digest == saved.digest


def test_a_trimmed_design_survives_another_export(saved, folder, tmp_path):
    edited(folder, ("1", "leak", "bias"), code="77")
    trimmed = load_codes(folder)
    save_codes(trimmed, tmp_path / "again")
    assert load_codes(tmp_path / "again").digest == trimmed.digest != saved.digest


LEAK_1 = ("1", "leak", "bias")


@pytest.mark.parametrize(
    ("key", "changes", "said"),
    [
        (LEAK_1, {"code": "256"}, "neuron 1 'leak' 'bias': code is 256; the converter has 0 to 255"),
        (LEAK_1, {"code": "-1"}, "neuron 1 'leak' 'bias': code is -1; the converter has 0 to 255"),
        (LEAK_1, {"code": "7.5"}, "neuron 1 'leak' 'bias': code is 7.5; it must be an integer"),
        (LEAK_1, {"code": "high"}, "neuron 1 'leak' 'bias': code is 'high'; it must be a number"),
        (LEAK_1, {"code": ""}, "neuron 1 'leak' 'bias': code is ''; it must be a number"),
        (LEAK_1, {"code": "nan"}, "neuron 1 'leak' 'bias': code is 'nan'; it must be a number"),
        (LEAK_1, {"octave": "1"}, "neuron 1 'leak' 'bias': octave is '1'; this converter has none"),
        (LEAK_1, {"element": "leek"}, "the design has no neuron 1 'leek' 'bias'"),
        (LEAK_1, {"kind": "biass"}, "the design has no neuron 1 'leak' 'biass'"),
        (LEAK_1, {"neuron": "4"}, "the design has no neuron 4 'leak' 'bias'"),
        (LEAK_1, {"neuron": "01"}, "the design has no neuron 01 'leak' 'bias'"),
        (LEAK_1, {"neuron": "0"}, "neuron 0 'leak' 'bias' is already on line 10; keep one"),
        (LEAK_1, {"unit": "nA"}, "neuron 1 'leak' 'bias': unit is 'nA', must stay 'A'"),
        (LEAK_1, {"lsb": "2e-11"}, "neuron 1 'leak' 'bias': lsb is '2e-11', the converter's is "),
        (LEAK_1, {"base": "1"}, "neuron 1 'leak' 'bias': base is '1', the converter's is 0; edit the code instead"),
        (LEAK_1, {"value": "1e-9"}, "neuron 1 'leak' 'bias': value is '1e-9', its code gives "),
        (("1", "slow_filter", "filter"), {"code": "0"}, "code is 0; the converter has 1 to 255"),
        (("1", "slow_filter", "filter"), {"octave": "13"}, "octave is '13'; the splitter has 0 to 12"),
        (("1", "slow_filter", "filter"), {"octave": ""}, "octave is ''; the splitter has 0 to 12"),
        (("1", "slow_filter", "filter"), {"octave": "1.5"}, "octave is '1.5'; the splitter has 0 to 12"),
        (("0", "input_0", "input"), {"code": "128"}, "code is 128; the converter has -127 to 127"),
        (("0", "membrane", "capacitor"), {"value": "0"}, "value is '0'; it must be a number > 0"),
        (("0", "membrane", "capacitor"), {"value": "5 pF"}, "value is '5 pF'; it must be a number > 0"),
        (("", "pole_1", "pole"), {"code": "0"}, "'pole_1' 'pole': code is 0; the converter has 1 to 255"),
        (("", "pole_3", "capacitor"), {"value": "-1e-12"}, "value is '-1e-12'; it must be a number > 0"),
        (("", "output_0", "readout_offset"), {"value": "inf"}, "value is 'inf'; it must be a finite number"),
        (("", "transistor", "width"), {"value": "2e-6"}, "the cells were measured at 4e-06; map again"),
    ],
)  # fmt: skip
def test_a_bad_row_is_one_message_with_file_and_line(saved, folder, key, changes, said):
    line = edited(folder, key, **changes)
    text = refusal(folder)
    assert text.startswith(f"FOLDER/codes.csv:{line}: ")
    assert said in text


def test_a_missing_row_is_named(saved, folder):
    write(folder, [row for row in table(folder) if tuple(row[:3]) != LEAK_1])
    assert refusal(folder) == "FOLDER/codes.csv: the row of neuron 1 'leak' 'bias' is missing; export again"


def test_every_bad_row_is_reported(saved, folder):
    one = edited(folder, LEAK_1, code="256")
    other = edited(folder, ("2", "offset", "offset"), code="x")
    text = refusal(folder)
    assert f"codes.csv:{one}: " in text and f"codes.csv:{other}: " in text


def test_another_separator_or_head_is_refused(saved, folder):
    rows = table(folder)
    write(folder, rows, ";")
    assert re.match(
        r"FOLDER/codes\.csv:1: no column neuron, element, .*; the first line must be neuron,", refusal(folder)
    )
    write(folder, [rows[0], [*rows[1], "more"]])
    assert refusal(folder) == "FOLDER/codes.csv:2: 10 cells, expected 9; separate by commas"
    (folder / CODES).write_bytes(b"\xff\xfe")
    assert refusal(folder).startswith("FOLDER/codes.csv cannot be read: ")
    (folder / CODES).unlink()
    assert refusal(folder).startswith("FOLDER/codes.csv cannot be read: [Errno 2]")


def test_the_design_beside_it_must_be_as_exported(saved, folder):
    path = folder / DESIGN
    path.write_text(path.read_text().replace('"supply": 1.8', '"supply": 1.7'))
    assert "was changed after it was saved" in refusal(folder)


def test_real_codes_of_exact_converters_may_be_any_number(mapped, network, folder):
    save_codes(mapped(ModelSpec(network.neurons, network.weights, network.bias)), folder)
    edited(folder, LEAK_1, code="77.25")
    assert load_codes(folder).bias_code[LEAK, 1] == 77.25
    assert np.isfinite(load_codes(folder).bias_code).all()
