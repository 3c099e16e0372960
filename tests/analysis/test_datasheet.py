"""A datasheet's file: what it says, and what is wrong with it in one line."""

import numpy as np
import pytest
from synthetic_chips import table

from mtc_hw.analysis.datasheet import check, datasheet, load_datasheet
from mtc_hw.analysis.spikes import burst_statistics
from mtc_hw.analysis.verdicts import verdicts
from mtc_hw.errors import DataError
from mtc_hw.exports import design_of
from mtc_hw.hardware.unit import SQUARE
from mtc_hw.neuron_run import faithful, observe
from mtc_hw.sources import load_source

TEXT = """
[isi_mean]
min = 48
typ = 52.5
max = 58.0
unit = "tau_m"

[regime]
wanted = ["tonic", "adapting"]

[power]
max = 5e-8
"""


def test_a_file_gives_limits_in_its_order(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    sheet = load_datasheet(path)
    assert sheet.name == "mine"
    assert list(sheet.limits) == ["isi_mean", "regime", "power"]
    assert [str(limits) for limits in sheet.limits.values()] == [
        "48 to 58 tau_m",
        "tonic or adapting",
        "at most 5e-08",
    ]
    assert (sheet.limits["isi_mean"].min, sheet.limits["isi_mean"].typ) == (48.0, 52.5)
    check(sheet, table({}).schema)


@pytest.mark.parametrize("name", ["tonic", "bursting"])
def test_a_shipped_datasheet_is_that_of_its_preset_and_fits_the_table(name):
    sheet = load_datasheet(name)
    assert sheet.name == name
    assert sheet.limits["regime"].wanted == [name]
    check(sheet, table({}).schema)
    source = load_source(name)
    design, neuron = design_of(source, 8, "generic", SQUARE), source.neuron
    spikes, regime = observe(faithful(design, neuron, neuron.duration), neuron, neuron.duration)
    bursts = burst_statistics(spikes, neuron.duration)
    row = {"regime": regime, "isi_mean": float(np.diff(spikes).mean()), "burst_period": bursts.period}
    assert verdicts(table(row | {"spikes_per_burst": bursts.spikes_per_burst}), sheet).good.tolist() == [True]


def test_one_wanted_text_needs_no_list():
    assert datasheet("d", {"regime": {"wanted": "tonic"}}).limits["regime"].wanted == ["tonic"]


def test_a_missing_file_a_folder_and_what_is_not_toml_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"^datasheet .*none\.toml cannot be read: No such file or directory; give a"):
        load_datasheet(tmp_path / "none.toml")
    with pytest.raises(
        DataError, match=r"^datasheet .* Is a directory; give a path, or a shipped one: bursting, tonic$"
    ):
        load_datasheet(tmp_path)
    for content in (b"[a\n", b"\xff\xfe", b"a = " + b"[" * 5000):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(DataError, match=r"^datasheet .*bad\.toml is not TOML: .*; mend it$"):
            load_datasheet(tmp_path / "bad.toml")
    (tmp_path / "big.toml").write_bytes(b"#" * 1_100_000)
    with pytest.raises(DataError, match=r"holds more than 1048576 bytes"):
        load_datasheet(tmp_path / "big.toml")


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({}, "datasheet d: no quantity; give a section such as [isi_mean] with min or max"),
        ({"power": 3}, "datasheet d: power is 3; give a section [power] with limits"),
        ({"power": {}}, "datasheet d: power has no limit; give min or max, or wanted for a text"),
        ({"power": {"typ": 1.0}}, "datasheet d: power has no limit; give min or max, or wanted for a text"),
        ({"r2": {"min": 2, "max": 1}}, "datasheet d: r2 has min = 2 above max = 1; put the smaller first"),
        ({"r2": {"min": 0, "typ": 3, "max": 1}}, "datasheet d: r2 has typ = 3 above max = 1; put the smaller first"),
        ({"r2": {"min": "0"}}, "datasheet d: r2.min is 0; it must be a finite number"),
        ({"r2": {"min": True}}, "datasheet d: r2.min is True; it must be a finite number"),
        ({"r2": {"max": float("inf")}}, "datasheet d: r2.max is inf; it must be a finite number"),
        (
            {"r2": {"mx": 1.0, "min": 0.0}},
            "datasheet d: r2.mx is no known key; there are: min, typ, max, wanted, unit",
        ),
        (
            {"regime": {"wanted": "tonic", "min": 1.0}},
            "datasheet d: regime has both wanted and min; give texts or numbers, not both",
        ),
        ({"regime": {"wanted": []}}, "datasheet d: regime.wanted is []; name at least one text"),
        ({"regime": {"wanted": 3}}, "datasheet d: regime.wanted is 3; it must be a text, or a list of texts"),
        ({"regime": {"wanted": [3]}}, "datasheet d: regime.wanted.0 is 3; it must be a text in quotes"),
        (
            {"r2": {"min": 0.5, "unit": "a\nb"}},
            r"datasheet d: r2.unit is 'a\nb'; it must be a short text on one line",
        ),
        ({"a\nb": {}}, r"datasheet d: 'a\nb' has no limit; give min or max, or wanted for a text"),
        (
            {"power": {}, "r2": {"min": "x"}},
            "datasheet d: power has no limit; give min or max, or wanted for a text; "
            "r2.min is x; it must be a finite number",
        ),
    ],
)
def test_every_fault_is_told_in_one_line(tables, said):
    with pytest.raises(DataError) as raised:
        datasheet("d", tables)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (
            {"isi": {"min": 1.0}},
            r"^datasheet d: no quantity 'isi' in the table; there are: sample, corner, .*, seconds",
        ),
        ({"regime": {"min": 1.0}}, r"^datasheet d: regime holds string; give wanted instead of min, typ and max$"),
        (
            {"power": {"wanted": "low"}},
            r"^datasheet d: power holds numbers \(double\); give min or max instead of wanted$",
        ),
        ({"x": {"min": 1.0}, "regime": {"max": 1.0}}, r"no quantity 'x' .*; regime holds string"),
    ],
)
def test_a_datasheet_must_fit_the_table(tables, said):
    with pytest.raises(DataError, match=said):
        check(datasheet("d", tables), table({}).schema)
