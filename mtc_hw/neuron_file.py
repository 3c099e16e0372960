"""One neuron, its stimulus and its start in a TOML file: the shipped presets and a user's own have the same form.

Voltages in units of the tanh scale, currents in units of I_u, times in tau_m.
"""

import difflib
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mtc_hw.errors import SpecError
from mtc_hw.resources import folder
from mtc_hw.spec import ELEMENT_FILTER, ELEMENTS, FILTERS, ModelSpec, Neurons
from mtc_hw.violations import short

LARGEST_FILE = 1 << 20  # bytes
NAME = r"[A-Za-z][A-Za-z0-9_]{0,63}"  # what a SPICE identifier can hold as it is

Level = Annotated[float, Field(ge=-1e3, le=1e3, allow_inf_nan=False)]
Strength = Annotated[float, Field(ge=0.0, le=1e3, allow_inf_nan=False)]
FastTau = Annotated[float, Field(ge=0.0, le=1e9, allow_inf_nan=False)]
Tau = Annotated[float, Field(ge=1e-6, le=1e9, allow_inf_nan=False)]
Span = Annotated[float, Field(gt=0.0, le=1e9, allow_inf_nan=False)]
Step = Annotated[
    list[Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]], Field(min_length=2, max_length=2)
]


@dataclass(frozen=True)
class Stimulus:
    """Piecewise constant current: each step is (time at which it begins, current). Raises SpecError."""

    steps: tuple[tuple[float, float], ...]  # (tau_m, I_u); the times increase and start at 0

    def __post_init__(self) -> None:
        wrong = list(_step_violations(self.steps))
        if wrong:
            raise SpecError("; ".join(f"stimulus {violation}" for violation in wrong))

    def current(self, time: float) -> float:
        """Current from each step's time on, the step included; before 0 that of the first step."""
        index = bisect_right(self.steps, time, key=lambda step: step[0])
        return self.steps[max(index - 1, 0)][1]

    def shifted(self, current: float) -> "Stimulus":
        """The stimulus with a constant current added."""
        return Stimulus(tuple((start, level + current) for start, level in self.steps))

    def holds(self, duration: float) -> tuple[tuple[float, float, float], ...]:
        """(start, end, current) of each interval of constant current that begins before `duration`."""
        ends = [start for start, _ in self.steps[1:]] + [duration]
        held = ((start, min(end, duration), level) for (start, level), end in zip(self.steps, ends, strict=True))
        return tuple(hold for hold in held if hold[0] < duration)


@dataclass(frozen=True)
class Initial:
    """State at time 0, in unit voltages; the slow filters of Ribar and Sepulchre (2019) start at -1.8."""

    voltage: float = -1.9
    slow: float = -1.8
    ultraslow: float = -1.8
    fast: float | None = None  # None: the membrane's voltage


@dataclass(frozen=True, eq=False)
class NeuronFile:
    """What a neuron file says."""

    name: str
    neurons: Neurons  # N = 1
    stimulus: Stimulus
    initial: Initial
    duration: float | None = None  # tau_m that show the behaviour; None: the file does not say


def _identifier(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise ValueError
    return name


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Element(_Table):
    alpha: Strength
    delta: Level = 0.0


class _Elements(_Table):
    fast_negative: _Element = _Element(alpha=0.0)
    slow_positive: _Element = _Element(alpha=0.0)
    slow_negative: _Element = _Element(alpha=0.0)
    ultraslow_positive: _Element = _Element(alpha=0.0)


class _Timescales(_Table):
    fast: FastTau = 0.0
    slow: Tau = 50.0
    ultraslow: Tau = 2500.0


class _Stimulus(_Table):
    current: Level | None = None
    steps: list[Step] | None = None
    duration: Span | None = None


class _Initial(_Table):
    v: Level = -1.9
    slow: Level = -1.8
    ultraslow: Level = -1.8
    fast: Level | None = None


class _File(_Table):
    name: Annotated[str, AfterValidator(_identifier)]
    elements: _Elements
    timescales: _Timescales = _Timescales()
    stimulus: _Stimulus
    initial: _Initial = _Initial()


_TABLES: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): _File,
    ("elements",): _Elements,
    ("timescales",): _Timescales,
    ("stimulus",): _Stimulus,
    ("initial",): _Initial,
    **{("elements", element): _Element for element in ELEMENTS},
}


def preset_names() -> tuple[str, ...]:
    """Names of the shipped neurons, sorted."""
    return tuple(sorted(path.stem for path in (folder("models") / "neurons").glob("*.toml")))


def load_neuron(name_or_path: str | Path) -> NeuronFile:
    """The shipped neuron of that name, or the one in a user's file. A bare preset name always means the preset.

    Raises SpecError with every violation of the file in one line.
    """
    if isinstance(name_or_path, str) and name_or_path in preset_names():
        return _read(folder("models") / "neurons" / f"{name_or_path}.toml")
    return _read(Path(name_or_path))


def save_neuron(neuron: NeuronFile, path: Path) -> Path:
    """Writes a file from which `load_neuron` reads the same neuron, making its folder. Raises SpecError."""
    text = neuron_text(neuron)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def neuron_text(neuron: NeuronFile) -> str:
    """The neuron as TOML. Raises SpecError for what the form cannot say: leaks, rests, offsets and curved OTAs."""
    n = neuron.neurons
    plain = n.leak_curve is None and n.filter_curve is None and not n.offset.any() and not n.rest.any()
    if n.count != 1 or not plain or (n.leak != 1.0).any() or not re.fullmatch(NAME, neuron.name):
        raise SpecError(
            f"{_line(neuron.name)} cannot be a neuron file: it holds one neuron with a linear leak of 1, no rest and "
            "no offsets, named by a letter, then letters, digits or underscores; save a network as a checkpoint"
        )
    elements = [
        f"{element} = {{ alpha = {float(n.alpha[j, 0])!r}, delta = {float(n.delta[j, 0])!r} }}"
        for j, element in enumerate(ELEMENTS)
        if n.alpha[j, 0] > 0.0
    ]
    timescales = [f"{name} = {float(n.tau[row, 0])!r}" for row, name in enumerate(FILTERS)]
    steps = ", ".join(f"[{float(start)!r}, {float(level)!r}]" for start, level in neuron.stimulus.steps)
    length = [] if neuron.duration is None else [f"duration = {float(neuron.duration)!r}"]
    start = {"v": neuron.initial.voltage, "slow": neuron.initial.slow, "ultraslow": neuron.initial.ultraslow}
    initial = [f"{key} = {float(value)!r}" for key, value in (start | {"fast": neuron.initial.fast}).items()
               if value is not None]  # fmt: skip
    tables = {"elements": elements, "timescales": timescales, "stimulus": [f"steps = [{steps}]", *length]}
    parts = [f"[{name}]\n" + "\n".join(lines) for name, lines in (tables | {"initial": initial}).items()]
    return "\n\n".join([f'name = "{neuron.name}"', *parts]) + "\n"


def _read(path: Path) -> NeuronFile:
    shown = _line(str(path))
    try:
        tables = tomllib.loads(_text(path, shown))
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{shown} is not TOML: {_line(str(error))}; mend it") from error
    violations: list[str] = []
    try:
        parsed = _File.model_validate(tables)
    except ValidationError as error:
        violations += [_violation(dict(found)) for found in error.errors(include_url=False)]
    violations += _table_violations(tables)
    if violations:
        raise SpecError(f"{shown}: " + "; ".join(violations))
    return _neuron_file(parsed)


def _text(path: Path, shown: str) -> str:
    try:
        if path.is_dir():
            raise SpecError(f"{shown} is a folder; name one neuron file (.toml) in it")
        if not path.is_file():
            raise SpecError(f"neuron file {shown} does not exist; give a path, or a preset: {_presets_like(shown)}")
        content = path.read_bytes() if path.stat().st_size <= LARGEST_FILE else None
    except (OSError, ValueError) as error:
        raise SpecError(
            f"neuron file {shown} cannot be read: {_line(str(error))}; check its name and rights"
        ) from error
    if content is None:
        raise SpecError(f"{shown} holds more than {LARGEST_FILE} bytes; a neuron file holds one neuron")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{shown} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _presets_like(wanted: str) -> str:
    near = difflib.get_close_matches(wanted, preset_names(), n=1)
    return ", ".join(preset_names()) + (f" (did you mean {near[0]}?)" if near else "")


def _violation(found: dict[str, Any]) -> str:
    """One fault that pydantic found, as key, value, rule and remedy."""
    location: tuple[int | str, ...] = found["loc"]
    where, kind, context = _key(location), found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{where} is no known key; {_known_keys(location)}"
    if kind == "missing":
        return f"{where} is missing; add it"
    value = short(found["input"])
    if kind == "value_error":
        return f"{where} is {value}; use a letter, then at most 63 letters, digits or underscores"
    bounds = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le"}
    if kind in bounds:
        sign = {"ge": ">=", "gt": ">", "le": "<="}[bounds[kind]]
        return f"{where} is {value}; it must be {sign} {context[bounds[kind]]:g}"
    if kind in ("float_type", "finite_number", "float_parsing"):
        return f"{where} is {value}; it must be a finite number"
    if kind in ("too_short", "too_long"):
        return f"{where} is {value}; write a step as [time, current]"
    steps = "[time, current]" if isinstance(location[-1], int) else "a list [[time, current], ...]"
    shape = {"model_type": "a table", "string_type": "a text in quotes", "list_type": steps}
    return f"{where} is {value}; it must be {shape.get(kind, _line(found['msg']))}"


def _known_keys(location: tuple[int | str, ...]) -> str:
    table = _TABLES[tuple(str(part) for part in location[:-1])]
    keys = list(table.model_fields)
    near = difflib.get_close_matches(str(location[-1]), keys, n=1)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(keys)}"


def _table_violations(tables: Mapping[str, object]) -> list[str]:
    """Faults that no single key shows. Tables of a wrong type are left to the key's own check."""
    stimulus, timescales, elements = (_table(tables.get(name)) for name in ("stimulus", "timescales", "elements"))
    violations = []
    given = [key for key in ("current", "steps") if key in stimulus]
    if "stimulus" in tables and len(given) != 1:
        state = "both current and steps" if given else "neither current nor steps"
        violations.append(f"stimulus has {state}; give exactly one of them")
    for element, row in zip(ELEMENTS, ELEMENT_FILTER, strict=True):
        name = FILTERS[row]
        alpha = _table(elements.get(element)).get("alpha", 0.0)
        if row > 0 and name not in timescales and alpha != 0.0:
            violations.append(f"timescales.{name} is missing and {element} uses it; add it, in tau_m")
    steps = stimulus.get("steps")
    if _is_pairs(steps):
        violations += [f"stimulus.{violation}" for violation in _step_violations(steps)]
        duration = stimulus.get("duration")
        if steps and _is_finite_number(duration) and not steps[-1][0] < duration:
            last = short(steps[-1][0])
            violations.append(f"stimulus.duration is {short(duration)}; it must exceed the last step's time, {last}")
    return list(dict.fromkeys(violations))


def _step_violations(steps: Any) -> Iterator[str]:
    """What is wrong with (time, current) pairs of numbers."""
    if not steps:
        yield "steps is empty; give at least [[0.0, current]]"
        return
    if steps[0][0] != 0:
        yield f"steps[0] begins at {short(steps[0][0])}; the first step must begin at 0.0"
    for index, (time, current) in enumerate(steps):
        for value in (time, current):
            if not _is_finite(value):
                yield f"steps[{index}] holds {short(value)}; every value must be a finite number"
        if index and time <= steps[index - 1][0]:
            yield f"steps[{index}] begins at {short(time)}, not after the step before; sort the steps by time"


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_finite_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:
        return False


def _is_pairs(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(step, list) and len(step) == 2 and all(map(_is_finite_number, step)) for step in value
    )


def _key(location: tuple[int | str, ...]) -> str:
    """Dotted path of a key, `stimulus.steps[1][0]`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{_line(part)}" for part in location)
    return path.removeprefix(".")


def _line(text: str) -> str:
    """Text that a user wrote, on one line."""
    return text if text.isprintable() else ascii(text)


def _neuron_file(parsed: _File) -> NeuronFile:
    elements = [getattr(parsed.elements, element) for element in ELEMENTS]
    neurons = Neurons(
        alpha=np.array([[element.alpha] for element in elements]),
        delta=np.array([[element.delta] for element in elements]),
        tau=np.array([[getattr(parsed.timescales, name)] for name in FILTERS]),
    )
    stimulus, initial = parsed.stimulus, parsed.initial
    steps = stimulus.steps if stimulus.steps is not None else [[0.0, stimulus.current or 0.0]]
    return NeuronFile(
        name=parsed.name,
        neurons=neurons,
        stimulus=Stimulus(tuple((float(time), float(current)) for time, current in steps)),
        initial=Initial(initial.v, initial.slow, initial.ultraslow, initial.fast),
        duration=stimulus.duration,
    )


def bare_spec(neuron: NeuronFile) -> ModelSpec:
    """A ModelSpec without inputs and readout."""
    return ModelSpec(neuron.neurons, np.zeros((1, 0)), np.zeros(1))
