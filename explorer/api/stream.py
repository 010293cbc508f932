"""`/v1/ledger/stream`: events as they come, and retractions when the chain takes some back (server-sent events).

A message's id is `{reorg_epoch}.{seq}`. `seq` numbers the canonical events without a gap; whoever was at seq s in an
earlier epoch has kept what the rollbacks since left alone: the events up to the lowest of their ancestors. What is
above it is retracted, then the events that count now follow. So a client that applies each message in order holds
exactly the canonical events, through reorgs, reconnects and restarts.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from explorer.api.answers import Desk, desk_of, stamp
from explorer.api.asked import StreamAsked
from explorer.api.problems import STREAM
from explorer.api.shapes.chain import event_fact
from explorer.api.streamed import Streamed
from explorer.failures import busy
from explorer.identifiers import Malformed, address_of, hash_of
from explorer.routes import LedgerRoute
from indexer.queries import EventsWanted, Mirror, MirrorMissing, MirrorStatus, Reads

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)

_BATCH: Final = 200
_ID: Final = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Position:
    """What a client has: the canonical events up to `seq`, as they were numbered in an epoch."""

    reorg_epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.reorg_epoch}.{self.seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraction:
    """Events `from_seq` … `to_seq` are not canonical any more."""

    from_seq: int
    to_seq: int
    #: first block that was replaced
    fork_block: int


@router.get(
    "/stream",
    operation_id="streamEvents",
    response_class=Response,
    responses=STREAM,
    openapi_extra=StreamAsked.described(),
)
async def stream_events(request: Request) -> Response:
    """Server-sent events: `event` (an EventFact), `retract` ({from_seq, to_seq, fork_block, reorg_epoch}), heartbeats.

    The id of each message is `{reorg_epoch}.{seq}`; reconnect with it in Last-Event-ID and nothing is missed. After a
    `retract` forget the events from `from_seq` to `to_seq`: those that count instead follow.
    """
    asked = StreamAsked.of(request)
    desk = desk_of(request)
    wanted: EventsWanted = {
        "lease": hash_of(asked.lease, "lease") if asked.lease else None,
        "account": address_of(asked.account) if asked.account else None,
        "kind": asked.kind,
    }
    given = request.headers.get("last-event-id") or asked.after
    status = desk.mirror.status()
    position = Position(status.reorg_epoch, status.event_count) if given is None else position_of(given)
    if desk.streams >= desk.settings.streams:
        raise busy("streams", desk.settings.streams)
    desk.streams += 1

    def done() -> None:
        desk.streams -= 1

    headers = stamp(status, status.block_number) | {
        "Cache-Control": "no-store",
        # A proxy that gathers the answer before it passes it on would make a stream of it no more.
        "X-Accel-Buffering": "no",
        "X-Content-Type-Options": "nosniff",
    }
    return Streamed(
        messages(desk, position, wanted),
        media_type="text/event-stream",
        headers=headers,
        stall_seconds=desk.settings.stall_seconds,
        done=done,
    )


def position_of(text: str) -> Position:
    """Raises `Malformed`."""
    parts = _ID.fullmatch(text.strip())
    if parts is None:
        raise Malformed("after", "it is no id of this stream", "give the last id that you have, or 0.0 for all events")
    return Position(int(parts[1]), int(parts[2]))


async def messages(desk: Desk, position: Position, wanted: EventsWanted) -> AsyncGenerator[bytes, None]:
    """The stream from a position on, for ever."""
    yield b": the canonical events after " + str(position).encode() + b"\n\n"
    spoken, seen = time.monotonic(), None
    while True:
        state = desk.pulse.state()
        if state is not None and state != seen:
            try:
                position, sent, more = _look(desk.mirror, position, wanted)
            except MirrorMissing:
                # Another one is being built in its place.
                sent, more, state = [], False, None
            for message in sent:
                yield message
                spoken = time.monotonic()
            if more:
                continue
            seen = state
        if time.monotonic() - spoken >= desk.settings.heartbeat_seconds:
            yield b": still here\n\n"
            spoken = time.monotonic()
        await asyncio.sleep(desk.settings.stream_poll_seconds)


def _look(mirror: Mirror, position: Position, wanted: EventsWanted) -> tuple[Position, list[bytes], bool]:
    """Where the client is after the messages, the messages, and whether there are more at once."""
    sent = []
    with mirror.snapshot() as now:
        status = now.status()
        retraction = retraction_of(now, status, position)
        if retraction is not None:
            position = Position(status.reorg_epoch, retraction.from_seq - 1)
            data = {
                "object": "retraction",
                "from_seq": retraction.from_seq,
                "to_seq": retraction.to_seq,
                "fork_block": retraction.fork_block,
                "reorg_epoch": status.reorg_epoch,
            }
            sent.append(_message(position, "retract", data))
        position = Position(status.reorg_epoch, position.seq)
        rows = now.events_since(position.seq, limit=_BATCH, **wanted)
    for row in rows:
        position = Position(status.reorg_epoch, row.seq)
        sent.append(_message(position, "event", event_fact(row, status)))
    if len(rows) < _BATCH:
        # What the filter passed over need not be looked at again.
        position = Position(status.reorg_epoch, max(position.seq, status.event_count))
    return position, sent, len(rows) == _BATCH


def retraction_of(now: Reads, status: MirrorStatus, position: Position) -> Retraction | None:
    """What a client at `position` must forget, so that what it keeps is canonical."""
    if position.reorg_epoch == status.reorg_epoch:
        return None
    if position.reorg_epoch > status.reorg_epoch:
        # An epoch that this mirror never had: it was built anew, and nothing is known of what the client holds.
        kept, fork_block = 0, status.deploy_block
    else:
        ancestor = now.ancestor_since(position.reorg_epoch)
        if ancestor is None:
            return None
        kept, fork_block = now.event_count_at(ancestor), ancestor + 1
    if position.seq <= kept:
        return None
    return Retraction(from_seq=kept + 1, to_seq=position.seq, fork_block=fork_block)


def _message(position: Position, kind: str, data: Any) -> bytes:
    # JSON has no raw line break, so one `data:` line holds it whatever the chain's strings are.
    return f"id: {position}\nevent: {kind}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"
