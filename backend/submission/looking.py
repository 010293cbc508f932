"""One look at the chain for one key (threats R2, R5): everything that the plan needs, from one node, checked by hash.

A block hash that was noted must stand in the chain of the head that is looked at, and a transaction receipt counts only
if the chain has its block. Where there are several nodes, more than half of them must call a block final.

Between its block and the final one there is nothing to do about a transaction, as long as the block stands: so those
are looked at by their blocks, and not one by one.
"""

from collections.abc import Callable, Iterable, Sequence

from backend.db import Database
from backend.submission import store
from backend.submission.node import Glance, Node
from backend.submission.nodes import Nodes
from backend.submission.plan import Place, State, Transaction, View
from protocol.clock import now_time
from protocol.errors import NodeUnavailable
from protocol.hashing import Address


def look(db: Database, nodes: Nodes, sender: Address, finality_blocks: int) -> tuple[list[Transaction], View]:
    """The stored transactions that matter, and what the chain shows of them. Raises `ChainError`."""
    return nodes.ask(lambda node: _look_at(node, db, nodes, sender, finality_blocks))


def _look_at(
    node: Node, db: Database, nodes: Nodes, sender: Address, finality_blocks: int
) -> tuple[list[Transaction], View]:
    glance = node.glance(sender)
    nodes.require_head(node, glance.number)
    with db.read() as session:
        if store.finished_since(session, sender, glance.nonce) > store.FURTHEST:
            raise NodeUnavailable(node.url, f"its nonce {glance.nonce} of {sender} is far behind")
        blocks = store.mined_blocks(session, sender)
        standing = node.standing(blocks, glance)
        said = node.final_number(glance.hash)
        newest = glance.number - finality_blocks if said is None else said
        resting = [block_hash for number, block_hash in blocks if block_hash in standing and number > newest]
        transactions = store.load(session, sender, glance.nonce, resting)
    places = [transaction.place for transaction in transactions if transaction.place]
    canonical = _canonical(node, places, glance)
    mined = {
        transaction.mined_hash: transaction.place
        for transaction in transactions
        if transaction.mined_hash and transaction.place and transaction.place.block_hash in canonical
    }
    found, known = node.places(_attempts(transactions, mined))
    canonical |= _canonical(node, found.values(), glance)
    mined |= {tx_hash: place for tx_hash, place in found.items() if place.block_hash in canonical}

    def final_number(of: Node) -> int:
        """By its own word, else by depth."""
        said = of.final_number()
        return glance.number - finality_blocks if said is None else said

    view = View(
        now_time=now_time(),
        head_number=glance.number,
        head_hash=glance.hash,
        base_fee_wei=glance.base_fee_wei,
        nonce=glance.nonce,
        mined=mined,
        known=known,
        canonical=frozenset(canonical),
        final=_final(node, nodes, _watched(transactions, mined), newest, final_number),
    )
    return transactions, view


def _attempts(transactions: Sequence[Transaction], mined: dict[str, Place]) -> list[str]:
    """Of the transactions of which no attempt is known to be in the chain."""
    return [
        attempt.tx_hash
        for transaction in transactions
        if transaction.mined_hash not in mined
        for attempt in transaction.attempts
    ]


def _canonical(node: Node, places: Iterable[Place], head: Glance) -> set[str]:
    """The block hashes that the chain still has at their heights."""
    return node.standing({(place.block_number, place.block_hash) for place in places}, head)


def _watched(transactions: Sequence[Transaction], mined: dict[str, Place]) -> set[tuple[int, str]]:
    """The blocks that would end the watch over a transaction if they were final."""
    places = list(mined.values())
    places += [item.place for item in transactions if item.state is State.DISPLACED and item.place]
    return {(place.block_number, place.block_hash) for place in places}


def _final(
    node: Node, nodes: Nodes, blocks: set[tuple[int, str]], newest: int, final_number: Callable[[Node], int]
) -> frozenset[str]:
    """`node` has them and calls all up to `newest` final; the others are asked about those."""
    return frozenset(
        block_hash
        for number, block_hash in blocks
        if number <= newest and nodes.agree(node, number, block_hash, final_number)
    )
