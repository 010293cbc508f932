"""On a chain whose header blooms leave out logs, no bloom rules anything out."""

import json
import random
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import Raw
from orjson import dumps

from indexer.backfill.fetch import Wanted, light_of_receipts
from indexer.backfill.job import read_job, spell_job
from indexer.backfill.read import of_logs
from indexer.blooms import Blooms
from indexer.bundles.errors import BloomsIncomplete
from indexer.bundles.make import Bundles
from indexer.errors import BadBlock
from indexer.source import Contracts, Source, VerifiedBlock
from protocol.deployment import load_deployment
from protocol.events import LedgerHead
from protocol.hashing import keccak256
from tests.support.fake_chain import CONTRACTS, RandomLedger, make_block
from tests.support.node_json import logs_json, receipts_json
from tests.support.stored_mirror import DEPLOYMENT

INCOMPLETE = Blooms(CONTRACTS.ledger, complete=False)


@pytest.fixture
def blind() -> VerifiedBlock:
    ledger = RandomLedger(random.Random(1))
    return make_block(7, bytes(32), [ledger.next(), ledger.next()], blind=True)


def test_only_a_complete_bloom_rules_a_block_out(blind: VerifiedBlock) -> None:
    assert not CONTRACTS.blooms.allow(blind.header)
    assert INCOMPLETE.allow(blind.header)


def test_without_receipts_there_is_no_log_whatever_blooms_are_worth() -> None:
    empty = make_block(7, bytes(32), [])
    assert not INCOMPLETE.allow(empty.header)
    said = light_of_receipts(empty.header, empty.header_rlp, Raw(b"[]"), INCOMPLETE)
    assert (said.method, said.logs) == ("bloom", [])


def test_receipts_and_ranges_are_read_where_blooms_say_nothing(blind: VerifiedBlock) -> None:
    by_receipts = light_of_receipts(blind.header, blind.header_rlp, Raw(dumps(receipts_json(blind))), INCOMPLETE)
    (by_logs,) = of_logs([(blind.header, blind.header_rlp)], dumps(logs_json(blind)), INCOMPLETE)
    assert (by_receipts.method, by_logs.method) == ("receipts", "head")
    assert by_receipts.logs == by_logs.logs
    assert len(by_logs.logs) == 2
    with pytest.raises(BadBlock):
        of_logs([(blind.header, blind.header_rlp)], dumps(logs_json(blind)), CONTRACTS.blooms)


def test_the_deployment_says_it_to_every_process(tmp_path: Path, blind: VerifiedBlock) -> None:
    path = tmp_path / "1.json"
    DEPLOYMENT.save(path)
    said = json.loads(path.read_text())
    del said["completeBlooms"]
    path.write_text(json.dumps(said))
    assert load_deployment(path) == DEPLOYMENT
    path.write_text(json.dumps(said | {"completeBlooms": False}))
    contracts = Contracts.of(load_deployment(path))
    assert contracts.blooms == INCOMPLETE
    assert Source(cast(Any, None), contracts, 64).may_hold_events(blind.header)

    wanted = Wanted(
        blooms=contracts.blooms,
        first=1,
        newest=9,
        parent_hash=keccak256(b"parent"),
        head=LedgerHead(),
        event_count=0,
        mode="head",
        most_blocks=8,
        layouts={},
    )
    assert read_job(spell_job("http://node", wanted)) == ("http://node", wanted)


def test_nobody_is_given_an_absence_that_believes_such_blooms() -> None:
    with pytest.raises(BloomsIncomplete, match="history"):
        Bundles("sqlite:///none", "http://node", complete_blooms=False).absence(1, 2)
