"""Whose turn it is, by the database and its clock (threat Q4): beats may be many, may die, may disagree about the time.

A tick that nobody rang for is not made up for one by one: each work does all that is due, so one run catches up.
"""

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from backend.db import Database
from backend.operations.tables import PulseRow, TickRow


def take(db: Database, name: str, every_ms: int) -> bool:
    """True for one caller in `every_ms` milliseconds, however many ask in however many processes."""
    with db.write() as session:
        now_ms = db.now_ms(session)
        _ensure(session, TickRow, name)
        # A clock that was set back must not silence the market until it has caught up; one that was read just before
        # another took the tick was not set back.
        is_due = (col(TickRow.rung_ms) <= now_ms - every_ms) | (col(TickRow.rung_ms) > now_ms + every_ms)
        statement = update(TickRow).where(col(TickRow.name) == name, is_due).values(rung_ms=now_ms)
        return session.connection().execute(statement).rowcount == 1


def note_done(db: Database, name: str, took_ms: int) -> None:
    """The work was done just now, and took so many milliseconds."""
    with db.write() as session:
        _ensure(session, TickRow, name)
        changes = {"done_ms": db.now_ms(session), "took_ms": took_ms}
        session.connection().execute(update(TickRow).where(col(TickRow.name) == name).values(changes))


def note_pulse(db: Database, name: str) -> None:
    """A process of this kind is alive."""
    with db.write() as session:
        _ensure(session, PulseRow, name)
        session.connection().execute(
            update(PulseRow).where(col(PulseRow.name) == name).values(heard_ms=db.now_ms(session))
        )


def silence_ms(session: Session, db: Database, name: str) -> int | None:
    """Milliseconds since a process of this kind was heard; None = never."""
    row = session.get(PulseRow, name)
    return None if row is None else max(0, db.now_ms(session) - row.heard_ms)


def age_ms(session: Session, db: Database, name: str) -> int | None:
    """Milliseconds since the work was done; None = never."""
    row = session.get(TickRow, name)
    return None if row is None or not row.done_ms else max(0, db.now_ms(session) - row.done_ms)


def _ensure(session: Session, table: type[TickRow] | type[PulseRow], name: str) -> None:
    """There is a row afterwards, also where two come for the first time at once."""
    if session.get(table, name) is None:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        session.connection().execute(insert(table).values(name=name).on_conflict_do_nothing())
