"""Requests that share a commit: each on its own, none answered before the disk has it, none kept out for long."""

import asyncio
import fcntl
import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from backend import group_commit, write_turns
from backend.db import Database
from backend.offers.tables import ProviderRow
from tests.support.migrated import migrate

SPEAKER: ContextVar[str] = ContextVar("speaker")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/market.db")
    migrate(database)
    yield database
    database.close()


def add(name: str) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        session.add(ProviderRow(address=name, heard_time=1))
        session.flush()
        return name

    return work


def names(db: Database) -> set[str]:
    with db.read() as session:
        return {row.address for row in session.exec(select(ProviderRow))}


def commits(db: Database) -> list[float]:
    found: list[float] = []
    event.listen(db.engine, "commit", lambda _connection: found.append(time.monotonic()))
    return found


def test_those_who_wait_share_one_commit_and_each_has_its_own_answer(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is.
    for name in ("_LONGEST_SECONDS", "_LONGEST_OTHERS_SECONDS"):
        monkeypatch.setattr(group_commit, name, 60)
    counted = commits(db)

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(db.written(add(str(number))) for number in range(20)))

    assert asyncio.run(all_at_once()) == [str(number) for number in range(20)]
    assert names(db) == {str(number) for number in range(20)}
    assert len(counted) <= 2


def test_what_one_raises_takes_back_its_own_writes_and_nobody_elses(db: Database) -> None:
    def fails(session: Session) -> None:
        add("lost")(session)
        raise KeyError("no")

    async def together() -> list[Any]:
        works: list[Callable[[Session], Any]] = [add("first"), fails, add("last")]
        return list(await asyncio.gather(*map(db.written, works), return_exceptions=True))

    first, failed, last = asyncio.run(together())
    assert (first, last) == ("first", "last")
    assert isinstance(failed, KeyError)
    assert names(db) == {"first", "last"}


def test_where_sqlite_took_back_the_whole_transaction_nobody_is_told_that_it_is_written(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_LONGEST_OTHERS_SECONDS", 60)

    def fills_the_disk(session: Session) -> None:
        # As SQLite does by itself where there is no room.
        raw: Any = session.connection().connection.dbapi_connection
        raw.execute("ROLLBACK")
        raise OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))

    async def together() -> list[Any]:
        works: list[Callable[[Session], Any]] = [add("first"), fills_the_disk, add("last")]
        return list(await asyncio.gather(*map(db.written, works), return_exceptions=True))

    first, failed, last = asyncio.run(together())
    assert isinstance(first, OperationalError)
    assert isinstance(failed, OperationalError)
    assert last == "last"
    assert names(db) == {"last"}


def test_nobody_is_answered_when_the_commit_fails(db: Database) -> None:
    def refuse(_connection: Any) -> None:
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("database or disk is full"))

    event.listen(db.engine, "commit", refuse)

    async def together() -> list[Any]:
        return list(await asyncio.gather(db.written(add("one")), db.written(add("two")), return_exceptions=True))

    assert [type(answer) for answer in asyncio.run(together())] == [OperationalError, OperationalError]
    event.remove(db.engine, "commit", refuse)
    with db.write() as session:
        assert session.exec(select(ProviderRow)).all() == []
    assert asyncio.run(db.written(add("three"))) == "three"


def test_a_connection_whose_commit_failed_is_used_no_more(db: Database) -> None:
    def refuse(_connection: Any) -> None:
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("database or disk is full"))

    event.listen(db.engine, "commit", refuse)
    with pytest.raises(OperationalError), db.write() as session:
        add("one")(session)
    event.remove(db.engine, "commit", refuse)
    with db.write() as session:
        assert session.exec(select(ProviderRow)).all() == []


def test_a_work_runs_in_the_context_of_its_own_request(db: Database) -> None:
    async def ask(name: str) -> str:
        SPEAKER.set(name)
        return await db.written(lambda _session: SPEAKER.get())

    async def together() -> list[str]:
        return list(await asyncio.gather(ask("one"), ask("two")))

    assert asyncio.run(together()) == ["one", "two"]


def test_buyers_do_not_wait_behind_a_wave_of_reports(db: Database) -> None:
    done: list[str] = []

    def takes_long(name: str) -> Callable[[Session], None]:
        def work(_session: Session) -> None:
            time.sleep(0.02)
            done.append(name)

        return work

    async def together() -> None:
        reports = [asyncio.create_task(db.written(takes_long(f"report {number}"))) for number in range(10)]
        await asyncio.sleep(0.03)
        await db.written(takes_long("job"), is_first=True)
        await asyncio.gather(*reports)

    asyncio.run(together())
    assert len(done) == 11
    assert done.index("job") <= 4


def test_reports_do_not_wait_for_the_last_of_many_buyers(db: Database) -> None:
    done: list[str] = []

    async def together() -> None:
        jobs = [db.written(lambda _: done.append("job"), is_first=True) for _ in range(20)]
        report = db.written(lambda _: done.append("report"))
        await asyncio.gather(*jobs, report)

    asyncio.run(together())
    assert done.index("report") <= 4


def test_where_no_buyer_waits_a_transaction_is_short_for_one_of_another_process_may(db: Database) -> None:
    counted = commits(db)

    async def together() -> None:
        await asyncio.gather(*(db.written(lambda _: time.sleep(0.006)) for _ in range(5)))

    asyncio.run(together())
    assert len(counted) == 5


def test_a_buyer_passes_whoever_waits_to_write_in_another_process(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that each have a connection stand for processes: their turns are files."""
    # However slow the machine is.
    monkeypatch.setattr(write_turns, "_POLITE_SECONDS", 60)
    order: list[str] = []
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with db.write():
            holding.set()
            release.wait(5)

    def follow() -> None:
        with db.write():
            order.append("worker")

    async def buy() -> None:
        bought = asyncio.create_task(db.written(lambda _: order.append("buyer"), is_first=True))
        await asyncio.sleep(0.02)
        release.set()
        await bought

    threads = [threading.Thread(target=hold), threading.Thread(target=follow)]
    threads[0].start()
    holding.wait(5)
    threads[1].start()
    asyncio.run(buy())
    for thread in threads:
        thread.join()
    assert order == ["buyer", "worker"]


def test_buyers_who_always_wait_keep_nobody_out(db: Database, tmp_path: Path) -> None:
    with (tmp_path / "market.db.first").open("w") as buyers:
        fcntl.flock(buyers, fcntl.LOCK_EX)
        begun = time.monotonic()
        with db.write():
            waited = time.monotonic() - begun
    assert 0.05 <= waited < 1


def test_one_whose_caller_is_gone_is_not_done(db: Database) -> None:
    async def leave() -> None:
        with db.write():
            waits = asyncio.create_task(db.written(add("gone")))
            await asyncio.sleep(0.01)
            waits.cancel()
            await asyncio.sleep(0.01)
        await db.written(add("here"))

    asyncio.run(leave())
    assert names(db) == {"here"}


def test_the_loop_serves_others_while_a_write_waits_for_its_turn(db: Database) -> None:
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with db.write():
            holding.set()
            release.wait(5)

    async def wait() -> int:
        turns = 0
        written = asyncio.create_task(db.written(add("one")))
        while not written.done():
            await asyncio.sleep(0.005)
            turns += 1
            if turns == 20:
                release.set()
        return turns

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(5)
    assert asyncio.run(wait()) >= 20
    holder.join()
    assert names(db) == {"one"}


def test_who_gets_no_turn_in_time_is_told(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_turns, "BUSY_SECONDS", 0.05)
    with db.write(), pytest.raises(OperationalError, match="locked"):
        asyncio.run(db.written(add("one")))
    assert asyncio.run(db.written(add("two"))) == "two"


def _write_without_a_pause(url: str, seconds: float) -> None:
    greedy = Database(url)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with greedy.write() as session:
            session.merge(ProviderRow(address="greedy", heard_time=1))
            time.sleep(0.01)


def test_a_process_that_writes_all_the_time_keeps_nobody_out(db: Database) -> None:
    greedy = multiprocessing.get_context("spawn").Process(target=_write_without_a_pause, args=(db.url, 6.0))
    greedy.start()
    while "greedy" not in names(db):
        time.sleep(0.02)
    waits = []
    for number in range(20):
        begun = time.monotonic()
        with db.write() as session:
            session.merge(ProviderRow(address=str(number), heard_time=1))
        waits.append(time.monotonic() - begun)
    assert greedy.is_alive(), "it ended before it could have kept anybody out"
    greedy.terminate()
    greedy.join()
    # Its own transaction lasts a hundredth of a second, and the disk's time; nobody waits for many of them.
    assert sorted(waits)[15] < 0.5
