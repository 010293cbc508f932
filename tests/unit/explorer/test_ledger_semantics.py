"""What an answer of `/v1/ledger` is worth: its block, its tag, past and future blocks, and tokens through reorgs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from explorer.api.cursors import Cursor, Seal, page_key
from explorer.app import mount
from explorer.identifiers import Malformed
from explorer.settings import ExplorerSettings
from protocol.events import Deposited, LedgerEvent
from protocol.hashing import to_hex
from tests.support.asgi_reader import Answer, ask, exchange, read, scope_of
from tests.support.fake_mirror import some_address
from tests.support.stored_mirror import StoredMirror, random_events

LIST = "/v1/ledger/events?limit=4"
BUYER = some_address("buyer")


def deposits(*amounts: int) -> list[list[LedgerEvent]]:
    """A block for each amount."""
    return [[Deposited(BUYER, BUYER, amount)] for amount in amounts]


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[StoredMirror]:
    made = StoredMirror(tmp_path)
    made.grow(random_events(7, [3] * 12))
    yield made
    made.close()


@pytest.fixture
def app(stored: StoredMirror) -> FastAPI:
    return app_over(stored)


def app_over(stored: StoredMirror, **settings: Any) -> FastAPI:
    made = FastAPI()
    mount(made, stored.mirror, settings=ExplorerSettings(**settings))
    return made


def test_an_answer_says_its_block_level_finality_and_epoch(app: FastAPI, stored: StoredMirror) -> None:
    stored.settle(proved=10, finalised=8)
    headers = read(app, "/v1/ledger/status").headers
    assert headers["x-indexed-block"] == "12"
    assert headers["x-indexed-hash"] == to_hex(stored.blocks[11].header.hash)
    assert (headers["x-level"], headers["x-finality"], headers["x-reorg-epoch"]) == ("consistent", "confirmed", "0")
    past = read(app, "/v1/ledger/stats?at_block=9").headers
    assert (past["x-level"], past["x-finality"]) == ("proved", "confirmed")
    stored.settle(halted="a block does not fit")
    assert read(app, "/v1/ledger/status").headers["x-level"] == "unverified"


def test_each_row_has_the_level_and_finality_of_its_block(app: FastAPI, stored: StoredMirror) -> None:
    stored.settle(proved=10, finalised=8)
    rows = read(app, "/v1/ledger/events?limit=1000").json()["data"]
    said = {row["block_number"]: (row["level"], row["finality"]) for row in rows}
    assert (said[8], said[10], said[11]) == (
        ("proved", "finalised"),
        ("proved", "confirmed"),
        ("consistent", "confirmed"),
    )


def test_the_same_state_and_question_have_the_same_tag_and_no_others(app: FastAPI, stored: StoredMirror) -> None:
    first = read(app, LIST)
    assert read(app, LIST).headers["etag"] == first.headers["etag"]
    assert read(app, LIST + "&kind=Deposited").headers["etag"] != first.headers["etag"]
    again = read(app, LIST, if_none_match=f'"other", {first.headers["etag"]}')
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    stored.grow(deposits(5))
    assert read(app, LIST, if_none_match=first.headers["etag"]).status == 200
    tag = read(app, LIST).headers["etag"]
    stored.settle(proved=13)
    assert read(app, LIST).headers["etag"] != tag


def test_a_page_of_finalised_and_proved_blocks_may_be_kept_and_never_changes(
    app: FastAPI, stored: StoredMirror
) -> None:
    stored.settle(proved=9, finalised=9)
    page = read(app, LIST).json()
    assert read(app, LIST).headers["cache-control"] == "no-cache"
    for _ in range(2):
        page = read(app, page["links"]["next"]).json()
    settled = page["links"]["next"]
    before = read(app, settled)
    assert int(before.json()["data"][0]["block_number"]) <= 9
    assert "immutable" in before.headers["cache-control"]
    stored.grow(deposits(1, 2, 3))
    stored.settle(proved=15, finalised=12)
    after = read(app, settled)
    assert (after.body, after.headers["etag"]) == (before.body, before.headers["etag"])
    assert "immutable" in read(app, "/v1/ledger/blocks/5").headers["cache-control"]
    assert "immutable" in read(app, "/v1/ledger/leases?at_block=5").headers["cache-control"]
    assert read(app, "/v1/ledger/blocks/14").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["stats", "leases", "accounts", "events", "payments", "providers", "blocks"])
def test_a_past_block_is_answered_as_it_was_then(tmp_path: Path, path: str) -> None:
    history = random_events(9, [3] * 10)
    then, now = StoredMirror(tmp_path / "then"), StoredMirror(tmp_path / "now")
    then.grow(history[:6])
    now.grow(history)
    for stored in (then, now):
        stored.settle(proved=1)
    past = read(
        app_over(now), f"/v1/ledger/{path}?at_block=6&limit=1000" if path != "stats" else "/v1/ledger/stats?at_block=6"
    )
    fresh = read(app_over(then), f"/v1/ledger/{path}?limit=1000" if path != "stats" else "/v1/ledger/stats")
    assert past.json()["data"] == fresh.json()["data"]
    assert past.json()["data"]


def test_a_block_outside_the_mirror_is_refused_by_its_kind(app: FastAPI, stored: StoredMirror) -> None:
    def refused(block: int) -> tuple[int, str, str | None]:
        answer = read(app, f"/v1/ledger/leases?at_block={block}")
        return answer.status, answer.json()["code"], answer.headers.get("retry-after")

    assert refused(0) == (404, "before_the_ledger", None)
    assert refused(13) == (425, "too_early", "1")
    stored.settle(halted="stopped")
    assert refused(13) == (404, "beyond_the_mirror", None)


def test_read_your_writes_waits_for_the_block(stored: StoredMirror) -> None:
    app = app_over(stored, read_wait_seconds=10)

    async def race() -> Answer:
        asked = asyncio.create_task(ask(app, "/v1/ledger/status?min_block=13"))
        await asyncio.sleep(0.15)
        assert not asked.done()
        stored.grow(deposits(1))
        return await asked

    assert asyncio.run(race()).json()["data"]["block_number"] == 13


def test_read_your_writes_gives_up_with_the_time_to_ask_again(stored: StoredMirror) -> None:
    answer = read(app_over(stored, read_wait_seconds=0), "/v1/ledger/status?min_block=99")
    assert (answer.status, answer.headers["retry-after"]) == (425, "1")
    assert answer.json()["indexed_block"] == 12


def test_a_token_below_the_fork_survives_and_one_above_it_is_refused_with_the_fork(
    app: FastAPI, stored: StoredMirror
) -> None:
    links = [LIST]
    for _ in range(5):
        links.append(read(app, links[-1]).json()["links"]["next"])
    before = {link: read(app, link).json()["data"] for link in links}
    stored.replace(8, deposits(1, 2, 3, 4, 5, 6))
    survived = refused = 0
    for link in links[1:]:
        newest = before[link][0]["block_number"]
        answer = read(app, link)
        if answer.status == 200:
            survived += 1
            assert [row["seq"] for row in answer.json()["data"]] == [row["seq"] for row in before[link]]
        else:
            refused += 1
            assert (answer.status, answer.json()["code"]) == (409, "history_changed")
            assert (answer.json()["fork_block"], answer.json()["reorg_epoch"]) == (9, 1)
            assert newest >= 8
    assert survived
    assert refused


def test_a_token_of_another_mirror_s_chain_is_refused(tmp_path: Path) -> None:
    one, other = StoredMirror(tmp_path / "one"), StoredMirror(tmp_path / "other")
    one.grow(random_events(1, [2] * 9))
    other.grow(random_events(2, [2] * 9))
    link = read(app_over(one, page_key="same"), LIST).json()["links"]["next"]
    assert read(app_over(one, page_key="same"), link).status == 200
    assert read(app_over(other, page_key="same"), link).status == 409
    assert read(app_over(one, page_key="another"), link).status == 400


def test_a_token_is_good_for_its_own_list_only(app: FastAPI) -> None:
    token = read(app, LIST).json()["next_page_token"]
    for url in ("events?kind=Deposited", "payments?limit=4", "events?at_block=9", "events?orphaned=true"):
        more = "&" if "?" in url else "?"
        assert read(app, f"/v1/ledger/{url}{more}page_token={token}").status == 400
    changed = token[:30] + ("A" if token[30] != "A" else "B") + token[31:]
    assert read(app, f"{LIST}&page_token={changed}").status == 400
    # Another page size is another cut through the same list.
    assert read(app, f"/v1/ledger/events?limit=7&page_token={token}").status == 200


def test_a_page_does_not_shift_while_rows_arrive(app: FastAPI, stored: StoredMirror) -> None:
    following = read(app, LIST).json()["links"]["next"]
    before = read(app, following).json()["data"]
    stored.grow(deposits(1, 2))
    assert read(app, following).json()["data"] == before
    newer = read(app, read(app, following).json()["links"]["prev"]).json()
    assert newer["links"]["prev"] is not None


def test_a_total_is_given_when_it_is_asked_for(app: FastAPI) -> None:
    assert read(app, LIST).json()["total"] is None
    assert read(app, LIST + "&total=true").json()["total"] == {"count": 36, "estimate": False}
    assert read(app, "/v1/ledger/blocks?total=true").json()["total"] == {"count": 12, "estimate": False}


def test_a_statement_adds_up_to_the_account(app: FastAPI) -> None:
    accounts = read(app, "/v1/ledger/accounts").json()["data"]
    assert len(accounts) > 1
    for account in accounts:
        rows = read(app, f"/v1/ledger/accounts/{account['address']}/statement?limit=1000").json()["data"]
        for kind in ("free", "locked", "bonded"):
            assert sum(int(row[f"{kind}_change"]) for row in rows) == int(account[f"{kind}_base"])


def test_coverage_audits_and_transactions_are_lists_too(app: FastAPI, stored: StoredMirror) -> None:
    stored.grow([[], []])
    coverage = read(app, "/v1/ledger/coverage?limit=1").json()
    assert (coverage["data"][0]["first_block"], coverage["data"][0]["method"]) == (13, "bloom")
    older = read(app, coverage["links"]["next"]).json()
    assert (older["data"][0]["first_block"], older["data"][0]["last_block"]) == (1, 12)
    assert read(app, older["links"]["prev"]).json()["data"] == coverage["data"]
    assert read(app, "/v1/ledger/audits").json()["data"] == []
    assert len(read(app, "/v1/ledger/transactions").json()["data"]) == 12


def test_the_key_is_made_once_beside_the_mirror_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.db"
    key = page_key(ExplorerSettings(), mirror)
    assert page_key(ExplorerSettings(), mirror) == key
    kept = tmp_path / "mirror.db.page-key"
    assert kept.read_bytes() == key
    assert kept.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mirror.db.page-key"]
    assert page_key(ExplorerSettings(page_key="x"), mirror) != key
    assert page_key(ExplorerSettings(), None) != page_key(ExplorerSettings(), None)


def test_a_token_carries_its_cursor_and_breaks_with_any_byte() -> None:
    seal = Seal(b"k" * 32)
    cursor = Cursor(place=(7, 2**70, b"\0\xff"), newer=True, reorg_epoch=3, block_number=9, block_hash=b"h" * 32)
    token = seal.token(cursor, "q")
    assert seal.read(token, "q") == cursor
    for index in range(len(token)):
        broken = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]
        with pytest.raises(Malformed):
            seal.read(broken, "q")
    for nonsense in ("", "A", "é", "=" * 9, token + "A", token * 20):
        with pytest.raises(Malformed):
            seal.read(nonsense, "q")


def head(app: FastAPI, url: str, **headers: str) -> Answer:
    path, _, query = url.partition("?")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(exchange(app, scope_of(path.encode(), query.encode(), sent, "HEAD")))


@pytest.mark.parametrize(
    "path",
    [
        "status",
        "events?limit=2",
        "blocks/3",
        "stats?at_block=4",
        "leases?total=true",
        "search?q=0x",
        "events?limit=0",
        "blocks/99",
        "leases/0x12",
        "proofs/history",
        "nothing/there",
        "events?kind=\xe9",
    ],
)
def test_head_has_the_status_and_headers_of_get_and_no_body(app: FastAPI, path: str) -> None:
    asked, told = read(app, f"/v1/ledger/{path}"), head(app, f"/v1/ledger/{path}")
    assert (told.status, told.headers, told.body) == (asked.status, asked.headers, b"")
    assert int(told.headers["content-length"]) == len(asked.body) > 0


def test_head_of_what_one_has_is_not_modified(app: FastAPI) -> None:
    assert head(app, LIST, if_none_match=read(app, LIST).headers["etag"]).status == 304


@pytest.mark.parametrize("path", ["stream", "events?format=csv", "leases?format=ndjson"])
def test_head_of_a_long_answer_ends_at_once_and_takes_no_place(stored: StoredMirror, path: str) -> None:
    app = app_over(stored, streams=1, exports=1)
    for _ in range(3):
        told = head(app, f"/v1/ledger/{path}")
        assert (told.status, told.body, told.complete) == (200, b"", True)
        assert told.headers["content-type"] != "application/json"
        assert "x-indexed-block" in told.headers
    assert (app.state.ledger_desk.streams, app.state.ledger_desk.exports) == (0, 0)


def test_a_proof_is_stamped_and_tagged_like_every_answer(tmp_path: Path) -> None:
    stored = StoredMirror(tmp_path)
    stored.grow([[], [], [], [], *deposits(7), [], [], [], [], [], [], []])
    app = app_over(stored)
    event = read(app, "/v1/ledger/events?block=5").json()["data"][0]
    path = f"/v1/ledger/proofs/{event['transaction']}/{event['log_index']}"
    stored.settle(proved=4, finalised=4)
    proof = read(app, path)
    assert proof.status == 200, proof.body
    assert {"x-indexed-block", "x-indexed-hash", "x-reorg-epoch", "x-level", "x-finality"} <= set(proof.headers)
    assert (proof.headers["cache-control"], proof.headers["x-content-type-options"]) == ("no-cache", "nosniff")
    again = read(app, path, if_none_match=proof.headers["etag"])
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", proof.headers["etag"])
    stored.settle(proved=12, finalised=12)
    kept = read(app, path, if_none_match=proof.headers["etag"])
    assert (kept.status, kept.body) == (200, proof.body)
    assert (kept.headers["x-level"], kept.headers["x-finality"]) == ("proved", "finalised")
    assert "immutable" in kept.headers["cache-control"]
    assert read(app, f"{path}?nothing=1").json()["code"] == "malformed"
    stored.close()
