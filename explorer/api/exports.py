"""Whole lists as CSV or NDJSON: one snapshot, rows by place, constant memory, no cap, and an end that can be checked.

The last line tells how many rows came, of which blocks, up to which block hash, and the SHA-256 of all bytes before it:
an answer without it is not whole. In CSV it is a comment (`# {…}`), in NDJSON an object of kind `trailer`.
"""

import csv
import hashlib
import io
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from explorer.api.answers import Desk, Question, question_in, stamp
from explorer.api.asked import Format, Listed
from explorer.api.cursors import Cursor
from explorer.api.listing import Listing, cursor_of
from explorer.api.streamed import Streamed
from explorer.failures import busy
from protocol.hashing import to_hex

_ROWS: Final = 1000
_MEDIA: Final[dict[Format, str]] = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
_NUMBER: Final = re.compile(r"-?[0-9]+")


async def answer_export(desk: Desk, request: Request, asked: Listed, listing: Listing[Any], form: Format) -> Response:
    """Raises `Refused` (503) where too many are being sent."""
    if desk.exports >= desk.settings.exports:
        raise busy("downloads", desk.settings.exports)
    snapshot = desk.mirror.snapshot()
    now = snapshot.__enter__()
    try:
        question = question_in(now, getattr(asked, "at_block", None))
        cursor = cursor_of(desk, request, asked, question)
    except BaseException:
        snapshot.__exit__(None, None, None)
        raise
    desk.exports += 1

    def done() -> None:
        desk.exports -= 1
        snapshot.__exit__(None, None, None)

    name = request.scope["path"].removeprefix("/v1/ledger/").replace("/", "-")
    headers = stamp(question.status, question.block) | {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{re.sub(r"[^A-Za-z0-9-]", "", name)}.{form}"',
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
    }
    return Streamed(
        _pieces(listing, question, cursor, asked.limit, form),
        media_type=_MEDIA[form],
        headers=headers,
        stall_seconds=desk.settings.stall_seconds,
        done=done,
    )


async def _pieces(
    listing: Listing[Any], question: Question, cursor: Cursor | None, limit: int | None, form: Format
) -> AsyncGenerator[bytes, None]:
    digest, count, blocks = hashlib.sha256(), 0, set[int]()
    columns = list(listing.shape.__annotations__)
    lines: Callable[[Iterable[Mapping[str, Any]]], bytes] = (
        ndjson_lines if form == "ndjson" else lambda facts: csv_lines(columns, facts)
    )
    if form == "csv":
        head = (",".join(columns) + "\r\n").encode()
        digest.update(head)
        yield head
    place = None if cursor is None else cursor.place
    while limit is None or count < limit:
        size = _ROWS if limit is None else min(_ROWS, limit - count)
        # In a thread: a thousand rows would hold up everybody else's page.
        piece, rows = await run_in_threadpool(_batch, listing, question, place, size, lines)
        if rows:
            digest.update(piece)
            yield piece
            count += len(rows)
            place = listing.place(rows[-1])
            if listing.block is not None:
                blocks |= {listing.block(rows[0]), listing.block(rows[-1])}
        if len(rows) < size:
            break
    trailer = {
        "object": "trailer",
        "rows": count,
        "first_block": min(blocks, default=None),
        "last_block": max(blocks, default=None),
        "indexed_block": question.status.block_number,
        "indexed_hash": to_hex(question.status.block_hash),
        "reorg_epoch": question.status.reorg_epoch,
        "sha256": digest.hexdigest(),
    }
    yield (b"# " if form == "csv" else b"") + orjson.dumps(trailer) + b"\n"


def _batch(
    listing: Listing[Any],
    question: Question,
    place: Any,
    size: int,
    lines: Callable[[Iterable[Mapping[str, Any]]], bytes],
) -> tuple[bytes, Sequence[Any]]:
    before = place[0] if place is not None and len(place) == 1 else place
    rows = listing.fetch(question.now, limit=size, before=before)
    return lines([listing.fact(row, question) for row in rows]), rows


def ndjson_lines(facts: Iterable[Mapping[str, Any]]) -> bytes:
    """One object a line."""
    return b"".join([orjson.dumps(fact) + b"\n" for fact in facts])


def csv_lines(columns: Sequence[str], facts: Iterable[Mapping[str, Any]]) -> bytes:
    """RFC 4180: quoted where needed, CRLF; what is no plain value is its JSON."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([[cell(fact[column]) for column in columns] for fact in facts])
    return text.getvalue().encode()


def cell(value: object) -> str:
    """As text that no spreadsheet runs: a formula's first character is disarmed by an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%") and not _NUMBER.fullmatch(text):
        return "'" + text
    return text
