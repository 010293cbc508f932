"""One of many clocks takes each tick, by the database; what was not done in time is asked for, or done here."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, update

from backend.db import Database
from backend.lock import alone
from backend.market import Market
from backend.operations import ticks
from backend.operations.sweeper import Sweeper, judge
from backend.operations.tables import TickRow
from tests.support import databases
from tests.support.market_double import a_market
from tests.support.migrated import migrate
from tests.support.postgres import Postgres
from tests.support.waiting import wait_until


@pytest.fixture
def db(database: databases.Database, tmp_path: Path) -> Iterator[Database]:
    """An empty market's database, on each kind."""
    made = Database(database.mirror_url(tmp_path))
    migrate(made)
    yield made
    made.close()


def _set_rung(db: Database, rung_ms: int) -> None:
    with db.write() as session:
        session.connection().execute(update(TickRow).values(rung_ms=rung_ms))


def test_one_of_many_clocks_takes_a_tick(db: Database) -> None:
    clocks = [Database(db.url) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            taken = list(pool.map(lambda clock: ticks.take(clock, "market.step", 10**6), clocks))
            assert taken.count(True) == 1
            _set_rung(db, 0)
    for clock in clocks:
        clock.close()


def test_a_clock_that_was_away_rings_once(db: Database) -> None:
    assert ticks.take(db, "market.step", 1_000)
    _set_rung(db, 1)
    assert ticks.take(db, "market.step", 1_000)
    assert not ticks.take(db, "market.step", 1_000)


def test_a_clock_that_was_set_back_does_not_silence_the_market(db: Database) -> None:
    assert ticks.take(db, "market.step", 1_000)
    _set_rung(db, 2**52)
    assert ticks.take(db, "market.step", 1_000)


def test_ages_are_by_the_databases_clock(db: Database) -> None:
    with db.read() as session:
        assert ticks.age_ms(session, db, "market.step") is None
        assert ticks.silence_ms(session, db, "worker") is None
    ticks.note_done(db, "market.step", 12)
    ticks.note_pulse(db, "worker")
    with db.read() as session:
        age_ms, silence_ms = ticks.age_ms(session, db, "market.step"), ticks.silence_ms(session, db, "worker")
        assert age_ms is not None
        assert silence_ms is not None
        assert 0 <= age_ms < 60_000
        assert 0 <= silence_ms < 60_000


def test_a_lock_is_one_processs_and_free_when_it_is_done(db: Database) -> None:
    other = Database(db.url)
    with alone(db, "work") as mine:
        assert mine
        with alone(other, "work") as theirs, alone(other, "something else") as another:
            assert not theirs
            assert another
    with alone(other, "work") as mine:
        assert mine
    other.close()


@pytest.mark.parametrize(
    ("age_ms", "ring", "run"),
    [
        (None, True, False),
        (0, False, False),
        (2_500, False, False),
        (2_501, True, False),
        (5_000, True, False),
        (5_001, False, True),
    ],
)
def test_a_late_step_is_asked_for_and_a_lost_one_is_done_here(age_ms: int | None, ring: bool, run: bool) -> None:
    verdict = judge(age_ms, 5_000)
    assert (verdict.ring, verdict.run) == (ring, run)


def test_a_sweeper_outlives_whatever_a_look_meets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look(_self: Sweeper, _market: Market) -> None:
        looks.append(1)
        raise KeyError("a bug")

    monkeypatch.setattr("backend.operations.sweeper._LOOK_SECONDS", 0.01)
    monkeypatch.setattr(Sweeper, "look", look)
    sweeper = Sweeper(lambda: a_market(tmp_path))
    sweeper.start()
    wait_until(lambda: len(looks) >= 2)
    sweeper.stop()


def test_what_may_be_large_is_stored_in_64_bits(postgres: Postgres) -> None:
    """PostgreSQL's integer ends at 2,147,483,647: before this second's milliseconds, and before a large order."""
    large = ("_ms", "_base", "_wei", "work", "rate", "size", "expiry_time")
    db = Database(postgres.new_database())
    db.migrate()
    schema = inspect(db.engine)
    narrow = [
        f"{table}.{column['name']}"
        for table in schema.get_table_names()
        for column in schema.get_columns(table)
        if column["name"].endswith(large) and str(column["type"]) == "INTEGER" and column["name"] != "took_ms"
    ]
    db.close()
    assert narrow == []
