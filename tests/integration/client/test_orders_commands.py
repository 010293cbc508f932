"""`gridlease orders` and `client.submit_signed` against the real market: what is signed is what was asked for."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from typer.testing import CliRunner, Result

from client.drafts import draft_of
from client.errors import BadAnswer, MarketRefused
from client.jobs import request_for
from client.orders import checked_order, sign_order
from gridlease.cli import app
from protocol.hashing import to_hex
from protocol.keys import LocalKey
from protocol.messages import Domain, digest, from_json, typed_data
from protocol.terms import Order
from protocol.wire.jobs import JobRequest
from protocol.wire.orders import OrderDraft
from tests.support.accounts_market import MODULE
from tests.support.served_market import BUYER, PLENTY_BASE, ServedMarket
from tests.support.stored_mirror import DEPLOYMENT

THIEF = LocalKey.derive(bytes(32), "thief")


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "train.wasm"
    path.write_bytes(MODULE)
    return path


@pytest.fixture
def wallet(tmp_path: Path, served: ServedMarket, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "wallet.txt"
    path.write_text(to_hex(BUYER.secret()))
    monkeypatch.setenv("GRIDLEASE_URL", served.url)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["orders", *arguments])


def told(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def committed(served: ServedMarket) -> int:
    with served.client() as client:
        return client.keys.get(served.made.id).committed_base


def test_a_wallet_signs_and_buys_by_one_command_without_an_api_key(
    served: ServedMarket, wallet: Path, module: Path
) -> None:
    job = told("sign", str(module), "--max-price", "0.05", "--private-key-file", str(wallet))
    assert job["state"] == "queued"
    with served.client() as client:
        assert [found.id for found in client.list_jobs().data] == [job["id"]]
    assert committed(served) == 0


def test_nothing_is_bought_that_nobody_agreed_to(served: ServedMarket, wallet: Path, module: Path) -> None:
    asked = run("sign", str(module), "--private-key-file", str(wallet))
    assert (asked.exit_code, "add --yes" in asked.output) == (2, True), asked.output
    unmatched = run("sign", str(module), "--max-carbon", "1", "--yes", "--private-key-file", str(wallet))
    assert unmatched.exit_code == 4, unmatched.output
    with served.client() as client:
        assert client.list_jobs().data == []


def test_policy_words_become_the_orders_terms(
    served: ServedMarket, wallet: Path, module: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRIDLEASE_KEY", served.made.key)
    out = tmp_path / "order.json"
    words = ["--zone", "DE", "--zone", "FR", "--energy", "solar", "--retries", "2", "--deadline", "2h"]
    told("prepare", str(module), "--out", str(out), *words)
    request = JobRequest.model_validate(json.loads(out.read_text())["request"])
    assert (request.needs.zones_in, request.needs.energy_sources) == (["DE", "FR"], ["solar"])
    order = from_json(Order, json.loads(out.read_text())["draft"]["typed_data"]["message"])
    assert order.max_leases == 3
    assert order.expiry + order.duration <= (request.deadline_time or 0)


def test_an_order_is_prepared_here_signed_elsewhere_and_sent_once(
    served: ServedMarket, wallet: Path, module: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRIDLEASE_KEY", served.made.key)
    out, typed = tmp_path / "order.json", tmp_path / "typed.json"
    draft = told("prepare", str(module), "--out", str(out), "--typed-data", str(typed))
    with served.client() as client:
        assert client.list_jobs().data == []
    # As a browser's or a hardware wallet does.
    signature = Account.sign_typed_data(BUYER.secret(), full_message=json.loads(typed.read_text())).signature
    job = told("submit", str(out), "--signature", to_hex(bytes(signature)))
    assert job["order"] == draft["digest"]
    assert told("submit", str(out), "--signature", to_hex(bytes(signature)))["id"] == job["id"]
    forged = Account.sign_typed_data(THIEF.secret(), full_message=json.loads(typed.read_text())).signature
    other = tmp_path / "other.json"
    told("prepare", str(module), "--out", str(other))
    refused = run("submit", str(other), "--signature", to_hex(bytes(forged)))
    assert refused.exit_code != 0
    assert run("submit", str(typed), "--signature", "0x00").exit_code == 2


def test_the_sdk_buys_by_a_key_of_the_buyers_own(served: ServedMarket, module: Path) -> None:
    with served.client() as client:
        job = client.submit_signed(module, BUYER, max_price="0.05")
        assert client.job(job.id).state == "queued"
        with pytest.raises(BadAnswer, match="buyer"):
            client.submit_signed(module, THIEF, max_price="0.05")
    assert committed(served) == 0


def _with(draft: OrderDraft, **changes: Any) -> OrderDraft:
    """The same draft as a market would write it that wants something else."""
    order = from_json(Order, {**draft.typed_data["message"], **changes})
    domain = DEPLOYMENT.domain
    return draft.model_copy(update={"typed_data": typed_data(domain, order), "digest": to_hex(digest(domain, order))})


DISHONEST: list[tuple[dict[str, Any], str]] = [
    ({"buyer": THIEF.address}, "buyer"),
    ({"job": "0x" + "11" * 32}, "another job"),
    ({"matcher": THIEF.address}, "matcher"),
    ({"fee": "101"}, "fee of 101"),
    ({"replicas": "3"}, "3 replicas"),
    ({"duration": "901"}, "901 s"),
    ({"maxLeases": "7"}, "7 leases"),
    ({"maxRate": "3000001"}, "rate of up to"),
    ({"budget": str(PLENTY_BASE)}, "max_price is 50000"),
]


def test_a_draft_that_is_not_what_was_asked_for_is_not_signed(served: ServedMarket, module: Path) -> None:
    with served.client() as client:
        terms: Any = {"max_price": "0.05", "max_leases": 4, "max_rate": 3_000_000}
        request = request_for(client.upload(draft_of(module)), terms)
        draft, chain = client.orders.prepare(request), client.chain()
        assert checked_order(draft, request, BUYER.address, chain).buyer == BUYER.address
        said = {}
        for changes, words in DISHONEST:
            with pytest.raises(BadAnswer) as refusal:
                sign_order(_with(draft, **changes), request, BUYER, chain)
            said[words] = str(refusal.value)
        assert [(words, fact) for words, fact in said.items() if words not in fact] == []
        # For another ledger, or with a digest that is not the message's.
        order = from_json(Order, draft.typed_data["message"])
        elsewhere = typed_data(Domain(chain_id=1, ledger=THIEF.address), order)
        for wrong in ({"typed_data": elsewhere}, {"digest": "0x" + "22" * 32}):
            with pytest.raises(BadAnswer):
                sign_order(draft.model_copy(update=wrong), request, BUYER, chain)
        assert client.list_jobs().data == []


def test_what_the_market_refuses_is_told_with_its_remedy(served: ServedMarket, module: Path) -> None:
    with served.client() as client:
        request = request_for(client.upload(draft_of(module)), {})
        signed = sign_order(_with(client.orders.prepare(request), notice="59"), request, BUYER, client.chain())
        with pytest.raises(MarketRefused, match="set notice to 60"):
            client.orders.submit(signed)
