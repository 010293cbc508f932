"""Writes proof-*.json, proofs.expected.json and proofs.refused.json: what every verifier must say. `--check` compares.

`proof.json` is from a real node (tests/support/proof_vector.py) and is only read here.
"""

import json
import random
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from protocol.bundle import verify, write_absence, write_event, write_history, write_lease  # noqa: E402
from protocol.bundle.block import ProvedBlock  # noqa: E402
from protocol.bundle.history import export_line, export_trailer  # noqa: E402
from protocol.bundle.lease import lease_slots  # noqa: E402
from protocol.errors import BadProof  # noqa: E402
from protocol.events import EVENTS, HEAD_SLOT, EndReason, LeaseState, LedgerHead, Skip, signature  # noqa: E402
from protocol.hashing import from_hex, keccak256, to_hex  # noqa: E402
from protocol.spelling import camel  # noqa: E402
from tests.support.paper_chain import LEDGER, STRANGER, PaperBlock, PaperChain, deposit, log_of  # noqa: E402

FOLDER: Final = Path(__file__).parent
FLIPS: Final = 60

OPEN_LEASE, DISPUTED_LEASE, NO_LEASE = (keccak256(text) for text in (b"open lease", b"disputed lease", b"no lease"))
_PROVIDER, _SIGNER, _BUYER = (
    int.from_bytes(keccak256(text)[12:], "big") for text in (b"provider", b"signer", b"buyer")
)


def _words(state: LeaseState, reason: EndReason, deadline: int) -> tuple[int, int]:
    first = _PROVIDER | 3_000_000 << 160 | 1_234_567 << 208
    status = state | reason << 3 | 1 << 8
    return first, _SIGNER | deadline << 160 | 800_000 << 200 | 12 << 232 | status << 240


def _chain() -> PaperChain:
    chain = PaperChain()
    chain.add()
    chain.add([log_of(deposit(1_000_000)), (STRANGER, [keccak256(b"Other()")], b"\1" * 40), log_of(deposit(2))])
    chain.set_lease(OPEN_LEASE, _words(LeaseState.OPEN, EndReason.NONE, 1_700_000_600))
    claim = (int.from_bytes(keccak256(b"result"), "big"), 0, 2**64 - 1 | 2_000_000 << 64 | 1 << 152)
    dispute = (_BUYER | 500_000 << 160, int.from_bytes(keccak256(b"usage receipt"), "big"))
    disputed = _words(LeaseState.DISPUTED, EndReason.CLAIMED, 1_701_000_000)
    chain.set_lease(DISPUTED_LEASE, (*disputed, *claim, *dispute))
    chain.add([log_of(deposit(3))])
    chain.add()
    chain.add([(STRANGER, [keccak256(b"Other()")], b"")] * 3)
    # A crowded bloom: the ledger's bits are set, though no log is its.
    chain.add([(STRANGER, [keccak256(b"Other()")], bytes(32))] * 3, bloom=b"\xff" * 256)
    chain.add()
    chain.add([log_of(deposit(amount)) for amount in range(4, 12)])
    return chain


def _million() -> PaperBlock:
    chain = PaperChain(head=LedgerHead(int.from_bytes(keccak256(b"a long history")[:26], "big"), 1_000_000))
    return chain.add()


def _deposited() -> bytes:
    """An event of a transaction that the layer below sent."""
    block = PaperChain().add([log_of(deposit(amount)) for amount in (1, 2, 3)], deposits=True)
    return write_event(block.header, 1, block.path(1), 0)


def _end(block: PaperBlock) -> tuple[bytes, list[bytes]]:
    return block.header, block.nodes([HEAD_SLOT])


def _lease(block: PaperBlock, lease: bytes) -> bytes:
    slots = lease_slots(lease)
    words = 7 if lease == DISPUTED_LEASE else 2
    return write_lease(block.header, LEDGER, lease, block.nodes(slots[:words]))


def bundles() -> dict[str, bytes]:
    """File name → content."""
    chain = _chain()
    third, last, million = chain.blocks[2], chain.blocks[-1], _million()
    return {
        "proof.json": (FOLDER / "proof.json").read_bytes(),
        "proof-deposit.json": _deposited(),
        "proof-lease.json": _lease(last, OPEN_LEASE),
        "proof-lease-disputed.json": _lease(last, DISPUTED_LEASE),
        "proof-lease-none.json": _lease(last, NO_LEASE),
        "proof-absence.json": write_absence(LEDGER, [(block.header, block.receipts) for block in chain.blocks[3:7]]),
        "proof-history.json": write_history(LEDGER, _end(last)),
        "proof-history-million.json": write_history(LEDGER, _end(million)),
        "proof-range.json": write_history(LEDGER, _end(last), after=_end(third)),
        "proof-range-linked.json": write_history(LEDGER, _end(last), after=_end(chain.blocks[-2])),
        "proof-range-empty.json": write_history(LEDGER, _end(chain.blocks[6]), after=_end(third)),
    }


def events(first_block: int) -> bytes:
    """The exported events from `first_block` on."""
    lines, digest, head = [], sha256(), LedgerHead()
    chain = _chain()
    for block in chain.blocks:
        for address, topics, data in block.logs:
            if address != LEDGER:
                continue
            head = LedgerHead(0, head.count + 1)
            if block.number >= first_block:
                lines.append(export_line(head.count, block.number, block.time, topics, data))
                digest.update(lines[-1] + b"\n")
    last = chain.blocks[-1]
    proved = ProvedBlock(last.number, last.hash, last.time)
    lines.append(export_trailer(len(lines), first_block, proved, digest.digest()))
    return b"\n".join(lines) + b"\n"


def _ledger_of(name: str) -> bytes:
    return from_hex("0xe7f1725e7734ce288f8367e1bb143e90bb3f0512") if name == "proof.json" else LEDGER


def expected(files: dict[str, bytes]) -> dict[str, Any]:
    """What each bundle proves, and the hashes that must be trusted for it."""
    answer = {}
    for name, content in files.items():
        verified = verify(content, ledger=_ledger_of(name))
        anchors = [to_hex(block_hash) for _, block_hash in verified.anchors()]
        answer[name] = {"anchors": anchors, "ledger": verified.ledger.lower(), "facts": verified.facts()}
    return answer


EDITS: Final = [
    ("proof-lease.json", '"v":1', '"v":2'),
    ("proof-lease.json", '"v":1', '"v":true'),
    ("proof-lease.json", '"v":1', '"v":1.0'),
    ("proof-lease.json", '"v":1', '"v":1e0'),
    ("proof-lease.json", '"v":1', '"v":-1'),
    ("proof-lease.json", '"v":1', '"v":' + "9" * 400),
    ("proof-lease.json", '"v":1', '"v":NaN'),
    ("proof-lease.json", '"v":1', '"v":1,"v":1'),
    ("proof-lease.json", '"v":1', '"v":1,"w":1'),
    ("proof-lease.json", '"v":1', '"v":[' * 2000 + "1" + "]" * 2000),
    ("proof-lease.json", '"kind":"lease"', '"kind":"leas\\u0065"'),
    ("proof-lease.json", '"kind":"lease"', '"kind":"history"'),
    ("proof-lease.json", '"kind":"lease"', '"kind":"toString"'),
    ("proof-lease.json", '"kind":"lease"', '"kind":["lease"]'),
    ("proof-lease.json", '"kind":"lease"', '"kind": "lease"'),
    ("proof-lease.json", '"kind":"lease",', ""),
    ("proof-lease.json", '"claim":null', '"claim":{}'),
    ("proof-lease.json", '"paid":"1234567"', '"paid":1234567'),
    ("proof-lease.json", '"paid":"1234567"', '"paid":"1234568"'),
    ("proof-lease.json", '"state":"open"', '"state":"closing"'),
    ("proof-lease.json", '"responded":true', '"responded":1'),
    ("proof-lease.json", '"number":8', '"number":9'),
    ("proof-lease.json", '"number":8', '"number":true'),
    ("proof-lease.json", '"number":8', '"number":-8'),
    ("proof-lease.json", '"nodes":["0x', '"nodes":["0x0'),
    ("proof-lease.json", '"nodes":["0x', '"nodes":["0xZZ'),
    ("proof-lease.json", '"nodes":["0x', '"nodes":["0X'),
    ("proof-lease.json", '"nodes":["0x', '"nodes":["0xc0","0x'),
    ("proof-lease.json", '"nodes":[', '"nodes":[[],'),
    ("proof-lease.json", '"nodes":["', '"nodes":["","'),
    ("proof-lease-none.json", '"fields":null', '"fields":{}'),
    ("proof-absence.json", '"receipts":[]', '"receipts":["0xc0"]'),
    ("proof-absence.json", '"receipts":[]', '"receipts":null'),
    ("proof-history.json", '"count":11', '"count":12'),
    ("proof-history.json", '"after":null', '"after":{}'),
    ("proof-history-million.json", '"count":1000000', '"count":1000001'),
    ("proof-range.json", '"count":3', '"count":2'),
    ("proof-lease.json", '"],"v":1}', '","0xc0"],"v":1}'),
    ("proof-history.json", '"]},"v":1}', '","0xc0"]},"v":1}'),
    ("proof.json", '"last":false', '"last":0'),
    ("proof.json", '"last":false', '"last":"\\u00e9"'),
    ("proof.json", '"amount":"123456"', '"amount":"123457"'),
]


def refused(files: dict[str, bytes]) -> dict[str, Any]:
    """Edits and flipped bytes, and the step at which each fails."""
    edits = []
    for name, find, put in EDITS:
        content = files[name].decode()
        if find not in content:
            raise SystemExit(f"{name} has no {find}")
        step = _step(content.replace(find, put, 1).encode(), name, files)
        edits.append({"of": name, "find": find, "put": put, "step": step})
    flips = {}
    for name, whole in files.items():
        draw = random.Random(name)
        picked = sorted(draw.sample(range(len(whole)), FLIPS))
        flips[name] = [
            [index, mask, _step(_flipped(whole, index, mask), name, files)] for index in picked for mask in (1, 32, 128)
        ]
    return {"edits": edits, "flips": flips, "files": ["", "null", "[]", "{}", "1", '"x"', "é", "\n", "[" * 100_000]}


def _flipped(content: bytes, index: int, mask: int) -> bytes:
    return content[:index] + bytes([content[index] ^ mask]) + content[index + 1 :]


def _step(content: bytes, name: str, files: dict[str, bytes]) -> str:
    """Where it fails for a reader who trusts the right blocks and means the right ledger."""
    ledger = _ledger_of(name)
    try:
        verify(content, [block_hash for _, block_hash in verify(files[name], ledger=ledger).anchors()], ledger)
    except BadProof as error:
        return error.step
    raise SystemExit(f"it passes: {content[:200]!r}")


def event_table() -> dict[str, Any]:
    """Every event and enum of the ledger, for verifiers in other languages."""
    events = [
        {
            "signature": signature(kind),
            "indexed": kind.INDEXED,
            "fields": [[solidity, camel(name)] for name, solidity in kind.TYPES.items()],
        }
        for kind in EVENTS
    ]
    enums = {enum.__name__: [value.name.lower() for value in enum] for enum in (EndReason, Skip, LeaseState)}
    return {"events": events, "enums": enums}


def hashes() -> list[dict[str, Any]]:
    """keccak256 around the sizes at which its blocks end."""
    sizes = (1, 7, 8, 135, 136, 137, 271, 272, 273, 1000)
    return [{"size": size, "digest": keccak256(bytes(i * 7 % 256 for i in range(size))).hex()} for size in sizes]


def vectors() -> dict[str, bytes]:
    """All files of this generator."""
    files = bundles()
    texts = {
        "proofs.expected.json": expected(files),
        "proofs.refused.json": refused(files),
        "proofs.events.json": event_table(),
        "keccak.json": hashes(),
    }
    made = {name: content for name, content in files.items() if name != "proof.json"}
    made["proof-history.ndjson"], made["proof-range.ndjson"] = events(0), events(4)
    return made | {name: (json.dumps(content, indent=1) + "\n").encode() for name, content in texts.items()}


def main() -> int:
    stale = []
    for name, content in vectors().items():
        path = FOLDER / name
        if "--check" not in sys.argv:
            path.write_bytes(content)
        elif not path.exists() or path.read_bytes() != content:
            stale.append(name)
    if stale:
        sys.stderr.write(f"tests/vectors: {', '.join(stale)} out of date: run `make vectors`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
