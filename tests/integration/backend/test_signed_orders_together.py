"""Signed orders on each database: one job however many come at once, and a signature of any length."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.errors import InFlight
from backend.matching import auction
from backend.matching.snapshot import Snapshot
from backend.orders import service
from protocol.events import Deposited
from protocol.hashing import from_hex
from protocol.messages import from_json
from protocol.terms import Order
from protocol.wire.orders import SignedOrder
from tests.support.accounts_market import MODULE, MarketWorld, job_body, market_world
from tests.support.databases import Database
from tests.support.postgres import Postgres
from tests.support.signed_orders import prepared, signed


@pytest.fixture
def world(tmp_path: Path, database: Database) -> Iterator[MarketWorld]:
    with market_world(tmp_path, database) as made:
        yield made


def test_the_same_order_sent_many_times_at_once_is_one_job(world: MarketWorld) -> None:
    world.somebody("provider").offer(capacity=9)
    buyer = world.somebody("buyer")
    world.stored.grow([[Deposited(buyer.address, buyer.address, 5_000_000)]])
    body = job_body(buyer.put(MODULE))
    request = signed(prepared(buyer, body), buyer.key, body)
    headers = {"authorization": f"Bearer {buyer.token}"}

    def sent(number: int) -> object:
        return world.ask("POST", "/v1/orders", json=request, headers={**headers, "idempotency-key": str(number)})

    answers = world.together(*(sent(number) for number in range(8)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert all(answer.json()["code"] == "in_flight" for answer in answers if answer.status_code == 409)
    (job,) = buyer.call("GET", "/v1/jobs").json()["data"]
    assert {answer.json()["id"] for answer in answers if answer.status_code == 202} == {job["id"]}


def test_a_contract_wallets_long_signature_is_kept_whole(world: MarketWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's word is taken for granted here: what is looked at is the row and the book of the auction."""
    world.somebody("provider").offer(capacity=9)
    buyer = world.somebody("buyer")
    world.stored.grow([[Deposited(buyer.address, buyer.address, 5_000_000)]])
    body = job_body(buyer.put(MODULE))
    monkeypatch.setattr("backend.accounts.contract_wallet.signed", lambda *_: True)
    signature = "0x" + "ab" * 1000
    request = {**signed(prepared(buyer, body), buyer.key, body), "signature": signature}
    assert buyer.call("POST", "/v1/orders", json=request).status_code == 202
    assert auction.hold(world.market) == 1
    book = world.call("GET", "/v1/auctions/1").json()["snapshot"]
    assert signature in book
    assert Snapshot.parse(book).text() == book


@pytest.mark.database
def test_of_two_servers_with_the_same_order_one_makes_the_job_and_one_says_to_ask_again(
    tmp_path: Path, postgres: Postgres
) -> None:
    with market_world(tmp_path, Database("postgresql", lambda _: postgres.new_database())) as world:
        world.somebody("provider").offer(capacity=9)
        buyer = world.somebody("buyer")
        world.stored.grow([[Deposited(buyer.address, buyer.address, 5_000_000)]])
        body = job_body(buyer.put(MODULE))
        request = SignedOrder.model_validate(signed(prepared(buyer, body), buyer.key, body))
        order, signature = from_json(Order, request.order), from_hex(request.signature)
        with world.market.db.write() as one:
            first = service.submit(one, world.market, request, order, signature, None)
            with pytest.raises(InFlight), world.market.db.write() as two:
                service.submit(two, world.market, request, order, signature, None)
        assert first.is_new
        with world.market.db.write() as later:
            again = service.submit(later, world.market, request, order, signature, None)
            assert (again.job.id, again.is_new) == (first.job.id, False)
