"""Past blocks can be asked, statements add up to the unit, and pages walk both ways."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from indexer.levels import finality_of, level_of
from indexer.queries import AccountRow, Reads
from indexer.tables import TABLES
from protocol.events import (
    Deposited,
    DisputeLapsed,
    EndReason,
    LeaseClaimed,
    LeaseClosed,
    LeaseDisputed,
    LeaseOpened,
    LeaseRuled,
    LedgerEvent,
    VoucherRedeemed,
)
from protocol.hashing import Address, checksum_address
from tests.support.databases import Database
from tests.support.fake_mirror import some_address, some_hash
from tests.support.stored_mirror import StoredMirror, random_events

BUYER, PROVIDER, MATCHER, ARBITER = (some_address(name) for name in ("buyer", "provider", "matcher", "arbiter"))


@pytest.fixture
def stored(tmp_path: Path, database: Database) -> Iterator[StoredMirror]:
    made = StoredMirror(tmp_path, database)
    yield made
    made.close()


def everybody(stored: StoredMirror) -> list[Address]:
    accounts = TABLES["account_versions"]
    with stored.engine.connect() as connection:
        found = connection.execute(select(accounts.c.account).distinct()).scalars().all()
    return [checksum_address(account) for account in found]


def sizes(seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(5) for _ in range(20)]


def money(row: AccountRow) -> tuple[int, int, int]:
    return row.free_base, row.locked_base, row.bonded_base


def assert_the_statement_is_the_balances(stored: StoredMirror, account: Address) -> None:
    with stored.mirror.snapshot() as now:
        rows = now.statement(account, limit=1000)
        free = locked = bonded = 0
        for row in reversed(rows):
            free, locked, bonded = free + row.free_change, locked + row.locked_change, bonded + row.bonded_change
            assert (row.free_base, row.locked_base, row.bonded_base) == (free, locked, bonded)
        assert (free, locked, bonded) == money(now.account(account))


def dispute(lease_name: str, ending: str) -> list[LedgerEvent]:
    """A lease with a bond that goes the slow way."""
    lease, order = some_hash(lease_name), some_hash("order " + lease_name)
    opened = LeaseOpened(
        lease, BUYER, PROVIDER, order, order, order, BUYER, MATCHER, 0, 1, 1, 5, 1_000, 300, 7, 2_000_000_000, 10
    )
    begun: list[LedgerEvent] = [
        Deposited(BUYER, MATCHER, 5_000),
        Deposited(PROVIDER, PROVIDER, 5_000),
        opened,
        VoucherRedeemed(lease, PROVIDER, 100, 100, order, False),
        LeaseClaimed(lease, PROVIDER, order, bytes(32), 9, 400, False, 2_000_000_100),
    ]
    disputed = LeaseDisputed(lease, BUYER, bytes(32), 300, 2_000_000_200)
    if ending == "unchallenged":
        return [*begun, LeaseClosed(lease, BUYER, PROVIDER, EndReason.CLAIMED, 400, 600, 0, 300, True)]
    if ending == "provider wins":
        ruled = LeaseRuled(lease, ARBITER, BUYER, True, 300, 250, 50, 0)
        closed = LeaseClosed(lease, BUYER, PROVIDER, EndReason.CLAIMED, 400, 600, 0, 300, True)
        return [*begun, disputed, ruled, closed]
    if ending == "buyer wins":
        ruled = LeaseRuled(lease, ARBITER, BUYER, False, 0, 200, 60, 300)
        closed = LeaseClosed(lease, BUYER, PROVIDER, EndReason.FAULTY, 100, 900, 200, 40, False)
        return [*begun, disputed, ruled, closed]
    lapsed = DisputeLapsed(lease, BUYER, 300)
    return [*begun, disputed, lapsed, LeaseClosed(lease, BUYER, PROVIDER, EndReason.CLAIMED, 100, 900, 0, 300, False)]


@pytest.mark.parametrize("seed", range(8))
def test_the_movements_of_a_statement_add_up_to_the_balances(stored: StoredMirror, seed: int) -> None:
    stored.grow(random_events(seed, sizes(seed)))
    assert len(everybody(stored)) > 1
    for account in everybody(stored):
        assert_the_statement_is_the_balances(stored, account)


@pytest.mark.parametrize("ending", ["unchallenged", "provider wins", "buyer wins", "silent arbiter"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_slow_path_is_in_the_statement_to_the_unit(stored: StoredMirror, ending: str, size: int) -> None:
    events = dispute("slow", ending)
    stored.grow([events[start : start + size] for start in range(0, len(events), size)])
    for account in (BUYER, PROVIDER, MATCHER, ARBITER):
        assert_the_statement_is_the_balances(stored, account)


def test_who_only_sends_or_signs_has_no_movement(stored: StoredMirror) -> None:
    stored.grow([[Deposited(BUYER, MATCHER, 5)] * 7, [Deposited(MATCHER, BUYER, 1)]])
    assert [row.free_change for row in stored.mirror.statement(MATCHER, limit=2)] == [1]
    assert len(stored.mirror.statement(BUYER, limit=100)) == 7


@pytest.mark.parametrize("seed", range(4))
def test_a_past_block_is_what_the_mirror_was_then(tmp_path: Path, seed: int) -> None:
    history = random_events(seed, sizes(seed))
    whole = StoredMirror(tmp_path / "whole")
    whole.grow(history)
    for block in (1, 7, 13, 20):
        then = StoredMirror(tmp_path / f"then{block}")
        then.grow(history[:block])
        past, now = whole.mirror, then.mirror
        assert past.stats(at_block=block) == now.stats()
        assert unfinal(past.leases(at_block=block, limit=500)) == unfinal(now.leases(limit=500))
        assert past.events(at_block=block, limit=500) == now.events(limit=500)
        assert past.payments(at_block=block, limit=500) == now.payments(limit=500)
        assert past.all_accounts(at_block=block) == now.all_accounts()
        assert past.providers(at_block=block) == now.providers()
        for account in everybody(then):
            assert past.account(account, at_block=block) == now.account(account)
            assert past.statement(account, at_block=block, limit=500) == now.statement(account, limit=500)
        then.close()
    whole.close()


def unfinal(rows: list[Any]) -> list[dict[str, Any]]:
    return [{name: getattr(row, name) for name in row.__slots__ if name != "finality"} for row in rows]


def walk(fetch: Any, place: Any, forward: bool) -> list[Any]:
    """All rows by pages of three, newest first."""
    rows: list[Any] = []
    window: dict[str, Any] = {} if forward else {"after": (-1, -1)}
    while page := fetch(limit=3, **window):
        assert len(rows) < 1000, "the pages go round in circles"
        rows = rows + page if forward else page + rows
        window = {"before": place(page[-1])} if forward else {"after": place(page[0])}
    return rows


@pytest.mark.parametrize("forward", [True, False])
def test_pages_of_three_are_the_whole_list_from_either_end(stored: StoredMirror, forward: bool) -> None:
    stored.grow(random_events(3, sizes(3)))
    with stored.mirror.snapshot() as now:
        account = everybody(stored)[0]
        assert_walks(now, account, forward)


def assert_walks(now: Reads, account: Address, forward: bool) -> None:
    def place(row: Any) -> tuple[int, int]:
        return row.block_number, row.log_index

    def events(**window: Any) -> list[Any]:
        return now.events(account=account, **window)

    def statement(**window: Any) -> list[Any]:
        return now.statement(account, **window)

    assert len(now.events(limit=900)) > 20
    assert walk(now.events, place, forward) == now.events(limit=900)
    assert walk(events, place, forward) == events(limit=900)
    assert walk(statement, place, forward) == statement(limit=900)
    assert walk(now.payments, place, forward) == now.payments(limit=900)
    assert walk(now.leases, lambda row: (row.opened_block, row.opened_log_index), forward) == now.leases(limit=900)


def test_a_snapshot_does_not_see_what_is_committed_or_undone_meanwhile(stored: StoredMirror) -> None:
    stored.grow(random_events(5, [2] * 6))
    with stored.mirror.snapshot() as then:
        before = then.status(), then.events(limit=500), then.leases(limit=500)
        stored.grow([[Deposited(BUYER, BUYER, 1)]])
        stored.replace(3, [[Deposited(BUYER, BUYER, 2)]])
        assert (then.status(), then.events(limit=500), then.leases(limit=500)) == before
    assert stored.mirror.status().reorg_epoch == 1


def test_coverage_names_every_block_once(stored: StoredMirror) -> None:
    stored.grow(random_events(2, [1, 0, 0, 2, 3, 0, 1, 1]))
    stored.settle(proved=5)
    intervals = stored.mirror.coverage()
    assert [(row.first_number, row.last_number, row.method, row.level) for row in reversed(intervals)] == [
        (1, 1, "receipts", "proved"),
        (2, 3, "bloom", "proved"),
        (4, 5, "receipts", "proved"),
        (6, 6, "bloom", "consistent"),
        (7, 8, "receipts", "consistent"),
    ]
    assert stored.mirror.coverage(limit=2, before=6) == intervals[2:4]
    assert stored.mirror.coverage(limit=2, after=3) == intervals[1:3]


def test_the_last_untouched_block_is_the_lowest_of_all_rollbacks_since(stored: StoredMirror) -> None:
    stored.grow(random_events(1, [1] * 8))
    stored.replace(6, [[Deposited(BUYER, BUYER, 1)]] * 3)
    stored.replace(4, [[Deposited(BUYER, BUYER, 2)]] * 3)
    stored.replace(5, [[Deposited(BUYER, BUYER, 3)]])
    mirror = stored.mirror
    assert [mirror.ancestor_since(epoch) for epoch in range(4)] == [4, 4, 5, None]
    assert mirror.event_count_at(4) == 4


@pytest.mark.parametrize(
    ("number", "proved", "halted", "level"),
    [
        (5, 5, False, "proved"),
        (5, 5, True, "proved"),
        (6, 5, False, "consistent"),
        (6, 5, True, "unverified"),
        (1, None, False, "consistent"),
        (1, None, True, "unverified"),
    ],
)
def test_a_level_says_what_was_checked(number: int, proved: int | None, halted: bool, level: str) -> None:
    assert level_of(number, proved, halted=halted) == level


def test_finality_ends_at_the_node_s_tag_and_at_the_setting() -> None:
    assert [finality_of(number, 3, 5) for number in (3, 4, 5, 6)] == ["finalised", "confirmed", "confirmed", "head"]


def test_a_total_is_exact_while_counting_is_cheap(stored: StoredMirror, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.grow(random_events(4, [4] * 20))
    assert (stored.mirror.count_events().count, stored.mirror.count_events().estimate) == (80, False)
    monkeypatch.setattr("indexer.read.connected.COUNTED", 10)
    estimated = stored.mirror.count_events()
    assert estimated.estimate
    assert 60 <= estimated.count <= 100


def test_who_has_a_lease_is_what_its_whole_row_says_and_nobody_after_a_rollback(stored: StoredMirror) -> None:
    stored.grow([[], *random_events(4, sizes(4))])
    rows = stored.mirror.leases(limit=500)
    assert rows
    ids = [row.lease for row in rows]
    assert stored.mirror.holders([*ids, bytes(32)]) == {row.lease: (row.provider, row.opened_block) for row in rows}
    stored.replace(1, [[]])
    assert stored.mirror.holders(ids) == {}
