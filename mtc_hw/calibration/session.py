"""What a bench answers to one client: the commands of `docs/bench.md` on any instrument."""

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from mtc_hw.calibration.observables import Curves, Driven, Firing, Instrument, Observables, Request
from mtc_hw.calibration.parts import blank, joined, packed, pieces, split, unpacked
from mtc_hw.calibration.settable import copies, fixed_digest, settable, with_codes
from mtc_hw.calibration.wire import FETCH, HERE, PROTOCOL, block, code_numbers, header, number, numbers, to_text
from mtc_hw.errors import MtcError
from mtc_hw.hardware.codes_file import Key, Row
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.spec import Array

MOST_ERRORS = 32
MOST_FIRINGS = 64
MOST_POINTS = 1 << 22  # numbers of a curve sweep, values of a series
UNDEFINED, PARAMETER, RANGE, CONFLICT, EXECUTION, STALE = -113, -109, -222, -221, -200, -230


class _Refusal(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Session:
    """Codes, set-up, results and errors of one client. A command that is refused changes nothing."""

    def __init__(self, instrument: Instrument, design: MappedDesign, measuring: threading.Lock) -> None:
        self._instrument, self._design, self._measuring = instrument, design, measuring
        self._rows, self._fixed = settable(design), fixed_digest(design)
        self._errors: deque[str] = deque()
        self._reset()

    def answer(self, line: str) -> bytes | None:
        """None for a command; a query that is refused answers an empty line."""
        name, _, rest = line.partition(" ")
        if not name:
            return None
        try:
            for pattern, act in _COMMANDS:
                if pattern.fullmatch(name):
                    return act(self, [each.strip() for each in rest.split(",")] if rest.strip() else [])
            raise _Refusal(UNDEFINED, f"Undefined header; {name[:40]}")
        except _Refusal as refusal:
            self._error(refusal.code, refusal.reason)
            return b"" if name.endswith("?") else None

    def _error(self, code: int, reason: str) -> None:
        if len(self._errors) == MOST_ERRORS:
            self._errors[-1] = '-350,"Queue overflow"'
        else:
            self._errors.append(f'{code},"{_plain(reason)}"')

    def _reset(self, _: list[str] | None = None) -> None:
        self._arrays, self._lsb = copies(self._design), self._design.readout_dac.lsb
        self._binary = True
        self._clear()

    def _clear(self, _: list[str] | None = None) -> None:
        """Of what is to be measured, and of results."""
        self._curves: Curves | None = None
        self._firing: list[Firing] = []
        self._readout = False
        self._series: list[list[float]] = []
        self._results: list[dict[str, Array]] | None = None

    def _clear_errors(self, _: list[str]) -> None:
        self._errors.clear()

    def _next_error(self, _: list[str]) -> bytes:
        return self._errors.popleft().encode() if self._errors else b'0,"No error"'

    def _identify(self, _: list[str]) -> bytes:
        what = _plain(self._instrument.identity).replace(",", ";")
        return f"mtc_hw,{what[:200]},{self._fixed[:12]},{PROTOCOL}".encode()

    def _protocol(self, _: list[str]) -> bytes:
        return str(PROTOCOL).encode()

    def _done(self, _: list[str]) -> bytes:
        return b"1"

    def _format(self, given: list[str]) -> None:
        if [each.upper() for each in given] not in (["REAL"], ["ASC"], ["ASCII"]):
            raise _Refusal(PARAMETER, "REAL or ASCii")
        self._binary = given[0].upper() == "REAL"

    def _digest(self, _: list[str]) -> bytes:
        return f'"{self._fixed}"'.encode()

    def _scale(self, given: list[str]) -> None:
        scale = self._design.scale
        if _floats(given) != [scale.volt, scale.amp, scale.second, self._design.technology.analog_ground]:
            raise _Refusal(CONFLICT, "Settings conflict; the chip's design has another scale")

    def _code(self, given: list[str]) -> None:
        row, values = self._row(given), _floats(given[3:])
        self._arrays[row.array][row.index] = _stored(row, values)

    def _code_back(self, given: list[str]) -> bytes:
        row = self._row(given)
        row = Row(row.array, row.index, row.dac, float(self._arrays[row.array][row.index]), row.unit)
        return numbers(code_numbers(row)).encode()

    def _row(self, given: list[str]) -> Row:
        key = Key(*given[:3]) if len(given) >= 3 else None
        if key not in self._rows:
            raise _Refusal(PARAMETER, f"Missing or unknown parameter; no converter {' '.join(given[:3])[:60]}")
        return self._rows[key]

    def _set_lsb(self, given: list[str]) -> None:
        values = _floats(given)
        if len(values) != 1 or not values[0] > 0.0:
            raise _Refusal(RANGE, "Data out of range; one current > 0 A")
        self._lsb = values[0]

    def _lsb_back(self, _: list[str]) -> bytes:
        return number(self._lsb).encode()

    def _set_curves(self, given: list[str]) -> None:
        values = _floats(given)
        if len(values) < 4:
            raise _Refusal(PARAMETER, "Missing parameter; from,to,step,output,...")
        try:
            curves = Curves(sweep=(values[0], values[1]), step=values[2], outputs=tuple(values[3:]))
        except ValueError as error:
            raise _Refusal(RANGE, f"Data out of range; {str(error).splitlines()[-2].strip()}") from None
        if curves.voltage.size * len(curves.outputs) * len(self._design.rows) * self._design.count > MOST_POINTS:
            raise _Refusal(RANGE, f"Data out of range; more than {MOST_POINTS} points")
        self._curves = curves

    def _add_firing(self, given: list[str]) -> None:
        here = len(given) > 4 and given[4].upper() == HERE
        values = _floats([each for k, each in enumerate(given) if not (here and k == 4)])
        first, steps = (4, values[4:]) if here else (5, values[5:])
        if len(values) < first + 2 or len(steps) % 2 or not values[0] > 0.0:
            raise _Refusal(PARAMETER, "Missing parameter; duration > 0,v,slow,ultraslow,fast or DEF,time,current,...")
        if len(self._firing) == MOST_FIRINGS:
            raise _Refusal(RANGE, f"Data out of range; more than {MOST_FIRINGS} stimuli")
        initial = Initial(values[1], values[2], values[3], None if here else values[4])
        try:
            stimulus = Stimulus(tuple(zip(steps[::2], steps[1::2], strict=True)))
        except MtcError as error:
            raise _Refusal(RANGE, f"Data out of range; {error}") from None
        self._firing.append(Firing(stimulus, values[0], initial))

    def _set_readout(self, _: list[str]) -> None:
        self._readout = True

    def _add_sample(self, given: list[str]) -> None:
        sample, inputs = _floats(given), self._design.input_code.shape[1]
        if len(sample) != inputs:
            raise _Refusal(PARAMETER, f"Missing parameter; {len(sample)} values, the chip has {inputs} inputs")
        if (len(self._series) + 1) * max(inputs, 1) > MOST_POINTS:
            raise _Refusal(RANGE, f"Data out of range; more than {MOST_POINTS} values")
        self._series.append(sample)

    def _initiate(self, _: list[str]) -> None:
        driven = Driven(np.array(self._series, np.float64)) if self._series else None
        request = Request(self._curves, tuple(self._firing), self._readout, driven)
        codes = with_codes(self._design, self._arrays, self._lsb)
        with self._measuring:
            found = self._measured(codes, request)
        self._results = [packed(each) for each in pieces(found)]

    def _measured(self, codes: MappedDesign, request: Request) -> Observables:
        """An instrument that raises, or gives arrays of another shape, must not take the bench down."""
        try:
            seen = self._instrument.measure(codes, request)
            parts = zip(split(request), pieces(seen), strict=True)
            return joined([unpacked(codes, part, packed(piece)) for part, piece in parts])
        except Exception as error:
            self._error(EXECUTION, f"Execution error; {type(error).__name__}: {error}")
            return blank(codes, request)

    def _fetch(self, name: str, given: list[str]) -> bytes:
        found = [each[name] for each in self._results or () if name in each]
        if not found:
            raise _Refusal(STALE, "Data corrupt or stale; not measured")
        index = given[0] if given else "0"
        if not index.isdecimal() or int(index) >= len(found):
            raise _Refusal(RANGE, f"Data out of range; there are {len(found)}")
        values = found[int(index)]
        return block(values) if self._binary else to_text(values)


def _fetcher(name: str) -> "Callable[[Session, list[str]], bytes]":
    return lambda session, given: session._fetch(name, given)


_ACTIONS: Mapping[str, Callable[[Session, list[str]], bytes | None]] = {
    "*IDN?": Session._identify,
    "*RST": Session._reset,
    "*CLS": Session._clear_errors,
    "*OPC?": Session._done,
    "SYSTem:ERRor?": Session._next_error,
    "SYSTem:PROTocol?": Session._protocol,
    "FORMat": Session._format,
    "CALibrate:DESign?": Session._digest,
    "CALibrate:SCALe": Session._scale,
    "CALibrate:CODE": Session._code,
    "CALibrate:CODE?": Session._code_back,
    "CALibrate:READout:LSB": Session._set_lsb,
    "CALibrate:READout:LSB?": Session._lsb_back,
    "CONFigure:CLEar": Session._clear,
    "CONFigure:CURVes": Session._set_curves,
    "CONFigure:FIRing": Session._add_firing,
    "CONFigure:READout": Session._set_readout,
    "CONFigure:DRIVen": Session._add_sample,
    "INITiate": Session._initiate,
    **{query: _fetcher(name) for name, query in FETCH.items()},
}
_COMMANDS = [(header(name), act) for name, act in _ACTIONS.items()]
COMMANDS = tuple(_ACTIONS)


def _floats(given: list[str]) -> list[float]:
    try:
        values = [float(each) for each in given]
    except ValueError:
        raise _Refusal(PARAMETER, f"Numeric data error; {','.join(given)[:60]}") from None
    if not all(map(math.isfinite, values)):
        raise _Refusal(RANGE, "Data out of range; finite numbers only")
    return values


def _stored(row: Row, values: list[float]) -> float:
    """What the array holds of a code and its octave."""
    split_bits = None if row.octave is None or row.dac is None else row.dac.bits
    if len(values) != (1 if split_bits is None else 2):
        raise _Refusal(PARAMETER, f"Missing parameter; {len(values)} numbers for a code")
    if row.dac is None:
        return values[0]
    if row.dac.bits is not None and not all(each.is_integer() for each in values):
        raise _Refusal(RANGE, "Data out of range; a code is an integer")
    low, high = row.dac.limits
    octave, splitter = (0.0, "") if split_bits is None else (values[1], f", octaves 0 to {row.dac.octaves}")
    low = low if split_bits is None else 1.0
    if not (low <= values[0] <= high and 0.0 <= octave <= row.dac.octaves):
        raise _Refusal(RANGE, f"Data out of range; the converter has {low:g} to {high:g}{splitter}")
    return values[0] if split_bits is None else values[0] + octave * 2.0**split_bits


def _plain(text: str) -> str:
    """On one line, without quotes."""
    return "".join(each if each.isascii() and each.isprintable() and each != '"' else "?" for each in text)[:200]
