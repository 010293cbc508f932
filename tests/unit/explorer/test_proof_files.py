"""Proofs of every kind over HTTP, what is said when there is none, and the page that checks them."""

import pytest
from fastapi import FastAPI

from explorer.app import mount
from indexer.bundles.errors import BloomsIncomplete, NoSuchBlock, RangeTooLong
from indexer.bundles.make import Bundles
from protocol.bundle import verify, write_absence, write_history, write_lease
from protocol.bundle.lease import lease_slots
from protocol.errors import BadProof, NodeUnavailable
from protocol.events import HEAD_SLOT
from protocol.hashing import to_hex
from tests.support.fake_mirror import FakeMirror, block_hash
from tests.support.paper_chain import LEDGER, PaperBlock, PaperChain, deposit, log_of
from tests.unit.explorer.conftest import NOW, Reader

LEASE = "0x" + "ab" * 32
HISTORY = "/v1/ledger/proofs/history"


class PaperBundles(Bundles):
    """Proofs of a chain on paper; `fails` is raised instead."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.asked: list[tuple[object, ...]] = []
        chain = PaperChain()
        self.blocks = [chain.add(), chain.add([log_of(deposit(1))]), chain.add(), chain.add()]

    def _note(self, *asked: object) -> None:
        self.asked.append(asked)
        if self.fails is not None:
            raise self.fails

    def _end(self, number: int) -> tuple[bytes, list[bytes]]:
        block: PaperBlock = self.blocks[min(number, len(self.blocks)) - 1]
        return block.header, block.nodes([HEAD_SLOT])

    def lease(self, lease: bytes, block_number: int | None = None) -> bytes:
        self._note("lease", lease, block_number)
        return write_lease(self.blocks[-1].header, LEDGER, lease, self.blocks[-1].nodes(lease_slots(lease)[:2]))

    def absence(self, first: int, last: int) -> bytes:
        self._note("absence", first, last)
        return write_absence(LEDGER, [(block.header, block.receipts) for block in self.blocks[first - 1 : last]])

    def history(self, first: int | None = None, last: int | None = None) -> bytes:
        self._note("history", first, last)
        assert last is not None
        return write_history(LEDGER, self._end(last), after=None if first is None else self._end(first - 1))


@pytest.fixture
def bundles() -> PaperBundles:
    return PaperBundles()


@pytest.fixture
def with_node(mirror: FakeMirror, bundles: PaperBundles) -> Reader:
    app = FastAPI()
    mount(app, mirror, now=lambda: NOW, bundles=bundles)
    return Reader(app)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (f"/v1/ledger/proofs/lease/{LEASE}", "lease"),
        (f"/v1/ledger/proofs/lease/{LEASE}?block=4", "lease"),
        ("/v1/ledger/proofs/absence?from_block=3&to_block=4", "absence"),
        ("/v1/ledger/proofs/absence?from_block=3", "absence"),
        (HISTORY, "history"),
        (f"{HISTORY}?from_block=3&to_block=4", "history"),
    ],
)
def test_every_kind_is_a_download_that_verifies(with_node: Reader, path: str, kind: str) -> None:
    response = with_node.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-disposition"] == 'attachment; filename="proof.json"'
    assert kind == verify(response.content, ledger=LEDGER).KIND
    assert {"etag", "x-indexed-block", "x-level", "x-finality"} <= set(response.headers)


def test_the_same_proof_is_made_once(with_node: Reader, bundles: PaperBundles, mirror: FakeMirror) -> None:
    newest = mirror.status().block_number
    for _ in range(3):
        with_node.get(HISTORY)
        with_node.get(f"/v1/ledger/proofs/lease/{LEASE}")
    assert bundles.asked == [("history", None, newest), ("lease", bytes.fromhex(LEASE[2:]), newest)]


def test_whoever_has_a_proof_does_not_have_it_made_again(
    with_node: Reader, bundles: PaperBundles, mirror: FakeMirror
) -> None:
    tag = with_node.get(HISTORY).headers["etag"]
    bundles.fails = NodeUnavailable("http://10.0.0.7:8545", "no route")
    again = with_node.get(HISTORY, headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    mirror.head_block += 1
    assert with_node.get(HISTORY, headers={"if-none-match": tag}).status_code == 503


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (NodeUnavailable("http://10.0.0.7:8545", "no route"), 503, "node_unavailable"),
        (NoSuchBlock(9, 1, 4), 404, "no_such_block"),
        (RangeTooLong(5000, 1024), 400, "range_too_long"),
        (BloomsIncomplete(), 409, "blooms_incomplete"),
        (BadProof("path", "a node is missing"), 503, "bad_proof"),
        (BadProof("log", "transaction 0 of block 2 holds a log of the ledger"), 409, "not_absent"),
    ],
)
def test_a_proof_that_cannot_be_made_says_why_and_what_to_do(
    with_node: Reader, bundles: PaperBundles, failure: Exception, status: int, code: str
) -> None:
    bundles.fails = failure
    response = with_node.get(HISTORY)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code)
    assert problem["remedy"]
    assert "10.0.0.7" not in response.text


@pytest.mark.parametrize(
    "path", [HISTORY, f"/v1/ledger/proofs/lease/{LEASE}", "/v1/ledger/proofs/absence?from_block=3"]
)
def test_without_a_node_the_site_says_who_has_one(reader: Reader, path: str) -> None:
    response = reader.get(path)
    assert (response.status_code, response.json()["code"]) == (503, "no_node")
    assert "gridlease indexer prove" in response.json()["remedy"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/ledger/proofs/lease/0x12",
        f"/v1/ledger/proofs/lease/{LEASE}?block=-1",
        "/v1/ledger/proofs/absence",
        "/v1/ledger/proofs/absence?from_block=4&to_block=3",
        f"{HISTORY}?from_block=4&to_block=3",
        f"{HISTORY}?to_block={2**60}",
    ],
)
def test_a_malformed_question_is_a_problem_with_a_remedy(with_node: Reader, path: str) -> None:
    response = with_node.get(path)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    assert response.json()["remedy"]


def test_the_check_page_names_the_proof_its_block_and_the_command(reader: Reader, mirror: FakeMirror) -> None:
    payment = mirror.payments(limit=1)[0]
    text = reader.get(f"/check?tx={to_hex(payment.tx_hash)}&log={payment.log_index}").text
    assert f'data-check="/proof/{to_hex(payment.tx_hash)}/{payment.log_index}"' in text
    assert f"gridlease verify proof.json --block-hash {to_hex(block_hash(payment.block_number))}" in text
    assert "/static/check.js?v=" in text
    assert "gridlease verify proof.json --block-hash 0x…" in reader.get("/check").text


@pytest.mark.parametrize("query", ["tx=0x12&log=0", f"tx={LEASE}&log=0"])
def test_the_check_page_of_an_event_that_is_not_there_is_a_page_that_says_so(reader: Reader, query: str) -> None:
    response = reader.get(f"/check?{query}")
    assert response.status_code == 404
    assert "text/html" in response.headers["content-type"]


def test_the_lease_page_leads_to_the_check(reader: Reader, mirror: FakeMirror) -> None:
    payment = mirror.payments(limit=1)[0]
    assert f"/check?tx={to_hex(payment.tx_hash)}&amp;log=" in reader.get(f"/lease/{to_hex(payment.lease)}").text


@pytest.mark.parametrize("name", ["verify.js", "check.js"])
def test_the_verifier_is_served_as_a_module_and_asks_nobody(reader: Reader, name: str) -> None:
    response = reader.get(f"/static/{name}")
    assert "javascript" in response.headers["content-type"]
    assert "http" not in response.text.replace('"http', "")
