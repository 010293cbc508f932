"""`/v1/ledger`: exact shapes, keyset pages, problem+json."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from explorer.api.shapes import (
    AccountFact,
    BlockFact,
    EventFact,
    HitFact,
    JobFact,
    LeaseDetail,
    LeaseFact,
    Many,
    One,
    PaymentFact,
    ProviderFact,
    ReorgFact,
    StatsFact,
    StatusFact,
    TransactionFact,
)
from protocol.events import LeaseClaimed, LeaseDisputed
from protocol.hashing import cid_of, to_hex
from tests.support.fake_mirror import (
    BUYER,
    FIRST,
    HEAD_BLOCK,
    JOB,
    ORDER,
    PROVIDER,
    RESULT,
    RUNNING,
    SECOND,
    SECOND_PROVIDER,
    START_TIME,
    FakeMirror,
    block_hash,
)
from tests.unit.explorer.conftest import Reader

UNKNOWN = "0x" + "12" * 32


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("status", One[StatusFact]),
        ("stats", One[StatsFact]),
        ("blocks", Many[BlockFact]),
        ("blocks/35", One[BlockFact]),
        (f"accounts/{BUYER}", One[AccountFact]),
        ("leases", Many[LeaseFact]),
        (f"leases/{to_hex(SECOND)}", One[LeaseDetail]),
        ("payments", Many[PaymentFact]),
        ("events", Many[EventFact]),
        ("providers", Many[ProviderFact]),
        (f"providers/{PROVIDER}", One[ProviderFact]),
        (f"jobs/{cid_of(JOB)}", One[JobFact]),
        ("reorgs", Many[ReorgFact]),
        (f"search?q={BUYER}", One[list[HitFact]]),
    ],
)
def test_an_answer_has_exactly_the_documented_shape(reader: Reader, path: str, shape: Any) -> None:
    response = reader.get(f"/v1/ledger/{path}")
    assert response.status_code == 200, response.text
    TypeAdapter(shape, config={"extra": "forbid", "strict": True}).validate_json(response.content)
    assert response.headers["x-indexed-block"] == str(HEAD_BLOCK)
    assert response.headers["x-indexed-hash"] == to_hex(block_hash(HEAD_BLOCK))
    assert response.headers["x-reorg-epoch"] == "1"


def test_a_transaction_is_given_with_its_function(reader: Reader, mirror: FakeMirror) -> None:
    tx = to_hex(mirror.rows[4].tx_hash)
    data = reader.get(f"/v1/ledger/transactions/{tx}").json()["data"]
    TypeAdapter(TransactionFact).validate_python(data)
    assert (data["hash"], data["function"], data["succeeded"]) == (tx, "redeem", True)


def test_amounts_are_decimal_strings_and_add_up(reader: Reader) -> None:
    lease = reader.get(f"/v1/ledger/leases/{to_hex(SECOND)}").json()["data"]
    parts = [lease[name] for name in ("paid_base", "refunded_base", "remaining_base")]
    assert all(isinstance(part, str) for part in parts)
    assert sum(map(int, parts)) == int(lease["locked_base"])
    assert lease["state"] == "closed"
    assert lease["zone_id"] == "FR"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"buyer={BUYER.lower()}", [RUNNING, SECOND, FIRST]),
        (f"provider={SECOND_PROVIDER}", [SECOND]),
        (f"job={to_hex(JOB)}", [SECOND, FIRST]),
        (f"order={to_hex(ORDER)}&state=closed", [SECOND, FIRST]),
        ("state=open", [RUNNING]),
        ("state=disputed", []),
    ],
)
def test_leases_are_filtered(reader: Reader, query: str, expected: list[bytes]) -> None:
    data = reader.get(f"/v1/ledger/leases?{query}").json()["data"]
    assert [lease["lease"] for lease in data] == [to_hex(lease) for lease in expected]


@pytest.mark.parametrize("path", ["leases", "payments", "events", "blocks"])
def test_pages_of_two_are_the_whole_list_in_order(reader: Reader, path: str) -> None:
    whole = reader.get(f"/v1/ledger/{path}?limit=1000").json()["data"]
    seen: list[Any] = []
    link = f"/v1/ledger/{path}?limit=2"
    while link:
        page = reader.get(link).json()
        seen += page["data"]
        assert page["has_more"] == (page["next_page_token"] is not None)
        link = page["links"]["next"]
    assert seen == whole
    assert len(whole) > 2


@pytest.mark.parametrize("path", ["leases", "payments", "events", "blocks", "events?orphaned=true"])
def test_pages_lead_back_from_the_last_one(reader: Reader, path: str) -> None:
    more = "&" if "?" in path else "?"
    whole = reader.get(f"/v1/ledger/{path}{more}limit=1000").json()["data"]
    seen: list[Any] = []
    link = reader.get(f"/v1/ledger/{path}{more}limit=3").json()["links"]["last"]
    while link:
        page = reader.get(link).json()
        seen = page["data"] + seen
        link = page["links"]["prev"]
    assert seen == whole


def test_orphaned_events_come_only_when_asked_for(reader: Reader) -> None:
    assert all(event["canonical"] for event in reader.get("/v1/ledger/events?limit=200").json()["data"])
    both = reader.get("/v1/ledger/events?limit=200&orphaned=true").json()["data"]
    assert sum(not event["canonical"] for event in both) == 1


def test_an_event_is_a_sentence_and_its_fields(reader: Reader) -> None:
    path = f"/v1/ledger/events?lease={to_hex(SECOND)}&kind=VoucherRedeemed&limit=1"
    event = reader.get(path).json()["data"][0]
    assert event["sentence"].startswith(f"Provider {SECOND_PROVIDER[:6]}…")
    assert "was paid $0.412870 for lease" in event["sentence"]
    assert event["args"]["result"] == to_hex(RESULT)


def test_a_job_has_one_accepted_result(reader: Reader) -> None:
    data = reader.get(f"/v1/ledger/jobs/{to_hex(JOB)}").json()["data"]
    assert data["results"] == [to_hex(RESULT)]
    assert data["paid_base"] == str(216_004 + 872_873)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"leases/{UNKNOWN}", 404, "not_on_ledger"),
        (f"blocks/{UNKNOWN}", 404, "not_on_ledger"),
        ("blocks/9999", 404, "not_on_ledger"),
        (f"jobs/{UNKNOWN}", 404, "not_on_ledger"),
        (f"transactions/{UNKNOWN}", 404, "not_on_ledger"),
        (f"providers/{BUYER}", 404, "not_on_ledger"),
        (f"proofs/{UNKNOWN}/0", 404, "not_on_ledger"),
        ("leases/0x12", 400, "malformed"),
        ("leases?state=happy", 400, "malformed"),
        ("leases?limit=0", 400, "malformed"),
        ("leases?limit=many", 400, "malformed"),
        ("leases?page_token=zzz", 400, "malformed"),
        ("accounts/0x12", 400, "malformed"),
        ("leases?buyr=0x12", 400, "malformed"),
        ("events?limit=1001", 400, "malformed"),
        ("events?format=xml", 400, "malformed"),
        ("stream?after=1", 400, "malformed"),
        ("nothing", 404, "no_such_path"),
        ("search", 400, "malformed"),
    ],
)
def test_a_refusal_is_problem_json_that_says_what_to_change(reader: Reader, path: str, status: int, code: str) -> None:
    response = reader.get(f"/v1/ledger/{path}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["remedy"]


def test_an_unknown_program_path_is_not_answered_with_a_page(reader: Reader) -> None:
    response = reader.get("/v1/nothing")
    assert response.status_code == 404
    assert "html" not in response.headers["content-type"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_ledger_is_only_read(reader: Reader, method: str) -> None:
    response = reader.get("/v1/ledger/leases", method)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert response.json()["code"] == "method_not_allowed"


def test_an_account_that_the_ledger_never_saw_has_zeros(reader: Reader) -> None:
    data = reader.get(f"/v1/ledger/accounts/{'0x' + '00' * 19 + '01'}").json()["data"]
    assert data["free_base"] == "0"


def test_the_api_is_documented_with_its_fields(reader: Reader) -> None:
    schema = reader.get("/openapi.json").json()
    assert "refunded_base" in schema["components"]["schemas"]["LeaseFact"]["properties"]
    assert all(path.startswith("/v1/ledger") for path in schema["paths"])


def test_a_lease_shows_its_claim_and_its_dispute(reader: Reader, mirror: FakeMirror) -> None:
    path = f"/v1/ledger/leases/{to_hex(RUNNING)}"
    before = reader.get(path).json()["data"]
    assert (before["claim"], before["dispute"], before["responded"]) == (None, None, False)
    mirror.emit(63, LeaseClaimed(RUNNING, PROVIDER, RESULT, bytes(32), 2**60, 700_000, True, START_TIME + 120))
    mirror.emit(64, LeaseDisputed(RUNNING, BUYER, bytes(32), 500_000, START_TIME + 999))
    response = reader.get(path)
    TypeAdapter(One[LeaseDetail], config={"extra": "forbid", "strict": True}).validate_json(response.content)
    data = response.json()["data"]
    assert data["claim"] == {
        "result": to_hex(RESULT),
        "start": to_hex(bytes(32)),
        "work": str(2**60),
        "target_base": "700000",
        "reveal_time": 0,
        "last": True,
    }
    assert data["dispute"] == {"challenger": BUYER, "bond_base": "500000", "receipt": None}
    assert (data["state"], data["responded"]) == ("disputed", True)


def test_an_account_names_its_beneficiary(reader: Reader, mirror: FakeMirror) -> None:
    mirror.beneficiaries[BUYER] = PROVIDER
    assert reader.get(f"/v1/ledger/accounts/{BUYER}").json()["data"]["beneficiary"] == PROVIDER
    assert reader.get(f"/v1/ledger/accounts/{PROVIDER}").json()["data"]["beneficiary"] is None
