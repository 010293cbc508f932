"""Orders that a buyer's own wallet signs: taken as they were signed, once, from their buyer, or refused with why."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import encode_typed_data

from protocol.clock import now_time
from protocol.events import BeneficiarySet, DelegateApproved, Deposited, MessageCancelled
from protocol.hashing import Address, checksum_address, from_hex, keccak256, to_hex
from protocol.keys import LocalKey
from protocol.messages import Domain, digest, from_json, recover, sign
from protocol.resources import Quantities
from protocol.terms import BookReceipt
from tests.support.accounts_market import MODULE, MarketWorld, Somebody, job_body, market_world
from tests.support.anvil import Anvil, running_anvil
from tests.support.contract_wallets import CODES, OWNER, THIEF, address_of, sign_in
from tests.support.signed_orders import order_of, prepared, send, signed
from tests.support.stored_mirror import DEPLOYMENT

pytestmark = pytest.mark.node

PLENTY_BASE = 5_000_000


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    # The market's ledger in these tests says that it is of chain 1.
    with running_anvil("--chain-id", "1") as started:
        for name, code in CODES.items():
            started.rpc.call("anvil_setCode", address_of(name), code)
        yield started


@pytest.fixture
def world(tmp_path: Path, node: Anvil) -> Iterator[MarketWorld]:
    with market_world(tmp_path, rpc_url=node.url) as made:
        made.somebody("provider").offer(capacity=9)
        yield made


def deposit(world: MarketWorld, who: Address, amount_base: int = PLENTY_BASE) -> None:
    world.stored.grow([[Deposited(who, who, amount_base)]])


@pytest.fixture
def buyer(world: MarketWorld) -> Somebody:
    """A wallet with money and a session; it has no API key, and no delegate on chain."""
    somebody = world.somebody("buyer")
    deposit(world, somebody.address)
    return somebody


@pytest.fixture
def body(buyer: Somebody) -> dict[str, Any]:
    return job_body(buyer.put(MODULE), max_price="0.02")


def refused(answer: Any) -> str:
    """The fact and the remedy of an order that was not taken."""
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "order_refused", answer.text
    return f"{answer.json()['detail']}: {answer.json()['remedy']}"


def jobs_of(buyer: Somebody) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = buyer.call("GET", "/v1/jobs").json()["data"]
    return found


def test_a_wallet_buys_with_its_own_signature_and_needs_no_delegate(buyer: Somebody, body: dict[str, Any]) -> None:
    draft = prepared(buyer, body)
    assert draft["quote"]["would_match"]
    assert jobs_of(buyer) == [], "a draft is nothing yet"
    answer = send(buyer, signed(draft, buyer.key, body))
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["state"], job["order"]) == ("queued", draft["digest"])
    assert [found["id"] for found in jobs_of(buyer)] == [job["id"]]
    held = job["book_receipt"]
    receipt = from_json(BookReceipt, held["receipt"])
    assert to_hex(receipt.hash) == draft["digest"]
    assert recover(DEPLOYMENT.domain, receipt, from_hex(held["signature"])) == receipt.matcher


def test_a_wallets_own_library_reads_the_draft_as_what_the_ledger_will_check(
    buyer: Somebody, body: dict[str, Any]
) -> None:
    draft = prepared(buyer, body)
    typed = draft["typed_data"]
    message = encode_typed_data(full_message=typed)
    assert keccak256(b"\x19" + message.version + message.header + message.body) == from_hex(draft["digest"], 32)
    assert digest(DEPLOYMENT.domain, order_of(draft)) == from_hex(draft["digest"], 32)
    assert typed["domain"]["chainId"] == DEPLOYMENT.chain_id
    assert draft["until_time"] == int(typed["message"]["expiry"])


def test_the_draft_says_the_policy_words_as_terms(buyer: Somebody, body: dict[str, Any]) -> None:
    needs = {"zones_in": ["DE"], "distinct_zones": True, "energy_sources": ["solar"]}
    draft = prepared(buyer, {**body, "needs": needs, "replicas": 3, "retries": 2})
    order = order_of(draft)
    assert (order.replicas, order.max_leases, order.distinct_zones) == (3, 5, True)
    assert draft["quorum"] == 2
    assert not draft["quote"]["would_match"], "one provider is not three"


def test_the_same_order_is_one_job_however_often_it_comes(buyer: Somebody, body: dict[str, Any]) -> None:
    request = signed(prepared(buyer, body), buyer.key, body)
    first = send(buyer, request, key="one")
    again = [send(buyer, request, key="one"), send(buyer, request, key="two"), send(buyer, request)]
    again.append(send(buyer, {**request, "metadata": {"note": "changed"}}, key="one"))
    assert {answer.json()["id"] for answer in again} == {first.json()["id"]}
    assert "idempotent-replayed" not in first.headers
    assert all(answer.headers["idempotent-replayed"] == "true" for answer in again)
    assert len(jobs_of(buyer)) == 1


def test_an_idempotency_key_is_not_for_two_orders(buyer: Somebody, body: dict[str, Any]) -> None:
    assert send(buyer, signed(prepared(buyer, body), buyer.key, body), key="one").status_code == 202
    other = send(buyer, signed(prepared(buyer, body), buyer.key, body), key="one")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    assert len(jobs_of(buyer)) == 1


TAMPERED: list[dict[str, Any]] = [
    {"budget": "99999999"},
    {"maxRate": "4294967295"},
    {"fee": "5000"},
    {"replicas": "1", "maxLeases": "16"},
    {"salt": "7"},
    {"deputy": "0x" + "11" * 20},
]


def test_no_term_can_be_changed_after_it_was_signed(buyer: Somebody, body: dict[str, Any]) -> None:
    request = signed(prepared(buyer, body), buyer.key, body)
    for changes in TAMPERED:
        said = refused(send(buyer, {**request, "order": {**request["order"], **changes}}))
        assert f"not by {buyer.address}" in said, changes
        assert f"chain {DEPLOYMENT.chain_id} and ledger {DEPLOYMENT.ledger}" in said
    assert jobs_of(buyer) == []


def test_a_signature_for_another_chain_or_ledger_is_none_here(buyer: Somebody, body: dict[str, Any]) -> None:
    draft = prepared(buyer, body)
    order = order_of(draft)
    for domain in (
        Domain(chain_id=2, ledger=DEPLOYMENT.ledger),
        Domain(chain_id=DEPLOYMENT.chain_id, ledger=OWNER.address),
    ):
        request = {**signed(draft, buyer.key, body), "signature": to_hex(sign(domain, order, buyer.key))}
        assert f"not by {buyer.address}" in refused(send(buyer, request))


def test_an_order_is_taken_from_its_buyer_only(world: MarketWorld, buyer: Somebody, body: dict[str, Any]) -> None:
    request = signed(prepared(buyer, body), buyer.key, body)
    thief = world.somebody("thief")
    thief.make_key()
    for by_key in (False, True):
        answer = send(thief, request, by_key=by_key)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    mine = signed(prepared(thief, body), thief.key, body, buyer=buyer.address)
    assert send(thief, mine).status_code == 403
    assert jobs_of(buyer) == jobs_of(thief) == []


def test_another_manifest_is_not_what_was_signed(buyer: Somebody, body: dict[str, Any]) -> None:
    request = signed(prepared(buyer, body), buyer.key, body)
    other = {**request["manifest"], "arguments": ["--other"]}
    assert "the manifest is job" in refused(send(buyer, {**request, "manifest": other}))


SOUND_BUT_NOT_HERE: list[tuple[dict[str, Any], str]] = [
    ({"voucherSigner": OWNER.address}, "this market's key for the buyer"),
    ({"matcher": OWNER.address}, "may not open its leases"),
    ({"fee": "99"}, "set fee to 100 or more"),
    ({"notice": "59"}, "set notice to 60"),
    ({"notice": str(31 * 86_400)}, "30 days"),
    ({"expiry": "1700000000"}, "is over"),
    ({"expiry": str(2**39)}, "more than 30 days away"),
    ({"epoch": "1"}, "epoch is 0"),
    ({"meter": "0"}, "metered by work"),
    ({"quantity": "999"}, "set quantity to 1000"),
    ({"quantities": "0"}, "less memory"),
    ({"allOf": "0"}, "runtime wasi-det/1"),
    ({"minCharge": "1"}, "minCharge is more than bond"),
    ({"maxRate": "0"}, "nobody is paid"),
    ({"replicas": "5", "maxLeases": "4"}, "do not hold together"),
    ({"quorum": "1"}, "do not hold"),
    ({"attested": "1"}, "counts, windows or addresses do not hold together"),
]


def test_signed_terms_that_this_market_cannot_serve_are_refused_with_what_would_do(
    buyer: Somebody, body: dict[str, Any]
) -> None:
    draft = prepared(buyer, body)
    said = {
        words: refused(send(buyer, signed(draft, buyer.key, body, **changes))) for changes, words in SOUND_BUT_NOT_HERE
    }
    assert [(words, found) for words, found in said.items() if words not in found] == []
    assert jobs_of(buyer) == []


def test_anybody_may_be_the_matcher_and_more_may_be_asked_than_the_job_needs(
    buyer: Somebody, body: dict[str, Any]
) -> None:
    draft = prepared(buyer, body)
    more = Quantities(cpu_eighths=8, memory_quarter_gib=8).pack()
    changes = {"matcher": "0x" + "00" * 20, "quantities": str(more), "quantity": "1001", "notice": "120"}
    assert send(buyer, signed(draft, buyer.key, body, **changes)).status_code == 202


def test_an_order_that_no_offer_meets_says_why(buyer: Somebody, body: dict[str, Any]) -> None:
    answer = send(buyer, signed(prepared(buyer, body), buyer.key, body, maxRate="1"))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_matched")
    assert answer.json()["refusals"][0]["reason"] == "rate"


def test_a_file_that_the_buyer_may_not_read_is_not_to_be_had_by_an_order(world: MarketWorld, buyer: Somebody) -> None:
    owner = world.somebody("owner of a file")
    body = job_body(owner.put(b"\0asm\1\0\0\0 of somebody else"))
    answer = send(buyer, signed(prepared(buyer, body), buyer.key, body))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "is not here" in answer.json()["detail"]


def test_the_account_must_hold_the_lock(world: MarketWorld, body: dict[str, Any]) -> None:
    poor = world.somebody("poor")
    poor.put(MODULE)
    deposit(world, poor.address, 10)
    answer = send(poor, signed(prepared(poor, body), poor.key, body))
    assert (answer.status_code, answer.json()["code"]) == (402, "not_funded")
    assert "free_base" in answer.json()


def test_a_key_that_the_buyer_approved_signs_for_it_up_to_its_cap(
    world: MarketWorld, buyer: Somebody, body: dict[str, Any]
) -> None:
    program = LocalKey.derive(bytes(32), "a program of the buyer's")
    request = signed(prepared(buyer, body), program, body)
    assert "nor by a delegate" in refused(send(buyer, request))

    def approve(cap_base: int, until: int) -> None:
        world.stored.grow([[DelegateApproved(buyer.address, program.address, cap_base, until)]])

    approve(10**6, now_time() - 1)
    assert "nor by a delegate" in refused(send(buyer, request))
    approve(10, now_time() + 3600)
    answer = send(buyer, request)
    assert (answer.status_code, answer.json()["remaining_base"]) == (402, "10")
    approve(10**6, now_time() + 3600)
    assert send(buyer, request).status_code == 202


def test_a_cancelled_order_is_not_taken(world: MarketWorld, buyer: Somebody, body: dict[str, Any]) -> None:
    draft = prepared(buyer, body)
    world.stored.grow([[MessageCancelled(buyer.address, from_hex(draft["digest"], 32))]])
    assert "cancelled on chain" in refused(send(buyer, signed(draft, buyer.key, body)))


def test_an_account_whose_money_is_anothers_buys_nothing(
    world: MarketWorld, buyer: Somebody, body: dict[str, Any]
) -> None:
    request = signed(prepared(buyer, body), buyer.key, body)
    world.stored.grow([[BeneficiarySet(buyer.address, OWNER.address)]])
    assert "account beneficiary --none" in refused(send(buyer, request))


def test_an_api_key_carries_a_wallets_order_and_its_own_caps_do_not_count(
    buyer: Somebody, body: dict[str, Any]
) -> None:
    made = buyer.make_key(cap_base="1", scopes=["jobs:write", "files"])
    request = signed(prepared(buyer, body, by_key=True), buyer.key, body)
    assert send(buyer, request, by_key=True).status_code == 202
    (key,) = buyer.call("GET", "/v1/keys").json()
    assert (key["id"], key["committed_base"]) == (made["id"], "0")
    buyer.make_key(scopes=["jobs:read"])
    for path, sent in (("/v1/orders", request), ("/v1/orders/prepare", body)):
        answer = buyer.call("POST", path, by_key=True, json=sent)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_a_hardware_wallets_spelling_of_v_is_read(buyer: Somebody, body: dict[str, Any]) -> None:
    request = signed(prepared(buyer, body), buyer.key, body)
    raw = from_hex(request["signature"])
    spelt = {**request, "signature": to_hex(raw[:64] + bytes([raw[64] - 27]))}
    assert send(buyer, spelt).status_code == 202


def as_contract(world: MarketWorld, name: str) -> Somebody:
    """A session of a contract wallet with money; who signs for it is the test's to say."""
    answer = sign_in(world, address_of("owned"), OWNER)
    assert answer.status_code == 200, answer.text
    wallet = Somebody(world, OWNER, answer.json()["token"])
    deposit(world, address_of(name))
    return wallet


def test_a_contract_wallet_buys_by_its_owners_signature_and_by_no_other(world: MarketWorld) -> None:
    wallet = as_contract(world, "owned")
    body = job_body(wallet.put(MODULE))
    draft = prepared(wallet, body)
    assert checksum_address(draft["typed_data"]["message"]["buyer"]) == address_of("owned")
    assert f"not by {address_of('owned')}" in refused(send(wallet, signed(draft, THIEF, body)))
    answer = send(wallet, signed(draft, OWNER, body))
    assert answer.status_code == 202, answer.text


def test_without_its_node_the_market_does_not_guess_about_a_contract(tmp_path: Path) -> None:
    with market_world(tmp_path) as world:
        buyer = world.somebody("buyer")
        deposit(world, buyer.address)
        world.somebody("provider").offer(capacity=9)
        body = job_body(buyer.put(MODULE))
        draft = prepared(buyer, body)
        answer = send(buyer, signed(draft, THIEF, body))
        assert answer.status_code == 503, answer.text
        # A key's own signature needs no node.
        assert send(buyer, signed(draft, buyer.key, body)).status_code == 202


def test_what_is_no_signature_is_refused(buyer: Somebody, body: dict[str, Any]) -> None:
    request = signed(prepared(buyer, body), buyer.key, body)
    for text in ("", "0x", "0x12", "0xzz", "0x" + "00" * 65, "0x" + "ff" * 65, "0x" + "ab" * 2047, "0x" + "ab" * 2048):
        assert send(buyer, {**request, "signature": text}).status_code == 422, text[:20]
    assert jobs_of(buyer) == []
