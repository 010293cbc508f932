"""The fold moves money as the contract does, and a rollback is as if the undone blocks had never been."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import ReflectedIndex

from indexer.book import Book
from indexer.commit import CursorRow, commit_blocks, fold, initialise, move_cursor, read_cursor
from indexer.decoded import decode
from indexer.decoder import derive
from indexer.errors import CursorMoved, ForeignMirror, MirrorMissing, ReorgTooDeep
from indexer.facts import FACTS
from indexer.indexes import Indexes
from indexer.projections import NoRows
from indexer.queries import Mirror
from indexer.rollback import common_ancestor, roll_back
from indexer.source import NodeHead, VerifiedBlock
from indexer.store import NEWEST, alembic_config, migrate, open_writer
from indexer.tables import TABLES
from protocol.deployment import Deployment
from protocol.events import (
    BadEvent,
    ClaimCommitted,
    DelegateApproved,
    DelegateCharged,
    Deposited,
    DisputeLapsed,
    EndReason,
    LeaseClaimed,
    LeaseClosed,
    LeaseDisputed,
    LeaseOpened,
    LeaseState,
    LedgerEvent,
    LedgerHead,
    VoucherRedeemed,
    decode_log,
    decode_words,
)
from protocol.hashing import Address, checksum_address, keccak256
from tests.support.databases import Database
from tests.support.fake_chain import CONTRACTS, RandomLedger, encode_event, make_block
from tests.support.stored_mirror import DEPLOYMENT

PROJECTIONS = (
    "account_versions",
    "cancelled",
    "claim_versions",
    "delegate_versions",
    "disputes",
    "lease_versions",
    "leases",
    "parties",
    "payments",
)


@pytest.fixture
def engine(tmp_path: Path, database: Database) -> Iterator[Engine]:
    opened = fresh(database.mirror_url(tmp_path))
    yield opened
    opened.dispose()


def fresh(url: str) -> Engine:
    opened = open_writer(url)
    migrate(opened)
    with opened.begin() as connection:
        initialise(connection, DEPLOYMENT)
    return opened


def history(
    ledger: RandomLedger, first: int, parent: bytes, sizes: list[int], salt: bytes = b""
) -> list[VerifiedBlock]:
    blocks: list[VerifiedBlock] = []
    for number, size in enumerate(sizes, start=first):
        events = [ledger.next() for _ in range(size)]
        blocks.append(make_block(number, blocks[-1].header.hash if blocks else parent, events, salt))
    return blocks


def commit(engine: Engine, blocks: list[VerifiedBlock], step: int) -> CursorRow:
    for start in range(0, len(blocks), step):
        with engine.begin() as connection:
            commit_blocks(connection, read_cursor(connection), blocks[start : start + step], CONTRACTS, 0)
    with engine.connect() as connection:
        return read_cursor(connection)


def rows(engine: Engine, names: tuple[str, ...] = PROJECTIONS) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {name: sorted(connection.execute(select(TABLES[name])).tuples().all(), key=repr) for name in names}


@given(st.integers(), st.integers(1, 120))
@settings(max_examples=40, deadline=None)
def test_money_is_conserved(seed: int, events: int) -> None:
    ledger = RandomLedger(random.Random(seed))
    book = Book(NoRows(), 0)
    head = LedgerHead()
    for block in history(ledger, 1, bytes(32), [1] * events):
        (decoded,), _, head = decode([derive(block, CONTRACTS)], head, book.event_count)
        fold(book, block.header, decoded)
    assert sum(row.free_base + row.locked_base + row.bonded_base for row in book.accounts()) == ledger.held
    assert {checksum_address(row.account): row.free_base for row in book.accounts() if row.free_base} == {
        account: free for account, free in ledger.free.items() if free
    }
    running = [row for row in book.leases() if row.state is not LeaseState.CLOSED]
    assert sum(row.locked_base for row in book.accounts()) == sum(row.locked_base - row.paid_base for row in running)
    assert sum(row.open_leases for row in book.accounts()) == len(running)
    assert all(row.locked_base == row.paid_base + row.refunded_base for row in book.leases() if row not in running)
    assert head.count == events == book.event_count


@pytest.mark.parametrize("seed", range(6))
def test_a_rollback_leaves_no_trace_in_the_projections(tmp_path: Path, database: Database, seed: int) -> None:
    rng = random.Random(seed)
    sizes = [rng.randrange(4) for _ in range(24)]
    cut = rng.randrange(1, 23)
    both = fresh(database.mirror_url(tmp_path))
    shared = history(RandomLedger(random.Random(seed)), 1, bytes(32), sizes)
    before = commit(both, shared, step=rng.randrange(1, 9))
    with both.begin() as connection:
        roll_back(connection, before, cut, NodeHead(24, b"x" * 32, 0), 0)

    straight = fresh(database.mirror_url(tmp_path / "straight"))
    commit(straight, shared[:cut], step=100)
    assert rows(both) == rows(straight)
    with both.connect() as one, straight.connect() as other:
        rolled, plain = read_cursor(one), read_cursor(other)
    assert (rolled.number, rolled.hash, rolled.head, rolled.event_count) == (
        plain.number,
        plain.hash,
        plain.head,
        plain.event_count,
    )
    assert rolled.reorg_epoch == 1

    # The orphaned blocks come back: a fork that lost can win again.
    again = commit(both, shared[cut:], step=3)
    assert (again.number, again.hash, again.head) == (before.number, before.hash, before.head)
    commit(straight, shared[cut:], step=1)
    facts = ("blocks", "bodies", "events", "transactions")
    assert rows(both, PROJECTIONS + facts) == rows(straight, PROJECTIONS + facts)
    both.dispose()
    straight.dispose()


def _life(buyer: Address, provider: Address) -> list[list[LedgerEvent]]:
    """What each block of a disputed lease, opened by a delegate's order, says."""
    lease, order = keccak256(b"lease"), keccak256(b"order")
    return [
        [
            Deposited(buyer, buyer, 9_000),
            Deposited(provider, provider, 900),
            DelegateApproved(buyer, provider, 5_000, 9),
        ],
        [
            DelegateCharged(buyer, provider, order, 1_001, 3_999),
            LeaseOpened(
                lease, buyer, provider, order, order, order, buyer, buyer, 0, 1, 1, 5, 1_000, 100, 1, 2_000_000_000, 10
            ),
        ],
        [VoucherRedeemed(lease, provider, 10, 10, order, False)],
        [ClaimCommitted(lease, provider, keccak256(b"sealed"), 2_000_000_010, 2_000_000_020)],
        [LeaseClaimed(lease, provider, order, bytes(32), 9, 400, False, 2_000_000_100)],
        [LeaseDisputed(lease, buyer, bytes(32), 100, 2_000_000_200)],
        [DisputeLapsed(lease, buyer, 100)],
        [LeaseClosed(lease, buyer, provider, EndReason.CLAIMED, 400, 600, 0, 100, True)],
    ]


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_rollback_undoes_a_claim_and_its_dispute(tmp_path: Path, database: Database, cut: int) -> None:
    buyer, provider = [checksum_address(keccak256(name)[:20]) for name in (b"buyer", b"provider")]
    blocks: list[VerifiedBlock] = []
    for number, events in enumerate(_life(buyer, provider), start=1):
        blocks.append(make_block(number, blocks[-1].header.hash if blocks else bytes(32), events))
    both, straight = fresh(database.mirror_url(tmp_path)), fresh(database.mirror_url(tmp_path / "straight"))
    before = commit(both, blocks, step=3)
    whole = rows(both)
    with both.begin() as connection:
        roll_back(connection, before, cut, NodeHead(8, b"x" * 32, 0), 0)
    commit(straight, blocks[:cut], step=1)
    assert rows(both) == rows(straight)
    commit(both, blocks[cut:], step=2)
    assert rows(both) == whole
    both.dispose()
    straight.dispose()


def test_orphaned_facts_stay_and_are_flagged(engine: Engine) -> None:
    blocks = history(RandomLedger(random.Random(1)), 1, bytes(32), [2, 2, 2])
    cursor = commit(engine, blocks, 3)
    with engine.begin() as connection:
        roll_back(connection, cursor, 1, NodeHead(1, b"x" * 32, 0), 77)
    with engine.connect() as connection:
        count = connection.execute(text("SELECT canonical, count(*) FROM events GROUP BY 1")).tuples().all()
        journal = connection.execute(
            text("SELECT depth, ancestor_seq, events_undone, seen_time FROM reorg_journal")
        ).one()
    assert sorted(count) == [(False, 4), (True, 2)]
    assert tuple(journal) == (2, 2, 4, 77)


def test_a_second_writer_loses(engine: Engine) -> None:
    blocks = history(RandomLedger(random.Random(1)), 1, bytes(32), [1, 1])
    with engine.connect() as connection:
        stale = read_cursor(connection)
    commit(engine, blocks[:1], 1)
    with pytest.raises(CursorMoved), engine.begin() as connection:
        commit_blocks(connection, stale, blocks[:1], CONTRACTS, 0)


def test_what_was_final_is_never_undone(engine: Engine) -> None:
    cursor = commit(engine, history(RandomLedger(random.Random(1)), 1, bytes(32), [1, 1, 1]), 3)
    with engine.begin() as connection:
        move_cursor(connection, cursor.hash, finalized_number=2)
        cursor = read_cursor(connection)
    with pytest.raises(ReorgTooDeep, match="rebuild"), engine.begin() as connection:
        roll_back(connection, cursor, 1, NodeHead(3, b"x" * 32, 0), 0)


def test_a_block_that_cannot_follow_is_refused_whole(engine: Engine) -> None:
    ledger = RandomLedger(random.Random(3))
    good = history(ledger, 1, bytes(32), [3])
    commit(engine, good, 1)
    before = rows(engine, tuple(TABLES))
    # The same events again, in a later block: a lease cannot open twice, a payment cannot repeat.
    events = [event for event in replay(good[0]) if type(event).__name__ != "Deposited"]
    bad = make_block(2, good[0].header.hash, [*events, *events, *events])
    if events:
        with pytest.raises(BadEvent), engine.begin() as connection:
            commit_blocks(connection, read_cursor(connection), [bad], CONTRACTS, 0)
    assert rows(engine, tuple(TABLES)) == before


def replay(block: VerifiedBlock) -> list[LedgerEvent]:
    return [decode_words(log.topics, log.data) for log in derive(block, CONTRACTS).logs]


def test_a_mirror_of_another_ledger_is_refused(engine: Engine) -> None:
    other = Deployment(
        chain_id=1,
        ledger=DEPLOYMENT.token,
        token=DEPLOYMENT.token,
        registry=DEPLOYMENT.token,
        court=DEPLOYMENT.token,
        deploy_block=1,
        genesis_hash=DEPLOYMENT.genesis_hash,
        min_notice=10,
        abi_hash="",
    )
    with pytest.raises(ForeignMirror, match="rebuild"), engine.begin() as connection:
        initialise(connection, other)


@given(st.integers(1, 50), st.integers(0, 3000), st.integers(0, 3000))
def test_the_common_ancestor_is_the_last_shared_block(lowest: int, shared: int, above: int) -> None:
    last_shared = lowest - 1 + shared
    highest = max(lowest, last_shared + above)
    asked: list[Sequence[int]] = []

    def are_shared(numbers: Sequence[int]) -> list[bool]:
        asked.append(numbers)
        return [number <= last_shared for number in numbers]

    assert common_ancestor(lowest, highest, are_shared) == last_shared
    # 1,500 blocks between two doublings are cut twice into 16, then looked at one by one.
    assert len(asked) <= 4
    assert all(lowest <= number <= highest for numbers in asked for number in numbers)
    assert max(map(len, asked)) <= 16


@given(st.integers(), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_events_survive_the_wire(seed: int, count: int) -> None:
    ledger = RandomLedger(random.Random(seed))
    for _ in range(count):
        event = ledger.next()
        assert decode_log(*encode_event(event)) == event


def test_a_schema_that_is_new_enough_is_left_alone(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_writer(database.mirror_url(tmp_path))
    migrate(engine)
    monkeypatch.setattr(command, "upgrade", lambda *_: pytest.fail("there was nothing to do"))
    migrate(engine)
    engine.dispose()


def test_the_migrations_make_the_tables_that_the_code_says(tmp_path: Path, database: Database) -> None:
    engine = open_writer(database.mirror_url(tmp_path))
    with engine.begin() as connection:
        config = alembic_config(connection)
        assert ScriptDirectory.from_config(config).get_current_head() == NEWEST
        command.upgrade(config, "head")
        command.check(config)
        migrated = _schema(connection)
        command.downgrade(alembic_config(connection), "base")
        connection.execute(text("DROP TABLE alembic_version"))
    migrate(engine)
    with engine.begin() as connection:
        assert _schema(connection) == migrated
        command.check(alembic_config(connection))
    engine.dispose()


def test_a_mirror_that_will_be_loaded_gets_its_indexes_later(tmp_path: Path, database: Database) -> None:
    at_once, later = open_writer(database.mirror_url(tmp_path)), open_writer(database.mirror_url(tmp_path / "later"))
    migrate(at_once)
    migrate(later, loading=True)
    indexes = Indexes(later)
    assert indexes.complete == (later.dialect.name == "sqlite")
    # Keys are there, so what is folded before anything was loaded finds its rows.
    assert not any(map(indexes.lacks, TABLES))
    indexes.make()
    with at_once.begin() as one, later.begin() as other:
        assert _schema(one) == _schema(other)
    at_once.dispose()
    later.dispose()


def _schema(connection: Connection) -> dict[str, tuple[list[str], ...]]:
    """Of each table its columns, key and indexes, in an order of their own.

    Without defaults, which a migration gives a column for the rows that are there: what writes names every column.
    """
    found = inspect(connection)
    return {
        table: (
            sorted(repr(column | {"default": None}) for column in found.get_columns(table)),
            found.get_pk_constraint(table)["constrained_columns"],
            sorted(repr(index | {"dialect_options": _spelt(index)}) for index in found.get_indexes(table)),
            sorted(map(repr, found.get_unique_constraints(table))),
        )
        for table in found.get_table_names()
    }


def _spelt(index: ReflectedIndex) -> dict[str, str]:
    """Its options, whose conditions compare by identity."""
    return {name: str(value) for name, value in index.get("dialect_options", {}).items()}


def test_the_rows_are_the_tables_columns_in_their_order() -> None:
    for name, fact in FACTS.items():
        assert list(fact._fields) == [column.name for column in TABLES[name].c]


def test_the_read_door_says_that_nobody_follows_yet(tmp_path: Path, database: Database) -> None:
    url = database.mirror_url(tmp_path)
    engine = open_writer(url)
    engine.connect().close()
    mirror = Mirror(url)
    with pytest.raises(MirrorMissing, match="indexer run"):
        mirror.leases()
    migrate(engine)
    with pytest.raises(MirrorMissing, match="indexer run"):
        mirror.status()
    mirror.close()
    engine.dispose()


def test_the_read_door_waits_for_a_mirror_and_sees_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "mirror.db"
    mirror = Mirror(f"sqlite:///{path}")
    with pytest.raises(MirrorMissing, match="indexer run"):
        mirror.status()
    assert not path.exists()
    open_writer(f"sqlite:///{path}").connect().close()
    with pytest.raises(MirrorMissing):
        mirror.leases()
    for size in (1, 2):
        for file in tmp_path.iterdir():
            file.unlink()
        engine = fresh(f"sqlite:///{path}")
        commit(engine, history(RandomLedger(random.Random(1)), 1, bytes(32), [size]), 1)
        assert mirror.stats().events == size
        engine.dispose()
    mirror.close()
