"""Sizes of proof bundles, and the time and memory that checking them takes. `make bench BENCH=proofs`.

The event is the golden vector, a payment in a real node's block of 20 transactions. The history of a million events is
of a chain on paper, whose ledger has the 200,000 storage words of 100,000 leases, so that its path is as long as it
would be. The peer is the same check with the plain-Python keccak, to which a machine without any library falls back.
"""

import io
import json
import statistics
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from unittest import mock

from bench.record import write
from protocol import keccak
from protocol.bundle import VerifiedHistory, replay, verify, verify_history, write_history
from protocol.bundle.block import ProvedBlock
from protocol.bundle.history import export_line, export_trailer
from protocol.events import HEAD_SLOT, LedgerHead
from protocol.hashing import keccak256
from tests.support.paper_chain import LEDGER, PaperBlock, PaperChain, deposit, log_of

ROOT: Final = Path(__file__).parents[1]
VECTORS: Final = ROOT / "tests/vectors"
RUNS, CALLS = 7, 20
MILLION, STORAGE_WORDS, EXPORTED = 1_000_000, 200_000, 20_000


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


def _million() -> bytes:
    head = LedgerHead(int.from_bytes(keccak256(b"a long history")[:26], "big"), MILLION)
    chain = PaperChain(fillers=STORAGE_WORDS, head=head)
    block = chain.add()
    return write_history(LEDGER, (block.header, block.nodes([HEAD_SLOT])))


def _exported() -> tuple[VerifiedHistory, bytes]:
    """A history and its events, as `gridlease indexer export` writes them."""
    chain = PaperChain()
    lines: list[bytes] = []
    block: PaperBlock = chain.add()
    for _ in range(20):
        block = chain.add([log_of(deposit(amount)) for amount in range(EXPORTED // 20)])
        for _, topics, data in block.logs:
            lines.append(export_line(len(lines) + 1, block.number, block.time, topics, data) + b"\n")
    last = ProvedBlock(block.number, block.hash, block.time)
    trailer = export_trailer(EXPORTED, 0, last, sha256(b"".join(lines)).digest()) + b"\n"
    content = write_history(LEDGER, (block.header, block.nodes([HEAD_SLOT])))
    return verify_history(content, [block.hash]), b"".join(lines) + trailer


def _replayed() -> list[Any]:
    history, lines = _exported()
    milliseconds = _milliseconds(lambda: replay(history, io.BytesIO(lines)), 1)
    source = io.BytesIO(lines)
    tracemalloc.start()
    counted = replay(history, source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if counted != EXPORTED:
        raise SystemExit("the list is not the history: no figure")
    return [
        _row("events: replayed from a list", round(EXPORTED / milliseconds * 1000), "1/s"),
        _row(f"events: memory that replaying {EXPORTED} takes at most", round(peak / 1000, 1), "kB", 100),
    ]


def main() -> None:
    event = (VECTORS / "proof.json").read_bytes()
    million = _million()
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
    rows += _replayed()
    for row in rows:
        told = "" if row["goal"] is None else f"  at most {row['goal']}: {'yes' if row['holds'] else 'NO'}"
        print(f"{row['name']:64} {row['value']:>12} {row['unit']}{told}")
    print(write("proofs", rows))


if __name__ == "__main__":
    main()
