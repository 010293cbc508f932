"""A server that takes webhooks, well or badly, over HTTP or TLS."""

import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Taken:
    """A request as it arrived."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    url: str
    port: int
    taken: list[Taken] = field(default_factory=list)
    #: status by number of the request, from 0
    answers: Callable[[int], int] = lambda _: 204
    #: what it does instead of an answer that ends
    misbehave: Callable[[BaseHTTPRequestHandler], None] | None = None


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """On a free port of 127.0.0.1."""
    held: list[Receiver] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver = held[0]
            body = self.rfile.read(int(self.headers["content-length"]))
            if len(body) < int(self.headers["content-length"]):
                # Its sender died in the middle of it.
                return
            receiver.taken.append(Taken({name.lower(): value for name, value in self.headers.items()}, body))
            if receiver.misbehave is not None:
                receiver.misbehave(self)
                return
            status = receiver.answers(len(receiver.taken) - 1)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"{receiver.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silence."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Connections that the client cuts are no news."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    held.append(Receiver(f"{'https' if context else 'http'}://127.0.0.1:{port}", port))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield held[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Headers that never end, one every moment, so that no single read waits long."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        handler.wfile.write(f"x-{number}: y\r\n".encode())
        handler.wfile.flush()
        time.sleep(0.05)


def flood(handler: BaseHTTPRequestHandler) -> None:
    """A body that ends after a very long time."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100_000):
        handler.wfile.write(b"x" * 65_536)


def certificate(folder: Path, host: str) -> Path:
    """A self-signed one with its key, in one file, made by the system's openssl."""
    key, made = folder / "key.pem", folder / "cert.pem"
    wanted = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={host}"
    named = ["-addext", f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(made)]
    subprocess.run(["openssl", *wanted.split(), *named], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text(key.read_text() + made.read_text())
    return both
