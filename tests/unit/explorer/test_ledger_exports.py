"""Downloads: everything, of one state, in constant pieces, with an end that can be checked and no formula in it."""

import asyncio
import csv
import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from fastapi import FastAPI

from explorer.api.exports import cell
from explorer.app import mount
from explorer.settings import ExplorerSettings
from protocol.events import Deposited
from protocol.hashing import to_hex
from tests.support.asgi_reader import Answer, ask, read
from tests.support.fake_mirror import some_address
from tests.support.stored_mirror import StoredMirror, random_events

BUYER = some_address("buyer")
LISTS = ("events", "leases", "payments", "blocks", "transactions", "accounts", "providers", "reorgs", "coverage")


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[StoredMirror]:
    made = StoredMirror(tmp_path)
    made.grow(random_events(7, [3] * 12))
    yield made
    made.close()


@pytest.fixture
def app(stored: StoredMirror) -> FastAPI:
    return app_over(stored)


def app_over(stored: StoredMirror, **settings: int) -> FastAPI:
    made = FastAPI()
    mount(made, stored.mirror, settings=ExplorerSettings.model_validate(settings))
    return made


def split(answer: Answer) -> tuple[bytes, dict[str, object]]:
    """All bytes before the trailer, and the trailer."""
    content, _, last = answer.body.removesuffix(b"\n").rpartition(b"\n")
    return content + b"\n" if content else b"", orjson.loads(last.removeprefix(b"# "))


@pytest.mark.parametrize("name", LISTS)
def test_ndjson_is_the_whole_list_as_json_has_it(app: FastAPI, name: str) -> None:
    answer = read(app, f"/v1/ledger/{name}", accept="application/x-ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    content, trailer = split(answer)
    rows = [orjson.loads(line) for line in content.splitlines()]
    assert rows == read(app, f"/v1/ledger/{name}?limit=1000").json()["data"]
    assert trailer["rows"] == len(rows)
    assert trailer["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", LISTS)
def test_csv_has_a_column_for_each_field_and_the_same_rows(app: FastAPI, name: str) -> None:
    answer = read(app, f"/v1/ledger/{name}?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    content, trailer = split(answer)
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    expected = read(app, f"/v1/ledger/{name}?limit=1000").json()["data"]
    assert len(rows) == len(expected) == trailer["rows"]
    assert hashlib.sha256(content).hexdigest() == trailer["sha256"]
    for row, fact in zip(rows, expected, strict=True):
        assert row == {column: cell(value) for column, value in fact.items()}


def test_the_trailer_names_blocks_and_state(app: FastAPI, stored: StoredMirror) -> None:
    _, trailer = split(read(app, "/v1/ledger/events?format=csv"))
    assert (trailer["first_block"], trailer["last_block"], trailer["indexed_block"]) == (1, 12, 12)
    assert trailer["indexed_hash"] == to_hex(stored.blocks[-1].header.hash)


def test_a_download_is_of_one_state_whatever_happens_meanwhile(
    app: FastAPI, stored: StoredMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.api.exports._ROWS", 4)
    whole = read(app, "/v1/ledger/events?format=ndjson").body
    disturbed = False

    def disturb(body: bytes) -> None:
        nonlocal disturbed
        if body.count(b"\n") >= 8 and not disturbed:
            disturbed = True
            stored.replace(2, [[Deposited(BUYER, BUYER, 1)]] * 5)

    answer = asyncio.run(ask(app, "/v1/ledger/events?format=ndjson", between=disturb))
    assert disturbed
    assert answer.body == whole
    assert stored.mirror.status().reorg_epoch == 1


def test_the_rows_come_without_a_cap_and_in_pieces(stored: StoredMirror) -> None:
    stored.grow([[Deposited(BUYER, BUYER, 1)] * 2500])
    pieces: list[int] = []
    answer = asyncio.run(
        ask(app_over(stored), "/v1/ledger/events?format=ndjson", between=lambda body: pieces.append(len(body)))
    )
    assert split(answer)[1]["rows"] == 2536
    assert len(pieces) == 5
    assert split(read(app_over(stored), "/v1/ledger/events?format=ndjson&limit=900"))[1]["rows"] == 900


def test_a_download_goes_on_from_a_page(app: FastAPI) -> None:
    page = read(app, "/v1/ledger/events?limit=5").json()
    content, _ = split(read(app, f"/v1/ledger/events?format=ndjson&page_token={page['next_page_token']}"))
    rows = [orjson.loads(line) for line in content.splitlines()]
    assert page["data"] + rows == read(app, "/v1/ledger/events?limit=1000").json()["data"]


def test_more_downloads_than_the_setting_are_refused_and_an_ended_one_makes_room(stored: StoredMirror) -> None:
    app = app_over(stored, exports=1)

    async def two() -> tuple[Answer, Answer]:
        gate = asyncio.Event()
        slow = asyncio.create_task(ask(app, "/v1/ledger/events?format=csv", takes=gate.wait))
        await asyncio.sleep(0.05)
        refused = await ask(app, "/v1/ledger/events?format=csv")
        gate.set()
        return await slow, refused

    served, refused = asyncio.run(two())
    assert served.complete
    assert (refused.status, refused.json()["code"], refused.headers["retry-after"]) == (503, "busy", "5")
    assert read(app, "/v1/ledger/events?format=csv").status == 200


def test_a_refused_download_leaves_no_place_taken(stored: StoredMirror) -> None:
    app = app_over(stored, exports=1)
    for _ in range(3):
        assert read(app, "/v1/ledger/events?format=csv&at_block=99").status == 425
    assert read(app, "/v1/ledger/events?format=csv").status == 200


def test_a_client_that_takes_nothing_is_dropped_without_a_trailer(stored: StoredMirror) -> None:
    app = FastAPI()
    mount(app, stored.mirror, settings=ExplorerSettings(stall_seconds=0.05, exports=1))

    async def stuck() -> None:
        begun = False

        async def takes() -> None:
            nonlocal begun
            if begun:
                await asyncio.sleep(60)
            begun = True

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(app, "/v1/ledger/events?format=csv", takes=takes), 30)

    begun_at = time.monotonic()
    asyncio.run(stuck())
    # By the server, and not by the test's own patience.
    assert time.monotonic() - begun_at < 15
    assert read(app, "/v1/ledger/events?format=csv").status == 200


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "%0A=1"])
def test_a_cell_never_begins_a_formula(text: str) -> None:
    assert cell(text) == "'" + text


@pytest.mark.parametrize(("value", "text"), [("-12", "-12"), (None, ""), (True, "true"), (5, "5"), ([1], "[1]")])
def test_plain_values_stay_as_they_are(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/json"),
        ("text/html, application/xhtml+xml", "application/json"),
        ("application/json, text/csv", "application/json"),
        ("text/csv;q=0.9", "text/csv; charset=utf-8"),
        ("application/ndjson", "application/x-ndjson"),
        (";;;,,,", "application/json"),
    ],
)
def test_accept_chooses_the_form(app: FastAPI, accept: str, media: str) -> None:
    answer = read(app, "/v1/ledger/blocks", accept=accept)
    assert answer.headers["content-type"] == media
    assert answer.headers["vary"] == "Accept"
