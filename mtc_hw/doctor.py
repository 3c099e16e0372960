"""Examines an installation: Python, packages, data folders, ngspice through both drivers, PDKs.

Anything may be missing here, so beyond the standard library all is imported where it is used.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mtc_hw.errors import DataError, MtcError, SimulatorMissingError
from mtc_hw.resources import folder

if TYPE_CHECKING:
    from mtc_hw.netlist.deck import Deck
    from mtc_hw.simulate.outcome import Outcome

OLDEST_PYTHON = (3, 11)
MODULES = {"pyspice": "PySpice", "scikit-learn": "sklearn"}  # where a package's module has another name
DATA_FOLDERS = ("netlist_templates", "models", "calibration")
CLOSED_FORM_BOUND = 1e-4  # V of 1 V
SLOWEST = 10.0  # s; measured: 0.2 s, and a hundred times as much when OpenMP threads fight over a busy machine
TIMEOUT = 60.0  # s, each deck
TRAP = "option temp=127\n"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+?)(?:<[0-9.]+,)?>=([0-9.]+)(?:,<[0-9.]+)?")

RC_DECK = """* 1 V on 1 uF discharges through 1 kohm
R1 a 0 1e3
C1 a 0 1e-6
.ic v(a)=1
.options method=trap reltol=1e-6 abstol=1e-15 vntol=1e-9
.save v(a)
.tran 1e-5 5e-3 0 1e-5
.end
"""
TRAP_DECK = """* a resistor that doubles between 27 and 127 degrees: 1 V unless a .spiceinit sets the temperature
I1 0 a dc 1e-3
R1 a 0 1e3 tc1=0.01
.save v(a)
.tran 1e-5 1e-4
.end
"""


@dataclass(frozen=True)
class Check:
    """One fact about the installation. `ok` is None for what is optional and absent."""

    name: str
    ok: bool | None
    value: str
    remedy: str = ""


def examine() -> tuple[Check, ...]:
    """Every check. Takes seconds: it runs decks in worker processes."""
    return (_python(), *_packages(), *_data_folders(), *_simulators(), *_pdks())


def healthy(checks: Sequence[Check]) -> bool:
    """Nothing that is needed is wrong."""
    return all(check.ok is not False for check in checks)


def report(checks: Sequence[Check]) -> str:
    """One line a check, and the remedy below what is wrong or absent."""
    marks = {True: "ok", False: "FAIL", None: "-"}
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{marks[check.ok]:4}  {check.name:{width}}  {check.value}")
        if check.remedy:
            lines.append(f"{'':6}{'':{width}}  -> {check.remedy}")
    return "\n".join(lines)


def to_json(checks: Sequence[Check]) -> str:
    document = {
        "format": "mtc_hw doctor",
        "version": 1,
        "healthy": healthy(checks),
        "checks": [asdict(check) for check in checks],
    }
    return json.dumps(document, indent=1)


def _python() -> Check:
    value = f"{sys.version.split()[0]} ({sys.executable})"
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return Check("Python", True, value)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check("Python", False, value, f"make the virtual environment again with Python {oldest} or newer")


def _packages() -> Iterator[Check]:
    try:
        requirements = importlib.metadata.requires("mtc-hw") or []
        yield Check("mtc-hw", True, importlib.metadata.version("mtc-hw"))
    except importlib.metadata.PackageNotFoundError:
        yield Check("mtc-hw", False, "not installed", "`make setup` or `python -m pip install .` in the checkout")
        return
    # The development packages carry a marker, `; extra == "dev"`, and so do not match.
    for match in filter(None, map(_REQUIREMENT.fullmatch, requirements)):
        yield _package(*match.groups())


def _package(name: str, oldest: str) -> Check:
    install = f"{sys.executable} -m pip install"
    remedy = f'`{install} "{name}>={oldest}"`'
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", remedy)
    module = MODULES.get(name, name)
    if importlib.util.find_spec(module) is None:
        return Check(
            name, False, f"{version}, but there is no module {module}", f"`{install} --force-reinstall {name}`"
        )
    if _numbers(version) < _numbers(oldest):
        return Check(name, False, f"{version}, older than {oldest}", remedy)
    return Check(name, True, version)


def _numbers(version: str) -> tuple[int, ...]:
    """The release numbers of a version, `2.13.0+cpu` being (2, 13, 0)."""
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, release.group().split("."))) if release else ()


def _data_folders() -> Iterator[Check]:
    for name in DATA_FOLDERS:
        try:
            yield Check(f"data: {name}", True, str(folder(name)))
        except DataError as error:
            yield Check(f"data: {name}", False, "not found", str(error))


def _simulators() -> Iterator[Check]:
    try:
        from mtc_hw.simulate import ngspice, pyspice

        decks = _decks()
    except (ImportError, MtcError) as error:
        yield Check("simulators", False, f"not tried: {error}", "mend what is wrong above first")
        return
    try:
        yield Check("ngspice", True, f"{ngspice.version() or 'unknown version'} ({ngspice.executable()})")
        yield from _runs("ngspice", decks)
    except SimulatorMissingError as error:
        value, _, remedy = str(error).partition("; ")
        yield Check("ngspice", False, value, remedy)
    except OSError as error:
        yield Check("ngspice", False, f"does not run: {error}", ngspice.INSTALL)
    try:
        yield Check("libngspice", True, pyspice.library())
        yield from _runs("pyspice", decks)
    except SimulatorMissingError as error:
        value, _, remedy = str(error).partition("; ")
        elsewhere = "; or set NGSPICE_LIBRARY_PATH to its file when it lies elsewhere, as conda's does"
        yield Check("libngspice", False, value, remedy + elsewhere)


def _decks() -> "list[Deck]":
    """An RC, the trap, and twice the shipped tonic neuron's 32 transistors."""
    import numpy as np

    from mtc_hw.characterise import cells_for
    from mtc_hw.hardware.mapping import MappingOptions, map_spec
    from mtc_hw.hardware.technology import load_technology
    from mtc_hw.netlist.deck import Deck
    from mtc_hw.netlist.render import neuron_deck
    from mtc_hw.netlist.solver import TRANSISTOR
    from mtc_hw.neuron_file import load_neuron
    from mtc_hw.spec import ModelSpec

    neuron, technology = load_neuron("tonic"), load_technology("generic")
    spec = ModelSpec(neuron.neurons, np.zeros((1, 0)), np.zeros(1))
    design = map_spec(spec, technology, cells_for(technology, 4e-6, 4e-6), MappingOptions())
    transistors = neuron_deck(design, 0, "transistor", neuron.stimulus, 200.0, neuron.initial, TRANSISTOR)
    return [Deck("rc", RC_DECK, ("v(a)",), 5e-3), Deck("trap", TRAP_DECK, ("v(a)",), 1e-4), transistors, transistors]


def _runs(driver: Literal["pyspice", "ngspice"], decks: "Sequence[Deck]") -> Iterator[Check]:
    """What a driver makes of the four decks."""
    from mtc_hw.simulate.ngspice import INSTALL
    from mtc_hw.simulate.pool import Workers, simulate

    try:
        with _trapped():
            outcomes = simulate(decks, Workers(driver=driver, jobs=2, timeout=TIMEOUT))
    # Whatever goes wrong is a finding here: a package that does not load, a library of another build.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        yield Check(f"{driver}: runs", False, f"{type(error).__name__}: {reason}", INSTALL)
        return
    failed = [outcome for outcome in outcomes if not outcome.ok]
    if failed:
        what = "; ".join(f"deck {outcome.deck}: {outcome.status}: {outcome.reason}" for outcome in failed)
        yield Check(f"{driver}: runs", False, what, INSTALL)
        return
    yield from _judged(driver, *outcomes)


def _judged(driver: str, rc: "Outcome", trap: "Outcome", once: "Outcome", again: "Outcome") -> Iterator[Check]:
    """Needs four runs that are ok."""
    import numpy as np

    discharge, resistor, first, second = (each.waveforms for each in (rc, trap, once, again))
    assert discharge and resistor and first and second
    worst = float(np.abs(discharge["v(a)"] - np.exp(-discharge.axis / 1e-3)).max())
    yield _finding(
        f"{driver}: RC",
        worst < CLOSED_FORM_BOUND,
        f"within {worst:.1e} V of its closed form",
        f"more than {CLOSED_FORM_BOUND:g} V: this ngspice computes wrongly; install another build",
    )
    clean = abs(float(resistor["v(a)"][-1]) - 1.0) < 1e-6
    yield _finding(
        f"{driver}: stray .spiceinit",
        clean,
        "ignored" if clean else "read",
        "it changes results; remove .spiceinit from your home and working directory",
    )
    same = np.array_equal(first.axis, second.axis) and all(
        np.array_equal(first[name], second[name]) for name in first.values
    )
    yield _finding(
        f"{driver}: same deck twice",
        same,
        "identical bits" if same else "different bits",
        "results will not repeat; install another build of ngspice",
    )
    yield _finding(
        f"{driver}: 32 transistors",
        once.seconds < SLOWEST,
        f"{once.seconds:.2f} s",
        f"more than {SLOWEST:g} s: a busy machine, or OpenMP threads; try again, or use an ngspice without OpenMP",
    )


def _finding(name: str, ok: bool, value: str, remedy: str) -> Check:
    return Check(name, ok, value, "" if ok else remedy)


@contextmanager
def _trapped() -> Iterator[None]:
    """A working directory that is also HOME, with a .spiceinit that heats every deck that obeys it."""
    home = os.environ.get("HOME")
    with tempfile.TemporaryDirectory(prefix="mtc_hw_") as name:
        (Path(name) / ".spiceinit").write_text(TRAP, encoding="ascii")
        os.environ["HOME"] = name
        try:
            with chdir(name):
                yield
        finally:
            if home is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = home


def _pdks() -> Iterator[Check]:
    """The PDKs of the shipped technologies, wherever they are looked for."""
    try:
        from mtc_hw.hardware import pdk
        from mtc_hw.hardware.record import read_record

        records = [read_record(path) for path in sorted((folder("models") / "devices").glob("*.toml"))]
    except (ImportError, MtcError) as error:
        yield Check("PDKs", None, f"not looked for: {error}", "mend what is wrong above first")
        return
    for library in (record.library for record in records if record.library):
        name = f"PDK {library.pdk}"
        try:
            path = pdk.located(library)
            version = library.version("tt", pdk.digest(path, library.sections["tt"]))
        except MtcError as error:
            value, _, remedy = str(error).partition("; ")
            yield Check(name, None, value, f"optional: {remedy}")
            continue
        other = f"not one of the versions {', '.join(library.digests)}: its cells are measured at every use"
        yield Check(name, True, f"{path}, {version or 'another version'}", "" if version else other)


if __name__ == "__main__":
    found = examine()
    print(report(found))
    sys.exit(0 if healthy(found) else 1)
