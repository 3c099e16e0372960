import os
import subprocess

import numpy as np
import pytest

from mtc_hw.errors import DataError
from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.ngspice import INSTALL, executable, read_raw, run

DIVIDER = """* a divider
Vin in 0 dc 1 ac 1
R1 in out 1000
R2 out 0 3000
C1 out 0 1e-6
.save v(out) i(vin)
{}
.end
"""


def test_a_sweep_gives_its_voltage_as_the_axis():
    waves = run(Deck("sweep", DIVIDER.format(".dc Vin 0 4 1"), ("v(out)", "i(vin)"), None), 20.0).waveforms
    assert waves.axis == pytest.approx([0, 1, 2, 3, 4])
    assert waves["v(out)"] == pytest.approx(0.75 * waves.axis)
    assert waves["i(vin)"] == pytest.approx(-waves.axis / 4000.0)


def test_an_ac_run_gives_real_and_imaginary_parts():
    waves = run(Deck("ac", DIVIDER.format(".ac lin 1 100 100"), ("v(out)",), None), 20.0).waveforms
    expected = 0.75 / (1.0 + 2j * np.pi * 100.0 * 750.0 * 1e-6)
    assert waves.axis == pytest.approx([100.0])
    assert complex(waves["v(out)"][0], waves["imag(v(out))"][0]) == pytest.approx(expected)


def test_a_file_without_points_holds_no_waveforms(tmp_path):
    path = tmp_path / "out.raw"
    path.write_bytes(b"Title: x\n")
    assert read_raw(path) is None
    header = b"Title: x\nFlags: real\nNo. Variables: 1\nNo. Points: 0       \nVariables:\n\t0\ttime\ttime\nBinary:\n"
    path.write_bytes(header)
    assert read_raw(path) is None


@pytest.mark.parametrize("analysis", ["tran 1e-4 2e-3", "ac dec 3 10 1000"])
def test_an_ascii_file_holds_what_the_binary_one_does(tmp_path, analysis):
    deck = DIVIDER.replace("dc 1", "sin(0 1 500)").format(f".{analysis}")
    (tmp_path / "deck.cir").write_text(deck)
    for kind, name in (("binary", "b.raw"), ("ascii", "a.raw")):
        command = [executable(), "-n", "-b", "-D", f"filetype={kind}", "-r", name, "deck.cir"]
        environment = os.environ | {"SPICE_ASCIIRAWFILE": "1" if kind == "ascii" else "0"}
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert b"\nBinary:" in (tmp_path / "b.raw").read_bytes() and b"\nValues:" in (tmp_path / "a.raw").read_bytes()
    binary, text = (read_raw(tmp_path / name) for name in ("b.raw", "a.raw"))
    assert list(binary.values) == list(text.values) and binary.axis.size > 5
    for name in binary.values:
        assert text[name] == pytest.approx(binary[name], rel=1e-12, abs=1e-18)


RAW = b"Title: x\nFlags: real\nNo. Variables: 2\nNo. Points: 2\nVariables:\n\t0\ttime\ttime\n\t1\tv(a)\tvoltage\n"


@pytest.mark.parametrize(
    "content",
    [
        RAW + b"Binary:\n" + b"\0" * 31,
        RAW + b"Binary:\n" + b"\0" * 24,
        RAW + b"Values:\n0\t0.0\n\t1.0\n1\t",
        RAW + b"Values:\n0\t0.0\n\tone\n1\t1.0\n\t2.0\n",
        RAW.replace(b"No. Points: 2\n", b"") + b"Binary:\n" + b"\0" * 32,
        RAW.replace(b"Points: 2", b"Points: many") + b"Binary:\n" + b"\0" * 32,
        RAW.replace(b"\t1\tv(a)\tvoltage\n", b"") + b"Binary:\n" + b"\0" * 32,
        RAW.replace(b"Variables:\n", b"") + b"Binary:\n" + b"\0" * 32,
    ],
)
def test_a_raw_file_that_is_broken_or_cut_short_is_refused(tmp_path, content):
    (tmp_path / "out.raw").write_bytes(content)
    with pytest.raises(DataError, match=r"out\.raw is no raw file of ngspice, or was cut short: "):
        read_raw(tmp_path / "out.raw")


def test_the_first_of_several_plots_is_read(tmp_path):
    first = RAW + b"Values:\n 0\t0.0\n\t1.5\n\n 1\t1.0\n\t2.5\n\n"
    (tmp_path / "out.raw").write_bytes(first + RAW + b"Values:\n 0\t7.0\n\t7.0\n\n 1\t8.0\n\t8.0\n")
    found = read_raw(tmp_path / "out.raw")
    assert found.axis.tolist() == [0.0, 1.0]
    assert found["v(a)"].tolist() == [1.5, 2.5]


def test_a_deck_that_says_quit_does_not_wait_for_a_keyboard():
    outcome = run(Deck("empty", "* nothing\n.end\n", ("v(out)",), 1.0), 20.0)
    assert outcome.status == "syntax"
    assert outcome.seconds < 10.0


def test_the_remedy_names_a_command_for_every_common_system():
    for system in ("Debian `apt install", "Fedora `dnf install", "macOS `brew install", "conda `conda install"):
        assert system in INSTALL
