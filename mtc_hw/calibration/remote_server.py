"""Any instrument as a bench behind a TCP socket: a virtual chip for trials, a reference for a lab's own."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mtc_hw.calibration.observables import Instrument
from mtc_hw.calibration.session import Session
from mtc_hw.calibration.wire import LARGEST_LINE
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import MappedDesign

MOST_CLIENTS = 8
PATIENCE = 5.0  # s, for a connection's thread to end


class Server(socketserver.ThreadingTCPServer):
    """One chip for all clients: each has codes and results of its own, and they measure one after the other."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 2 * MOST_CLIENTS

    def __init__(self, instrument: Instrument, design: MappedDesign, host: str, port: int) -> None:
        self.instrument, self.design, self.measuring = instrument, design, threading.Lock()
        self._clients: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__((host, port), _Connection)

    @property
    def host(self) -> str:
        return str(self.server_address[0])

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """As `instrument_of` takes it."""
        return f"tcp://{self.host}:{self.port}"

    def enter(self, client: socket.socket) -> bool:
        """Whether there is room for one more client."""
        with self._guard:
            if len(self._clients) >= MOST_CLIENTS:
                return False
            self._clients.add(client)
            return True

    def leave(self, client: socket.socket) -> None:
        with self._guard:
            self._clients.discard(client)

    def stop(self) -> None:
        """Ends all connections. A measurement under way is not waited for."""
        self.shutdown()
        with self._guard:
            clients = list(self._clients)
        for client in clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is gone
        self.server_close()


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        assert isinstance(self.server, Server)
        if not self.server.enter(self.connection):
            return
        try:
            self._converse(Session(self.server.instrument, self.server.design, self.server.measuring))
        except OSError:
            return  # the client is gone
        finally:
            self.server.leave(self.connection)

    def _converse(self, session: Session) -> None:
        while line := self.rfile.readline(LARGEST_LINE):
            if not line.endswith(b"\n"):
                return  # too long, or cut off
            answer = session.answer(line.decode("ascii", errors="replace").strip())
            if answer is not None:
                self.wfile.write(answer + b"\n")


@contextmanager
def serve(instrument: Instrument, design: MappedDesign, host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """The server, listening within the `with` block; port 0 takes a free one.

    `design` is what the codes belong to, without deviations. There is no password: whoever reaches the port can set
    codes and measure. Raises DataError where it cannot listen.
    """
    try:
        server = Server(instrument, design, host, port)
    except (OSError, OverflowError) as error:
        raise DataError(f"cannot listen on {host}:{port}: {error}; give another port") from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE)
