"""Transactions in the database, on each that a market can have."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

import backend
from backend.db import Database as MarketDatabase
from backend.leases.segments import vouched_base
from backend.leases.tables import UsageRow
from backend.submission import intents, store
from backend.submission.errors import BytesUnreadable
from backend.submission.fees import Fees
from backend.submission.plan import Attempt, Mark, Place, State, Transaction
from backend.submission.refusals import Answer
from backend.submission.tables import IntentRow
from protocol.calls import sign_transaction
from protocol.hashing import to_hex
from protocol.keys import LocalKey
from tests.support.databases import Database
from tests.support.migrated import migrate

KEY = LocalKey.derive(bytes(32), "sender")
CAP_WEI = 2**60
NOW = 1_800_000_000
PLACE = Place(block_number=7, block_hash="0x07", gas_used=2**24, price_wei=CAP_WEI)


@pytest.fixture
def market(tmp_path: Path, database: Database) -> Iterator[MarketDatabase]:
    found = MarketDatabase(database.mirror_url(tmp_path))
    yield found
    found.close()


@pytest.fixture
def db(market: MarketDatabase) -> MarketDatabase:
    migrate(market)
    return market


def _sign(tx_hash: str, wei: int = CAP_WEI, **changes: bool) -> store.Signed:
    attempt = Attempt(
        tx_hash=tx_hash, is_cancel=changes.get("is_cancel", False), fees=Fees(wei, wei), signed_time=NOW, signed_block=1
    )
    return store.Signed(attempt=attempt, raw=b"\x02")


def _add(session: Session, nonce: int, tx_hash: str) -> int:
    return store.add(
        session,
        sender=KEY.address,
        nonce=nonce,
        kind="open",
        gas=2**24,
        first=_sign(tx_hash),
        now_time=NOW,
    )


def _carried(session: Session, subject: str, number: int, state: str = "assigned") -> None:
    intents.add(session, "open", subject, {})
    row = session.exec(select(IntentRow).where(IntentRow.subject == subject)).one()
    row.state, row.transaction_id = state, number
    session.add(row)


def _states(session: Session) -> list[str]:
    return sorted(row.state for row in session.exec(select(IntentRow)).all())


def _only(session: Session) -> Transaction:
    (found,) = store.load(session, KEY.address, 0)
    return found


def test_what_was_stored_comes_back_with_all_attempts_in_order(db: MarketDatabase) -> None:
    with db.write() as session:
        number = _add(session, 3, "0xa")
        store.add_attempt(session, number, _sign("0xb", is_cancel=True))
        store.note_answer(session, number, "0xa", Answer.ACCEPTED, NOW + 1)
    with db.read() as session:
        found = _only(session)
        assert (found.nonce, found.state, found.watched) == (3, State.SENT, True)
        assert [attempt.tx_hash for attempt in found.attempts] == ["0xa", "0xb"]
        assert found.attempts[0].answer is Answer.ACCEPTED
        assert found.attempts[1].fees.max_fee_wei == CAP_WEI
        assert found.attempts[1].is_cancel


def test_a_nonce_of_a_key_is_stored_once(db: MarketDatabase) -> None:
    with db.write() as session:
        _add(session, 3, "0xa")

    def again() -> None:
        with db.write() as session:
            _add(session, 3, "0xb")

    with pytest.raises(IntegrityError):
        again()


def test_a_mark_that_releases_gives_back_what_waits_and_what_was_done_in_a_lost_block(db: MarketDatabase) -> None:
    with db.write() as session:
        number = _add(session, 3, "0xa")
        for subject, state in (("0x1", "assigned"), ("0x2", "done"), ("0x3", "dropped"), ("0x4", "done")):
            _carried(session, subject, number, state)
        # Asked for again meanwhile: then the older one need not come back.
        intents.add(session, "open", "0x4", {})
        mark = Mark(transaction=_only(session), state=State.DISPLACED, place=PLACE, releases=True)
        assert store.mark(session, mark) == 2
        assert _states(session) == ["done", "dropped", "pending", "pending", "pending"]
        assert store.mark(session, mark) == 0


def test_what_gas_costs_is_counted_exactly_and_up_also_where_it_is_more_than_a_column_holds(
    db: MarketDatabase,
) -> None:
    with db.write() as session:
        _add(session, 3, "0xa")
        at_most_wei = 2**24 * CAP_WEI
        assert store.promised_wei(session, KEY.address) == at_most_wei
        assert store.spent_gwei_up(session, NOW) == -(-at_most_wei // 10**9)
        assert store.spent_gwei_up(session, NOW + 1) == 0
        store.mark(session, Mark(transaction=_only(session), state=State.MINED, place=PLACE, mined_hash="0xa"))
        assert store.promised_wei(session, KEY.address) == 0
        assert store.spent_gwei_up(session, NOW) == -(-at_most_wei // 10**9)


def test_the_final_are_left_alone_until_the_chain_has_lost_them(db: MarketDatabase) -> None:
    with db.write() as session:
        _add(session, 3, "0xa")
        mark = Mark(transaction=_only(session), state=State.FINAL, place=PLACE, mined_hash="0xa", watched=False)
        store.mark(session, mark)
        assert store.load(session, KEY.address, 4) == []
        assert _only(session).place == PLACE
        assert store.finished_since(session, KEY.address, 3) == 1
        assert store.newest_nonce(session, KEY.address) == 3


def test_what_was_opened_below_finality_is_looked_at_again_when_a_reorg_was_deeper(db: MarketDatabase) -> None:
    with db.write() as session:
        number = _add(session, 3, "0xa")
        for subject, state in (("0x1", "done"), ("0x2", "done"), ("0x3", "dropped")):
            _carried(session, subject, number, state)
        intents.add(session, "open", "0x2", {})
        mark = Mark(transaction=_only(session), state=State.FINAL, place=PLACE, mined_hash="0xa", watched=False)
        store.mark(session, mark)
        assert _states(session) == ["done", "done", "dropped", "pending"]
        store.mark(session, Mark(transaction=_only(session), state=State.SENT))
        assert _states(session) == ["assigned", "done", "dropped", "pending"]


def test_an_operator_sees_how_many_there_are_in_each_state(db: MarketDatabase) -> None:
    with db.write() as session:
        _add(session, 3, "0xa")
        intents.add(session, "open", "0x1", {})
        counts = store.count_by_state(session)
    assert {state: count for state, count in counts.items() if count} == {"UNSENT": 1, "SIGNED": 1}
    assert set(counts) == {"UNSENT", *State}


def test_transactions_of_the_older_schema_keep_their_bytes_as_the_first_attempt(market: MarketDatabase) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(backend.__file__).parent / "migrations"))
    config.attributes["engine"] = market.engine
    command.upgrade(config, "0002")
    raw, tx_hash = sign_transaction(
        KEY, chain_id=1, nonce=3, to=KEY.address, data=b"call", gas=99, max_fee_wei=7, priority_fee_wei=5
    )
    with market.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO transactions (id, sender, nonce, kind, tx_hash, raw, state, created_time) VALUES "
            f"(1, '{KEY.address}', 3, 'open', '{to_hex(tx_hash)}', '{to_hex(raw)}', 'SENT', {NOW})"
        )
    for revision in ("0003", "0002", "head"):
        (command.downgrade if revision == "0002" else command.upgrade)(config, revision)
    with market.read() as session:
        found = _only(session)
        assert (found.state, found.attempts[0].fees) == (State.SENT, Fees(7, 5))
        assert store.call_of(session, 1) == ("open", b"call", 99)
        assert store.raw_of(session, to_hex(tx_hash)) == raw


def test_signed_bytes_keep_their_attempts_and_calls_their_transactions_when_they_are_moved(
    market: MarketDatabase,
) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(backend.__file__).parent / "migrations"))
    config.attributes["engine"] = market.engine
    command.upgrade(config, "head")
    first, cancel, other, fill = (
        _signed(3, b"call" * 20_000),
        _signed(3, b"", fee_wei=9, is_cancel=True),
        _signed(4, b"another call"),
        _signed(5, b"", is_cancel=True),
    )
    with market.write() as session:
        numbers = [_store(session, nonce, one) for nonce, one in ((3, first), (4, other), (5, fill))]
        store.add_attempt(session, numbers[0], cancel)
    command.downgrade(config, "0013")
    with market.engine.connect() as connection:
        calls = connection.exec_driver_sql("SELECT data FROM transactions ORDER BY nonce").scalars().all()
        raws = connection.exec_driver_sql("SELECT raw FROM attempts ORDER BY id").scalars().all()
    assert calls == ["0x" + (b"call" * 20_000).hex(), "0x" + b"another call".hex(), "0x"]
    assert raws == [to_hex(one.raw) for one in (first, other, fill, cancel)]
    command.upgrade(config, "head")
    with market.read() as session:
        assert [store.call_of(session, number)[1] for number in numbers] == [b"call" * 20_000, b"another call", b""]
        for one in (first, cancel, other, fill):
            assert store.raw_of(session, one.attempt.tx_hash) == one.raw


def test_bytes_that_were_changed_in_the_database_are_no_call(db: MarketDatabase) -> None:
    with db.write() as session:
        number = _add(session, 3, "0xa")
        with pytest.raises(BytesUnreadable, match=f"transaction {number}"):
            store.call_of(session, number)


def test_what_is_noted_of_a_transaction_writes_none_of_its_bytes(tmp_path: Path) -> None:
    db = MarketDatabase(f"sqlite:///{tmp_path}/market.db")
    migrate(db)
    with db.write() as session:
        number = _store(session, 3, _signed(3, bytes(65_536)))
    with db.read() as session:
        transaction = _only(session)
    with db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    with db.write() as session:
        store.note_answer(session, number, transaction.attempts[0].tx_hash, Answer.ACCEPTED, NOW)
    mark = Mark(transaction=transaction, state=State.MINED, place=PLACE, mined_hash=transaction.attempts[0].tx_hash)
    with db.write() as session:
        store.mark(session, mark)
    assert 0 < (tmp_path / "market.db-wal").stat().st_size < 65_536
    db.close()


def _signed(nonce: int, call: bytes, *, fee_wei: int = 7, is_cancel: bool = False) -> store.Signed:
    raw, tx_hash = sign_transaction(
        KEY, chain_id=1, nonce=nonce, to=KEY.address, data=call, gas=99, max_fee_wei=fee_wei, priority_fee_wei=5
    )
    return store.Signed(attempt=_sign(to_hex(tx_hash), fee_wei, is_cancel=is_cancel).attempt, raw=raw)


def _store(session: Session, nonce: int, first: store.Signed) -> int:
    return store.add(session, sender=KEY.address, nonce=nonce, kind="open", gas=2**24, first=first, now_time=NOW)


def test_usage_receipts_of_the_older_schema_are_their_leases_providers(market: MarketDatabase) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(backend.__file__).parent / "migrations"))
    config.attributes["engine"] = market.engine
    command.upgrade(config, "0008")
    with market.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO lease_intentions (lease, job_id, fill, provider, offer_digest, rate, zone, state, base_work, "
            "base_sequence, proposed_time, progress_time, caught, closing_reason, settled) VALUES "
            "('0x1', 'job_1', 0, '0xA', '0x', 1, 0, 'running', 0, 0, 0, 0, false, 0, false)"
        )
        for lease in ("0x1", "0x2"):
            connection.exec_driver_sql(
                "INSERT INTO usage_receipts (lease, sequence, job_id, receipt_message, receipt_signature, state_hash, "
                "job_work, lease_work, checkpoint_cid, cumulative_base, last, signed_time) VALUES "
                f"('{lease}', 1, 'job_1', '', '', '', 1, 1, '', 7, false, 0)"
            )
    for revision in ("0009", "0008", "0009"):
        (command.downgrade if revision == "0008" else command.upgrade)(config, revision)
    with market.read() as session:
        rows = session.exec(select(UsageRow).order_by(UsageRow.lease)).all()
        assert [(row.lease, row.provider, row.cumulative_base) for row in rows] == [("0x1", "0xA", 7), ("0x2", "", 7)]
        assert vouched_base(session, "job_1") == 7
