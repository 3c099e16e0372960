"""A connection to a bench: lines and blocks with limits of time and size. Nothing that comes is trusted."""

import logging
import re
import socket
import time
from collections.abc import Sequence

import numpy as np

from mtc_hw.calibration.wire import LARGEST_BLOCK, LARGEST_LINE, from_block, from_text
from mtc_hw.spec import Array

LEAST_RATE = 1e5  # bytes a second that an answer must come with once it has begun
CHUNK = 1 << 16
MOST_ERRORS = 100  # read from the instrument's queue at once

logger = logging.getLogger("mtc_hw.bench")
"""Every line that crosses, at level DEBUG."""


class BadAnswer(Exception):
    """One answer is useless; the connection is in order."""


class LostLink(Exception):
    """The connection broke, or what came on it makes no sense: nothing that follows can be told apart."""


class NoAnswer(LostLink):
    """Nothing came in time."""


class Link:
    """Raises OSError on opening, later LostLink; whoever sees one closes the link."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._timeout = timeout  # s
        self._buffer = bytearray()
        self._socket = socket.create_connection((host, port), timeout)
        # Commands and queries take turns; held back for a fuller packet, each would wait 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._socket.close()

    def send(self, lines: Sequence[str]) -> None:
        for line in lines:
            logger.debug("> %s", line)
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall("".join(f"{line}\n" for line in lines).encode("ascii"))
        except TimeoutError:
            raise NoAnswer(f"did not take {lines[0].split()[0]} in {self._timeout:g} s") from None
        except OSError as error:
            raise LostLink(f"broke the connection: {error}") from None

    def ask(self, query: str, timeout: float | None = None) -> str:
        """The line that answers, without its end."""
        self._begin(query)
        line = self._line(self._deadline(timeout), LARGEST_LINE)
        logger.debug("< %s", line)
        return line

    def errors(self) -> list[str]:
        """What stands in the instrument's error queue; it is empty afterwards."""
        found: list[str] = []
        while len(found) < MOST_ERRORS:
            line = self.ask("SYST:ERR?")
            code = re.match(r"[+-]?\d{1,6}\b", line)
            if code is None:
                raise LostLink(f"answers SYST:ERR? with {line[:40]!r}, which begins with no number")
            if int(code[0]) == 0:
                return found
            found.append(line[:200])
        raise LostLink(f"has more than {MOST_ERRORS} errors")

    def numbers(self, query: str, expected: int, timeout: float | None = None) -> Array:
        """A block or a list of numbers. Raises BadAnswer for none, and for what are no numbers."""
        self._begin(query)
        deadline = self._deadline(timeout)
        self._until(1, deadline)
        if self._buffer[:1] == b"#":
            values = self._block(deadline)
        else:
            line = self._line(deadline, LARGEST_LINE + 32 * expected)
            logger.debug("< %s", line[:80])
            if not line:
                raise BadAnswer("no data")
            try:
                values = from_text(line)
            except ValueError:
                raise BadAnswer(f"{line[:40]!r} is no list of numbers") from None
        return values

    def _begin(self, query: str) -> None:
        if self._buffer:
            raise LostLink(f"sent {bytes(self._buffer[:40])!r}, which was not asked for")
        self.send([query])

    def _deadline(self, timeout: float | None) -> float:
        return time.monotonic() + (self._timeout if timeout is None else timeout)

    def _block(self, deadline: float) -> Array:
        self._until(2, deadline)
        digits = self._buffer[1:2]
        if not digits.isdigit() or digits == b"0":
            raise LostLink(f"sent a block that begins {bytes(self._buffer[:2])!r}; its length must be definite")
        start = 2 + int(digits)
        self._until(start, deadline)
        length = bytes(self._buffer[2:start])
        if not length.isdigit() or int(length) > LARGEST_BLOCK:
            raise LostLink(f"sent a block of {length!r} bytes, at most are {LARGEST_BLOCK}")
        end = start + int(length)
        self._until(end + 1, deadline + int(length) / LEAST_RATE)
        if self._buffer[end : end + 1] == b"\r":
            self._until(end + 2, deadline + int(length) / LEAST_RATE)
        body, rest = bytes(self._buffer[start:end]), bytes(self._buffer[end:])
        self._buffer.clear()
        logger.debug("< a block of %d bytes", len(body))
        if rest not in (b"\n", b"\r\n"):
            raise LostLink(f"sent {rest[:40]!r} behind a block")
        if len(body) % 8:
            raise BadAnswer(f"a block of {len(body)} bytes is no float64")
        return np.asarray(from_block(body))

    def _line(self, deadline: float, limit: int) -> str:
        seen = 0
        while (end := self._buffer.find(b"\n", seen)) < 0:
            seen = len(self._buffer)
            if seen >= limit:
                raise LostLink(f"sent a line of more than {limit} bytes")
            self._until(seen + 1, deadline)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        text = line.removesuffix(b"\r")
        if not text.isascii() or not (text.decode("ascii") or " ").isprintable():
            raise LostLink(f"sent {line[:40]!r}, which is no text")
        return text.decode("ascii")

    def _until(self, size: int, deadline: float) -> None:
        """Reads until the buffer holds so many bytes."""
        while len(self._buffer) < size:
            left = deadline - time.monotonic()
            if left <= 0.0:
                raise NoAnswer("gave no whole answer in time")
            try:
                self._socket.settimeout(left)
                came = self._socket.recv(CHUNK)
            except TimeoutError:
                continue  # the deadline says so
            except OSError as error:
                raise LostLink(f"broke the connection: {error}") from None
            if not came:
                raise LostLink("closed the connection")
            self._buffer += came
