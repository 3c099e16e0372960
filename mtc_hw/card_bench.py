"""The bench on which frozen cards are made and checked: single transistors under DC sweeps, in ngspice processes.

The decks hold a .control block of our own, so they are not linted; every name and number in them comes through the
netlist filters. A PDK is reached through a link in the private folder: its path is in no deck.
"""

import dataclasses
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
from mtc_hw.simulate.waveforms import Waveforms
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
DRAWN_GATE, DRAWN_STEP = 0.2, 0.05  # V: where the sweeps of mismatched transistors start, and their step
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
    head, instances, path = _library_deck(technology, transistors)
    return _swept(technology, head, instances, temperatures, path)


def drawn_sweep(
    technology: Technology, transistors: Sequence[Transistor], switch: str, redraws: int, seed: int
) -> Array:
    """The PDK's own transistors with their mismatch, drawn anew `redraws` times in one load of the library.

    Drain currents, A, (1 + redraws, transistors, P), at half the supply from drain to source over the gate voltage;
    the first without mismatch. `switch` is the PDK's parameter that turns mismatch on. Raises TechnologyError
    as `library_sweep`.
    """
    head, instances, path = _library_deck(technology, transistors)
    set_switch = f"alterparam {checked_name(switch)} ="
    control = [f"setseed {seed}", f"{set_switch} 0"]
    for number in range(redraws + 1):
        control += [f"{set_switch} 1"] if number == 1 else []
        control += ["reset", _drawn_command(technology), f"write {number}.raw {_probes(instances)}", "destroy all"]
    ran = _run(technology, head, instances, control, redraws + 1, path, INITIALISATION)
    currents = [[waves[f"i(vm{index})"] for index in range(len(transistors))] for waves in ran.waves]
    return np.abs(currents)


def _library_deck(technology: Technology, transistors: Sequence[Transistor]) -> tuple[str, list[str], Path]:
    """The lines that load the PDK, an instance for each transistor, and where the library is."""
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
    return head, lines, path


def card_sweep(
    technology: Technology, cards: str, names: Sequence[str], transistors: Sequence[Transistor], at: Sequence[float]
) -> Sweep:
    """The same transistors made of plain cards, one name each, at temperatures `at`."""
    instances = [
        _instance(index, each, name, technology.diffusion, 1.0, "m")
        for index, (each, name) in enumerate(zip(transistors, names, strict=True))
    ]
    return _swept(technology, cards.rstrip(), instances, at, None)


def shifted_sweep(
    technology: Technology,
    names: Sequence[str],
    transistors: Sequence[Transistor],
    shifts: Sequence[tuple[float, float]],
) -> Array:
    """Cards with their threshold shifted, V, and their width by a share, under the sweep of `drawn_sweep`.

    Drain currents, A, (shifts, transistors, P).
    """
    instances: list[str] = []
    for threshold, width in shifts:
        for each, name in zip(transistors, names, strict=True):
            wider = dataclasses.replace(each, width=each.width * (1.0 + width))
            line = _instance(len(instances), wider, name, technology.diffusion, 1.0, "m")
            instances.append(f"{line} delvto={spice(threshold)}")
    control = [_drawn_command(technology), f"write 0.raw {_probes(instances)}"]
    waves = _run(technology, technology.cards.rstrip(), instances, control, 1, None, INITIALISATION).waves[0]
    currents = np.abs([waves[f"i(vm{index})"] for index in range(len(instances))])
    return currents.reshape(len(shifts), len(transistors), -1)


def _drawn_command(technology: Technology) -> str:
    drain = spice(technology.supply / 2.0)
    sweep = f"dc vg {DRAWN_GATE} {spice(technology.supply)} {DRAWN_STEP} vd {drain} {drain} 1"
    return f"option temp={spice(technology.temperature)}\n{sweep}"


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


def _probes(instances: Sequence[str]) -> str:
    return " ".join(f"i(vm{index})" for index in range(len(instances)))


def _swept(
    technology: Technology, head: str, instances: list[str], temperatures: Sequence[float], library: Path | None
) -> Sweep:
    """All transistors over gate and drain voltage at every temperature."""
    (first, middle), gate = DRAINS, f"{LOWEST_GATE} {spice(technology.supply)} {GATE_STEP}"
    sweep = f"dc vg {gate} vd {first} {2.0 * middle - first:g} {middle - first:g}"
    control = []
    for number, temperature in enumerate(temperatures):
        control += [f"option temp={spice(temperature)}", sweep, f"write {number}.raw {_probes(instances)}"]
    ran = _run(
        technology, head, instances, control, len(temperatures), library, INITIALISATION + (DUMP if library else "")
    )
    currents = {
        temperature: [waves[f"i(vm{index})"] for index in range(len(instances))]
        for temperature, waves in zip(temperatures, ran.waves, strict=True)
    }
    return Sweep(currents, ran.listing, ran.seconds, ran.loading)


@dataclass(frozen=True, eq=False)
class _Ran:
    """What one ngspice process left."""

    waves: list[Waveforms]
    listing: str
    seconds: float
    loading: float


def _run(
    technology: Technology,
    head: str,
    instances: list[str],
    control: list[str],
    count: int,
    library: Path | None,
    initialisation: str,
) -> _Ran:
    """One ngspice process: loads, and does what `control` says, which writes 0.raw to `count` - 1.raw."""
    deck = [
        f"* transistors of {technology.name}",
        head,
        SOURCES,
        *instances,
        OPTIONS,
        ".control",
        "echo loaded > loaded",
        *control,
        "quit",
        ".endc",
        ".end\n",
    ]
    with tempfile.TemporaryDirectory(prefix="mtc_hw_") as name:
        folder = Path(name)
        (folder / "deck.cir").write_text("\n".join(deck), encoding="ascii")
        (folder / "spinit").write_text(initialisation, encoding="ascii")
        if library is not None:
            (folder / "library").symlink_to(library.parent.resolve(), target_is_directory=True)
        start = time.time()
        log = _ngspice(folder)
        seconds = time.time() - start
        waves = []
        for raw in (folder / f"{number}.raw" for number in range(count)):
            found = read_raw(raw) if raw.exists() else None
            if found is None:
                raise TechnologyError(f"ngspice cannot run the transistors of {technology.name}: {_reason(log)}")
            waves.append(found)
        loading = (folder / "loaded").stat().st_mtime - start
        listing = (folder / RESOLVED).read_text(encoding="latin-1") if (folder / RESOLVED).exists() else ""
        return _Ran(waves, listing, seconds, loading)


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
