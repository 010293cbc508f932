"""How the follower is doing, for machines: Prometheus metrics, and whether its mirror should be read.

A mirror that is behind, halted or silent is not ready: whoever balances load takes it out, and readers that ask anyhow
still get its last state with its level and block.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from indexer.commit import CursorRow
    from indexer.source import NodeHead

#: behind the node by more blocks than this is not ready
_READY_BLOCKS: Final = 10
#: without a good look at the node for longer than this is not ready
_READY_SECONDS: Final = 30.0
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Watch:
    """Counts what the follower tells it; one registry each, so that two followers in one process do not mix."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._looked_at: float | None = None
        self._halted: str | None = None
        self._node_number = 0
        self._number = 0
        self.registry = CollectorRegistry()
        name = "gridlease_indexer_{}".format
        self._block = self._gauge(name("block"), "Newest block in the mirror.")
        self._node_block = self._gauge(name("node_block"), "Newest block that the node names.")
        self._proved = self._gauge(name("proved_block"), "Newest block whose ledger head a storage proof shows.")
        self._finalized = self._gauge(name("finalized_block"), "Blocks up to this one are never undone.")
        self._events = self._gauge(name("events"), "Canonical events, skipped items included.")
        self._epoch = self._gauge(name("reorg_epoch"), "Grows with every rollback.")
        self._is_halted = self._gauge(name("halted"), "1 while the mirror refuses to write.")
        self._source = self._gauge(name("source"), "Which node is in use, counted from 0.")
        self._undone = Counter(name("blocks_undone"), "Blocks undone by reorgs.", registry=self.registry)
        self._failures = Counter(
            name("failures"), "Looks at a node that failed, by error.", ["code"], registry=self.registry
        )
        self._step = Histogram(
            name("commit_seconds"), "Seconds to store a range.", buckets=_BUCKETS, registry=self.registry
        )

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(name, says, registry=self.registry)

    def looked(self, head: "NodeHead", source: int) -> None:
        """The node answered with its head."""
        self._looked_at = self._now()
        self._node_number = head.number
        self._node_block.set(head.number)
        self._source.set(source)

    def moved(self, cursor: "CursorRow") -> None:
        """The cursor is here."""
        self._number, self._halted = cursor.number or 0, cursor.halted
        self._block.set(self._number)
        self._proved.set(cursor.proved_number or 0)
        self._finalized.set(cursor.finalized_number)
        self._events.set(cursor.event_count)
        self._epoch.set(cursor.reorg_epoch)
        self._is_halted.set(cursor.halted is not None)

    def committed(self, seconds: float) -> None:
        """A range was stored."""
        self._step.observe(seconds)

    def undone(self, blocks: int) -> None:
        """A reorg was undone."""
        self._undone.inc(blocks)

    def failed(self, error: Exception) -> None:
        """A look failed."""
        self._failures.labels(code=getattr(error, "code", type(error).__name__)).inc()

    def faults(self) -> list[str]:
        """Why the mirror should not be read; empty = ready."""
        found = []
        if self._halted is not None:
            found.append(f"halted: {self._halted}")
        if self._looked_at is None:
            found.append("no node has answered yet")
        elif self._now() - self._looked_at > _READY_SECONDS:
            found.append(f"no node has answered for {self._now() - self._looked_at:.0f} s")
        behind = self._node_number - self._number
        if behind > _READY_BLOCKS:
            found.append(f"{behind} blocks behind the node")
        return found


class _Quiet(WSGIRequestHandler):
    """A line of log for each scrape says nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        pass


class WatchServer:
    """Serves /metrics, /livez and /readyz on a thread of its own."""

    def __init__(self, watch: Watch, host: str, port: int) -> None:
        self._server: WSGIServer = make_server(host, port, _app(watch), handler_class=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, name="watch", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _app(watch: Watch) -> Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]:
    metrics = make_wsgi_app(watch.registry)

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start)
            return answer
        if path not in ("/livez", "/readyz"):
            return _answer(start, "404 Not Found", {"paths": ["/metrics", "/livez", "/readyz"]})
        faults = watch.faults() if path == "/readyz" else []
        status = "503 Service Unavailable" if faults else "200 OK"
        return _answer(start, status, {"ready": not faults, "faults": faults} if path == "/readyz" else {"live": True})

    return app


def _answer(start: "StartResponse", status: str, body: dict[str, Any]) -> list[bytes]:
    start(status, [("content-type", "application/json")])
    return [json.dumps(body).encode()]
