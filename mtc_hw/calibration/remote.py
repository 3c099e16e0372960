"""A bench behind a TCP socket as an `Instrument`; the commands are in `docs/bench.md`."""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.link import BadAnswer, Link, LostLink, NoAnswer
from mtc_hw.calibration.observables import Observables, Request
from mtc_hw.calibration.parts import blank, joined, sizes, split, unpacked, without
from mtc_hw.calibration.settable import copies, fixed_digest, settable
from mtc_hw.calibration.wire import FETCH, PROTOCOL, code_command, code_numbers, number, numbers, part_commands, short
from mtc_hw.errors import DataError
from mtc_hw.hardware.codes_file import Key, Row, called
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.spec import Array

NOTES = 1000  # kept; the latest
UNKNOWN = '""'
"""What a bench says that cannot tell which design its chip is of."""


class RemoteInstrument:
    """Sets codes and measures over a socket; after the first measurement only codes that changed are sent.

    What the bench refuses, does not answer in time or answers wrongly is NaN, and a line of `notes`. Where the
    connection breaks or brings nonsense it is opened anew and the measurement made again, `retries` times; where it
    took too long it is not. Raises DataError at the start: no such bench, another protocol, a chip of another design.
    """

    def __init__(
        self,
        host: str,
        port: int,
        design: MappedDesign,
        timeout: float = 10.0,
        measuring: float = 600.0,
        retries: int = 1,
    ) -> None:
        self._address, self._timeout, self._measuring, self._retries = (host, port), timeout, measuring, retries
        self._design, self._fixed, self._rows = design, fixed_digest(design), settable(design)
        self._keys = {(row.array, row.index): key for key, row in self._rows.items()}
        self._sent: dict[str, Array] = {}  # codes that the bench has; NaN where it is not known
        self._lsb = np.nan  # A, of the readout's converter, as the bench has it
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._identity = ""
        self._link: Link | None = None
        try:
            self._link = self._connected()
        except LostLink as error:
            raise DataError(f"the bench at {host}:{port} {error}; look at its program and at docs/bench.md") from None

    @property
    def identity(self) -> str:
        """What the bench answers to *IDN?."""
        return self._identity

    @property
    def notes(self) -> tuple[str, ...]:
        """What went wrong, in order."""
        return tuple(self._notes)

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None

    def __enter__(self) -> "RemoteInstrument":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        if fixed_digest(codes) != self._fixed:
            self._notes.append("the codes are of another design than the bench's; nothing was measured")
            return blank(codes, request)
        found, refused = [blank(codes, part) for part in split(request)], set[Key]()
        for _ in range(1 + self._retries):
            try:
                self._link = self._link or self._connected()
                refused |= self._set(self._link, codes)
                self._measure(self._link, codes, request, found)
                break
            except (LostLink, DataError) as error:
                self.close()
                self._notes.append(f"the bench {error}" if isinstance(error, LostLink) else str(error))
                if isinstance(error, NoAnswer):
                    break
            except BaseException:
                self.close()  # an answer may still be on its way
                raise
        return self._without(refused, joined(found))

    def _connected(self) -> Link:
        """Raises DataError where it is not the bench that is wanted, LostLink where it does not keep the protocol."""
        host, port = self._address
        try:
            link = Link(host, port, self._timeout)
        except (OSError, OverflowError, UnicodeError) as error:
            raise DataError(f"no bench at {host}:{port}: {error}; start it, or mend the address") from None
        try:
            identity = link.ask("*IDN?")
            self._check(identity, link.ask("SYST:PROT?"), link.ask("CAL:DES?"))
            scale = self._design.scale
            units = [scale.volt, scale.amp, scale.second, self._design.technology.analog_ground]
            link.send(["*RST", "*CLS", f"CAL:SCAL {numbers(units)}"])
            wrong = link.errors()
            if wrong:
                raise DataError(f"the bench at {host}:{port} does not begin: {wrong[0]}; look at its program")
        except BaseException:
            link.close()
            raise
        self._identity = identity
        self._sent = {name: np.full(values.shape, np.nan) for name, values in copies(self._design).items()}
        self._lsb = np.nan
        return link

    def _check(self, identity: str, protocol: str, design: str) -> None:
        at = f"the bench at {self._address[0]}:{self._address[1]}"
        if self._identity and identity != self._identity:
            raise DataError(f"{at} is now {identity!r}, it was {self._identity!r}; begin anew with that one")
        if protocol != str(PROTOCOL):
            raise DataError(f"{at} speaks protocol {protocol[:20]!r}, expected {PROTOCOL}; see docs/bench.md")
        if design not in (UNKNOWN, self._fixed, f'"{self._fixed}"'):
            raise DataError(f"{at} has a chip of design {design[:14]}, not {self._fixed[:12]}; map that one")

    def _set(self, link: Link, codes: MappedDesign) -> set[Key]:
        """Sends what differs from what the bench has, and says what it did not take."""
        changed = self._changed(codes)
        lines = [code_command(key, row) for key, row in changed.items()]
        lsb = codes.readout_dac.lsb
        if lsb != self._lsb and len(codes.readout_offset):
            lines.append(f"CAL:READ:LSB {number(lsb)}")
        if not lines:
            return set()
        link.send(lines)
        wrong = link.errors()
        self._lsb = lsb
        for row in changed.values():
            self._sent[row.array][row.index] = row.stored
        if not wrong:
            return set()
        self._notes += wrong
        return self._refused(link, changed, lsb)

    def _changed(self, codes: MappedDesign) -> dict[Key, Row]:
        """Rows whose bits differ: NaN, what is not known, differs from every code."""
        found = {}
        for name, sent in self._sent.items():
            values = np.ascontiguousarray(getattr(codes, name), np.float64)
            for at in np.argwhere(values.view(np.int64) != sent.view(np.int64)):
                index = tuple(map(int, at))
                if (key := self._keys.get((name, index))) is not None:
                    row = self._rows[key]
                    found[key] = Row(name, index, row.dac, float(values[index]), row.unit)
        return found

    def _refused(self, link: Link, changed: dict[Key, Row], lsb: float) -> set[Key]:
        """Asks back for every code of a batch in which one was refused."""
        refused = set()
        for key, row in changed.items():
            if not _same(link.ask(f"CAL:CODE? {','.join(key)}"), code_numbers(row)):
                refused.add(key)
                self._sent[row.array][row.index] = np.nan
                self._notes.append(f"the bench did not take {called(key)} {number(row.stored)}")
        if len(self._design.readout_offset) and not _same(link.ask("CAL:READ:LSB?"), [lsb]):
            refused.add(Key("", "readout", "lsb"))
            self._lsb = np.nan
        link.errors()
        return refused

    def _without(self, refused: set[Key], seen: Observables) -> Observables:
        """What was measured, but for whose codes are not what they should be."""
        lost: NDArray[np.bool_] = np.zeros(self._design.count, np.bool_)
        lost[[int(key.neuron) for key in refused if key.neuron]] = True
        outputs = any(not key.neuron for key in refused)
        return without(seen, lost, outputs) if refused else seen

    def _measure(self, link: Link, codes: MappedDesign, request: Request, found: list[Observables]) -> None:
        """Fills in what could be measured."""
        parts = split(request)
        link.send(["CONF:CLE"])
        self._noted(link, "CONF:CLE")
        taken = []
        for index, part in enumerate(parts):
            commands = part_commands(part)
            if not commands:
                continue  # a series without samples
            link.send(commands)
            if not self._noted(link, commands[0].split()[0]):
                taken.append(index)
        if not taken:
            return
        link.send(["INIT"])
        link.ask("*OPC?", self._measuring)
        if self._noted(link, "INIT"):
            return
        fired = 0
        for index in taken:
            part = parts[index]
            where = f" {fired}" if part.firing else ""
            fired += bool(part.firing)
            found[index] = self._fetched(link, codes, part, where)

    def _fetched(self, link: Link, codes: MappedDesign, part: Request, where: str) -> Observables:
        arrays, wrong = {}, False
        for name, size in sizes(codes, part).items():
            if not size:
                arrays[name] = np.zeros(0)  # of a network without a readout
                continue
            query = short(FETCH[name]) + where
            try:
                arrays[name] = link.numbers(query, size)
            except BadAnswer as error:
                self._notes.append(f"{query}: {error}")
                wrong = True
            wrong |= self._noted(link, query)
        try:
            return blank(codes, part) if wrong else unpacked(codes, part, arrays)
        except ValueError as error:
            self._notes.append(str(error))
            return blank(codes, part)

    def _noted(self, link: Link, what: str) -> bool:
        """Whether the bench found something wrong."""
        wrong = link.errors()
        self._notes += [f"{what}: {each}" for each in wrong]
        return bool(wrong)


def _same(answer: str, wanted: Sequence[float]) -> bool:
    try:
        return [float(each) for each in answer.split(",")] == wanted
    except ValueError:
        return False
