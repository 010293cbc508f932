"""A TCP gate before a server: it can be shut, opened again, and cut a connection at a word of the client's."""

import contextlib
import socket
import threading
import time
from typing import Final

from tests.support.anvil import free_port

_PIECE: Final = 65_536
_PORT_SECONDS: Final = 20.0


class Gate:
    """Listens on a port of its own; what comes goes to `port` on this machine."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._target = port
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._word: tuple[bytes, bool] | None = None
        #: clients that hear nothing more: with the next answer they are cut
        self._muted: set[socket.socket] = set()
        self._lock = threading.Lock()
        #: connections that were cut at the word
        self.cuts = 0

    def open(self) -> None:
        """Again, where it was open already, changes nothing."""
        if self._listener is not None:
            return
        listener = self._listen()
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Nobody comes in, and whoever is in is thrown out."""
        if self._listener is not None:
            # `close` alone does not wake a thread that accepts.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            _close(connection)

    def cut_at(self, word: bytes | None, *, after: bool = False) -> None:
        """The next connection whose client says the word is cut, before the server hears it or after; None = none."""
        self._word = None if word is None else (word, after)

    def _listen(self) -> socket.socket:
        deadline = time.monotonic() + _PORT_SECONDS
        while True:
            try:
                return socket.create_server(("127.0.0.1", self.port))
            except OSError:
                # While it was shut, the system may have lent the port to somebody's connection.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._connections |= {client, server}
            threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                word = self._word
                if is_client and word is not None and word[0] in piece:
                    self._word = None
                    if not word[1]:
                        self.cuts += 1
                        break
                    # Before the server hears it: its answer may be there at once.
                    self._muted.add(source)
                elif target in self._muted:
                    # It has done what it answers.
                    self._muted.discard(target)
                    self.cuts += 1
                    break
                target.sendall(piece)
        _close(source)
        _close(target)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
