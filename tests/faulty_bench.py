"""Benches that fail in a chosen way: a session behind a socket whose answers something tampers with."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress

from mtc_hw.calibration.session import Session

HANG_UP = object()
"""As an answer: the connection is closed."""


class Faulty:
    """`tamper(line, answer, connection)` gives the bytes that are sent instead of the answer and its line end."""

    def __init__(self, instrument, design, tamper: Callable) -> None:
        self._instrument, self._design, self.tamper = instrument, design, tamper
        self.lines: list[list[str]] = []  # of each connection
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(client)
            with client, suppress(OSError):
                self._converse(client)

    def _converse(self, client) -> None:
        session = Session(self._instrument, self._design, threading.Lock())
        self.lines.append([])
        for line in client.makefile("rb"):
            text = line.decode().strip()
            self.lines[-1].append(text)
            answer = session.answer(text)
            sent = self.tamper(text, None if answer is None else answer + b"\n", len(self.lines))
            if sent is HANG_UP:
                return
            if sent is not None:
                client.sendall(sent)

    def close(self) -> None:
        # accept() sleeps on until a shutdown.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join(5.0)


@contextmanager
def faulty(instrument, design, tamper):
    bench = Faulty(instrument, design, tamper)
    try:
        yield bench
    finally:
        bench.close()


def when(beginning: str, instead, connections=(1, 2, 3)):
    """Tampers with the answers to lines that begin so: what is sent instead, or a function of the answer."""

    def tamper(line, answer, connection):
        if not line.startswith(beginning) or connection not in connections:
            return answer
        return instead(answer) if callable(instead) else instead

    return tamper


def honest(line, answer, connection):
    return answer


def late(answer):
    time.sleep(0.3)
    return answer
