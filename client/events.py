"""A job's events as they happen: each once and in order, over however many connections it takes."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from client.errors import BadAnswer, MarketUnavailable
from client.http import Http

OUTAGE_SECONDS: Final = 120.0
"""How long a stream bears a market that does not answer: long enough for a restart."""
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
_LONGEST_LINE: Final = 1 << 20
_OVER: Final = 204


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One thing that happened to a job: `job.…`, `segment.…` or `lease.…`."""

    #: counts from 1
    number: int
    type: str
    #: unix milliseconds
    at_ms: int
    #: what it says; log text is the provider's word, and may hold terminal escapes
    data: dict[str, Any]


class Message(NamedTuple):
    """A server-sent event as it is spelt."""

    id: str
    event: str
    data: str


def job_events(http: Http, path: str, after: int = 0) -> Iterator[JobEvent]:
    """The events after number `after`, until work and money of the job have ended.

    A broken connection is opened again where it broke. Raises `MarketUnavailable` after two minutes without an answer.
    """
    silent_since: float | None = None
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            with http.stream(path, {"accept": "text/event-stream", "last-event-id": str(after)}) as incoming:
                silent_since = None
                if incoming.status == _OVER:
                    return
                for message in parse(incoming.pieces):
                    pause = FIRST_PAUSE_SECONDS
                    if message.event == "end":
                        return
                    event = _event(path, message)
                    # What is told twice was told before the connection broke.
                    if event.number > after:
                        after = event.number
                        yield event
        except MarketUnavailable:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > OUTAGE_SECONDS:
                raise
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def parse(pieces: Iterable[bytes]) -> Iterator[Message]:
    """Server-sent events out of bytes that break anywhere; one that was not finished is none. Raises `BadAnswer`."""
    fields = {"id": "", "event": "message", "data": ""}
    for line in _lines(pieces):
        if not line:
            if fields["data"]:
                yield Message(**fields)
            fields |= {"event": "message", "data": ""}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data" and fields["data"]:
            fields["data"] += "\n" + value
        elif name in fields:
            fields[name] = value


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise BadAnswer("the stream of events", f"a line of more than {_LONGEST_LINE} bytes")
        for line in whole:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


def _event(path: str, message: Message) -> JobEvent:
    try:
        data = orjson.loads(message.data)
        return JobEvent(number=int(message.id), type=message.event, at_ms=int(data.pop("at_ms")), data=data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadAnswer(f"GET {path}", f"no event of a job: {error}") from None
