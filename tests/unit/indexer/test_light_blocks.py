"""Light blocks are as well checked as whole ones, and each lie about a range of logs is named."""

import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from orjson import dumps

from indexer.backfill.decode import decode_span
from indexer.backfill.derive import derive_light
from indexer.backfill.read import of_logs, of_receipts
from indexer.backfill.spans import Span, read_span, write_error, write_span
from indexer.copy import layout
from indexer.decoder import derive
from indexer.errors import BadBlock, ParentMismatch
from indexer.headers import read_headers
from indexer.source import VerifiedBlock
from protocol.errors import BadProof, NodeUnavailable, RpcRefused
from protocol.events import BadEvent, LedgerHead
from protocol.hashing import keccak256, to_hex
from protocol.proofs import Header
from tests.support.fake_chain import CONTRACTS, RandomLedger, make_block
from tests.support.node_json import block_json, logs_json, receipts_json

LEDGER, BLOOMS = CONTRACTS.ledger, CONTRACTS.blooms
Json = dict[str, Any]


@pytest.fixture
def chain() -> list[VerifiedBlock]:
    ledger = RandomLedger(random.Random(3))
    blocks: list[VerifiedBlock] = []
    for number, size in enumerate((2, 0, 3, 1), start=5):
        parent = blocks[-1].header.hash if blocks else bytes(32)
        blocks.append(make_block(number, parent, [ledger.next() for _ in range(size)]))
    return blocks


def headers_of(chain: list[VerifiedBlock]) -> list[tuple[Header, bytes]]:
    return [(block.header, block.header_rlp) for block in chain]


def test_both_ways_say_what_the_whole_block_says(chain: list[VerifiedBlock]) -> None:
    by_logs = of_logs(headers_of(chain), dumps([log for block in chain for log in logs_json(block)]), BLOOMS)
    for block, light in zip(chain, by_logs, strict=True):
        whole = derive(block, CONTRACTS)
        by_receipts = of_receipts(block.header, block.header_rlp, dumps(receipts_json(block)), LEDGER)
        for found in (derive_light(light), derive_light(by_receipts)):
            assert found.logs == whole.logs
            assert found.header == whole.header
            assert not found.whole
            named = {(row.tx_index, row.hash) for row in found.transactions}
            assert named == {(log.tx_index, log.tx_hash) for log in whole.logs}
            assert all(row[4:] == (None,) * 6 for row in found.transactions)


def _drop_word(log: Json) -> None:
    log["topics"][0] = log["topics"][0][:-2]


LIES: dict[str, Callable[[list[Json]], None]] = {
    "two logs change places": lambda logs: logs.insert(0, logs.pop(1)),
    "a log twice": lambda logs: logs.insert(1, dict(logs[0])),
    "another contract": lambda logs: logs[0].update(address=to_hex(CONTRACTS.token)),
    "another block": lambda logs: logs[0].update(blockHash=to_hex(bytes(32))),
    "a block that was not asked": lambda logs: logs[0].update(blockNumber="0x63"),
    "a number that is none": lambda logs: logs[0].update(logIndex="zero"),
    "a negative place": lambda logs: logs[0].update(logIndex="-0x1"),
    "an enormous place": lambda logs: logs[0].update(logIndex="0x" + "f" * 20),
    "a negative transaction": lambda logs: logs[0].update(transactionIndex="-0x1"),
    "an enormous transaction": lambda logs: logs[0].update(transactionIndex="0x" + "f" * 20),
    "another hash of the same transaction": lambda logs: logs[1].update(
        transactionIndex=logs[0]["transactionIndex"], transactionHash=to_hex(keccak256(b"other"))
    ),
    "the same hash of another transaction": lambda logs: logs[1].update(
        transactionIndex="0x7", transactionHash=logs[0]["transactionHash"]
    ),
    "a topic without its prefix": lambda logs: logs[0]["topics"].__setitem__(0, "00" + logs[0]["topics"][0][2:]),
    "a short hash": lambda logs: logs[0].update(transactionHash="0x12"),
    "a short topic": lambda logs: _drop_word(logs[0]),
    "no data": lambda logs: logs[0].pop("data"),
}


@pytest.mark.parametrize("lie", LIES)
def test_logs_that_do_not_fit_are_refused(chain: list[VerifiedBlock], lie: str) -> None:
    logs = [log for block in chain for log in logs_json(block)]
    LIES[lie](logs)
    with pytest.raises(BadBlock, match="logs"):
        of_logs(headers_of(chain), dumps(logs), BLOOMS)


@pytest.mark.parametrize("answer", [None, {}, [None], [{}], "logs", [[]], 7])
def test_an_answer_of_another_shape_is_a_bad_block(chain: list[VerifiedBlock], answer: Any) -> None:
    with pytest.raises(BadBlock):
        of_logs(headers_of(chain), dumps(answer), BLOOMS)
    with pytest.raises(BadBlock):
        of_receipts(chain[0].header, chain[0].header_rlp, dumps(answer), LEDGER)


def test_logs_where_the_bloom_rules_them_out_are_refused(chain: list[VerifiedBlock]) -> None:
    (stray, *_) = logs_json(chain[0])
    stray |= {"blockNumber": hex(6), "blockHash": to_hex(chain[1].header.hash)}
    with pytest.raises(BadBlock, match="its header says"):
        of_logs(headers_of(chain), dumps([stray]), BLOOMS)


def test_a_changed_receipt_does_not_rebuild_the_root(chain: list[VerifiedBlock]) -> None:
    receipts = receipts_json(chain[0])
    receipts[0]["logs"][0]["data"] = "0x" + "00" * ((len(receipts[0]["logs"][0]["data"]) - 2) // 2)
    with pytest.raises(BadBlock, match="receipts root"):
        of_receipts(chain[0].header, chain[0].header_rlp, dumps(receipts), LEDGER)


def test_headers_are_read_as_far_as_they_link(chain: list[VerifiedBlock]) -> None:
    answers = [block_json(block) for block in chain]
    assert read_headers(5, answers, chain[0].header.parent_hash) == headers_of(chain)
    assert len(read_headers(5, [*answers[:2], None, answers[3]], None)) == 2
    other = make_block(7, bytes(32), [])
    assert len(read_headers(5, [*answers[:2], block_json(other)], None)) == 2
    with pytest.raises(ParentMismatch):
        read_headers(5, answers, bytes(range(32)))
    with pytest.raises(BadBlock, match="header"):
        read_headers(5, [answers[0] | {"gasUsed": "0x1234567"}], None)


def test_spans_and_errors_survive_the_pipe(chain: list[VerifiedBlock]) -> None:
    light = of_logs(headers_of(chain), dumps([log for block in chain for log in logs_json(block)]), BLOOMS)
    spans = [
        decode_span(light, LedgerHead(7, 3), 4, {"events": layout("events")}, proved=True),
        decode_span(light, LedgerHead(7, 3), 4, {}, proved=False),
        Span.end(),
    ]
    errors = [
        BadBlock(7, "logs", "so"),
        BadEvent("no event"),
        ParentMismatch(),
        RpcRefused("eth_getProof", -1, "no", {"x": 1}),
        BadProof("a", "b"),
    ]
    pipe = io.BytesIO()
    for span in spans:
        write_span(pipe, span)
    for error in errors:
        write_error(pipe, error)
    pipe.seek(0)
    assert [read_span(pipe) for _ in spans] == spans
    for error in errors:
        with pytest.raises(type(error)) as caught:
            read_span(pipe)
        assert str(caught.value) == str(error)
        assert getattr(caught.value, "method", None) == getattr(error, "method", None)
    with pytest.raises(EOFError):
        read_span(pipe)


def test_half_a_frame_is_the_end() -> None:
    pipe = io.BytesIO()
    write_error(pipe, NodeUnavailable("u", "f"))
    for length in range(len(pipe.getvalue())):
        with pytest.raises(EOFError):
            read_span(io.BytesIO(pipe.getvalue()[:length]))
