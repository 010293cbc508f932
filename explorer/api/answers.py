"""One answer of `/v1/ledger`: of one snapshot, with the block it speaks of, its level, its finality and its entity tag.

An answer speaks of a block: the newest one that it depends on. Where that block is finalised and proved, neither the
rows nor their marks can change any more, so the answer may be kept; all others are asked again with If-None-Match.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, Final

import orjson
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from explorer.api.asked import Asked
from explorer.api.cursors import Seal, page_key
from explorer.api.pulse import Pulse
from explorer.failures import Refused, before_the_ledger, not_reached, too_early
from explorer.settings import ExplorerSettings
from indexer.queries import Level, Mirror, MirrorStatus, Reads
from protocol.hashing import to_hex

_LOOK_SECONDS: Final = 0.05
#: a kept answer takes at most one part in so many of the memory for all
_LARGEST_SHARE: Final = 8
_KEPT: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question with the snapshot that answers it."""

    now: Reads
    status: MirrorStatus
    #: asked for by `at_block`
    at_block: int | None

    @property
    def block(self) -> int:
        """The newest block that the answer may depend on."""
        return self.status.block_number if self.at_block is None else self.at_block

    @property
    def level(self) -> Level:
        return self.status.level_of(self.block)

    @cached_property
    def time(self) -> int:
        """Unix seconds of that block."""
        if self.at_block is None or self.at_block == self.status.block_number:
            return self.status.block_time
        row = self.now.block(self.at_block)
        return self.status.block_time if row is None else row.time


class Desk:
    """What all answers of one mirror share; in the app's state, one per app."""

    def __init__(self, mirror: Mirror, settings: ExplorerSettings) -> None:
        self.mirror, self.settings = mirror, settings
        self.pulse = Pulse(mirror, settings.stream_poll_seconds)
        #: open streams and downloads
        self.streams = self.exports = 0
        self._seal: Seal | None = None
        self._rendered: OrderedDict[str, bytes] = OrderedDict()
        self._rendered_bytes = 0
        self._lock = Lock()

    @property
    def seal(self) -> Seal:
        """Made at first use: the mirror's folder may come later than this process."""
        if self._seal is None:
            self._seal = Seal(page_key(self.settings, self.mirror.path))
        return self._seal

    def recall(self, tag: str) -> bytes | None:
        """A rendered answer with this tag: the tag names state and question, so it cannot be stale."""
        with self._lock:
            body = self._rendered.get(tag)
            if body is not None:
                self._rendered.move_to_end(tag)
            return body

    def keep(self, tag: str, body: bytes) -> None:
        """Forgets the answers that were asked for longest ago; one that would drive out many others is not kept."""
        if len(body) > self.settings.answers_bytes // _LARGEST_SHARE:
            return
        with self._lock:
            self._rendered_bytes += len(body) - len(self._rendered.pop(tag, b""))
            self._rendered[tag] = body
            while self._rendered_bytes > self.settings.answers_bytes and self._rendered:
                _, dropped = self._rendered.popitem(last=False)
                self._rendered_bytes -= len(dropped)


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.ledger_desk
    return desk


async def wait_for_block(desk: Desk, asked: Asked) -> None:
    """Read your own writes: returns when the mirror has read `min_block`; raises `Refused` (425, 404)."""
    if asked.min_block is None:
        return
    until = time.monotonic() + desk.settings.read_wait_seconds
    while (status := desk.mirror.status()).block_number < asked.min_block:
        if status.halted is not None:
            raise not_reached(asked.min_block, status.block_number)
        if time.monotonic() >= until:
            raise too_early(asked.min_block, status.block_number)
        await asyncio.sleep(_LOOK_SECONDS)


def question_in(now: Reads, at_block: int | None) -> Question:
    """Raises `Refused` for a block that this mirror does not have."""
    status = now.status()
    if at_block is not None:
        if at_block < status.deploy_block:
            raise Refused(before_the_ledger(at_block, status.deploy_block, status.chain_id))
        if at_block > status.block_number:
            refuse = not_reached if status.halted is not None else too_early
            raise refuse(at_block, status.block_number)
    return Question(now=now, status=status, at_block=at_block)


async def answer_one(
    request: Request,
    asked: Asked,
    find: Callable[[Question], Any],
    *,
    of: Callable[[Any, Question], int] | None = None,
    heavy: bool = False,
) -> Response:
    """The envelope `{data}` around what `find` gives.

    `of`: the block that a found fact stands in, where nothing later can change the fact while the block stands.
    `heavy`: takes a thread, because it would hold up everybody else's answer.
    """
    desk = desk_of(request)
    await wait_for_block(desk, asked)

    def answer() -> Response:
        with desk.mirror.snapshot() as now:
            question = question_in(now, getattr(asked, "at_block", None))
            if of is None:
                tag = tag_of(desk, request, question, question.block)
                return tell(desk, request, question, question.block, tag, lambda: {"data": find(question)})
            data = find(question)
            block = of(data, question)
            tag = tag_of(desk, request, question, block)
            return tell(desk, request, question, block, tag, lambda: {"data": data})

    return await run_in_threadpool(answer) if heavy else answer()


def tag_of(desk: Desk, request: Request, question: Question, block: int, canonical_hash: bytes | None = None) -> str:
    """Strong: state and question. A settled answer's state is its block; another's is how far the mirror is.

    `canonical_hash`: the block's, where it is known.
    """
    status = question.status
    state: tuple[object, ...]
    if _is_settled(status, block):
        found = canonical_hash or question.now.hashes({block}).get(block)
        state = ("settled", found, status.reorg_epoch)
    else:
        state = (
            status.block_hash,
            status.reorg_epoch,
            status.proved_number,
            status.finalized_number,
            status.halted,
            status.ledger,
        )
    return desk.seal.tag(state, request.scope["path"], request.scope["query_string"])


def tell(desk: Desk, request: Request, question: Question, block: int, tag: str, body: Callable[[], Any]) -> Response:
    headers = marks(question.status, block, tag)
    if has(request, tag):
        return Response(status_code=304, headers=headers)
    content = desk.recall(tag)
    if content is None:
        content = orjson.dumps(body())
        desk.keep(tag, content)
    return Response(content, media_type="application/json", headers=headers)


def has(request: Request, tag: str) -> bool:
    """Whether the reader has this state already."""
    return tag in [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]


def marks(status: MirrorStatus, block: int, tag: str) -> dict[str, str]:
    """The headers of an answer that speaks of `block`."""
    return stamp(status, block) | {"ETag": tag, "X-Content-Type-Options": "nosniff", "Vary": "Accept"}


def stamp(status: MirrorStatus, block: int) -> dict[str, str]:
    """How far the mirror is, and what the answer is worth, which speaks of `block`."""
    return {
        "X-Indexed-Block": str(status.block_number),
        "X-Indexed-Hash": to_hex(status.block_hash),
        "X-Reorg-Epoch": str(status.reorg_epoch),
        "X-Level": status.level_of(block),
        "X-Finality": status.finality_of(block),
        "Cache-Control": _KEPT if _is_settled(status, block) else "no-cache",
    }


def _is_settled(status: MirrorStatus, block: int) -> bool:
    return status.finality_of(block) == "finalised" and status.level_of(block) == "proved"
