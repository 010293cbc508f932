"""Whoever bought or offered holds the market's auctions again, by what the market publishes and a node says."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from gridlease.commands import audit
from gridlease.house import House
from protocol.rpc import Rpc
from tests.support.stories import training

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]


def _audited(house: House, number: int, *more: str) -> dict[str, Any]:
    arguments = ["auction", str(number), "--url", house.url, "--rpc", house.rpc_url, "--json", *more]
    done = CliRunner().invoke(audit, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts | {"exit_code": done.exit_code}


def test_the_auction_of_a_job_audits_clean_from_the_published_book_and_the_chain(house: House) -> None:
    with house.client() as client:
        client.run(training(client), timeout_seconds=120)
    facts = _audited(house, 1)
    assert facts["findings"] == []
    assert facts["exit_code"] == 0
    assert facts["compared_with_chain"]
    assert facts["offers"] >= 1
    with Rpc(house.rpc_url) as node:
        later = node.block_number()
    # From a block on that is after it: then nothing on chain commits to its book.
    missing = _audited(house, 1, "--from-block", str(later))
    assert (missing["exit_code"], [finding["fault"] for finding in missing["findings"]]) == (1, ["root"])
