"""The bench on which frozen cards are made and checked: single transistors under DC sweeps, in ngspice processes.

The decks hold a .control block of our own, so they are not linted; every name and number in them comes through the
netlist filters. A PDK is reached through a link in the private folder: its path is in no deck.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware import pdk
from mtc_hw.hardware.process import Kind, um
from mtc_hw.hardware.technology import Library, Technology
from mtc_hw.netlist.templates import checked_name, spice
from mtc_hw.simulate.ngspice import executable, read_raw
from mtc_hw.spec import Array

INITIALISATION = "set num_threads=1\nset ng_nomodcheck\n"
DUMP = "set ngdebug\n"
"""Makes ngspice write the circuit with every expression resolved; its `listing` cuts lines off at 4095 characters."""
RESOLVED = "debug-out3.txt"
OPTIONS = ".options gmin=1e-16 abstol=1e-17 reltol=1e-7 vntol=1e-9 itl1=500 itl2=500"
LOWEST_GATE, GATE_STEP = -0.3, 0.02  # V
DRAINS = (0.1, 0.5)  # V, and as much above the second as it is above the first
SOURCES = """Vg g s dc 0
Vd 0 s dc 0
Esp sp 0 s 0 -1
Egp gp sp g s -1"""
"""Drains are at ground: at a volt, the rounding of the PDK's contact resistors' currents would bury a pA."""
SMALLEST, LARGEST = 1e-12, 1e-6  # A: where drain currents are compared
PATIENCE = 600.0  # s; SKY130 as shipped takes 7 to 20 s


@dataclass(frozen=True)
class Transistor:
    """One kind at one size, m."""

    kind: Kind
    width: float
    length: float

    def __str__(self) -> str:
        return f"{self.kind} W/L {um(self.width)}/{um(self.length)} um"


@dataclass(frozen=True, eq=False)
class Sweep:
    """Drain currents of transistors over gate and drain voltage, A, and how long ngspice took, s."""

    currents: dict[float, list[Array]]  # by temperature, degrees Celsius, and transistor
    listing: str  # the circuit with every expression resolved
    seconds: float
    loading: float  # of `seconds`, until the circuit was there


def library_sweep(technology: Technology, transistors: Sequence[Transistor], temperatures: Sequence[float]) -> Sweep:
    """The PDK's own transistors. Raises TechnologyError when the PDK is missing or ngspice cannot run it."""
    library = technology.library
    assert library is not None
    path = pdk.located(library)
    contents = pdk.contents(path, library.section)
    switches = "".join(f" {checked_name(name)}={spice(value)}" for name, value in library.switches.items())
    head = f'.lib "library/{path.name}" {checked_name(library.section)}' + (switches and f"\n.param{switches}")
    lines = []
    for index, each in enumerate(transistors):
        model = technology.device(each.kind).model
        letter = _letter(model, contents, library)
        lines.append(_instance(index, each, model, technology.diffusion, library.unit, letter))
    return _run(technology, head, lines, transistors, temperatures, path)


def card_sweep(
    technology: Technology, cards: str, names: Sequence[str], transistors: Sequence[Transistor], at: Sequence[float]
) -> Sweep:
    """The same transistors made of plain cards, one name each, at temperatures `at`."""
    instances = [
        _instance(index, each, name, technology.diffusion, 1.0, "m")
        for index, (each, name) in enumerate(zip(transistors, names, strict=True))
    ]
    return _run(technology, cards.rstrip(), instances, transistors, at, None)


def worst_difference(reference: Array, found: Array) -> float:
    """Largest relative difference of drain currents where the reference is between 1 pA and 1 uA."""
    size = np.abs(reference)
    inside = (size >= SMALLEST) & (size <= LARGEST)
    assert inside.any(), "the sweep does not reach the currents to compare"
    return float(np.max(np.abs(found[inside] - reference[inside]) / size[inside]))


def _letter(model: str, contents: pdk.Contents, library: Library) -> str:
    """What an instance of the PDK's device begins with."""
    if model.lower() in contents.subcircuits:
        return "x"
    if model.lower() in contents.models:
        return "m"
    raise TechnologyError(
        f"section {library.section} of the PDK {library.pdk} holds no {model}; a PDK of another version may name its "
        "transistors otherwise: write a technology file of your own with its names"
    )


def _instance(index: int, each: Transistor, model: str, diffusion: float, unit: float, letter: str) -> str:
    area, perimeter = each.width * diffusion / unit**2, 2.0 * (each.width + diffusion) / unit
    node = "g s s" if each.kind == "nmos" else "gp sp sp"
    return (
        f"Vm{index} d{index} 0 dc 0\n"
        f"{letter}t{index} d{index} {node} {checked_name(model)} w={spice(each.width / unit)} "
        f"l={spice(each.length / unit)} ad={spice(area)} as={spice(area)} pd={spice(perimeter)} ps={spice(perimeter)}"
    )


def _run(
    technology: Technology,
    head: str,
    instances: list[str],
    transistors: Sequence[Transistor],
    temperatures: Sequence[float],
    library: Path | None,
) -> Sweep:
    """One ngspice process: loads, lists, sweeps at every temperature."""
    probes = " ".join(f"i(vm{index})" for index in range(len(transistors)))
    (first, middle), gate = DRAINS, f"{LOWEST_GATE} {spice(technology.supply)} {GATE_STEP}"
    sweep = f"dc vg {gate} vd {first} {2.0 * middle - first:g} {middle - first:g}"
    control = ["echo loaded > loaded"]
    for number, temperature in enumerate(temperatures):
        control += [f"option temp={spice(temperature)}", sweep, f"write {number}.raw {probes}"]
    deck = [
        f"* transistors of {technology.name}",
        head,
        SOURCES,
        *instances,
        OPTIONS,
        ".control",
        *control,
        "quit",
        ".endc",
        ".end\n",
    ]
    with tempfile.TemporaryDirectory(prefix="mtc_hw_") as name:
        folder = Path(name)
        (folder / "deck.cir").write_text("\n".join(deck), encoding="ascii")
        (folder / "spinit").write_text(INITIALISATION + (DUMP if library else ""), encoding="ascii")
        if library is not None:
            (folder / "library").symlink_to(library.parent.resolve(), target_is_directory=True)
        start = time.time()
        log = _ngspice(folder)
        seconds = time.time() - start
        currents = {}
        for number, temperature in enumerate(temperatures):
            raw = folder / f"{number}.raw"
            waves = read_raw(raw) if raw.exists() else None
            if waves is None:
                raise TechnologyError(f"ngspice cannot run the transistors of {technology.name}: {_reason(log)}")
            currents[temperature] = [waves[f"i(vm{index})"] for index in range(len(transistors))]
        loading = (folder / "loaded").stat().st_mtime - start
        listing = (folder / RESOLVED).read_text(encoding="latin-1") if (folder / RESOLVED).exists() else ""
        return Sweep(currents, listing, seconds, loading)


def _ngspice(folder: Path) -> str:
    """Runs deck.cir there and returns what ngspice said."""
    try:
        done = subprocess.run(
            [executable(), "-n", "-b", "deck.cir"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            env=os.environ | {"HOME": str(folder), "SPICE_SCRIPTS": str(folder)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TechnologyError(f"ngspice did not load the models within {PATIENCE:g} s") from None
    return done.stdout + done.stderr


def _reason(log: str) -> str:
    """The first line that tells a fault, or the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    faults = [line for line in lines if "error" in line.lower() or "could not" in line.lower()]
    return (faults or lines[-1:] or ["it said nothing"])[0]
