"""Bad input gets one clear problem that says what to change, and nothing is charged."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from client.account import sign_in
from client.sdk import Client
from gridlease.house import House, dev_key
from indexer.queries import Mirror
from protocol.clock import now_at, now_time
from protocol.hashing import to_hex
from protocol.keys import LocalKey
from protocol.messages import Domain, digest, sign, to_json
from protocol.rpc import Rpc
from protocol.signin import sign_in_message
from protocol.wallet import send
from protocol.wire.accounts import NonceAnswer
from tests.support.builders import make_offer
from tests.support.stories import training, until

pytestmark = [pytest.mark.node, pytest.mark.timeout(200)]


@pytest.fixture
def http(house: House) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {house.api_key}", "Idempotency-Key": "bad-input"}
    with httpx.Client(base_url=house.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def free_base(house: House) -> Iterator[None]:
    """Nothing of what happens in between is charged."""
    with house.client() as client:
        # What an earlier story bought is charged when its block comes: not in between.
        before = client.account()
        for _ in range(20):
            time.sleep(2.5)
            now, before = before, client.account()
            if (now.free_base, now.delegate) == (before.free_base, before.delegate):
                break
        yield
        after = client.account()
    assert (before.free_base, before.delegate) == (after.free_base, after.delegate)


def _manifest(house: House, **changes: Any) -> dict[str, Any]:
    with house.client() as client:
        return {**training(client), **changes}


def _refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["remedy"]
    return problem


@pytest.mark.usefixtures("free_base")
def test_a_job_over_the_limits_names_the_limit(house: House, http: httpx.Client) -> None:
    limits = {"memory_bytes": 1 << 45, "work": 1, "wall_seconds": 1, "output_bytes": 1}
    problem = _refused(http.post("/v1/jobs", json={"manifest": _manifest(house, limits=limits)}), 422, "bad_manifest")
    assert "memory_bytes" in problem["detail"]


@pytest.mark.usefixtures("free_base")
def test_an_unknown_runtime_names_the_known_ones(house: House, http: httpx.Client) -> None:
    problem = _refused(http.post("/v1/jobs", json={"manifest": _manifest(house, runtime="jvm/9")}), 422, "bad_manifest")
    assert "wasi-det/1" in problem["remedy"]


@pytest.mark.usefixtures("free_base")
def test_an_order_that_no_offer_meets_says_what_would(house: House, http: httpx.Client) -> None:
    body = {"manifest": _manifest(house), "needs": {"zones_in": ["NZ"]}}
    problem = _refused(http.post("/v1/jobs", json=body), 409, "not_matched")
    assert {refusal["reason"] for refusal in problem["refusals"]} == {"zone"}
    quote = http.post("/v1/jobs?dry_run=1", json=body).json()
    assert quote["would_match"] is False
    assert all("allow zone" in refusal["remedy"] for refusal in quote["refusals"])


@pytest.mark.usefixtures("free_base")
def test_a_price_above_the_cap_is_refused_before_anything_is_signed(house: House, http: httpx.Client) -> None:
    _refused(http.post("/v1/jobs", json={"manifest": _manifest(house), "max_price": "999999"}), 402, "not_funded")


def test_a_replayed_request_is_one_job_and_another_body_is_refused(house: House, http: httpx.Client) -> None:
    body = {"manifest": _manifest(house), "metadata": {"n": "1"}}
    headers = {"Idempotency-Key": "replay-1"}
    first = http.post("/v1/jobs", json=body, headers=headers)
    again = http.post("/v1/jobs", json=body, headers=headers)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = http.post("/v1/jobs", json={**body, "metadata": {"n": "2"}}, headers=headers)
    _refused(other, 422, "idempotency_conflict")
    http.post(f"/v1/jobs/{first.json()['id']}/cancel")


def test_a_body_that_is_too_long_or_of_unknown_length_is_refused_unread(http: httpx.Client) -> None:
    content = b" " * (1 << 20) + b"{}"
    _refused(http.post("/v1/jobs", content=content), 413, "too_large")
    _refused(http.post("/v1/jobs", content=iter([content])), 411, "length_required")


@pytest.mark.usefixtures("free_base")
@pytest.mark.parametrize("price", ["1e999999999", "1,5", "-1", "a lot"])
def test_a_price_that_is_no_amount_is_refused(house: House, http: httpx.Client, price: str) -> None:
    body = {"manifest": _manifest(house), "max_price": price}
    problem = http.post("/v1/jobs", json=body).json()
    assert (problem["status"], problem["code"]) == (422, "term_out_of_range")
    assert "such as 0.05" in problem["detail"]


def _provider_session(house: House, key: LocalKey) -> httpx.Client:
    with Client(house.url) as market:
        session = sign_in(market.http, key, market.chain())
    return httpx.Client(base_url=house.url, headers={"Authorization": f"Bearer {session.token}"}, timeout=30)


def test_a_forged_or_foreign_offer_is_refused_with_the_reason(house: House) -> None:
    key, forger = LocalKey.create(), LocalKey.create()
    offer = make_offer(provider=key.address, expiry=now_time() + 3600)
    elsewhere = Domain(chain_id=1, ledger=house.ledger.ledger)
    with _provider_session(house, key) as session:
        for domain, signer in ((house.ledger.domain, forger), (elsewhere, key)):
            body = {"offer": to_json(offer), "signature": to_hex(sign(domain, offer, signer))}
            problem = _refused(session.post("/v1/offers", json=body), 422, "offer_refused")
            assert "chain 31337" in problem["remedy"]


def test_an_offer_that_its_provider_cancelled_on_chain_is_not_proposed_and_not_taken_again(house: House) -> None:
    key = LocalKey.create()
    # The cheapest by far: if it stayed in the book, every order would go to it and be skipped by the ledger.
    offer = make_offer(provider=key.address, rate=1, capacity=9, expiry=now_time() + 3600)
    voided = (key.address, digest(house.ledger.domain, offer))
    body = {"offer": to_json(offer), "signature": to_hex(sign(house.ledger.domain, offer, key))}
    mirror = Mirror(house.environment["GRIDLEASE_MIRROR_URL"])
    with _provider_session(house, key) as session, house.client() as client, Rpc(house.rpc_url) as rpc:
        assert session.post("/v1/offers", json=body).status_code == 201
        assert client.quote(training(client)).provider == key.address
        rpc.call("anvil_setBalance", key.address, hex(10**18))
        send(rpc, key, "ComputeLedger", house.ledger.ledger, "cancel", voided[1])
        until(lambda: mirror.cancelled([voided]) == {voided}, 30, "the mirror to see the cancellation")
        # A quote is by the book of a moment ago.
        until(lambda: client.quote(training(client)).provider not in (None, key.address), 5, "quotes to leave it out")
        _refused(session.post("/v1/offers", json=body), 422, "offer_refused")


def test_the_owner_of_a_key_sees_when_it_was_used(house: House, http: httpx.Client) -> None:
    assert http.get("/v1/account").status_code == 200
    with _provider_session(house, dev_key(2)) as owner:
        made = owner.post("/v1/keys", json={"name": "never used"}).json()
        used = {key["name"]: key["last_used_at"] for key in owner.get("/v1/keys").json()}
        owner.delete(f"/v1/keys/{made['id']}")
    assert used["demo"] is not None
    assert used["never used"] is None


def test_a_sign_in_for_another_chain_or_with_a_used_nonce_opens_no_session(house: House) -> None:
    key = dev_key(5)
    with httpx.Client(base_url=house.url, timeout=30) as http:
        asked = NonceAnswer.model_validate(http.post("/v1/auth/nonce").json())
        wrong = sign_in_message(asked.model_copy(update={"chain_id": 1}), key.address, now_at())
        _refused(http.post("/v1/auth/verify", json=_signed(key, wrong)), 401, "sign_in_refused")
        right = _signed(key, sign_in_message(asked, key.address, now_at()))
        assert http.post("/v1/auth/verify", json=right).status_code == 200
        _refused(http.post("/v1/auth/verify", json=right), 401, "sign_in_refused")


def _signed(key: LocalKey, message: str) -> dict[str, str]:
    signed = Account.sign_message(encode_defunct(text=message), key.secret())
    return {"message": message, "signature": to_hex(bytes(signed.signature))}


def test_without_a_credential_nothing_is_told_and_a_program_key_cannot_make_keys(house: House) -> None:
    with httpx.Client(base_url=house.url, timeout=30) as http:
        _refused(http.get("/v1/jobs"), 401, "not_signed_in")
        mistyped = http.get("/v1/jobs", headers={"Authorization": "Bearer glx_test_1"})
        assert "API key (glk_…)" in _refused(mistyped, 401, "not_signed_in")["detail"]
        keyed = {"Authorization": f"Bearer {house.api_key}"}
        _refused(http.post("/v1/keys", json={"name": "x"}, headers=keyed), 403, "not_allowed")
        assert http.get("/livez").json() == {"status": "ok"}
        assert "http://" not in http.get("/docs").text.replace("http://127.0.0.1", "")
