"""Ranges of light blocks from one node: what is asked, in what size, and the checks that make it a fact."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from msgspec import Raw

from indexer.backfill.decode import decode_span
from indexer.backfill.light import LightBlock
from indexer.backfill.read import of_logs, of_receipts
from indexer.backfill.spans import Span
from indexer.blooms import Blooms
from indexer.errors import BadBlock
from indexer.headers import read_headers
from indexer.layout import Layout
from indexer.proofs import HEAD_KEYS, read_head_slot
from indexer.ranges import RangeSize
from protocol.errors import BadHex, NodeUnavailable, RpcRefused
from protocol.events import BadEvent, LedgerHead
from protocol.hashing import from_hex, to_hex
from protocol.proofs import Header
from protocol.rpc import Rpc

#: how the ledger's logs of a range are shown to be all there are
Mode: TypeAlias = Literal["receipts", "head"]

_FIRST_BLOCKS: Final = 8
#: of a block that nobody asked for
_NONE: Final = Raw(b"[]")
#: a range should not hold many more logs than this: two of them are in memory, as JSON and as values
_MOST_LOGS: Final = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A backfill: blocks `first` … `newest`, which follow `parent_hash`, a ledger head and so many events."""

    #: of the ledger that is wanted
    blooms: Blooms
    first: int
    newest: int
    parent_hash: bytes | None
    head: LedgerHead
    event_count: int
    mode: Mode
    most_blocks: int
    #: of the tables whose rows should come packed
    layouts: dict[str, Layout]


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a node said of a range, unchecked."""

    first: int
    headers: list[Any]
    #: an `eth_getLogs`, or receipts by block, none where its header was said to rule out logs of ours
    logs: list[Raw]
    proof: Any


def fetch_light(rpc: Rpc, blooms: Blooms, numbers: list[int]) -> list[LightBlock]:
    """These blocks, by their receipts. Raises `BadBlock`, `ParentMismatch` and what `Rpc` raises."""
    found = []
    headers = rpc.batch([("eth_getBlockByNumber", (hex(number), False)) for number in numbers])
    for number, answer in zip(numbers, headers, strict=True):
        read = read_headers(number, [answer], None)
        if not read:
            raise BadBlock(number, "header", "the node does not have it")
        (said,) = _ask_receipts(rpc, blooms, number, [answer])
        found.append(light_of_receipts(*read[0], said, blooms))
    return found


def _ask_receipts(rpc: Rpc, blooms: Blooms, first: int, headers: list[Any]) -> list[Raw]:
    """The receipts of the blocks from `first` on whose header, as the node says it, allows for logs of ours; else none.

    The root in each header says whether they are of its fork, so they can be asked for by number.
    """
    wanted = [number for number, header in enumerate(headers, start=first) if _may_hold(header, blooms)]
    said = rpc.batch_raw([("eth_getBlockReceipts", (hex(number),)) for number in wanted])
    by_number = dict(zip(wanted, said, strict=True))
    return [by_number.get(number, _NONE) for number in range(first, first + len(headers))]


def _may_hold(header: Any, blooms: Blooms) -> bool:
    """Whether to ask; a header that cannot be read is refused later."""
    try:
        return blooms.allow_said(from_hex(header["receiptsRoot"], 32), from_hex(header["logsBloom"], 256))
    except (KeyError, TypeError, BadHex):
        return False


def light_of_receipts(header: Header, encoded: bytes, said: Raw, blooms: Blooms) -> LightBlock:
    """A block by its receipts, which only one whose header allows for logs of ours needs. Raises `BadBlock`."""
    if not blooms.allow(header):
        return LightBlock(encoded, "bloom", [])
    return of_receipts(header, encoded, said, blooms.ledger)


class Fetcher:
    """Ranges one after another; the next is asked for while the one before is checked."""

    def __init__(self, rpc: Rpc, wanted: Wanted) -> None:
        self._rpc = rpc
        self._wanted = wanted
        self._size = RangeSize(min(_FIRST_BLOCKS, wanted.most_blocks), wanted.most_blocks)
        #: logs a block, as of the range before
        self._density = 0.0
        self._head, self._event_count = wanted.head, wanted.event_count

    def spans(self) -> Iterator[Span]:
        """Verified, up to the newest block. Raises `BadBlock`, `BadProof`, `ParentMismatch` and what `Rpc` raises."""
        parent_hash, first = self._wanted.parent_hash, self._wanted.first
        with ThreadPoolExecutor(1) as thread:
            coming: Future[_Answers] = thread.submit(self._ask, first)
            while True:
                answers = coming.result()
                following = answers.first + len(answers.headers)
                if following <= self._wanted.newest:
                    coming = thread.submit(self._ask, following)
                span, parent_hash = self._check(answers, parent_hash)
                if span.blocks:
                    yield span
                if len(span.blocks) < len(answers.headers) or following > self._wanted.newest:
                    return

    def _ask(self, first: int) -> _Answers:
        while True:
            last = min(self._wanted.newest, first + self._blocks() - 1)
            asked, begun = last - first + 1, time.monotonic()
            try:
                answers = self._ask_range(first, last)
            except (NodeUnavailable, RpcRefused) as error:
                if not self._size.refused(asked, error):
                    raise
                continue
            self._size.answered(asked, time.monotonic() - begun)
            return answers

    def _blocks(self) -> int:
        fits = int(_MOST_LOGS / self._density) if self._density else self._size.blocks
        return max(1, min(self._size.blocks, fits))

    def _ask_range(self, first: int, last: int) -> _Answers:
        headers = [("eth_getBlockByNumber", (hex(number), False)) for number in range(first, last + 1)]
        if self._wanted.mode == "head":
            ledger = to_hex(self._wanted.blooms.ledger)
            logs = {"fromBlock": hex(first), "toBlock": hex(last), "address": ledger}
            *found, said, proof = self._rpc.batch_raw(
                [*headers, ("eth_getLogs", (logs,)), ("eth_getProof", (ledger, HEAD_KEYS, hex(last)))]
            )
            return _Answers(first, self._rpc.decoded(found), [said], *self._rpc.decoded([proof]))
        found = self._rpc.batch(headers)
        return _Answers(first, found, _ask_receipts(self._rpc, self._wanted.blooms, first, found), None)

    def _check(self, answers: _Answers, parent_hash: bytes | None) -> tuple[Span, bytes | None]:
        headers = read_headers(answers.first, answers.headers, parent_hash)
        if not headers:
            return Span.end(), parent_hash
        blooms = self._wanted.blooms
        last = headers[-1][0]
        slot = None
        if self._wanted.mode == "head":
            if len(headers) < len(answers.headers):
                # The logs are of more blocks than were linked, so there is no telling what they prove.
                return Span.end(), parent_hash
            blocks = of_logs(headers, answers.logs[0], blooms)
            slot = read_head_slot(answers.proof, last, blooms.ledger)
        else:
            blocks = [
                light_of_receipts(header, encoded, said, blooms)
                for (header, encoded), said in zip(headers, answers.logs, strict=False)
            ]
        self._density = sum(len(block.logs) for block in blocks) / len(blocks)
        return self._span(blocks, last.number, slot), last.hash

    def _span(self, blocks: list[LightBlock], last: int, slot: int | None) -> Span:
        try:
            span = decode_span(blocks, self._head, self._event_count, self._wanted.layouts, proved=slot is not None)
        except BadEvent as error:
            if slot is None:
                raise
            # Nothing says yet that these logs are the ledger's, so it is the node that is wrong.
            raise BadBlock(last, "logs", str(error)) from error
        head = span.blocks[-1].head
        if slot is not None:
            proved = LedgerHead.from_slot(slot)
            if proved != head:
                found = f"{head.count} logs, the contract counts {proved.count}"
                raise BadBlock(last, "ledger head", f"{found}, or some are others")
        self._head = head
        self._event_count += len(span.log_indexes)
        return span
