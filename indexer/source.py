"""What is fetched from a node, and the checks that make it a fact.

A block counts only when its header hashes to its hash, links to its parent, and its transactions and receipts rebuild
the header's roots. Receipts are asked by block hash, so two nodes behind one address cannot mix forks; `removed`,
`logIndex` and every other word of a node that no hash binds is ignored.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from indexer.blooms import Blooms
from indexer.encoding import Json, UnknownType, read_receipt, transaction_raw
from indexer.errors import BadBlock
from indexer.headers import LIMIT, SHAPE, read_headers
from indexer.transactions import recipient_of
from protocol.deployment import Deployment
from protocol.errors import RpcRefused
from protocol.hashing import from_hex, to_hex
from protocol.proofs import Header, TransactionReceipt, parse_receipt
from protocol.rpc import Rpc
from protocol.tries import ordered_root

#: how often a node is asked what is final
_FINAL_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Contracts:
    """The addresses that a transaction touches us by, 20 bytes each, and what a header says of them."""

    ledger: bytes
    token: bytes
    #: the chain's header blooms have every log's address
    complete_blooms: bool = True

    @classmethod
    def of(cls, deployment: Deployment) -> "Contracts":
        return cls(from_hex(deployment.ledger, 20), from_hex(deployment.token, 20), deployment.complete_blooms)

    @property
    def blooms(self) -> Blooms:
        return Blooms(self.ledger, self.complete_blooms)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBlock:
    """A block whose every byte here is bound by its hash."""

    header: Header
    header_rlp: bytes
    #: all of the block's, raw, if it may touch us; else empty
    transactions: tuple[bytes, ...]
    #: all of the block's, consensus-encoded, if it may touch us; else empty
    receipts: tuple[bytes, ...]
    #: what the receipts say
    outcomes: tuple[TransactionReceipt, ...]

    @classmethod
    def of_raw(
        cls, header: Header, encoded: bytes, transactions: tuple[bytes, ...], receipts: tuple[bytes, ...]
    ) -> "VerifiedBlock":
        """Raises `BadProof` when a receipt is none."""
        return cls(
            header=header,
            header_rlp=encoded,
            transactions=transactions,
            receipts=receipts,
            outcomes=tuple([parse_receipt(raw) for raw in receipts]),
        )

    @property
    def touches(self) -> bool:
        """Whether it was fetched whole; the others provably hold no log of ours."""
        return bool(self.transactions)


@dataclass(frozen=True, slots=True)
class NodeHead:
    """What the node says of itself now."""

    number: int
    hash: bytes
    #: by its `finalized` tag, or by depth where it has none
    finalized_number: int


class Every:
    """Something that is due at once, and then once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = float("-inf")

    def due(self) -> bool:
        """Whether it is; if so it counts as done."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Source:
    """One node."""

    #: of a pool: which one is in use
    current = 0

    def __init__(self, rpc: Rpc, contracts: Contracts, finality_blocks: int) -> None:
        self.rpc = rpc
        self._contracts = contracts
        self._finality_blocks = finality_blocks
        self._has_finalized_tag = True
        self._asked_final = Every(_FINAL_SECONDS)
        self._final: int | None = None
        #: the node's newest block as it gave it, with its number
        self._newest: tuple[int, Json] | None = None

    def failed(self, error: Exception) -> bool:
        """There is no other node to turn to."""
        return False

    def behind(self, wanted: int) -> bool:
        """As above."""
        return False

    def identity(self) -> tuple[int, str]:
        """Chain id and hash of block 0."""
        chain_id, genesis = self.rpc.batch([("eth_chainId", ()), ("eth_getBlockByNumber", ("0x0", False))])
        try:
            return int(chain_id, 16), to_hex(from_hex(genesis["hash"], 32))
        except SHAPE as error:
            raise BadBlock(0, "shape", f"the node does not say which chain it is of: {error!r}") from error

    def head(self) -> NodeHead:
        """The node's head; whether it is the chain's is for the caller to find out.

        It is asked whole, because mostly it is the next block; and now and then what is final.
        """
        ask_final = self._has_finalized_tag and self._asked_final.due()
        calls = [("eth_getBlockByNumber", ("latest", True)), ("eth_getBlockByNumber", ("finalized", False))]
        try:
            answers = self.rpc.batch(calls if ask_final else calls[:1])
        except RpcRefused:
            if not ask_final:
                raise
            self._has_finalized_tag = False
            return self.head()
        try:
            number, block_hash = _height(answers[0]), from_hex(answers[0]["hash"], 32)
            if ask_final and answers[1] is not None:
                self._final = _height(answers[1])
        except SHAPE as error:
            raise BadBlock(-1, "shape", f"the head is not a block: {error!r}") from error
        self._newest = (number, answers[0])
        depth = max(0, number - self._finality_blocks)
        return NodeHead(number, block_hash, depth if self._final is None else self._final)

    def hash_at(self, number: int) -> bytes | None:
        """The node's block at a height; None above its head."""
        return self.hashes_at([number])[0]

    def hashes_at(self, numbers: Sequence[int]) -> list[bytes | None]:
        """Like `hash_at`, of several heights at once."""
        blocks = self.rpc.batch([("eth_getBlockByNumber", (hex(number), False)) for number in numbers])
        return [_hash_of(number, block) for number, block in zip(numbers, blocks, strict=True)]

    def blocks(self, first: int, last: int, parent_hash: bytes | None) -> list[VerifiedBlock]:
        """Verified blocks from `first`, linked to `parent_hash`; fewer than asked when the node changed in between.

        Raises `ParentMismatch` when not even the first one links, `BadBlock` when an answer does not fit a hash.
        """
        newest, self._newest = self._newest, None
        known = [newest[1]] if newest is not None and newest[0] == last else []
        asked = [("eth_getBlockByNumber", (hex(number), True)) for number in range(first, last + 1 - len(known))]
        answers = [*self.rpc.batch(asked), *known]
        linked = read_headers(first, answers, parent_hash)
        return self._with_receipts(
            [
                (header, encoded, _verify_transactions(header, answer))
                for (header, encoded), answer in zip(linked, answers, strict=False)
            ]
        )

    def _with_receipts(self, found: list[tuple[Header, bytes, tuple[bytes, ...]]]) -> list[VerifiedBlock]:
        wanted = [header for header, _, transactions in found if self._may_touch(header, transactions)]
        answers = self.rpc.batch([("eth_getBlockReceipts", (to_hex(header.hash),)) for header in wanted])
        receipts = {
            header.hash: _verify_receipts(header, answer) for header, answer in zip(wanted, answers, strict=True)
        }
        blocks = []
        for header, encoded, transactions in found:
            raw, outcomes = receipts.get(header.hash, ((), ()))
            blocks.append(
                VerifiedBlock(
                    header=header,
                    header_rlp=encoded,
                    transactions=transactions if raw else (),
                    receipts=raw,
                    outcomes=outcomes,
                )
            )
        return blocks

    def _may_touch(self, header: Header, transactions: tuple[bytes, ...]) -> bool:
        """False proves it: the header has no false negatives, and the transactions are all there."""
        ours = (self._contracts.ledger, self._contracts.token)
        return self.may_hold_events(header) or any(recipient_of(raw) in ours for raw in transactions)

    def may_hold_events(self, header: Header) -> bool:
        """False proves that the block holds no log of the ledger."""
        return self._contracts.blooms.allow(header)


def fetch_receipts(rpc: Rpc, header: Header) -> list[bytes]:
    """All receipts of one block, consensus-encoded. Raises `BadBlock` and what `Rpc` raises."""
    answer = rpc.call("eth_getBlockReceipts", to_hex(header.hash))
    return list(_verify_receipts(header, answer)[0])


def _hash_of(number: int, block: Json | None) -> bytes | None:
    """By its header: a hash that a node only says would make us take back what is final."""
    found = read_headers(number, [block], None)
    return found[0][0].hash if found else None


def _height(block: Json) -> int:
    """Of a block as a node says it; raises `ValueError` for what no chain reaches."""
    number = int(block["number"], 16)
    if not 0 <= number < LIMIT:
        raise ValueError("no chain is so long")
    return number


def _verify_transactions(header: Header, answer: Json) -> tuple[bytes, ...]:
    try:
        transactions = tuple([transaction_raw(item) for item in answer["transactions"]])
    except UnknownType as error:
        raise BadBlock(header.number, "transactions", str(error)) from error
    except SHAPE as error:
        raise BadBlock(header.number, "shape", f"{type(error).__name__}: {error}") from error
    if ordered_root(list(transactions)) != header.transactions_root:
        raise BadBlock(header.number, "transactions root", "the transactions are not those of the header")
    return transactions


def _verify_receipts(header: Header, answer: Any) -> tuple[tuple[bytes, ...], tuple[TransactionReceipt, ...]]:
    try:
        receipts = [read_receipt(item) for item in answer]
    except UnknownType as error:
        raise BadBlock(header.number, "receipts", str(error)) from error
    except SHAPE as error:
        raise BadBlock(header.number, "receipts", f"{type(error).__name__}: {error}") from error
    raw = [encoded for encoded, _ in receipts]
    if ordered_root(raw) != header.receipts_root:
        raise BadBlock(header.number, "receipts root", "the receipts are not those of the header")
    return tuple(raw), tuple([outcome for _, outcome in receipts])
