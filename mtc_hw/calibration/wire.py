"""The bench's line protocol, what both ends share: headers, numbers, blocks. `docs/bench.md` documents it."""

import re
from collections.abc import Sequence

import numpy as np

from mtc_hw.calibration.observables import Request
from mtc_hw.hardware.codes_file import Key, Row
from mtc_hw.spec import Array

PROTOCOL = 1
SCHEME = "tcp"
LARGEST_LINE = 1 << 16  # bytes, its end included
LARGEST_BLOCK = 1 << 28  # bytes
NOT_A_NUMBER, LARGEST_NUMBER = 9.91e37, 9.9e37  # SCPI-99 writes NaN and infinity so
HERE = "DEF"  # the fast filter starts where the membrane does

FETCH = {
    "curves": "FETCh:CURVes?",
    "firing": "FETCh:FIRing?",
    "readout": "FETCh:READout?",
    "features": "FETCh:FEATures?",
    "prediction": "FETCh:PREDiction?",
}
"""The query of each array of `parts.packed`."""


def header(name: str) -> re.Pattern[str]:
    """Matches a command's short and long form in any case: `FETCh:CURVes?` is FETC:CURV? and FETCH:CURVES? alike."""
    words = [re.fullmatch(r"(\*?[A-Z]+)([a-z]*)(\??)", word) for word in name.split(":")]
    return re.compile(":".join(_word(*found.groups()) for found in words if found), re.IGNORECASE)


def _word(short: str, rest: str, query: str) -> str:
    return f"{re.escape(short)}(?:{rest})?{re.escape(query)}"


def short(name: str) -> str:
    """The short form: `FETC:CURV?`."""
    return re.sub("[a-z]", "", name)


def number(value: float) -> str:
    """Shortest text that reads back to the same float64."""
    return repr(float(value)).removesuffix(".0")


def numbers(values: Sequence[float] | Array) -> str:
    return ",".join(map(number, np.asarray(values, np.float64).tolist()))


def block(values: Array) -> bytes:
    """IEEE 488.2 definite-length block of little-endian float64: # digits length bytes."""
    body = np.ascontiguousarray(values, "<f8").tobytes()
    length = str(len(body)).encode()
    return b"#%d%s" % (len(length), length) + body


def from_block(body: bytes) -> Array:
    """Raises ValueError for a length that is no multiple of 8."""
    return np.frombuffer(body, "<f8").astype(np.float64)


def from_text(line: str) -> Array:
    """A list of numbers in ASCII. Raises ValueError."""
    values = np.array([float(each) for each in line.split(",")], np.float64)
    return np.where(np.abs(values) >= LARGEST_NUMBER, np.nan, values)


def to_text(values: Array) -> bytes:
    return numbers(np.where(np.isfinite(values), values, NOT_A_NUMBER).ravel()).encode()


def code_command(key: Key, row: Row) -> str:
    """Sets one code: neuron, element and kind as in `codes.csv`, code, and octave where there is a splitter."""
    return f"CAL:CODE {','.join(key)},{numbers(code_numbers(row))}"


def code_numbers(row: Row) -> list[float]:
    """Code and octave, or a value that has no converter."""
    code = row.stored if row.dac is None else row.code
    return [code] if row.octave is None else [code, float(row.octave)]


def part_commands(part: Request) -> list[str]:
    """What sets up one part of a request."""
    if part.curves is not None:
        return [f"CONF:CURV {numbers([*part.curves.sweep, part.curves.step, *part.curves.outputs])}"]
    if part.driven is not None:
        return [f"CONF:DRIV {numbers(sample)}".rstrip() for sample in part.driven.inputs]
    if part.readout:
        return ["CONF:READ"]
    (firing,) = part.firing
    start, steps = firing.initial, [each for step in firing.stimulus.steps for each in step]
    fast = HERE if start.fast is None else number(start.fast)
    levels = numbers([firing.duration, start.voltage, start.slow, start.ultraslow])
    return [f"CONF:FIR {levels},{fast},{numbers(steps)}"]
