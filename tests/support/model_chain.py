"""A chain of one key's transactions in memory, with a pool that keeps a real one's rules, and whatever can go wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from backend.submission.fees import Fees
from backend.submission.plan import Place, State, Transaction, View
from backend.submission.refusals import Answer

#: blocks that no reorg of this chain takes back
FINALITY: Final = 8
USUAL_BASE_FEE_WEI: Final = 10**9


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction as a node has it."""

    tx_hash: str
    nonce: int
    fees: Fees
    #: what it does; nothing for a cancel and for a foreign one
    intents: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Block:
    hash: str
    transactions: tuple[Sent, ...] = ()


@dataclass(slots=True)
class ModelChain:
    """Blocks, a pool, and a base fee."""

    blocks: list[Block] = field(default_factory=lambda: [Block("genesis")])
    pool: dict[int, Sent] = field(default_factory=dict)
    base_fee_wei: int = USUAL_BASE_FEE_WEI
    made: int = 0

    @property
    def head(self) -> int:
        return len(self.blocks) - 1

    def nonce(self, upto: int | None = None) -> int:
        return sum(len(block.transactions) for block in self.blocks[: None if upto is None else upto + 1])

    def done(self) -> frozenset[int]:
        """The intents that the ledger has done; a second time it skips them."""
        return frozenset(
            intent for block in self.blocks for transaction in block.transactions for intent in transaction.intents
        )

    def everything(self) -> Iterable[Sent]:
        yield from self.pool.values()
        for block in self.blocks:
            yield from block.transactions

    def send(self, sent: Sent) -> Answer:
        if sent.nonce < self.nonce():
            return Answer.NONCE_LOW
        held = self.pool.get(sent.nonce)
        if held is not None:
            if held.tx_hash == sent.tx_hash:
                return Answer.ACCEPTED
            rises = (
                (sent.fees.max_fee_wei, held.fees.max_fee_wei),
                (sent.fees.priority_fee_wei, held.fees.priority_fee_wei),
            )
            if any(10 * new < 11 * old for new, old in rises):
                return Answer.UNDERPRICED
        self.pool[sent.nonce] = sent
        return Answer.ACCEPTED

    def mine(self, most: int = 100) -> None:
        """One block of what pays the base fee, in the order of nonces."""
        taken: list[Sent] = []
        nonce = self.nonce()
        while len(taken) < most and nonce in self.pool and self.pool[nonce].fees.max_fee_wei >= self.base_fee_wei:
            taken.append(self.pool.pop(nonce))
            nonce += 1
        self.pool = {nonce_: sent for nonce_, sent in self.pool.items() if nonce_ >= nonce}
        self._append(tuple(taken))

    def reorg(self, depth: int, *, forgets: bool) -> None:
        """Replaces the newest blocks by empty ones; their transactions go back to the pool, or nowhere."""
        gone = self.blocks[-depth:]
        del self.blocks[-depth:]
        if not forgets:
            for block in gone:
                for sent in block.transactions:
                    self.pool.setdefault(sent.nonce, sent)
        for _ in gone:
            self._append(())

    def foreign(self) -> None:
        """Somebody else with the key has a transaction mined, in place of whatever waited for the nonce."""
        self.made += 1
        nonce = self.nonce()
        self.pool.pop(nonce, None)
        self._append((Sent(f"foreign{self.made}", nonce, Fees(10**12, 10**12)),))

    def drop(self, nonces: Sequence[int]) -> None:
        for nonce in nonces:
            self.pool.pop(nonce, None)

    def view(
        self, transactions: Sequence[Transaction], now_time: int, *, behind: int = 0, hides_receipts: bool = False
    ) -> View:
        """As one node shows it, which can be behind, or have blocks whose transaction receipts it has not."""
        head = max(0, self.head - behind)
        chain = self.blocks[: head + 1]
        canonical = frozenset(block.hash for block in chain)
        mined = {
            item.mined_hash: item.place
            for item in transactions
            if item.mined_hash and item.place and item.place.block_hash in canonical
        }
        if not hides_receipts:
            mined |= {
                sent.tx_hash: Place(block_number=number, block_hash=block.hash)
                for number, block in enumerate(chain)
                for sent in block.transactions
            }
        known = {sent.tx_hash for sent in self.pool.values()}
        if not hides_receipts:
            known |= {sent.tx_hash for block in chain for sent in block.transactions}
        return View(
            now_time=now_time,
            head_number=head,
            head_hash=chain[-1].hash,
            base_fee_wei=self.base_fee_wei,
            nonce=self.nonce(head),
            mined=mined,
            known=frozenset(known),
            canonical=canonical,
            final=frozenset(block.hash for block in chain[: max(0, head - FINALITY + 1)]),
        )

    def _append(self, transactions: tuple[Sent, ...]) -> None:
        self.made += 1
        self.blocks.append(Block(f"block{self.made}", transactions))


ENDED: Final = (State.FINAL, State.CANCELLED, State.DISPLACED)
