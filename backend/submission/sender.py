"""Signed bytes first, then the network (threats R1, R4, R5).

One database transaction takes the next nonce, signs, and stores the bytes; only then are they broadcast, and again for
as long as no final block holds them. A nonce is never taken without stored bytes, so there is no gap to fill.
"""

from collections.abc import Sequence

import structlog
from sqlmodel import Session, col, select

from backend.market import Market
from backend.submission import intents
from backend.submission.tables import IntentRow, TransactionRow
from protocol.calls import sign_transaction
from protocol.chain import BROADCAST_KNOWN, BROADCAST_NONCE_LOW, BlockPoint
from protocol.clock import now_time
from protocol.errors import RpcRefused, TransactionReverted
from protocol.hashing import from_hex, to_hex

log = structlog.get_logger()

PRIORITY_WEI = 10**9
GAS_MARGIN_PERCENT = 130
MAX_GAS = 25_000_000
IN_FLIGHT = 16
"""Unmined transactions at once; more only wait in the node's pool."""

_UNDER_WAY = ("SIGNED", "SENT")
_WATCHED = ("SIGNED", "SENT", "MINED")


def send_pending(market: Market) -> int:
    """Turns pending intents into stored, signed transactions and broadcasts them; returns how many."""
    sent = 0
    for kind in intents.BATCHES:
        while (row := _sign_next(market, kind)) is not None:
            broadcast(market, row)
            sent += 1
    return sent


def _sign_next(market: Market, kind: str) -> TransactionRow | None:
    with market.db.read() as session:
        rows = _pending(session, kind)
        if not rows or len(_transactions(session, _UNDER_WAY)) >= IN_FLIGHT:
            return None
        data = intents.calldata(session, market, kind, rows)
        ids = [row.id for row in rows]
    ledger, sender = market.deployment.ledger, market.submission_key.address
    try:
        gas = market.chain.estimate_gas(sender, ledger, data) * GAS_MARGIN_PERCENT // 100
    except TransactionReverted as error:
        # Batches skip what does not hold; only a single close or finalise reverts, because it is done or not yet due.
        _drop(market, ids, error.reason)
        return None
    head = market.chain.latest()
    with market.db.write() as session:
        nonce = _next_nonce(session, market)
        raw, tx_hash = sign_transaction(
            market.submission_key,
            chain_id=market.deployment.chain_id,
            nonce=nonce,
            to=ledger,
            data=data,
            gas=min(gas, MAX_GAS),
            max_fee_wei=2 * head.base_fee_wei + PRIORITY_WEI,
            priority_fee_wei=PRIORITY_WEI,
        )
        row = TransactionRow(
            sender=sender,
            nonce=nonce,
            kind=kind,
            tx_hash=to_hex(tx_hash),
            raw=to_hex(raw),
            state="SIGNED",
            created_time=now_time(),
        )
        session.add(row)
        session.flush()
        for intent in _by_ids(session, ids):
            intent.state = "assigned"
            intent.transaction_id = row.id
            session.add(intent)
    log.info("transaction.signed", kind=kind, nonce=nonce, tx_hash=row.tx_hash, intents=len(ids))
    return row


def _pending(session: Session, kind: str) -> list[IntentRow]:
    statement = select(IntentRow).where(IntentRow.kind == kind, IntentRow.state == "pending")
    rows = list(session.exec(statement.order_by(col(IntentRow.id)).limit(intents.BATCHES[kind])))
    # One transaction commits to one auction's book.
    return [row for row in rows if row.payload == rows[0].payload] if kind == "open" else rows


def _by_ids(session: Session, ids: Sequence[int | None]) -> list[IntentRow]:
    return list(session.exec(select(IntentRow).where(col(IntentRow.id).in_(ids))))


def _drop(market: Market, ids: Sequence[int | None], why: str) -> None:
    with market.db.write() as session:
        for intent in _by_ids(session, ids):
            intent.state = "dropped"
            intent.note = why[:500]
            session.add(intent)
    log.info("intent.dropped", ids=ids, reason=why[:200])


def _transactions(session: Session, states: Sequence[str]) -> list[TransactionRow]:
    statement = select(TransactionRow).where(col(TransactionRow.state).in_(states))
    return list(session.exec(statement.order_by(col(TransactionRow.nonce))))


def _next_nonce(session: Session, market: Market) -> int:
    """One above the highest stored nonce that can still be mined; with none, what the chain says."""
    watched = _transactions(session, _WATCHED)
    if watched:
        return watched[-1].nonce + 1
    return market.chain.nonce(market.submission_key.address)


def broadcast(market: Market, row: TransactionRow) -> None:
    """Hands the stored bytes to the node. What the node answers is looked up, never guessed (threat R4)."""
    try:
        market.chain.broadcast(from_hex(row.raw))
    except RpcRefused as error:
        words = error.rpc_message.lower()
        if any(known in words for known in BROADCAST_KNOWN):
            pass
        elif any(low in words for low in BROADCAST_NONCE_LOW):
            _nonce_was_taken(market, row)
            return
        else:
            log.warning("transaction.refused", tx_hash=row.tx_hash, reason=error.rpc_message[:200])
            return
    _set(market, row, state="SENT")


def _nonce_was_taken(market: Market, row: TransactionRow) -> None:
    """Mined meanwhile, or another transaction of our key has the nonce: then the intents are asked for again."""
    if market.chain.mined(from_hex(row.tx_hash)) is not None:
        return
    log.error("transaction.displaced", tx_hash=row.tx_hash, nonce=row.nonce)
    with market.db.write() as session:
        stored = session.get_one(TransactionRow, row.id)
        stored.state = "FAILED"
        stored.note = "another transaction of this key took the nonce"
        session.add(stored)
        for intent in session.exec(select(IntentRow).where(IntentRow.transaction_id == row.id)).all():
            if intent.state == "assigned":
                intent.state = "pending"
                intent.transaction_id = None
                session.add(intent)


def watch(market: Market) -> None:
    """Follows each transaction until a final block holds it; broadcasts again what a reorg or a crash left out."""
    with market.db.read() as session:
        rows = _transactions(session, _WATCHED)
    if not rows:
        return
    head = market.chain.latest()
    for row in rows:
        found = market.chain.mined(from_hex(row.tx_hash))
        if found is None:
            if row.state == "MINED":
                log.warning("transaction.reorged", tx_hash=row.tx_hash, nonce=row.nonce)
            if not market.chain.in_pool(from_hex(row.tx_hash)):
                broadcast(market, row)
            elif row.state != "SENT":
                _set(market, row, state="SENT")
            continue
        state = "FINAL" if _is_final(market, head, found.block_number) else "MINED"
        block_hash = to_hex(found.block_hash)
        if (row.state, row.mined_hash) != (state, block_hash):
            _set(
                market,
                row,
                state=state,
                mined_block=found.block_number,
                mined_hash=block_hash,
                succeeded=found.succeeded,
            )


def _is_final(market: Market, head: BlockPoint, block_number: int) -> bool:
    return head.number - block_number >= market.settings.finality_blocks


def _set(market: Market, row: TransactionRow, **changes: object) -> None:
    with market.db.write() as session:
        stored = session.get_one(TransactionRow, row.id)
        for name, value in changes.items():
            setattr(stored, name, value)
            setattr(row, name, value)
        session.add(stored)
