"""A bench behind a socket measures as the instrument itself does; whatever it does wrong ends in NaN and a note."""

import dataclasses
import socket

import numpy as np
import pytest
from faulty_bench import HANG_UP, faulty, honest, late, when
from tanh_chip import EVERYTHING, TanhChip, bits, failed, turned

from mtc_hw.calibration.instruments import instrument_of
from mtc_hw.calibration.noise import Noisy
from mtc_hw.calibration.observables import Driven, Request
from mtc_hw.calibration.parts import blank
from mtc_hw.calibration.remote import RemoteInstrument
from mtc_hw.calibration.remote_server import serve
from mtc_hw.calibration.replay import Recorder
from mtc_hw.errors import DataError

ALL = {"curves", "firing", "readout", "features", "prediction"}


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(network, bits=8)


def remote(port, design, **options):
    return RemoteInstrument("127.0.0.1", port, design, **({"timeout": 5.0, "measuring": 5.0} | options))


def under(design, tamper, request=EVERYTHING, codes=None, **options):
    """What comes of one measurement on a bench that fails so, its notes, and what the bench heard."""
    with faulty(TanhChip(design), design, tamper) as bench, remote(bench.port, design, **options) as instrument:
        return instrument.measure(codes or design, request), instrument.notes, bench.lines


def test_a_bench_gives_the_bits_of_the_instrument_itself(design):
    local = TanhChip(design, dead=(1,))
    with serve(TanhChip(design, dead=(1,)), design) as server, remote(server.port, design) as instrument:
        for codes in (design, turned(design), turned(design, 2.0), design):
            assert bits(instrument.measure(codes, EVERYTHING)) == bits(local.measure(codes, EVERYTHING))
        assert instrument.notes == ()
        assert instrument.identity.startswith("mtc_hw,tanh chip 1,")


def test_a_request_is_one_measurement_there_too(design):
    local = Noisy(TanhChip(design), 0.01, 7)
    with serve(Noisy(TanhChip(design), 0.01, 7), design) as server, remote(server.port, design) as instrument:
        for _ in range(3):
            assert bits(instrument.measure(design, EVERYTHING)) == bits(local.measure(design, EVERYTHING))


def test_real_valued_codes_cross_without_loss(mapped, network):
    design = mapped(network)
    codes = dataclasses.replace(design, bias_code=design.bias_code * (1.0 + 1e-15), offset_code=-design.offset_code)
    served = TanhChip(design)
    with serve(served, design) as server, remote(server.port, design) as instrument:
        assert bits(instrument.measure(codes, EVERYTHING)) == bits(TanhChip(design).measure(codes, EVERYTHING))
    assert served.asked[0][0] == codes.digest


def test_only_changed_codes_are_sent(design):
    changed = dataclasses.replace(design, offset_code=design.offset_code + np.array([0.0, 2.0, 0.0, 0.0]))
    with faulty(TanhChip(design), design, honest) as bench, remote(bench.port, design) as instrument:
        instrument.measure(design, Request(readout=True))
        first = len(bench.lines[0])
        for codes in (changed, changed, design):
            instrument.measure(codes, Request(readout=True))
        later = [line for line in bench.lines[0][first:] if line.startswith("CAL")]
    value = int(design.offset_code[1])
    assert later == [f"CAL:CODE 1,offset,offset,{value + 2}", f"CAL:CODE 1,offset,offset,{value}"]


def test_lists_of_numbers_do_as_well_as_blocks(design):
    chip = TanhChip(design, dead=(2,))
    with serve(chip, design) as server, remote(server.port, design) as instrument:
        instrument._link.send(["FORM ASC"])
        assert bits(instrument.measure(design, EVERYTHING)) == bits(chip.measure(design, EVERYTHING))


def later(design, tamper, timeout=5.0):
    """What comes of everything on a bench that is in order when it is found, its notes, and what it heard."""
    with faulty(TanhChip(design), design, honest) as bench, remote(bench.port, design) as instrument:
        instrument._link._timeout = instrument._measuring = timeout
        bench.tamper = tamper
        return instrument.measure(design, EVERYTHING), instrument.notes, bench.lines


@pytest.mark.parametrize("query", ["FETC:CURV?", "FETC:FIR? 1", "FETC:FEAT?", "SYST:ERR?"])
@pytest.mark.parametrize("answer", [HANG_UP, b"#0abc\n", b"#3-99\n", b"\xff\xfe\n", b"+\t1\n"])
def test_a_bench_that_dies_or_raves_once_is_asked_again(design, query, answer):
    seen, notes, lines = later(design, when(query, answer, connections=(1,)))
    assert bits(seen) == bits(TanhChip(design).measure(design, EVERYTHING))
    assert len(lines) == 2 and len(notes) == 1 and notes[0].startswith("the bench ")


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("FETC:CURV?", b"#9"),
        ("FETC:CURV?", b"#41\n"),
        ("FETC:FEAT?", b"#3999abc\n"),
        ("*OPC?", b""),
        ("SYST:ERR?", b"0"),
    ],
)
def test_a_bench_that_stops_in_an_answer_is_not_asked_twice(design, query, answer):
    seen, notes, lines = later(design, when(query, answer), timeout=0.2)
    assert np.isnan(seen.driven.features).all() and np.isnan(seen.driven.prediction).all()
    assert notes == ("the bench gave no whole answer in time",) and len(lines) == 1


@pytest.mark.parametrize("slow", ["*OPC?", "FETC:CURV?", "SYST:ERR?"])
def test_a_bench_that_is_too_slow_is_not_asked_twice(design, slow):
    seen, notes, lines = later(design, when(slow, late), timeout=0.15)
    assert failed(seen) == ALL
    assert notes == ("the bench gave no whole answer in time",) and len(lines) == 1


def test_a_bench_that_dies_always_gives_nan_but_for_what_came_before(design):
    seen, notes, lines = later(design, when("FETC:READ?", HANG_UP))
    assert failed(seen) == {"readout", "features", "prediction"} and len(lines) == 2
    assert notes == ("the bench closed the connection",) * 2


def test_a_bench_that_dies_within_a_block(design):
    with faulty(TanhChip(design), design, honest) as bench:

        def tamper(line, answer, connection):
            if line.startswith("FETC:CURV?"):
                bench._open[-1].sendall(answer[: len(answer) // 2])
                return HANG_UP
            return answer

        bench.tamper = tamper
        with remote(bench.port, design) as instrument:
            assert failed(instrument.measure(design, EVERYTHING)) == ALL
            bench.tamper = honest
            assert bits(instrument.measure(design, EVERYTHING)) == bits(TanhChip(design).measure(design, EVERYTHING))
    assert instrument.notes == ("the bench closed the connection",) * 2


def test_a_bench_that_is_gone_is_noted_at_every_measurement(design):
    with faulty(TanhChip(design), design, honest) as bench:
        instrument = remote(bench.port, design)
    for _ in range(2):
        assert failed(instrument.measure(design, EVERYTHING)) == ALL
    assert len(instrument.notes) == 4
    assert instrument.notes[-1].startswith(f"no bench at 127.0.0.1:{bench.port}: ")


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (b"#18\0\0\0\0\0\0\0\0\n", "curves: 1 numbers, expected 12 x 9 x 2 x 4"),
        (b"#13abc\n", "FETC:CURV?: a block of 3 bytes is no float64"),
        (b"1,2,3\n", "curves: 3 numbers, expected 12 x 9 x 2 x 4"),
        (b"volts\n", "FETC:CURV?: 'volts' is no list of numbers"),
        (b"\n", "FETC:CURV?: no data"),
        (b"__import__('os')\n", "FETC:CURV?: \"__import__('os')\" is no list of numbers"),
    ],
)
def test_a_useless_answer_costs_its_own_part(design, answer, note):
    seen, notes, lines = under(design, when("FETC:CURV?", answer))
    assert failed(seen) == {"curves"} and notes == (note,) and len(lines) == 1


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (b"#9999999999", "the bench sent a block of b'999999999' bytes, at most are 268435456"),
        (b"#2-1", "the bench sent a block of b'-1' bytes, at most are 268435456"),
        (b"1," * 200000, "the bench sent a line of more than 93184 bytes"),
        (b"#10\n7\n", "the bench sent b'\\n7\\n' behind a block"),
    ],
)
def test_what_has_no_end_is_not_read_to_it(design, answer, note):
    seen, notes, lines = under(design, when("FETC:CURV?", answer))
    assert failed(seen) == ALL and notes == (note, note) and len(lines) == 2


def test_an_error_after_an_answer_is_taken_for_the_answer(design):
    state = {"due": False}

    def tamper(line, answer, connection):
        state["due"] |= line == "FETC:CURV?"
        if line == "SYST:ERR?" and state["due"]:
            state["due"] = False
            return b'-363,"Input buffer overrun"\n'
        return answer

    seen, notes, _ = under(design, tamper)
    assert failed(seen) == {"curves"} and notes == ('FETC:CURV?: -363,"Input buffer overrun"',)


def test_a_queue_of_errors_without_an_end_is_left(design):
    seen, notes, _ = later(design, when("SYST:ERR?", b"-1,x\n", connections=(1,)))
    assert bits(seen) == bits(TanhChip(design).measure(design, EVERYTHING))
    assert notes == ("the bench has more than 100 errors",)


def test_a_refused_code_costs_its_neuron_and_is_sent_again(design):
    codes = dataclasses.replace(
        design, bias_code=design.bias_code + 1000.0 * (np.indices((8, 4))[0] == 4) * [0, 0, 1, 0]
    )
    local = TanhChip(design).measure(design, EVERYTHING)
    with faulty(TanhChip(design), design, honest) as bench, remote(bench.port, design) as instrument:
        for _ in range(2):
            seen = instrument.measure(codes, EVERYTHING)
            assert seen.curves.complete(design).tolist() == [True, True, False, True]
            assert np.isnan(seen.driven.prediction).all()
            assert seen.spikes[0][0].tobytes() == local.spikes[0][0].tobytes() and np.isnan(seen.spikes[0][2]).all()
        sent = [line for line in bench.lines[0] if line.startswith("CAL:CODE 2,leak,bias,")]
        assert len(sent) == 2
        assert bits(instrument.measure(design, EVERYTHING)) == bits(local)
    assert instrument.notes[1] == f"the bench did not take neuron 2 'leak' 'bias' {design.bias_code[4, 2] + 1000:g}"


def test_a_refused_pole_costs_what_the_readout_answers(design):
    codes = dataclasses.replace(design, pole_code=design.pole_code * [1.0, -1.0, 1.0, 1.0])
    seen, _, _ = under(design, honest, codes=codes)
    assert failed(seen) == {"readout", "prediction"}


@pytest.mark.parametrize("wrong", ["CONF:CURV", "CONF:FIR 200", "CONF:DRIV"])
def test_a_refused_part_costs_itself(design, wrong):
    local = TanhChip(design).measure(design, EVERYTHING)

    state = {"error": False}

    def tamper(line, answer, connection):
        state["error"] |= line.startswith(wrong)
        if line == "SYST:ERR?" and state["error"]:
            state["error"] = False
            return b'-222,"Data out of range"\n'
        return answer

    seen, notes, _ = under(design, tamper, Request(EVERYTHING.curves, EVERYTHING.firing[:1], True, EVERYTHING.driven))
    lost = {"CONF:CURV": {"curves"}, "CONF:FIR 200": {"firing"}, "CONF:DRIV": {"features", "prediction"}}[wrong]
    assert failed(seen) == lost
    assert notes == (f'{wrong.split()[0]}: -222,"Data out of range"',)
    assert seen.readout.tobytes() == local.readout.tobytes()


def test_an_instrument_that_raises_or_lies_behind_the_server_is_nan_here(design):
    class Broken(TanhChip):
        def measure(self, codes, request):
            if request.readout:
                raise RuntimeError("the probe fell off")
            seen = super().measure(codes, request)
            return dataclasses.replace(seen, spikes=(seen.spikes[0][:2],))

    with serve(Broken(design), design) as server, remote(server.port, design) as instrument:
        assert failed(instrument.measure(design, EVERYTHING)) == ALL
        assert instrument.notes == ('INIT: -200,"Execution error; RuntimeError: the probe fell off"',)
        assert failed(instrument.measure(design, Request(firing=EVERYTHING.firing[:1]))) == {"firing"}
        assert "firing: " in instrument.notes[1]


def test_codes_of_another_design_are_not_sent(design, preset):
    other = preset("tonic")[2]
    request = Request(EVERYTHING.curves)
    with serve(TanhChip(design), design) as server, remote(server.port, design) as instrument:
        assert bits(instrument.measure(other, request)) == bits(blank(other, request))
        assert instrument.notes == ("the codes are of another design than the bench's; nothing was measured",)
        with pytest.raises(DataError, match=r"has a chip of design \"\w{12}.*, not \w{12}; map that one$"):
            remote(server.port, other)


def test_a_bench_that_does_not_know_its_design_is_believed(design):
    seen, notes, _ = under(design, when("CAL:DES?", b'""\n'))
    assert bits(seen) == bits(TanhChip(design).measure(design, EVERYTHING)) and notes == ()


def test_another_chip_after_a_break_is_not_measured(design):
    def tamper(line, answer, connection):
        if connection == 1 and line == "INIT":
            return HANG_UP
        return b"another,chip,1,1\n" if connection == 2 and line == "*IDN?" else answer

    seen, notes, _ = under(design, tamper)
    assert failed(seen) == ALL and "is now 'another,chip,1,1', it was 'mtc_hw,tanh chip 1," in notes[1]


def test_a_series_without_samples_is_no_measurement(design):
    seen, notes, _ = under(design, honest, Request(driven=Driven(np.zeros((0, 2)))))
    assert seen.driven.features.shape == (0, 4) and notes == ()


def test_a_recording_of_a_bench_is_like_any_other(tmp_path, design):
    with serve(TanhChip(design), design) as server, instrument_of(server.address, design) as instrument:
        seen = Recorder(instrument, tmp_path, design).measure(design, EVERYTHING)
    replay = instrument_of(f"replay:{tmp_path}", design)
    assert bits(replay.measure(design, EVERYTHING)) == bits(seen)
    assert replay.identity == instrument.identity


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_no_bench_is_said_at_once(design):
    port = free_port()
    with pytest.raises(DataError, match=rf"^no bench at 127\.0\.0\.1:{port}: .*; start it, or mend the address$"):
        remote(port, design)


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (when("SYST:PROT?", b"2\n"), r"speaks protocol '2', expected 1; see docs/bench\.md$"),
        (when("*IDN?", b"HTTP/1.1 400 Bad\n\n"), r"sent b'\\n', which was not asked for; look at its program"),
        (when("*IDN?", HANG_UP), r"closed the connection; look at its program and at docs/bench\.md$"),
        (when("*IDN?", None), r"gave no whole answer in time; look at its program and at docs/bench\.md$"),
        (when("SYST:ERR?", b'-221,"Settings conflict"\n'), r"has more than 100 errors"),
        (when("CAL:DES?", b'"0123"\n'), r"has a chip of design \"0123\", not \w{12}; map that one$"),
    ],
)
def test_what_is_no_bench_of_ours_is_said_at_once(design, tamper, message):
    timeout = 0.3 if "in time" in message else 5.0
    with faulty(TanhChip(design), design, tamper) as bench, pytest.raises(DataError, match=message):
        remote(bench.port, design, timeout=timeout)


@pytest.mark.parametrize("text", ["tcp://", "tcp://host", "tcp://host:99999999", "http://host:80", "tcp://a b:1", ""])
def test_an_address_that_is_none_is_refused(design, text):
    with pytest.raises(DataError, match=r" names no instrument; give tcp://host:port or replay:folder$"):
        instrument_of(text, design)


def test_a_port_that_cannot_be_is_refused(design):
    with pytest.raises(DataError, match=r"^no bench at localhost:99999: .*; start it, or mend the address$"):
        instrument_of("tcp://localhost:99999", design)
