"""`mtc-hw calibrate` on a chip behind an address."""

from test_cli import call, call_json

from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.remote_server import serve
from mtc_hw.calibration.replay import Recorder
from mtc_hw.calibration.result import load_result
from mtc_hw.exports import design_of
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.unit import parse_size
from mtc_hw.sources import load_source

TONIC = ("calibrate", "tonic", "--size", 2)


def test_a_chip_on_a_bench_is_calibrated_over_the_wire_and_from_its_recording(capsys, tmp_path):
    design = design_of(load_source("tonic"), 8, "generic", parse_size("2"))
    instrument = Recorder(CompiledInstrument([perturb(design, 4, 0)], "cells"), tmp_path / "recorded", design)
    with serve(instrument, design) as server:
        arguments = (*TONIC, "--instrument", server.address, "--out", tmp_path / "bench.json")
        done = call_json(capsys, *arguments)
        code, _, err = call(capsys, *arguments, "--chips", 3)
        assert code == 2 and "leave out --chips and --noise" in err
    assert (done["calibrated"], done["notes"], done["sample"]) == (1, [], None)
    assert "cells tier" in done["instrument"]
    result = load_result(tmp_path / "bench.json")
    assert result.measurements.tolist() == done["measurements"]
    again = ("--instrument", f"replay:{tmp_path / 'recorded'}", "--out", tmp_path / "again.json")
    assert call_json(capsys, *TONIC, *again)["calibrated"] == 1
    assert load_result(tmp_path / "again.json").digest() == result.digest()
    code, _, err = call(capsys, *arguments)
    assert code == 2 and len(err.strip().splitlines()) == 1 and "127.0.0.1" in err


def test_what_names_no_instrument_is_refused(capsys):
    code, _, err = call(capsys, *TONIC, "--instrument", "visa::3")
    assert code == 2 and "names no instrument; give tcp://host:port or replay:folder" in err
