import numpy as np
import pytest

from mtc_hw.analysis.trace_files import read_trace_file
from mtc_hw.errors import DataError
from mtc_hw.simulate.waveforms import Waveforms

TIME = np.array([0.0, 1e-3, 3e-3])
VOLTS = np.array([0.2, 0.9, 0.4])
RAW = (
    b"Title: x\nFlags: real\nNo. Variables: 2\nNo. Points: 3\nVariables:\n\t0\ttime\ttime\n\t1\tv(v_0)\tvoltage\n"
    b"Binary:\n" + np.stack([TIME, VOLTS], axis=1).tobytes()
)


def test_a_simulator_s_file_is_in_seconds_and_volts(tmp_path):
    Waveforms(TIME, {"time": TIME, "v(v_0)": VOLTS}).save(tmp_path / "run.npz")
    (tmp_path / "out.raw").write_bytes(RAW)
    (tmp_path / "named_otherwise").write_bytes(RAW)
    for name in ("run.npz", "out.raw", "named_otherwise"):
        file = read_trace_file(tmp_path / name)
        assert (file.time_unit, file.voltage_unit) == ("s", "V")
        assert file.time_column(None) == "time"
        assert file.column("time").tolist() == TIME.tolist()
        assert file.column("V(V_0)").tolist() == VOLTS.tolist()


def test_plain_arrays_are_columns_in_model_units(tmp_path):
    np.savez(tmp_path / "trace.npz", time=TIME, voltage=np.stack([VOLTS, -VOLTS], axis=1), note=np.array("x"))
    file = read_trace_file(tmp_path / "trace.npz")
    assert list(file.columns) == ["time", "voltage[0]", "voltage[1]"]
    assert (file.time_unit, file.voltage_unit) == ("tau_m", "unit")
    assert file.column("voltage[1]").tolist() == (-VOLTS).tolist()
    assert file.row(2) == "row 2"


@pytest.mark.parametrize(
    ("header", "time"),
    [
        ("Time [s],CH1", "Time [s]"),
        ("CH1,time", "time"),
        ("t,v", "t"),
        ("x-axis,1", "x-axis"),
        ("Timestamp,D0", "Timestamp"),
        ("0,1", "1"),
        ("tension,v", None),
        ("A,B", None),
    ],
)
def test_a_column_of_times_is_known_by_its_name_or_its_place(tmp_path, header, time):
    (tmp_path / "a.csv").write_text(f"{header}\n1,2\n3,4\n")
    assert read_trace_file(tmp_path / "a.csv").time_column(None) == time


def test_a_column_is_found_by_name_or_number(tmp_path):
    (tmp_path / "a.csv").write_text("t,2,CH A\n1,10,100\n2,20,200\n")
    file = read_trace_file(tmp_path / "a.csv")
    assert file.column("ch a").tolist() == file.column("3").tolist() == [100.0, 200.0]
    assert file.column("2").tolist() == [10.0, 20.0]
    assert file.row(1) == "line 3"


def test_a_column_that_is_not_there_lists_those_that_are(tmp_path):
    (tmp_path / "a.csv").write_text("t,v\n1,2\n")
    file = read_trace_file(tmp_path / "a.csv")
    for wanted in ("CH1", "0", "3"):
        with pytest.raises(DataError, match=rf"a\.csv has no column '{wanted}'; there are: t, v$"):
            file.column(wanted)
    with pytest.raises(DataError, match=r"a\.csv has no column 'x'; there are: t, v$"):
        file.time_column("x")


def test_what_is_no_recording_is_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", time=np.array([object()]))
    np.savez(tmp_path / "cubes.npz", time=np.zeros((2, 2, 2)))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "empty.npz").write_bytes(b"")
    Waveforms(TIME, {"time": TIME}).save(tmp_path / "cut.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-40])
    with (tmp_path / "one.npz").open("wb") as opened:
        np.save(opened, TIME)
    (tmp_path / "log.raw").write_bytes(b"Title: x\nNo. Points: 0\n")
    (tmp_path / "cut.raw").write_bytes(RAW[:-9])
    cases = {
        "gone.csv": r"gone\.csv does not exist or is a folder; give a recording: \.npz, \.raw, \.csv or \.txt$",
        ".": "does not exist or is a folder",
        "objects.npz": r"objects\.npz holds no plain arrays: Object arrays cannot be loaded",
        "cubes.npz": r"cubes\.npz holds no arrays of numbers \(T,\) or \(T, N\); it has: time float64\[2, 2, 2\]$",
        "broken.npz": r"broken\.npz holds no plain arrays: ",
        "empty.npz": r"empty\.npz holds no plain arrays: ",
        "cut.npz": r"cut\.npz holds no plain arrays: ",
        "one.npz": r"one\.npz holds no plain arrays: ",
        "log.raw": r"log\.raw holds no points of an ngspice run; look at the run's log$",
        "cut.raw": r"cut\.raw is no raw file of ngspice, or was cut short: ",
    }
    for name, message in cases.items():
        with pytest.raises(DataError, match=message):
            read_trace_file(tmp_path / name)
