"""Whoever bought or offered holds the market's auctions again, by what the market publishes and a node says."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gridlease.commands import audit
from gridlease.house import House
from protocol.rpc import Rpc
from tests.support.stories import settled, training

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


def test_an_order_whose_job_ended_is_accounted_for_by_the_earlier_book_that_told_of_it(
    house: House, tmp_path: Path
) -> None:
    with house.client() as client, Rpc(house.rpc_url) as node:
        manifest = training(client)
        first = client.submit(manifest)
        receipt = tmp_path / "order.json"
        receipt.write_text(first.model_dump_json())
        settled(client, first.id)
        for _ in range(3):
            client.run(manifest, timeout_seconds=120)
            # All that was mined is final now.
            node.call("anvil_mine", hex(80))
        client.run(manifest, timeout_seconds=120)
    number, published = _newest(house)
    assert first.order not in published, "its leaving was told of, so that this book need not tell of it"
    facts = _audited(house, number, "--receipt", str(receipt))
    assert (facts["exit_code"], facts["findings"]) == (0, [])


def _newest(house: House) -> tuple[int, str]:
    """The newest auction, and its book."""
    number, published = 0, ""
    while (answer := httpx.get(f"{house.url}/v1/auctions/{number + 1}")).status_code == 200:
        number, published = number + 1, answer.json()["snapshot"]
    return number, published
