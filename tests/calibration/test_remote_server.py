"""The server's side of the protocol, line by line, and that `docs/bench.md` says what it does."""

import dataclasses
import json
import re
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tanh_chip import EVERYTHING, TanhChip, bits

from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.instruments import instrument_of
from mtc_hw.calibration.plan import load_plan
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.calibration.remote import RemoteInstrument
from mtc_hw.calibration.remote_server import MOST_CLIENTS, serve
from mtc_hw.calibration.replay import Recorder, Replay
from mtc_hw.calibration.session import COMMANDS, MOST_ERRORS, Session
from mtc_hw.calibration.settable import fixed_digest, settable
from mtc_hw.calibration.wire import block, from_block, from_text, header, number, numbers, to_text
from mtc_hw.courses import neuron_course
from mtc_hw.errors import DataError
from mtc_hw.exports import design_of, spec_of
from mtc_hw.hardware.fields import plain
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.unit import parse_size
from mtc_hw.sources import load_source

BENCH = (Path(__file__).parent.parent.parent / "docs" / "bench.md").read_text()


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(network, bits=8)


@pytest.fixture
def session(design):
    return Session(TanhChip(design), design, threading.Lock())


def spoken(session, *lines):
    """The last line's answer, then what is in the error queue."""
    answer = [session.answer(line) for line in lines][-1]
    errors = []
    while (error := session.answer("SYST:ERR?")) != b'0,"No error"':
        errors.append(error.decode())
    return answer, errors


@pytest.mark.parametrize("name", ["SYST:ERR?", "syst:err?", "SYSTEM:ERROR?", "System:Err?"])
def test_keywords_are_short_or_whole_in_any_case(session, name):
    assert session.answer(name) == b'0,"No error"'


@pytest.mark.parametrize("name", ["SYSTE:ERR?", "SYST:ERR", "SYST", "SYST:ERR??", "XSYST:ERR?", "*idn", "CURV?"])
def test_other_headers_are_no_commands(session, name):
    answer, errors = spoken(session, name)
    assert answer == (b"" if name.endswith("?") else None)
    assert errors == [f'-113,"Undefined header; {name}"']


def test_a_header_is_matched_as_a_whole():
    assert header("FETCh:CURVes?").fullmatch("fetc:curves?") and not header("FETCh:CURVes?").fullmatch("FETC:CUR?")


def test_every_code_comes_back_as_it_was_set(session, design):
    for key, row in settable(design).items():
        code = row.stored if row.dac is None else row.code
        given = numbers([code] if row.octave is None else [code, float(row.octave)])
        answer, errors = spoken(session, f"CAL:CODE {','.join(key)},{given}", f"CAL:CODE? {','.join(key)}")
        assert (answer.decode(), errors) == (given, [])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("CAL:CODE 0,leak,bias,256", "Data out of range; the converter has 0 to 255"),
        ("CAL:CODE 0,leak,bias,-1", "Data out of range; the converter has 0 to 255"),
        ("CAL:CODE 0,leak,bias,0.5", "Data out of range; a code is an integer"),
        ("CAL:CODE 0,leak,bias,nan", "Data out of range; finite numbers only"),
        ("CAL:CODE 0,leak,bias,1e999", "Data out of range; finite numbers only"),
        ("CAL:CODE 0,leak,bias,x", "Numeric data error; x"),
        ("CAL:CODE 0,leak,bias", "Missing parameter; 0 numbers for a code"),
        ("CAL:CODE 0,leak,bias,1,2", "Missing parameter; 2 numbers for a code"),
        ("CAL:CODE 9,leak,bias,1", "Missing or unknown parameter; no converter 9 leak bias"),
        ("CAL:CODE 0,membrane,capacitor,1", "Missing or unknown parameter; no converter 0 membrane capacitor"),
        ("CAL:CODE", "Missing or unknown parameter; no converter "),
        ("CAL:CODE 0,slow_filter,filter,0,1", "Data out of range; the converter has 1 to 255, octaves 0 to 12"),
        ("CAL:CODE 0,slow_filter,filter,1,13", "Data out of range; the converter has 1 to 255, octaves 0 to 12"),
        ("CAL:READ:LSB 0", "Data out of range; one current > 0 A"),
        ("CAL:SCAL 1,1,1,1", "Settings conflict; the chip's design has another scale"),
        ("FORM INT", "REAL or ASCii"),
        ("CONF:CURV 0,1,0.1", "Missing parameter; from,to,step,output,..."),
        ("CONF:CURV 1,0,0.1,0", "Data out of range; Value error, the second value must be the larger"),
        ("CONF:CURV -100,100,0.0011,0,1", "Data out of range; more than 4194304 points"),
        ("CONF:FIR 10,0,0,0,DEF", "Missing parameter; duration > 0,v,slow,ultraslow,fast or DEF,time,current,..."),
        ("CONF:FIR 10,0,0,0,DEF,1,1", "Data out of range; stimulus steps[0] begins at 1.0; the first step must"),
        ("CONF:DRIV 1", "Missing parameter; 1 values, the chip has 2 inputs"),
    ],
)
def test_a_refused_command_says_why_and_changes_nothing(session, design, line, error):
    _, errors = spoken(session, line)
    assert len(errors) == 1 and error in errors[0]
    assert spoken(session, "FORM ASC", "CONF:READ", "INIT", "FETC:READ?")[1] == []
    (asked,) = session._instrument.asked
    assert asked[0] == design.digest and asked[1].curves is None and not asked[1].firing and asked[1].driven is None


def test_what_was_not_measured_cannot_be_fetched(session):
    stale = ['-230,"Data corrupt or stale; not measured"']
    assert spoken(session, "FETC:CURV?") == (b"", stale)
    session.answer("CONF:READ")
    session.answer("INIT")
    assert spoken(session, "FETC:CURV?") == (b"", stale)
    assert spoken(session, "FETC:READ? 1") == (b"", ['-222,"Data out of range; there are 1"'])
    assert spoken(session, "CONF:CLE", "FETC:READ?") == (b"", stale)


def test_a_reset_takes_all_codes_back(session, design):
    for key, row in settable(design).items():
        session.answer(f"CAL:CODE {','.join(key)},1{',1' if row.octave is not None else ''}")
    session.answer("CAL:READ:LSB 1e-12")
    for line in ("*RST", "CONF:READ", "INIT"):
        session.answer(line)
    assert session._instrument.asked[0][0] == design.digest


def test_the_error_queue_has_an_end(session):
    _, errors = spoken(session, *["NO"] * 100)
    assert len(errors) == MOST_ERRORS and errors[-1] == '-350,"Queue overflow"'


@settings(max_examples=60)
@given(
    st.one_of(
        st.text(max_size=60),
        st.builds(
            lambda name, rest: f"{name} {','.join(rest)}",
            st.sampled_from(COMMANDS),
            st.lists(
                st.sampled_from(["0", "-1", "1e9", "nan", "DEF", "leak", "bias", "x", "", "1", "99"]), max_size=7
            ),
        ),
    )
)
def test_no_line_takes_a_session_down(design, line):
    session = Session(TanhChip(design), design, threading.Lock())
    name = line.partition(" ")[0]
    answer = session.answer(line)
    assert isinstance(answer, bytes) == name.endswith("?")
    assert session.answer("SYST:PROT?") == b"1"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, max_value=1e37, min_value=-1e37)).map(np.array))
def test_numbers_cross_as_block_and_as_text_without_loss(values):
    sent = block(values)
    digits = int(sent[1:2])
    assert int(sent[2 : 2 + digits]) == 8 * values.size
    assert from_block(sent[2 + digits :]).tobytes() == values.astype(float).tobytes()
    if values.size:
        assert from_text(to_text(values).decode()).tobytes() == values.tobytes()
        assert float(number(values[0])) == values[0]


def test_nan_crosses_as_scpi_s_nan():
    assert to_text(np.array([np.nan, 1.0])) == b"9.91e+37,1"
    assert np.isnan(from_text("9.91E+37,-9.9E37,9.9E+37,nan,1")).tolist() == [True, True, True, True, False]


def conversation(port, sent):
    with socket.create_connection(("127.0.0.1", port), 5.0) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return client.makefile("rb").read()


def test_the_server_answers_lines_with_either_end(design):
    with serve(TanhChip(design), design) as server:
        assert conversation(server.port, b"*OPC?\r\n\n  SYST:PROT? \n*OPC?") == b"1\n1\n"


def test_a_line_without_an_end_closes_the_connection(design):
    with serve(TanhChip(design), design) as server:
        with socket.create_connection(("127.0.0.1", server.port), 5.0) as client:
            client.sendall(b"x" * (1 << 16))
            with suppress(ConnectionResetError):  # as good an end: the server left bytes unread
                assert client.recv(10) == b""
        assert conversation(server.port, b"*OPC?\n") == b"1\n"


def test_two_clients_have_codes_of_their_own(design):
    name = "0,offset,offset_trim"
    with serve(TanhChip(design), design) as server, socket.create_connection(("127.0.0.1", server.port)) as first:
        first.sendall(f"CAL:CODE {name},5\nCAL:CODE? {name}\n".encode())
        assert first.recv(100) == b"5\n"
        assert conversation(server.port, f"CAL:CODE? {name}\n".encode()) == b"0\n"


def test_clients_beyond_the_most_are_sent_away(design):
    with serve(TanhChip(design), design) as server:
        clients = [socket.create_connection(("127.0.0.1", server.port), 5.0) for _ in range(MOST_CLIENTS)]
        for each in clients:
            each.sendall(b"*OPC?\n")
            assert each.recv(10) == b"1\n"
        with socket.create_connection(("127.0.0.1", server.port), 5.0) as late:
            assert late.recv(10) == b""
        for each in clients:
            each.close()


def test_a_stopped_server_ends_its_connections_and_threads(design):
    before = set(threading.enumerate())
    with serve(TanhChip(design), design) as server:
        client = socket.create_connection(("127.0.0.1", server.port), 5.0)
        client.sendall(b"*OPC?\n")
        assert client.recv(10) == b"1\n"
    with client:
        assert client.recv(10) == b""
    until = time.monotonic() + 5.0
    while set(threading.enumerate()) - before and time.monotonic() < until:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


def test_a_port_in_use_is_said_so(design):
    with serve(TanhChip(design), design) as server:
        second = serve(TanhChip(design), design, port=server.port)
        with pytest.raises(DataError, match=rf"^cannot listen on 127\.0\.0\.1:{server.port}: .*; give another port$"):
            second.__enter__()


def test_the_document_names_every_command_and_no_other():
    table = re.findall(r"^\| `(\*?[A-Za-z:]+\??)[^`(]*` \|", BENCH, re.M)
    assert set(table) == set(COMMANDS)


@pytest.fixture(scope="module")
def tonic():
    """The chip of the document's session, and of a curve over the wire."""
    design = design_of(load_source("tonic"), bits=8, technology="generic", size=parse_size("2"))
    return design, CompiledInstrument([perturb(design, seed=3, sample=0)], "cells")


def test_the_document_s_session_is_what_a_bench_answers(tonic):
    design, chip = tonic
    (text,) = re.findall(r"```text\n(.*?)```", BENCH, re.S)
    lines = [line for line in text.splitlines() if line.startswith("> ")]
    shown = [line[1:].strip() for line in text.splitlines() if line.startswith("<")]
    with serve(chip, design) as server:
        answers = conversation(server.port, "".join(f"{line[2:]}\n" for line in lines).encode()).decode().split("\n")
    assert len(answers) == len(shown) + 1
    for answer, seen in zip(answers, shown, strict=False):
        if "," in seen and '"' not in seen:
            np.testing.assert_allclose(from_text(answer), from_text(seen), rtol=1e-4)
        else:
            assert answer == seen


def test_a_compiled_chip_is_the_same_over_the_wire(tonic):
    design, chip = tonic
    request = type(EVERYTHING)(EVERYTHING.curves, readout=True)
    with serve(chip, design) as server, RemoteInstrument("127.0.0.1", server.port, design) as instrument:
        assert bits(instrument.measure(design, request)) == bits(chip.measure(design, request))
        assert instrument.notes == () and fixed_digest(design)[:12] in instrument.identity


def test_the_document_s_own_bench_measures(design):
    """Its driver is a chip of unit conductances; the codes it gets are the design's."""

    class Driver:
        codes: dict = {}  # noqa: RUF012

        def set_code(self, neuron, element, kind, code, octave):
            self.codes[neuron, element, kind] = code, octave

        def current(self, row, neuron, sensed, held):
            return (sensed - held) * (1e-9 if row == "leak" else np.nan)

    (code,) = re.findall(r"```python\n(.*?)```", BENCH, re.S)
    names: dict = {}
    exec(compile(code, "bench.md", "exec"), names)
    driver = Driver()
    seen = names["Bench"](driver).measure(design, EVERYTHING)
    volt = EVERYTHING.curves.voltage[:, None, None] - np.array(EVERYTHING.curves.outputs)[:, None]
    wanted = volt * design.scale.volt * 1e-9 / design.scale.amp * np.ones(design.count)
    np.testing.assert_allclose(seen.curves.current[4], wanted, rtol=1e-9, atol=1e-15)
    assert np.isnan(seen.readout).all() and np.isnan(seen.spikes[0][0]).all()
    assert driver.codes["0", "leak", "bias"] == (design.bias_code[4, 0], None)
    assert len(driver.codes) == len(settable(design))


def test_a_calibration_is_the_same_over_the_wire_and_from_its_recording(tonic, tmp_path):
    design, chip = tonic
    source, plan = load_source("tonic"), load_plan("dc")
    neuron = source.neuron
    purpose = Purpose(spec_of(source), neuron_course(neuron), neuron.stimulus, neuron.initial)
    here = calibrate(design, purpose, chip, plan)
    with serve(chip, design) as server, instrument_of(server.address, design) as instrument:
        there = calibrate(design, purpose, Recorder(instrument, tmp_path, design), plan)
    again = calibrate(design, purpose, Replay(tmp_path, design), plan)
    assert here.success.all() and found_by(there) == found_by(here)
    assert found_by(again) == found_by(there) and again.instrument == there.instrument


def found_by(result):
    """All that a calibration found, as text, but for what it was measured on."""
    return json.dumps(plain(dataclasses.replace(result, instrument="", history=()))), [
        (each.step, each.bias_trim.tolist(), each.observed.tolist()) for each in result.history
    ]
