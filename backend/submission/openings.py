"""Opens are never believed before they are final: a reorg can take a lease back, or give it to another provider.

Until then each is compared with the mirror, in one look at both. What follows is decided without them, and written
only where there is something to write. One that is as it should be is looked at again after a reorg, and when it is
final: above a block that still stands nothing was taken back.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy import Integer, SQLColumnExpression, bindparam, select
from sqlmodel import Session, col

from backend.leases.tables import LeaseIntention
from backend.submission.plan import State
from backend.submission.tables import LIVE, IntentRow, TransactionRow
from indexer import prepared
from indexer.queries import Holder, LeaseRow, Mirror, Reads
from protocol.events import Skip, Skipped
from protocol.hashing import from_hex

_CHUNK: Final = 1000
_EVENTS_OF_A_TRANSACTION: Final = 500


# Built once: each step runs them.
_WATCHED: Final = (
    select(
        col(IntentRow.id),
        col(TransactionRow.watched).is_(False)
        & (col(TransactionRow.mined_block) <= bindparam("number", type_=Integer())),
    )
    .join(TransactionRow, col(TransactionRow.id) == col(IntentRow.transaction_id))
    .where(
        col(IntentRow.kind) == "open",
        col(IntentRow.state).in_(("assigned", "skipped")),
        col(TransactionRow.state).not_in((State.SIGNED, State.SENT)),
        col(TransactionRow.mined_block).is_not(None),
    )
    .order_by(col(IntentRow.id))
)
_COLUMNS: Final[list[SQLColumnExpression[Any]]] = [
    col(IntentRow.id).label("intent"),
    col(IntentRow.subject).label("lease"),
    col(IntentRow.state),
    col(TransactionRow.tx_hash),
    col(TransactionRow.mined_block),
    col(TransactionRow.mined_hash),
    col(TransactionRow.succeeded),
    col(TransactionRow.watched),
    col(LeaseIntention.provider),
    col(LeaseIntention.state).label("lease_state"),
]
_OPENINGS: Final = (
    select(*_COLUMNS)
    .join(TransactionRow, col(TransactionRow.id) == col(IntentRow.transaction_id))
    .outerjoin(LeaseIntention, col(LeaseIntention.lease) == col(IntentRow.subject))
    .where(col(IntentRow.id).in_(bindparam("ids", expanding=True)))
    .order_by(col(IntentRow.id))
)
_LIVE_OPENS: Final = select(col(IntentRow.subject)).where(col(IntentRow.kind) == "open", col(IntentRow.state).in_(LIVE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An open that is not settled for good, and the transaction that carried it last."""

    intent: int
    #: id
    lease: bytes
    #: assigned · skipped
    state: str
    tx_hash: str | None
    #: where the transaction is
    block_number: int
    block_hash: str
    succeeded: bool
    #: no reorg that is expected moves the transaction
    is_final: bool
    #: of the proposal; None where it was given up
    provider: str | None
    #: the mirror has shown it before
    is_confirmed: bool


class Fate(Enum):
    """What the mirror says of an open."""

    #: the lease is there as it was proposed, for the first time
    CONFIRMED = auto()
    #: it is there, and not as proposed, or though it was given up
    OTHERWISE = auto()
    #: it is there for good
    DONE = auto()
    #: the ledger passed it over, or the transaction failed
    SKIPPED = auto()
    #: it was skipped before, and the lease was not given up: its job has ended, and waits to pay for it
    HELD = auto()
    #: it was skipped before, and that is final
    OVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A fate that asks for something to be written."""

    opening: Opening
    fate: Fate
    #: where it is otherwise than proposed
    lease: LeaseRow | None = None
    #: None where the transaction failed
    skip: Skip | None = None
    is_final: bool = False


class Watch:
    """Of one process, for one thread: which opens were found as they should be, and at which block of the mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        #: intents whose leases are there as they were proposed, as long as the block stands
        self._as_proposed: set[int] = set()
        self._at: bytes | None = None

    def look(self, session: Session) -> list[Found]:
        """All opens about which there is something to write, oldest first."""
        with self._mirror.snapshot() as now:
            status = now.status()
            finalised = status.finalized_number or 0
            watched = _watched(session, finalised)
            if not watched:
                return []
            if self._at is None or not now.is_canonical(self._at):
                self._as_proposed.clear()
            self._as_proposed &= watched.keys()
            self._at = status.block_hash
            wanted = [intent for intent, is_final in watched.items() if is_final or intent not in self._as_proposed]
            openings = _openings(session, wanted)
            live = _live(session, [opening for opening in openings if opening.state == "skipped"])
            holders = _holders(now, openings)
            missing = [opening for opening in openings if opening.state == "assigned" and opening.lease not in holders]
            skips = _skips(now, missing)
            found = list(decide(openings, holders, skips, live, status.block_number, finalised))
            self._as_proposed |= _quiet(openings, holders)
            leases = now.leases_by_id([one.opening.lease for one in found if one.fate is Fate.OTHERWISE])
            return [replace(one, lease=leases.get(one.opening.lease)) for one in found]


def _quiet(openings: Iterable[Opening], holders: Mapping[bytes, Holder]) -> set[int]:
    """Those about which nothing is to be written before they are final."""
    return {
        opening.intent
        for opening in openings
        if opening.state == "assigned"
        and opening.is_confirmed
        and (holder := holders.get(opening.lease)) is not None
        and holder.provider == opening.provider
    }


def decide(
    openings: Iterable[Opening],
    holders: Mapping[bytes, Holder],
    skips: Mapping[int, Skip | None],
    live: Collection[bytes],
    block_number: int,
    finalized_number: int,
) -> Iterator[Found]:
    """`skips`: of the opens that the mirror's blocks passed over, why. `live`: leases that are being asked for anew."""
    for opening in openings:
        holder = holders.get(opening.lease)
        is_final = opening.is_final and opening.block_number <= finalized_number
        if holder is not None:
            fate = _there(opening, holder, is_final and holder.opened_block <= finalized_number, live)
            if fate is not None:
                yield Found(opening=opening, fate=fate)
        elif opening.block_number > block_number:
            continue
        elif opening.state == "assigned":
            if opening.intent in skips:
                yield Found(opening=opening, fate=Fate.SKIPPED, skip=skips[opening.intent], is_final=is_final)
        elif opening.provider is not None and opening.lease not in live:
            yield Found(opening=opening, fate=Fate.HELD, is_final=is_final)
        elif is_final:
            yield Found(opening=opening, fate=Fate.OVER, is_final=True)


def _there(opening: Opening, holder: Holder, is_final: bool, live: Collection[bytes]) -> Fate | None:
    if opening.provider != holder.provider:
        return Fate.OTHERWISE
    if is_final:
        return Fate.DONE
    if opening.state == "skipped":
        # Whoever asks for it anew watches it.
        return None if opening.lease in live else Fate.OTHERWISE
    return None if opening.is_confirmed else Fate.CONFIRMED


def _watched(session: Session, number: int) -> dict[int, bool]:
    """Intents whose transaction is in some block: of the others there is nothing to say yet. With whether it is final,
    at this block or below."""
    return dict(prepared.rows(session.connection(), _WATCHED, {"number": number}))


def _openings(session: Session, ids: Sequence[int]) -> list[Opening]:
    return [
        Opening(
            intent=row.intent,
            lease=from_hex(row.lease, 32),
            state=row.state,
            tx_hash=row.tx_hash,
            block_number=row.mined_block,
            block_hash=row.mined_hash,
            succeeded=bool(row.succeeded),
            is_final=not row.watched,
            provider=row.provider,
            is_confirmed=row.lease_state != "proposed",
        )
        for start in range(0, len(ids), _CHUNK)
        for row in prepared.named_rows(session.connection(), _OPENINGS, {"ids": ids[start : start + _CHUNK]})
    ]


def _live(session: Session, skipped: list[Opening]) -> set[bytes]:
    if not skipped:
        return set()
    wanted = {opening.lease for opening in skipped}
    return wanted & {from_hex(lease, 32) for (lease,) in prepared.rows(session.connection(), _LIVE_OPENS, {})}


def _holders(now: Reads, openings: list[Opening]) -> dict[bytes, Holder]:
    found: dict[bytes, Holder] = {}
    for start in range(0, len(openings), _CHUNK):
        found |= now.holders([opening.lease for opening in openings[start : start + _CHUNK]])
    return found


def _skips(now: Reads, missing: list[Opening]) -> dict[int, Skip | None]:
    """Why the mirror's own blocks passed them over, by intent; nothing of one whose block the mirror has not."""
    blocks = {opening.block_hash for opening in missing}
    known = {block_hash for block_hash in blocks if now.is_canonical(from_hex(block_hash, 32))}
    missing = [opening for opening in missing if opening.block_hash in known]
    said: dict[tuple[str, bytes], Skip] = {}
    for tx_hash in {opening.tx_hash for opening in missing if opening.tx_hash is not None and opening.succeeded}:
        for row in now.events(tx_hash=from_hex(tx_hash, 32), limit=_EVENTS_OF_A_TRANSACTION):
            if isinstance(row.event, Skipped):
                said[tx_hash, row.event.id] = row.event.reason
    skips: dict[int, Skip | None] = {}
    for opening in missing:
        skip = said.get((opening.tx_hash or "", opening.lease))
        if skip is not None or not opening.succeeded:
            skips[opening.intent] = skip
    return skips
