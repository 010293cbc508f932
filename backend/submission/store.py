"""Transactions and their attempts in the database: rows in, the plan's values out, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Integer, bindparam, func, insert, update
from sqlalchemy import select as columns_of
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from backend import crash_points
from backend.submission.errors import BytesUnreadable
from backend.submission.fees import Fees
from backend.submission.plan import UNDER_WAY, Attempt, Mark, Place, State, Transaction
from backend.submission.refusals import Answer
from backend.submission.tables import AttemptRow, IntentRow, SignedBytesRow, TransactionRow
from indexer import prepared
from protocol.calls import calldata_of
from protocol.errors import BadProof
from protocol.hashing import Address

FILL: Final = "fill"
#: rows below a node's word of the nonce that are looked at; a node that is further off is not believed
FURTHEST: Final = 200

_TRANSACTIONS: Final = SQLModel.metadata.tables["transactions"]
# Built once: each look at the chain runs them.
_OF_SENDER: Final = col(TransactionRow.sender) == bindparam("sender")
_FROM_NONCE: Final = col(TransactionRow.nonce) >= bindparam("nonce", type_=Integer())
_FINISHED: Final = select(func.count()).where(_OF_SENDER, _FROM_NONCE, col(TransactionRow.watched).is_(False))
_MINED: Final = (
    select(TransactionRow.mined_block, TransactionRow.mined_hash)
    .where(_OF_SENDER, col(TransactionRow.watched), col(TransactionRow.state) == State.MINED)
    .distinct()
)
_RESTS: Final = (
    (col(TransactionRow.state) == State.MINED)
    & col(TransactionRow.missing_since_time).is_(None)
    & col(TransactionRow.mined_hash).in_(bindparam("resting", expanding=True))
)
_MATTER: Final = (
    columns_of(*_TRANSACTIONS.columns)
    .where(_OF_SENDER, (col(TransactionRow.watched) & ~_RESTS) | _FROM_NONCE)
    .order_by(col(TransactionRow.nonce))
)
_ATTEMPTS: Final = (
    columns_of(*SQLModel.metadata.tables["attempts"].columns)
    .where(col(AttemptRow.transaction_id).in_(bindparam("ids", expanding=True)))
    .order_by(col(AttemptRow.id))
)
_BECOMES: Final = (
    "state",
    "watched",
    "tx_hash",
    "mined_block",
    "mined_hash",
    "succeeded",
    "gas_used",
    "price_wei",
    "fee_gwei_up",
    "missing_since_time",
)
_MARKED: Final = (
    update(TransactionRow)
    .where(col(TransactionRow.id) == bindparam("number"))
    .values({name: bindparam(name, type_=_TRANSACTIONS.c[name].type) for name in _BECOMES})
)
# Each transaction that is signed runs these.
_ADD: Final = insert(TransactionRow).returning(_TRANSACTIONS.c.id)
_ADD_ATTEMPT: Final = insert(AttemptRow).returning(col(AttemptRow.id))
_ADD_BYTES: Final = insert(SignedBytesRow)
# And each broadcast these.
_ANSWERED: Final = (
    update(AttemptRow)
    .where(col(AttemptRow.tx_hash) == bindparam("key"))
    .values(answer=bindparam("said"), broadcast_time=bindparam("at_time"))
)
_TAKEN: Final = (
    update(TransactionRow)
    .where(col(TransactionRow.id) == bindparam("number"), col(TransactionRow.state) == State.SIGNED)
    .values(state=State.SENT)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """An attempt with its bytes."""

    attempt: Attempt
    raw: bytes


def mined_blocks(session: Session, sender: Address) -> set[tuple[int, str]]:
    """(number, hash) of the blocks that have transactions of the key which are not final."""
    rows = prepared.rows(session.connection(), _MINED, {"sender": sender})
    return {(number, block) for number, block in rows if number is not None and block is not None}


def load(session: Session, sender: Address, nonce: int, resting: Sequence[str] = ()) -> list[Transaction]:
    """All that are watched, and all that the chain (which counts `nonce` of them) should not be done with.

    Without those that rest: they were mined in one of these blocks, and the chain counts them.
    """
    values = {"sender": sender, "nonce": nonce, "resting": resting}
    rows = prepared.named_rows(session.connection(), _MATTER, values)
    if not rows:
        return []
    attempts: dict[int, list[Attempt]] = {}
    for attempt in prepared.named_rows(session.connection(), _ATTEMPTS, {"ids": [row.id for row in rows]}):
        attempts.setdefault(attempt.transaction_id, []).append(_attempt(attempt))
    return [_transaction(row, attempts[row.id]) for row in rows]


def finished_since(session: Session, sender: Address, nonce: int) -> int:
    """How many that are final have this nonce or a later one: many only where the node is far behind."""
    found: int = prepared.value(session.connection(), _FINISHED, {"sender": sender, "nonce": nonce})
    return found


def newest_nonce(session: Session, sender: Address) -> int | None:
    """Of all that was ever stored for the key."""
    return session.exec(select(func.max(TransactionRow.nonce)).where(TransactionRow.sender == sender)).one()


def add(session: Session, *, sender: Address, nonce: int, kind: str, gas: int, first: Signed, now_time: int) -> int:
    """A nonce with its first signed attempt, which makes its call; returns the transaction's id."""
    values = {
        "sender": sender,
        "nonce": nonce,
        "kind": kind,
        "gas": gas,
        "state": State.SIGNED,
        "created_time": now_time,
    }
    transaction_id: int = session.connection().execute(_ADD, values).scalar_one()
    add_attempt(session, transaction_id, first)
    return transaction_id


def add_attempt(session: Session, transaction_id: int, signed: Signed) -> None:
    """With its bytes."""
    attempt, do = signed.attempt, session.connection().execute
    values = {
        "transaction_id": transaction_id,
        "tx_hash": attempt.tx_hash,
        "is_cancel": attempt.is_cancel,
        "max_fee_wei": attempt.fees.max_fee_wei,
        "priority_fee_wei": attempt.fees.priority_fee_wei,
        "signed_time": attempt.signed_time,
        "signed_block": attempt.signed_block,
    }
    do(_ADD_BYTES, {"attempt_id": do(_ADD_ATTEMPT, values).scalar_one(), "raw": signed.raw})


def call_of(session: Session, transaction_id: int) -> tuple[str, bytes, int]:
    """Kind, calldata and gas, for signing it again. Raises `BytesUnreadable`."""
    row = session.get_one(TransactionRow, transaction_id)
    statement = _bytes().where(col(AttemptRow.transaction_id) == transaction_id).order_by(col(AttemptRow.id)).limit(1)
    try:
        # Later ones may only cancel it.
        return row.kind, calldata_of(session.exec(statement).one()), row.gas
    except BadProof as error:
        raise BytesUnreadable(transaction_id) from error


def raw_of(session: Session, tx_hash: str) -> bytes:
    """The stored bytes of an attempt."""
    return session.exec(_bytes().where(col(AttemptRow.tx_hash) == tx_hash)).one()


def _bytes() -> SelectOfScalar[bytes]:
    return select(SignedBytesRow.raw).join(AttemptRow, col(AttemptRow.id) == col(SignedBytesRow.attempt_id))


def note_answer(session: Session, transaction_id: int, tx_hash: str, answer: Answer, now_time: int) -> None:
    """What a node said to a broadcast."""
    session.flush()
    do = session.connection().execute
    do(_ANSWERED, {"key": tx_hash, "said": answer, "at_time": now_time})
    if answer is Answer.ACCEPTED:
        do(_TAKEN, {"number": transaction_id})


def mark(session: Session, mark_: Mark) -> int:
    """Stores what became of a transaction; returns how many intents it gave back."""
    if mark_.watched and not mark_.transaction.watched:
        _rewatch(session, mark_.transaction.id)
    place = mark_.place
    values = {
        "number": mark_.transaction.id,
        "state": mark_.state,
        "watched": mark_.watched,
        "tx_hash": mark_.mined_hash,
        "mined_block": place and place.block_number,
        "mined_hash": place and place.block_hash,
        "succeeded": place.succeeded if place and mark_.mined_hash else None,
        "gas_used": place.gas_used if place else 0,
        "price_wei": place.price_wei if place else 0,
        "fee_gwei_up": _gwei_up(place.gas_used * place.price_wei) if place else 0,
        "missing_since_time": mark_.missing_since_time,
    }
    prepared.changed(session.connection(), _MARKED, values)
    released = _release(session, mark_.transaction.id) if mark_.releases else 0
    if released:
        crash_points.reach("intents.released")
    return released


def _rewatch(session: Session, transaction_id: int) -> None:
    """A reorg was deeper than finality: what the transaction opened is looked at again."""
    for row in session.exec(
        select(IntentRow).where(
            IntentRow.transaction_id == transaction_id, IntentRow.kind == "open", IntentRow.state == "done"
        )
    ):
        if not _is_asked_again(session, row):
            row.state = "assigned"
            session.add(row)
            session.flush()


def _is_asked_again(session: Session, row: IntentRow) -> bool:
    again = select(IntentRow.id).where(
        IntentRow.kind == row.kind,
        IntentRow.subject == row.subject,
        IntentRow.id != row.id,
        col(IntentRow.state).in_(("pending", "assigned")),
    )
    return session.exec(again).first() is not None


def _release(session: Session, transaction_id: int) -> int:
    """Its intents are to be done again, also those that were done in a block which is gone: twice is harmless."""
    rows = session.exec(
        select(IntentRow).where(
            IntentRow.transaction_id == transaction_id, col(IntentRow.state).in_(("assigned", "done"))
        )
    ).all()
    released = 0
    for row in rows:
        if not _is_asked_again(session, row):
            row.state = "pending"
            released += 1
        row.transaction_id = None
        session.add(row)
        session.flush()
    return released


def count_by_state(session: Session) -> dict[str, int]:
    """How many there are in each state; UNSENT are the intents that no transaction carries yet."""
    counts = dict.fromkeys(("UNSENT", *State), 0)
    statement = select(TransactionRow.state, func.count()).group_by(TransactionRow.state)
    counts |= {str(state): count for state, count in session.exec(statement).all()}
    counts["UNSENT"] = session.exec(select(func.count()).where(IntentRow.state == "pending")).one()
    return counts


def spent_gwei_up(session: Session, since_time: int) -> int:
    """What the transactions signed since then have cost, and at most can still cost, over all keys."""
    recent = TransactionRow.created_time >= since_time
    paid = session.exec(select(func.sum(TransactionRow.fee_gwei_up)).where(recent)).one()
    return int(paid or 0) + sum(_gwei_up(cost_wei) for cost_wei in _open_costs_wei(session, recent))


def promised_wei(session: Session, sender: Address) -> int:
    """What a key's unmined transactions may still cost it."""
    return sum(_open_costs_wei(session, TransactionRow.sender == sender))


def _open_costs_wei(session: Session, which: Any) -> list[int]:
    """Multiplied here: the product is more than a database's integer holds."""
    statement = (
        select(TransactionRow.gas, func.max(AttemptRow.max_fee_wei))
        .join(AttemptRow, col(AttemptRow.transaction_id) == col(TransactionRow.id))
        .where(which, col(TransactionRow.state).in_(UNDER_WAY))
        .group_by(col(TransactionRow.id), col(TransactionRow.gas))
    )
    return [gas * fee_wei for gas, fee_wei in session.exec(statement).all()]


def _gwei_up(amount_wei: int) -> int:
    return -(-amount_wei // 10**9)


def _attempt(row: Any) -> Attempt:
    return Attempt(
        tx_hash=row.tx_hash,
        is_cancel=row.is_cancel,
        fees=Fees(row.max_fee_wei, row.priority_fee_wei),
        signed_time=row.signed_time,
        signed_block=row.signed_block,
        broadcast_time=row.broadcast_time,
        answer=Answer(row.answer) if row.answer else None,
    )


def _transaction(row: Any, attempts: Sequence[Attempt]) -> Transaction:
    place = None
    if row.mined_block is not None and row.mined_hash is not None:
        place = Place(
            block_number=row.mined_block,
            block_hash=row.mined_hash,
            succeeded=bool(row.succeeded),
            gas_used=row.gas_used,
            price_wei=row.price_wei,
        )
    return Transaction(
        id=row.id,
        nonce=row.nonce,
        state=State(row.state),
        attempts=tuple(attempts),
        place=place,
        mined_hash=row.tx_hash,
        missing_since_time=row.missing_since_time,
        watched=row.watched,
        gas=row.gas,
    )
