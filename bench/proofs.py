"""Sizes of proof bundles, and the time and memory that checking them takes. `make bench BENCH=proofs`.

The event is the golden vector, a payment in a real node's block of 20 transactions. The history of a million events is
of a chain on paper: all of them are made and replayed against its one storage proof, and its ledger has the 200,000
storage words of 100,000 leases, so that its path is as long as it would be. The peer is the same check with keccak in
plain Python, to which a machine without any library falls back.
"""

import json
import statistics
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from unittest import mock

from bench.record import write
from protocol import keccak
from protocol.bundle import replay, verify, verify_history, write_history
from protocol.bundle.block import ProvedBlock
from protocol.bundle.history import export_line, export_trailer
from protocol.events import HEAD_SLOT, LedgerHead, event_hash
from tests.support.paper_chain import LEDGER, START_TIME, PaperChain, deposit, log_of

ROOT: Final = Path(__file__).parents[1]
VECTORS: Final = ROOT / "tests/vectors"
RUNS, CALLS = 7, 20
MILLION, STORAGE_WORDS, FEW = 1_000_000, 200_000, 20_000


def _row(name: str, value: float, unit: str, most: float | None = None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "goal": most, "holds": None if most is None else value <= most}


def _milliseconds(call: Callable[[], object], calls: int = CALLS) -> float:
    """Median of `RUNS` means."""
    means = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        for _ in range(calls):
            call()
        means.append((time.perf_counter() - begun) / calls * 1000)
    return round(statistics.median(means), 3)


def _binary_bytes(value: Any) -> int:
    """Header and trie nodes of a bundle before hex."""
    if isinstance(value, dict):
        inner = sum(_binary_bytes(item) for name, item in value.items() if name not in ("header", "nodes", "receipts"))
        texts = [value.get("header", "0x"), *value.get("nodes", []), *value.get("receipts", [])]
        return inner + sum((len(text) - 2) // 2 for text in texts if isinstance(text, str))
    return sum(_binary_bytes(item) for item in value) if isinstance(value, list) else 0


def _sized(what: str, content: bytes, most_binary: int | None = None, most_file: int | None = None) -> list[Any]:
    return [
        _row(f"{what}: header and nodes before hex", _binary_bytes(json.loads(content)), "B", most_binary),
        _row(f"{what}: the file", len(content), "B", most_file),
    ]


def _timed(what: str, content: bytes, most_ms: float | None = None) -> list[Any]:
    hashes = [block_hash for _, block_hash in verify(content, ledger=_ledger(content)).anchors()]

    def check() -> object:
        return verify(content, hashes, _ledger(content))

    rows = [_row(f"{what}: check", _milliseconds(check), "ms", most_ms)]
    with mock.patch.object(keccak, "_compiled", None):
        rows.append(_row(f"{what}: check with keccak in plain Python", _milliseconds(check, 2), "ms"))
    return rows


def _ledger(content: bytes) -> bytes:
    return bytes.fromhex(json.loads(content)["ledger"][2:])


def _in_node(name: str) -> list[Any]:
    """The same check by explorer/static/verify.js."""
    script = f"""
      import {{ readFileSync }} from "node:fs";
      import {{ verify }} from "{ROOT.as_uri()}/explorer/static/verify.js";
      const data = new Uint8Array(readFileSync("{VECTORS / name}"));
      const times = [];
      for (let run = 0; run < {RUNS}; run++) {{
        const begun = performance.now();
        for (let call = 0; call < {CALLS}; call++) verify(data);
        times.push((performance.now() - begun) / {CALLS});
      }}
      console.log(times.sort((a, b) => a - b)[{RUNS // 2}]);
    """
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    return [_row("event: check by verify.js in Node", round(float(done.stdout), 3), "ms", 5)]


class _List:
    """A list of events that is made while it is read, as if it were a file of some 300 MB; all are of block 1."""

    def __init__(self, count: int, last: ProvedBlock) -> None:
        self._lines = self._made(count, last)

    def readline(self, _: int) -> bytes:
        return next(self._lines, b"")

    @staticmethod
    def _made(count: int, last: ProvedBlock) -> Iterator[bytes]:
        digest = sha256()
        for index in range(count):
            _, topics, data = log_of(deposit(index))
            line = export_line(index + 1, last.number, last.time, topics, data) + b"\n"
            digest.update(line)
            yield line
        yield export_trailer(count, 0, last, digest.digest()) + b"\n"


def _history(count: int, storage_words: int) -> tuple[bytes, ProvedBlock]:
    """The bundle of a ledger with `count` events, and its block."""
    head = LedgerHead()
    for index in range(count):
        _, topics, data = log_of(deposit(index))
        head = head.advance(1, START_TIME + 12, event_hash(topics, data))
    block = PaperChain(fillers=storage_words, head=head).add()
    content = write_history(LEDGER, (block.header, block.nodes([HEAD_SLOT])))
    return content, ProvedBlock(block.number, block.hash, block.time)


def _replay(content: bytes, last: ProvedBlock, count: int) -> float:
    """Seconds."""
    history, lines = verify_history(content, [last.hash]), _List(count, last)
    begun = time.perf_counter()
    if replay(history, cast("BinaryIO", lines)) != count:
        raise SystemExit("the list is not the history: no figure")
    return time.perf_counter() - begun


def _replayed(million: bytes, last: ProvedBlock) -> list[Any]:
    seconds = _replay(million, last, MILLION)
    few, few_last = _history(FEW, 60)
    tracemalloc.start()
    _replay(few, few_last, FEW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return [
        _row("1,000,000 events made and replayed against that one proof", round(seconds), "s"),
        _row(f"memory that replaying {FEW:,} events takes at most", round(peak / 1000, 1), "kB", 100),
    ]


def main() -> None:
    event = (VECTORS / "proof.json").read_bytes()
    million, last = _history(MILLION, STORAGE_WORDS)
    rows = [
        *_sized("event in a block of 20 transactions", event, most_binary=6_000),
        *_timed("event", event, most_ms=5),
        *_in_node("proof.json"),
        *_sized("history of 1,000,000 events", million, most_file=8_000),
        *_timed("history of 1,000,000 events", million),
    ]
    for name in ("lease", "lease-disputed", "lease-none", "absence", "range"):
        content = (VECTORS / f"proof-{name}.json").read_bytes()
        rows += [*_sized(name, content), *_timed(name, content)]
    rows += _replayed(million, last)
    for row in rows:
        told = "" if row["goal"] is None else f"  at most {row['goal']}: {'yes' if row['holds'] else 'NO'}"
        print(f"{row['name']:64} {row['value']:>12} {row['unit']}{told}")
    print(write("proofs", rows))


if __name__ == "__main__":
    main()
