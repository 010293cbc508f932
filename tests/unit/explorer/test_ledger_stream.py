"""The stream: applied in order it is the canonical history, through reorgs, reconnects, filters and rebuilt mirrors."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI

from explorer.app import mount
from explorer.settings import ExplorerSettings
from protocol.events import Deposited, LedgerEvent
from tests.support.asgi_reader import Answer, ask, read
from tests.support.fake_mirror import some_address
from tests.support.stored_mirror import StoredMirror, random_events

BUYER, PROVIDER = some_address("buyer"), some_address("provider")


def deposits(*amounts: int) -> list[list[LedgerEvent]]:
    return [[Deposited(BUYER, BUYER, amount)] for amount in amounts]


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[StoredMirror]:
    made = StoredMirror(tmp_path)
    made.grow(deposits(1, 2, 3))
    yield made
    made.close()


def app_over(stored: StoredMirror, **settings: Any) -> FastAPI:
    made = FastAPI()
    quick: dict[str, Any] = {"stream_poll_seconds": 0.01, "heartbeat_seconds": 5}
    mount(made, stored.mirror, settings=ExplorerSettings(**(quick | settings)))
    return made


class Follower:
    """A client that keeps what the messages tell it to, and its id, across connections."""

    def __init__(self, app: FastAPI, after: str | None = "0.0", filters: str = "") -> None:
        self.app, self.id, self.filters = app, after, filters
        #: amount by seq
        self.held: dict[int, int] = {}
        self.retractions: list[dict[str, Any]] = []

    async def follow(self, until: Callable[[], bool], between: Callable[[], None] | None = None) -> Answer:
        """Connects with the last id and leaves as soon as `until` holds."""
        seen = 0

        def take(body: bytes) -> bool:
            nonlocal seen
            end = body.rfind(b"\n\n") + 2
            for message in body[seen:end].split(b"\n\n"):
                self._apply(message.decode())
            seen = max(seen, end)
            if between is not None:
                between()
            return until()

        headers = {} if self.id is None else {"last-event-id": self.id}
        task = ask(self.app, "/v1/ledger/stream" + self.filters, headers, enough=take)
        return await asyncio.wait_for(task, 20)

    def _apply(self, message: str) -> None:
        fields = dict(line.split(": ", 1) for line in message.splitlines() if line and not line.startswith(":"))
        if not fields:
            return
        data = orjson.loads(fields["data"])
        if fields["event"] == "retract":
            self.retractions.append(data)
            assert set(range(data["from_seq"], data["to_seq"] + 1)) >= {
                seq for seq in self.held if seq >= data["from_seq"]
            }
            self.held = {seq: amount for seq, amount in self.held.items() if seq < data["from_seq"]}
        else:
            assert data["seq"] not in self.held
            self.held[data["seq"]] = int(data["args"].get("amount", 0))
        self.id = fields["id"]


def canonical(stored: StoredMirror) -> dict[int, int]:
    return {row.seq: int(row.args.get("amount", 0)) for row in stored.mirror.events(limit=1000)}


def test_all_events_come_in_order_from_the_first(stored: StoredMirror) -> None:
    client = Follower(app_over(stored))
    answer = asyncio.run(client.follow(lambda: len(client.held) == 3))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert list(client.held) == [1, 2, 3]
    assert client.id == "0.3"


def test_without_an_id_only_what_comes_from_now_on_is_sent(stored: StoredMirror) -> None:
    client = Follower(app_over(stored), after=None)
    grown = False

    def grow() -> None:
        nonlocal grown
        if not grown:
            grown = True
            stored.grow(deposits(4))

    asyncio.run(client.follow(lambda: bool(client.held), between=grow))
    assert client.held == {4: 4}


def test_a_reorg_while_connected_is_a_retraction_and_the_events_that_count_instead(stored: StoredMirror) -> None:
    client = Follower(app_over(stored))

    def fork() -> None:
        if len(client.held) == 3 and stored.mirror.status().reorg_epoch == 0:
            stored.replace(1, deposits(20, 30, 40))

    asyncio.run(client.follow(lambda: len(client.held) == 4, between=fork))
    assert client.held == {1: 1, 2: 20, 3: 30, 4: 40} == canonical(stored)
    assert client.retractions == [
        {"object": "retraction", "from_seq": 2, "to_seq": 3, "fork_block": 2, "reorg_epoch": 1}
    ]
    assert client.id == "1.4"


def test_several_reorgs_while_away_are_told_on_return(stored: StoredMirror) -> None:
    client = Follower(app_over(stored))
    asyncio.run(client.follow(lambda: len(client.held) == 3))
    stored.replace(2, deposits(7, 8, 9))
    stored.replace(1, deposits(6, 6))
    stored.replace(2, deposits(5, 5, 5))
    asyncio.run(client.follow(lambda: client.held == canonical(stored)))
    assert [(row["from_seq"], row["to_seq"], row["fork_block"]) for row in client.retractions] == [(2, 3, 2)]
    assert client.id == "3.5"


def test_a_reorg_above_what_a_client_has_retracts_nothing(stored: StoredMirror) -> None:
    client = Follower(app_over(stored), after="0.1")
    client.held = {1: 1}
    stored.replace(2, deposits(9))
    asyncio.run(client.follow(lambda: len(client.held) == 3))
    assert (client.retractions, client.held) == ([], canonical(stored))


@pytest.mark.parametrize("seed", range(6))
def test_a_client_holds_the_canonical_events_after_any_history(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    stored = StoredMirror(tmp_path)
    stored.grow(deposits(*range(6)))
    client = Follower(app_over(stored))
    for step in range(8):
        if rng.random() < 0.5:
            new = [rng.randrange(1, 10**6) for _ in range(rng.randrange(1, 5))]
            stored.replace(rng.randrange(1, len(stored.blocks)), deposits(*new), salt=f"fork {step}".encode())
        else:
            stored.grow(deposits(*[rng.randrange(1, 10**6) for _ in range(rng.randrange(1, 4))]))
        if rng.random() < 0.6:
            asyncio.run(client.follow(lambda: client.held == canonical(stored)))
    asyncio.run(client.follow(lambda: client.held == canonical(stored)))
    stored.close()


def test_a_mirror_that_was_built_anew_takes_everything_back(tmp_path: Path, stored: StoredMirror) -> None:
    stored.replace(1, deposits(5))
    client = Follower(app_over(stored))
    asyncio.run(client.follow(lambda: len(client.held) == 2))
    other = StoredMirror(tmp_path / "other")
    other.grow(deposits(8, 9))
    client.app = app_over(other)
    asyncio.run(client.follow(lambda: client.held == {1: 8, 2: 9}))
    assert [(row["from_seq"], row["to_seq"]) for row in client.retractions] == [(1, 2)]
    other.close()


def test_filters_leave_out_events_and_keep_their_numbers(stored: StoredMirror) -> None:
    stored.grow([[Deposited(PROVIDER, PROVIDER, 4)], [Deposited(BUYER, BUYER, 5)]])
    client = Follower(app_over(stored), filters=f"?account={PROVIDER}&kind=Deposited")
    asyncio.run(client.follow(lambda: bool(client.held)))
    assert client.held == {4: 4}


def test_more_events_than_a_batch_come_whole(stored: StoredMirror) -> None:
    stored.grow([[Deposited(BUYER, BUYER, 1)] * 450])
    client = Follower(app_over(stored))
    asyncio.run(client.follow(lambda: len(client.held) == 453))
    assert list(client.held) == list(range(1, 454))


def test_a_quiet_stream_says_that_it_is_alive(stored: StoredMirror) -> None:
    app = app_over(stored, heartbeat_seconds=0.03)
    answer = asyncio.run(
        asyncio.wait_for(ask(app, "/v1/ledger/stream", enough=lambda body: body.count(b": still here") >= 2), 10)
    )
    assert b"data:" not in answer.body


def test_streams_are_bounded_and_a_client_that_leaves_makes_room(stored: StoredMirror) -> None:
    app = app_over(stored, streams=1)

    async def crowd() -> tuple[Answer, Answer]:
        leave = asyncio.Event()
        first = asyncio.create_task(
            ask(app, "/v1/ledger/stream?after=0.0", enough=lambda body: b"id: 0.3" in body, takes=leave.wait)
        )
        await asyncio.sleep(0.05)
        refused = await ask(app, "/v1/ledger/stream")
        leave.set()
        await first
        return refused, await ask(app, "/v1/ledger/stream?after=0.0", enough=lambda body: b"id: 0.3" in body)

    refused, served = asyncio.run(asyncio.wait_for(crowd(), 20))
    assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")
    assert served.status == 200


def test_a_client_that_takes_nothing_is_dropped(stored: StoredMirror) -> None:
    app = app_over(stored, streams=1, stall_seconds=0.05)
    begun = False

    async def takes() -> None:
        nonlocal begun
        if begun:
            await asyncio.sleep(60)
        begun = True

    async def stuck() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(app, "/v1/ledger/stream?after=0.0", takes=takes), 30)

    begun_at = time.monotonic()
    asyncio.run(stuck())
    # By the server, and not by the test's own patience.
    assert time.monotonic() - begun_at < 15
    answer = asyncio.run(ask(app, "/v1/ledger/stream?after=0.0", enough=lambda body: b"id: 0.3" in body))
    assert answer.status == 200


def test_a_message_is_one_event_whatever_its_words_are(stored: StoredMirror) -> None:
    stored.grow(random_events(1, [3]))
    client = Follower(app_over(stored))
    asyncio.run(client.follow(lambda: len(client.held) == 6))
    rows = read(app_over(stored), "/v1/ledger/events").json()["data"]
    assert {row["seq"] for row in rows} == set(client.held)
