import numpy as np
import pytest

from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.ngspice import INSTALL, read_raw, run

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


def test_a_deck_that_says_quit_does_not_wait_for_a_keyboard():
    outcome = run(Deck("empty", "* nothing\n.end\n", ("v(out)",), 1.0), 20.0)
    assert outcome.status == "syntax"
    assert outcome.seconds < 10.0


def test_the_remedy_names_a_command_for_every_common_system():
    for system in ("Debian `apt install", "Fedora `dnf install", "macOS `brew install", "conda `conda install"):
        assert system in INSTALL
