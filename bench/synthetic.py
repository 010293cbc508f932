"""A large SQLite mirror without a chain: rows as the indexer writes them, with made-up hashes.

Only what the read door reads is true: places, numbers, topics and data that decode, one canonical chain.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from indexer.store import migrate, open_writer
from indexer.tables import TABLES
from protocol.events import LeaseOpened, LedgerEvent, VoucherRedeemed, to_json
from protocol.hashing import Address, checksum_address
from tests.support.fake_chain import encode_event

EVENTS_PER_BLOCK: Final = 100
_PEOPLE: Final = 200
_SEGMENTS: Final = 20
_START_TIME: Final = 1_767_225_600


def make_mirror(path: Path, events: int) -> None:
    """Writes `events` events: leases of 20 vouchers each, of 200 accounts, 100 events a block."""
    engine = open_writer(f"sqlite:///{path}")
    migrate(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA cache_size=-200000")
        for number in range(1, events // EVENTS_PER_BLOCK + 1):
            _write(connection, _rows_of_block(number))
        _write(connection, _ends(events // EVENTS_PER_BLOCK))
    engine.dispose()


def _write(connection: Connection, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    for name, batch in rows.items():
        if name in TABLES and batch:
            columns = TABLES[name].c
            # A column that the schema does not have is left out, so that one generator serves every schema.
            kept = [{key: value for key, value in row.items() if key in columns} for row in batch]
            connection.execute(insert(TABLES[name]), kept)


def _hash(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def _person(number: int) -> Address:
    return checksum_address(_hash(f"person {number % _PEOPLE}")[:20])


def _event(seq: int) -> tuple[LedgerEvent, bytes, Address, Address]:
    """Every 21st event opens a lease, the 20 after it pay for it."""
    index, step = divmod(seq - 1, _SEGMENTS + 1)
    lease, order, job = _hash(f"lease {index}"), _hash(f"order {index}"), _hash(f"job {index % 1000}")
    buyer, provider = _person(index), _person(index * 7 + 1)
    if step:
        paid = 1_000 * step
        return (
            VoucherRedeemed(lease, provider, 1_000, paid, _hash(f"state {seq}"), step == _SEGMENTS),
            lease,
            buyer,
            provider,
        )
    opened = LeaseOpened(
        lease, buyer, provider, order, order, job, buyer, _person(3), 0, 1, 1, 800_000, 50_000, 0, 10, 2**31, 300
    )
    return opened, lease, buyer, provider


def _rows_of_block(number: int) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("blocks", "transactions", "logs", "events", "parties", "leases", "payments")
    }
    block_hash, time = _hash(f"block {number}"), _START_TIME + number
    for log_index in range(EVENTS_PER_BLOCK):
        seq = (number - 1) * EVENTS_PER_BLOCK + log_index + 1
        for name, row in _rows_of_event(seq, number, log_index, block_hash, time):
            rows[name].append(row)
    rows["transactions"] = [
        {
            "block_hash": block_hash,
            "tx_index": index,
            "block_number": number,
            "hash": _hash(f"tx {number} {index}"),
            "sender": _hash("person 3")[:20],
            "recipient": _hash("ledger")[:20],
            "nonce": number * 10 + index,
            "selector": b"\1\2\3\4",
            "succeeded": True,
            "gas_used": 1_000_000,
        }
        for index in range(10)
    ]
    rows["blocks"] = [
        {
            "hash": block_hash,
            "number": number,
            "parent_hash": _hash(f"block {number - 1}"),
            "time": time,
            "header_rlp": b"",
            "method": "receipts",
            "whole": True,
            "event_count": number * EVENTS_PER_BLOCK,
            "head_slot": bytes(32),
            "canonical": True,
        }
    ]
    return rows


def _rows_of_event(
    seq: int, number: int, log_index: int, block_hash: bytes, time: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    event, lease, buyer, provider = _event(seq)
    topics, data = encode_event(event)
    place = {"block_hash": block_hash, "block_number": number, "log_index": log_index, "seq": seq}
    log = {
        "tx_index": log_index // 10,
        "position": log_index % 10,
        "address": _hash("ledger")[:20],
        "topics": b"".join(topics),
        "data": data,
    }
    yield "logs", place | log
    args = {"kind": type(event).__name__, "lease": lease, "args": to_json(event), "canonical": True}
    yield "events", place | log | args
    for account in {buyer, provider}:
        yield "parties", place | {"account": bytes.fromhex(account[2:])}
    tx_hash = _hash(f"tx {number} {log_index // 10}")
    if isinstance(event, LeaseOpened):
        yield "leases", _lease(event, number, log_index, tx_hash, time)
    elif isinstance(event, VoucherRedeemed):
        paid = {"lease": lease, "provider": bytes.fromhex(provider[2:]), "amount_base": event.amount}
        rest = {"paid_base": event.paid, "result": event.result, "last": event.last}
        yield "payments", place | paid | rest | {"tx_hash": tx_hash, "block_time": time}


def _lease(event: LeaseOpened, number: int, log_index: int, tx_hash: bytes, time: int) -> dict[str, Any]:
    raw = bytes.fromhex
    return {
        "lease": event.lease,
        "buyer": raw(event.buyer[2:]),
        "provider": raw(event.provider[2:]),
        "order_digest": event.order,
        "offer_digest": event.offer,
        "job": event.job,
        "voucher_signer": raw(event.voucher_signer[2:]),
        "opener": raw(event.opener[2:]),
        "fill": 0,
        "meter": 1,
        "zone": 1,
        "rate": event.rate,
        "locked_base": event.locked,
        "bond_base": event.bond,
        "fee_base": event.fee,
        "notice_seconds": event.notice,
        "opened_block": number,
        "opened_log_index": log_index,
        "opened_tx": tx_hash,
        "opened_time": time,
    }


def _ends(blocks: int) -> dict[str, list[dict[str, Any]]]:
    """One version of each lease, and a cursor at the last block."""
    leases = (blocks * EVENTS_PER_BLOCK + _SEGMENTS) // (_SEGMENTS + 1)
    version = {
        "valid_to": None,
        "paid_base": 1_000 * _SEGMENTS,
        "refunded_base": 0,
        "deadline_time": 2**31,
        "state": 1,
        "reason": 0,
        "done": False,
        "early": False,
        "responded": False,
        "penalty_base": 0,
        "closed_block": None,
        "closed_tx": None,
    }
    return {
        "chains": [
            {
                "chain_id": 31337,
                "genesis_hash": bytes(32),
                "ledger": _hash("ledger")[:20],
                "token": _hash("token")[:20],
                "deploy_block": 1,
            }
        ],
        "cursor": [
            {
                "id": 1,
                "number": blocks,
                "hash": _hash(f"block {blocks}"),
                "proved_number": blocks - 1,
                "finalized_number": blocks - 64,
                "reorg_epoch": 0,
                "halted": None,
            }
        ],
        "lease_versions": [
            version
            | {
                "lease": _hash(f"lease {index}"),
                "valid_from": index * (_SEGMENTS + 1) // EVENTS_PER_BLOCK + 1,
                "seq": index * (_SEGMENTS + 1) + 1,
            }
            for index in range(leases)
        ],
    }
