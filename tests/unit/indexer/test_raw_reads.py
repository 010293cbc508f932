"""Logs, transactions and blocks come out of the mirror as they went in, on every database."""

import random
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest

from indexer.decoding import header_fields, transaction_fields
from indexer.encoding import header_rlp, transaction_raw
from indexer.queries import LogsWanted, TooMuch, Window
from protocol.calls import sign_transaction
from protocol.errors import BadProof
from protocol.events import TOPICS
from protocol.hashing import ZERO_ADDRESS, checksum_address, from_hex, keccak256, to_hex
from protocol.keys import LocalKey
from protocol.rlp import Item, encode, integer
from tests.support.databases import Database
from tests.support.fake_chain import CONTRACTS
from tests.support.stored_mirror import StoredMirror, random_events

Log = tuple[int, int, tuple[bytes, ...], bytes]
#: nobody's; a signature need not hold to be decoded
SIGNED: list[Item] = [b"\x01", b"\x77" * 32, b"\x66" * 32]


@pytest.fixture
def stored(tmp_path: Path, database: Database) -> Iterator[StoredMirror]:
    made = StoredMirror(tmp_path, database)
    rng = random.Random(3)
    made.grow(random_events(5, [rng.randrange(5) for _ in range(30)]))
    # What a reorg undid is never shown.
    made.replace(22, random_events(6, [rng.randrange(5) for _ in range(8)]))
    yield made
    made.close()


def all_logs(stored: StoredMirror) -> list[Log]:
    """From the blocks themselves."""
    return [
        (block.header.number, index, log.topics, log.data)
        for block in stored.blocks
        for outcome in block.outcomes
        for index, log in enumerate(outcome.logs)
    ]


def window(**changes: int | bool) -> Window:
    whole = {"first_block": 0, "last_block": 99, "newest_first": False, "limit": 1000}
    return Window(**{**whole, **changes})  # type: ignore[arg-type]


def found(stored: StoredMirror, asked: Window, wanted: LogsWanted) -> list[Log]:
    rows = stored.mirror.logs(asked, wanted)
    return [(row.block_number, row.log_index, row.topics, row.data) for row in rows]


@pytest.mark.parametrize("few", [2000, 0])
def test_topics_find_what_a_look_at_every_log_finds(
    stored: StoredMirror, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kinds with few events are found by an index, those with many on the way.
    monkeypatch.setattr("indexer.read.raw._FEW", few)
    logs = all_logs(stored)
    rng = random.Random(1)
    hits = 0
    for _ in range(60):
        one, other = rng.choice(logs), rng.choice(logs)
        groups: list[Sequence[tuple[int, bytes]]] = []
        for place in rng.sample(range(4), rng.randrange(1, 4)):
            topics = [log[2][place] for log in (one, other) if len(log[2]) > place]
            groups += [[(place, topic)] for topic in topics[:1]]
            if rng.random() < 0.3 and topics:
                groups[-1] = [(place, topics[0]), ((place + 1) % 4, keccak256(b"nothing"))]
        holds = [
            log
            for log in logs
            if all(any(len(log[2]) > place and log[2][place] == topic for place, topic in group) for group in groups)
        ]
        assert found(stored, window(), {"topics": groups}) == holds
        hits += len(holds)
    assert hits > 60
    kinds = [(topic, kind.__name__) for topic, kind in TOPICS.items()]
    for (first, name), (second, other_name) in product(kinds[:5], kinds[:5]):
        both = [log for log in logs if log[2][0] in (first, second)]
        assert found(stored, window(), {"kinds": (name, other_name)}) == both


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_window_is_a_part_of_the_whole_list(stored: StoredMirror, newest_first: bool) -> None:
    logs = [log for log in all_logs(stored) if 4 <= log[0] <= 27]
    ordered = logs[::-1] if newest_first else logs
    whole = window(first_block=4, last_block=27, newest_first=newest_first)
    assert found(stored, whole, {}) == ordered
    for start in range(0, len(ordered), 7):
        limited = window(first_block=4, last_block=27, newest_first=newest_first, limit=5, skip=start)
        assert found(stored, limited, {}) == ordered[start : start + 5]
        place = ordered[start][:2]
        after = Window(first_block=4, last_block=27, newest_first=newest_first, limit=5, place=place)
        assert found(stored, after, {}) == ordered[start + 1 : start + 6]


def test_rows_that_are_too_large_together_are_refused(stored: StoredMirror) -> None:
    assert stored.mirror.logs(window(most_bytes=1_000_000), {})
    with pytest.raises(TooMuch):
        stored.mirror.logs(window(most_bytes=1_000), {})
    with pytest.raises(TooMuch):
        stored.mirror.transactions_of(checksum_address(CONTRACTS.ledger), window(most_bytes=1_000))


def test_a_log_names_its_transaction_whole(stored: StoredMirror) -> None:
    (row, *_) = stored.mirror.logs(window(), {})
    assert row.transaction is not None
    assert row.transaction.hash == row.tx_hash == keccak256(stored.blocks[row.block_number - 1].transactions[0])
    assert (row.transaction.gas_used, row.transaction.succeeded) == (50_000, True)
    block = stored.mirror.whole_block(row.block_number)
    assert block is not None
    assert block.transactions == (row.transaction,)
    assert block.header["number"] == row.block_number
    sent = stored.mirror.transactions_of(row.transaction.sender, window())
    assert len(sent) == sum(bool(block.transactions) for block in stored.blocks)
    assert row.transaction in sent


def test_a_block_is_found_by_its_time(stored: StoredMirror) -> None:
    times = {block.header.number: block.header.time for block in stored.blocks}
    for time in range(min(times.values()) - 2, max(times.values()) + 3):
        before = [number for number, stands in times.items() if stands <= time]
        after = [number for number, stands in times.items() if stands >= time]
        assert stored.mirror.block_at_time(time, "before") == (before[-1] if before else None)
        assert stored.mirror.block_at_time(time, "after") == (after[0] if after else None)


def spelt(value: object) -> object:
    """As a node writes it."""
    match value:
        case int():
            return hex(value)
        case bytes():
            return to_hex(value)
        case tuple():
            return [spelt(part) for part in value]
        case dict():
            return {name: spelt(part) for name, part in value.items()}
    return value


def raws() -> list[bytes]:
    """A transaction of each type."""
    to, key = from_hex(ZERO_ADDRESS, 20), b"\x11" * 32
    access: Item = [[to, [key, key]], [to, []]]
    start: list[Item] = [integer(1), integer(5)]
    call: list[Item] = [integer(21_000), to, integer(7), b"data"]
    fees: list[Item] = [integer(2), integer(9)]
    authorizations: Item = [[integer(1), to, integer(3), *SIGNED]]
    return [
        encode([integer(5), integer(9), *call, integer(38), *SIGNED[1:]]),
        encode([integer(5), integer(9), integer(21_000), b"", b"", b"code", integer(27), *SIGNED[1:]]),
        b"\x01" + encode([*start, integer(9), *call, access, *SIGNED]),
        b"\x02" + encode([*start, *fees, *call, access, *SIGNED]),
        b"\x03" + encode([*start, *fees, *call, access, integer(4), [key, key], *SIGNED]),
        b"\x04" + encode([*start, *fees, *call, access, authorizations, *SIGNED]),
        sign_transaction(
            LocalKey.derive(bytes(32), "sender"),
            chain_id=1,
            nonce=0,
            to=checksum_address(CONTRACTS.ledger),
            data=b"abcd",
            gas=21_000,
            max_fee_wei=1,
            priority_fee_wei=1,
        )[0],
    ]


@pytest.mark.parametrize("raw", raws())
def test_what_is_decoded_encodes_to_the_same_bytes(raw: bytes) -> None:
    fields = spelt(transaction_fields(raw))
    assert isinstance(fields, dict)
    assert transaction_raw(fields) == raw


@pytest.mark.parametrize("raw", [b"", b"\x05" + encode([b""]), b"\x02" + encode([b"\x01"]), encode([b""] * 9)[:-1]])
def test_what_is_no_transaction_is_refused(raw: bytes) -> None:
    with pytest.raises(BadProof):
        transaction_fields(raw)


def test_a_header_of_every_fork_encodes_to_the_same_bytes() -> None:
    early: list[Item] = [bytes(32), bytes(32), bytes(20), bytes(32), bytes(32), bytes(32), bytes(256)]
    early += [integer(1), integer(2), integer(3), integer(4), integer(5), b"extra", bytes(32), bytes(8)]
    later: list[Item] = [integer(7), bytes(32), integer(8), integer(9), bytes(32), bytes(32)]
    for count in range(len(later) + 1):
        raw = encode([*early, *later[:count]])
        fields = spelt(header_fields(raw))
        assert isinstance(fields, dict)
        assert header_rlp(fields) == raw
    with pytest.raises(BadProof):
        header_fields(encode([*early, *later, b""]))
