"""Column by column a span says exactly what its events say one by one, and refuses what they refuse."""

import random
from struct import unpack_from

import pytest

from indexer.backfill.columns import list_column, read_columns, spell_column
from indexer.backfill.decode import blocks_of, decode_span
from indexer.backfill.derive import derive_light
from indexer.backfill.light import LightBlock, LightLog
from indexer.copy import layout
from indexer.decoded import DecodedBlock, decode
from indexer.packing import END, START, pack
from protocol.events import ENUMS, EVENTS, TOPICS, BadEvent, LedgerHead, padding, read_cells
from protocol.hashing import keccak256
from tests.support.fake_chain import make_block

TOPIC_OF = {kind: topic for topic, kind in TOPICS.items()}
TABLES = ("events", "leases", "transactions")


def log_of(kind: int, dice: random.Random) -> tuple[bytes, bytes]:
    """Topics and data of any event of a kind, at times at the ends of its types."""
    event, words = EVENTS[kind], []
    for solidity in event.TYPES.values():
        bits = 256 - int.from_bytes(padding(solidity), "big").bit_count()
        most = len(ENUMS[solidity]) if solidity in ENUMS else 1 << bits
        words.append(dice.choice((0, most - 1, dice.randrange(most))).to_bytes(32, "big"))
    return TOPIC_OF[event] + b"".join(words[: event.INDEXED]), b"".join(words[event.INDEXED :])


def light_blocks(dice: random.Random, kinds: range) -> list[LightBlock]:
    blocks, parent = [], bytes(32)
    for number in range(5, 12):
        header = make_block(number, parent, [])
        logs: list[LightLog] = []
        for tx_index in range(dice.randrange(4)):
            for _ in range(dice.randrange(1, 4)):
                topics, data = log_of(dice.choice(kinds), dice)
                logs.append(
                    (tx_index, keccak256(bytes([tx_index, number])), len(logs), topics, data, keccak256(topics + data))
                )
        blocks.append(LightBlock(header.header_rlp, "head", logs))
        parent = header.header.hash
    return blocks


@pytest.mark.parametrize("kind", range(len(EVENTS)), ids=[event.__name__ for event in EVENTS])
def test_columns_are_the_cells_of_each_event(kind: int) -> None:
    dice = random.Random(kind)
    logs = [log_of(kind, dice) for _ in range(20)]
    columns = [list_column(spell_column(column)) for column in read_columns(kind, logs)]
    assert [(kind, list(cells)) for cells in zip(*columns, strict=True)] == [read_cells(*log) for log in logs]


@pytest.mark.parametrize("kind", range(len(EVENTS)), ids=[event.__name__ for event in EVENTS])
def test_a_field_that_is_not_of_its_type_is_named_as_it_is_one_by_one(kind: int) -> None:
    dice = random.Random(kind)
    good, types = [log_of(kind, dice) for _ in range(3)], list(EVENTS[kind].TYPES.values())
    for place, solidity in enumerate(types):
        faults = [1 << bit for bit in range(256) if int.from_bytes(padding(solidity), "big") >> bit & 1]
        if solidity in ENUMS:
            faults.append(len(ENUMS[solidity]))
        for fault in faults:
            topics, data = good[1]
            words = bytearray(topics + data)
            words[32 * place + 32 : 32 * place + 64] = fault.to_bytes(32, "big")
            bad = bytes(words[: len(topics)]), bytes(words[len(topics) :])
            with pytest.raises(BadEvent) as one:
                read_cells(*bad)
            with pytest.raises(BadEvent) as many:
                read_columns(kind, [good[0], bad, good[2]])
            assert str(many.value) == str(one.value)


@pytest.mark.parametrize("seed", range(30))
def test_a_span_says_what_its_blocks_say_event_by_event(seed: int) -> None:
    dice = random.Random(seed)
    # Often of one kind, as a market's busy blocks are.
    kinds = range(len(EVENTS)) if seed % 3 else range(8, 9)
    blocks = light_blocks(dice, kinds)
    before = LedgerHead(dice.randrange(1 << 208), dice.randrange(1 << 40))
    decoded, rows, after = decode([derive_light(block) for block in blocks], before, 77)
    plain = decode_span(blocks, before, 77, {}, proved=False)
    assert plain.blocks[-1].head == after
    assert [_listed(block) for block in blocks_of(plain)] == decoded
    for name in TABLES:
        assert sorted(plain.rows[name], key=repr) == sorted(map(tuple, rows[name]), key=repr), name
    packed = decode_span(blocks, before, 77, {name: layout(name) for name in TABLES}, proved=True).packed
    for name in TABLES:
        assert packed[name].columns == tuple(column.name for column in layout(name).columns)
        assert unpacked(packed[name].data) == unpacked(pack(layout(name), rows[name]).data), name


def _listed(block: DecodedBlock) -> DecodedBlock:
    """With its events' fields as `decode` has them."""
    return block._replace(events=[(kind, list(cells), tx_hash, place) for kind, cells, tx_hash, place in block.events])


def unpacked(data: bytes) -> list[list[bytes | None]]:
    """The rows of a COPY, sorted."""
    assert data.startswith(START)
    assert data.endswith(END)
    at, rows = len(START), []
    while at < len(data) - len(END):
        (count,) = unpack_from(">h", data, at)
        at, row = at + 2, list[bytes | None]()
        for _ in range(count):
            (size,) = unpack_from(">i", data, at)
            at += 4
            row.append(None if size < 0 else data[at : at + size])
            at += max(size, 0)
        rows.append(row)
    return sorted(rows, key=repr)


def test_a_log_of_no_kind_or_of_another_length_is_refused() -> None:
    dice = random.Random(1)
    topics, data = log_of(8, dice)
    for bad in ((bytes(32) + topics[32:], data), (topics, data + bytes(32)), (topics[:-32], data)):
        blocks = light_blocks(dice, range(3))
        log = (9, bytes(32), 99, *bad, bytes(32))
        with pytest.raises(BadEvent):
            decode_span(
                [*blocks[:-1], blocks[-1]._replace(logs=[*blocks[-1].logs, log])], LedgerHead(), 0, {}, proved=False
            )
