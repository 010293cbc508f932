"""Every page renders for what exists, and says something helpful for what does not."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from indexer.queries import MirrorMissing
from protocol.bundle import verify_event
from protocol.events import (
    ClaimCommitted,
    EndReason,
    LeaseClaimed,
    LeaseClosed,
    LeaseDisputed,
    LeaseOpened,
    VoucherRedeemed,
)
from protocol.hashing import cid_of, to_hex
from tests.support.fake_mirror import (
    BUYER,
    FIRST,
    HEAD_BLOCK,
    JOB,
    MATCHER,
    OTHER_JOB,
    PROVIDER,
    RESULT,
    RUNNING,
    SECOND,
    START_TIME,
    FakeMirror,
    block_hash,
    some_address,
    some_hash,
)
from tests.unit.explorer.conftest import Reader

UNKNOWN = "0x" + "12" * 32
STRANGER = some_address("nobody")

PAGES = [
    "/",
    "/leases",
    "/leases?state=open",
    "/leases?state=closed",
    f"/lease/{to_hex(FIRST)}",
    f"/lease/{to_hex(SECOND)}",
    f"/lease/{to_hex(RUNNING)}",
    "/providers",
    f"/provider/{PROVIDER}",
    f"/provider/{PROVIDER.lower()}",
    f"/address/{BUYER}",
    f"/address/{MATCHER}",
    f"/address/{STRANGER}",
    f"/job/{to_hex(JOB)}",
    f"/job/{cid_of(JOB)}",
    "/blocks",
    f"/blocks?page_token={HEAD_BLOCK - 50}-0",
    "/block/2",
    "/block/35",
    f"/block/{to_hex(block_hash(35))}",
    "/search",
]


class _Outline(HTMLParser):
    """What assistive technology finds: landmarks, ids, headings, images without words."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.tags.append(tag)
        if identifier := facts.get("id"):
            self.ids.append(identifier)
        self.inline += [name for name in facts if name == "style" or name.startswith("on")]
        if tag == "script" and "src" not in facts:
            self.inline.append("script")


def outline(html: str) -> _Outline:
    found = _Outline()
    found.feed(html)
    return found


@pytest.mark.parametrize("path", PAGES)
def test_a_page_renders_with_its_landmarks_and_nothing_inline(reader: Reader, path: str) -> None:
    response = reader.get(path)
    assert response.status_code == 200, response.text
    found = outline(response.text)
    assert found.tags.count("h1") == 1
    assert {"header", "nav", "main", "footer", "title"} <= set(found.tags)
    assert len(found.ids) == len(set(found.ids))
    assert found.inline == []
    assert "style" not in found.tags
    assert response.headers["x-indexed-block"] == str(HEAD_BLOCK)
    assert reader.get(path, "HEAD").status_code == 200


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (f"/lease/{UNKNOWN}", f"{UNKNOWN} is not on this ledger up to block {HEAD_BLOCK}"),
        (f"/tx/{UNKNOWN}", f"{UNKNOWN} is not on this ledger up to block {HEAD_BLOCK}"),
        (f"/job/{UNKNOWN}", f"{UNKNOWN} is not on this ledger up to block {HEAD_BLOCK}"),
        (f"/block/{UNKNOWN}", f"{UNKNOWN} is not on this ledger up to block {HEAD_BLOCK}"),
        ("/block/999999", f"999999 is not on this ledger up to block {HEAD_BLOCK}"),
        (f"/provider/{STRANGER}", f"{STRANGER} is not on this ledger up to block {HEAD_BLOCK}"),
        ("/block/1", "The ledger was deployed in block 2"),
        ("/lease/0x12", "0x and 64 hex digits"),
        ("/tx/hello", "0x and 64 hex digits"),
        ("/job/bafkreiwrong", "copy the whole CID"),
        ("/block/-1", "give a block number or a block hash"),
        ("/address/0x12", "copy the address again"),
        ("/leases?state=happy", "use one of open, closing"),
        ("/leases?page_token=1", "leave it out"),
        ("/nowhere", "This site has no /nowhere"),
    ],
)
def test_what_does_not_exist_is_a_404_page_that_helps(reader: Reader, path: str, sentence: str) -> None:
    response = reader.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")
    assert sentence in response.text


def test_a_changed_character_in_an_address_is_named_as_a_wrong_checksum(reader: Reader) -> None:
    swapped = BUYER[:2] + BUYER[2:].swapcase()
    response = reader.get(f"/address/{swapped}")
    assert response.status_code == 404
    assert "EIP-55 checksum is wrong" in response.text


def test_the_lease_page_tells_terms_money_result_and_story(reader: Reader) -> None:
    text = reader.get(f"/lease/{to_hex(SECOND)}").text
    for fact in (
        "France (FR)",
        "$0.000800/10⁹ work",
        "$1.200000",
        "$0.872873",
        "$0.327127",
        "$0.001000",
        to_hex(RESULT),
        "Result accepted",
        f"/job/{to_hex(JOB)}",
        f"/lease/{to_hex(FIRST)}",
    ):
        assert fact in text
    assert (
        text.index(">Opened<") < text.index("Paid by voucher") < text.index("Result accepted") < text.index(">Closed<")
    )


def test_the_running_total_of_payments_ends_at_what_is_paid(reader: Reader) -> None:
    text = reader.get(f"/lease/{to_hex(SECOND)}").text
    totals = re.findall(r'Running total" class="right"><data class="money" value="(\d+)"', text)
    assert totals == ["230001", "460003", "872873"]


def test_a_payment_that_a_reorg_undid_is_struck_through_and_not_hidden(reader: Reader, mirror: FakeMirror) -> None:
    orphan = next(row for row in mirror.rows if not row.canonical)
    for path in (f"/lease/{to_hex(SECOND)}", f"/tx/{to_hex(orphan.tx_hash)}"):
        text = reader.get(path).text
        assert "orphan" in text
        assert "undone by a reorg" in text


def test_a_running_lease_shows_its_deadline_and_what_is_still_locked(reader: Reader) -> None:
    text = reader.get(f"/lease/{to_hex(RUNNING)}").text
    assert "$1.040000" in text
    assert "It may run until" in text


def test_the_verify_panel_holds_and_says_how_to_check_without_us(reader: Reader) -> None:
    text = reader.get(f"/lease/{to_hex(SECOND)}").text
    assert text.count('<li class="good">') == 4
    assert f"gridlease verify proof.json --block-hash {to_hex(block_hash(35))}" in text


def test_a_proof_that_cannot_be_built_leaves_the_page_readable_and_the_check_open(
    reader: Reader, mirror: FakeMirror
) -> None:
    mirror.proof_error = MirrorMissing("sqlite:///secret/place")
    response = reader.get(f"/lease/{to_hex(SECOND)}")
    assert response.status_code == 200
    assert response.text.count('<li class="wait">') == 2
    assert "secret" not in response.text


def test_a_proof_that_does_not_verify_is_shown_as_failed(
    reader: Reader, mirror: FakeMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = mirror.payments(lease=SECOND)[0]
    flipped = mirror.proof(payment.tx_hash, payment.log_index).replace(b"412870", b"412871")
    monkeypatch.setattr(mirror, "proof", lambda tx_hash, log_index: flipped)
    text = reader.get(f"/lease/{to_hex(SECOND)}").text
    assert text.count('<li class="bad">') == 2
    assert "proof fails at event" in text


def test_a_mirror_that_is_not_there_yet_is_a_page_that_loads_itself_again(
    reader: Reader, mirror: FakeMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MirrorMissing("sqlite:///secret/place")

    monkeypatch.setattr(mirror, "status", missing)
    for path in ("/", f"/lease/{to_hex(SECOND)}", "/lease/0x12", "/nowhere"):
        response = reader.get(path)
        assert response.headers["content-type"].startswith("text/html")
        assert "secret" not in response.text
    assert reader.get("/").status_code == 503
    assert reader.get("/").headers["retry-after"] == "3"
    problem = reader.get("/v1/ledger/status")
    assert (problem.status_code, problem.json()["code"]) == (503, "mirror_missing")
    assert reader.get(f"/v1/ledger/leases/{'0x' + '12' * 32}").status_code == 503


def test_a_lease_that_a_reorg_undid_keeps_a_page_with_its_story(reader: Reader, mirror: FakeMirror) -> None:
    opened = mirror.rows[2].event
    assert isinstance(opened, LeaseOpened)
    mirror.emit(30, replace(opened, lease=some_hash("undone")), canonical=False)
    text = reader.get(f"/lease/{to_hex(some_hash('undone'))}").text
    assert "undone by a reorg" in text
    assert "The chain replaced the blocks that held this lease" in text


def test_the_proof_of_a_payment_is_a_download(reader: Reader, mirror: FakeMirror) -> None:
    payment = mirror.payments(lease=SECOND)[-1]
    tx = to_hex(payment.tx_hash)
    for path in (
        f"/lease/{to_hex(SECOND)}/proof.json?tx={tx}&log={payment.log_index}",
        f"/proof/{tx}/{payment.log_index}",
        f"/v1/ledger/proofs/{tx}/{payment.log_index}",
    ):
        response = reader.get(path)
        assert response.status_code == 200
        assert verify_event(response.content, [block_hash(payment.block_number)]).event == VoucherRedeemed(
            SECOND, payment.provider, payment.amount_base, payment.paid_base, payment.result, payment.last
        )
        assert response.headers["content-disposition"] == 'attachment; filename="proof.json"'
    newest = mirror.payments(lease=SECOND)[0]
    content = reader.get(f"/lease/{to_hex(SECOND)}/proof.json").content
    assert content == mirror.proof(newest.tx_hash, newest.log_index)


def test_a_proof_of_another_leases_payment_is_not_given_out_as_this_ones(reader: Reader, mirror: FakeMirror) -> None:
    other = mirror.payments(lease=FIRST)[0]
    path = f"/lease/{to_hex(SECOND)}/proof.json?tx={to_hex(other.tx_hash)}&log={other.log_index}"
    assert reader.get(path).status_code == 404
    assert reader.get(f"/proof/{to_hex(other.tx_hash)}/7").status_code == 404
    assert reader.get(f"/lease/{to_hex(SECOND)}/proof.json?tx={to_hex(other.tx_hash)}").status_code == 404


def test_a_job_page_lists_both_leases_and_the_one_result(reader: Reader) -> None:
    text = reader.get(f"/job/{to_hex(JOB)}").text
    assert f"/lease/{to_hex(FIRST)}" in text
    assert f"/lease/{to_hex(SECOND)}" in text
    assert to_hex(RESULT) in text
    assert "Accepted result" not in reader.get(f"/job/{to_hex(OTHER_JOB)}").text


def test_a_test_chain_is_marked_on_every_page(reader: Reader) -> None:
    assert "Test chain 31337" in reader.get("/").text


def test_links_on_the_pages_lead_somewhere(reader: Reader) -> None:
    seen: set[str] = set()
    todo = ["/", f"/lease/{to_hex(SECOND)}", f"/address/{BUYER}"]
    while todo and len(seen) < 60:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        response = reader.get(path)
        assert response.status_code == 200, path
        if response.headers["content-type"].startswith("text/html"):
            todo += [link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"#]*)"', response.text)]


def test_a_lease_on_the_slow_path_says_what_it_waits_for(reader: Reader, mirror: FakeMirror) -> None:
    path = f"/lease/{to_hex(RUNNING)}"
    mirror.emit(62, ClaimCommitted(RUNNING, PROVIDER, RESULT, START_TIME + 80, START_TIME + 120))
    page = reader.get(path).text
    assert "committed to a result, to be shown before" in page
    assert "Result committed" in page
    mirror.emit(63, LeaseClaimed(RUNNING, PROVIDER, RESULT, bytes(32), 10**12, 700_000, True, START_TIME + 120))
    page = reader.get(path).text
    assert "Its claim can be challenged until" in page
    assert "$0.700000" in page
    assert "Passed over" not in page.split("Story")[1].split("Claimed")[1]
    mirror.emit(64, LeaseDisputed(RUNNING, BUYER, RESULT, 500_000, START_TIME + 999))
    page = reader.get(path).text
    assert "Its arbiter decides before" in page
    assert "against a usage receipt" in page
    mirror.emit(64, LeaseDisputed(RUNNING, BUYER, bytes(32), 500_000, START_TIME))
    page = reader.get(path).text
    assert "Its arbiter was silent: anyone may finalise it." in page
    assert "against the claim" in page


def test_money_that_moved_at_a_close_is_not_called_a_voucher(reader: Reader, mirror: FakeMirror) -> None:
    closed = LeaseClosed(RUNNING, BUYER, PROVIDER, EndReason.CLAIMED, 700_000, 500_000, 200_000, 300_000, True)
    row = mirror.emit(63, closed)
    mirror.lease_rows[RUNNING] = replace(mirror.lease_rows[RUNNING], bond_base=500_000)
    voucher = mirror.payments(lease=RUNNING)[0]
    at_close = replace(
        voucher, amount_base=540_000, paid_base=700_000, result=bytes(32), block_number=63, log_index=row.log_index
    )
    mirror.payments = lambda **_: [at_close, voucher]  # type: ignore[method-assign]
    page = reader.get(f"/lease/{to_hex(RUNNING)}").text
    purposes = re.findall(r'data-label="For">([^<]*)<', page)
    assert purposes == ["checkpoint", "close"]
    assert "no voucher" in page
    assert "went to the buyer" in page


def test_the_page_of_an_account_names_who_withdraws(reader: Reader, mirror: FakeMirror) -> None:
    assert "Only this one withdraws" not in reader.get(f"/address/{BUYER}").text
    assert "Only this one withdraws" not in reader.get(f"/provider/{PROVIDER}").text
    mirror.beneficiaries |= {BUYER: PROVIDER, PROVIDER: BUYER}
    assert "Only this one withdraws" in reader.get(f"/address/{BUYER}").text
    assert "Only this one withdraws" in reader.get(f"/provider/{PROVIDER}").text
