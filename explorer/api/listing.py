"""A list of `/v1/ledger`: pages by place, both ways, or the whole list as a download."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from explorer.api.answers import Desk, Question, desk_of, question_in, tag_of, tell, wait_for_block
from explorer.api.asked import PAGE_ROWS, Listed, format_of
from explorer.api.cursors import Cursor, Place
from explorer.failures import forked
from indexer.queries import Reads, Total

Row = TypeVar("Row")
_QUICK_ROWS: Final = 200


class Fetch(Protocol):
    """Rows of a snapshot, newest first: `limit` next below `before`, or next above `after`."""

    def __call__(self, now: Reads, *, limit: int, before: Any = None, after: Any = None) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Row]):
    """How one list is read and shown."""

    fetch: Fetch
    #: where a row stands in the list's order
    place: Callable[[Row], Place]
    #: where a row that spans several places ends towards the newer ones
    top: Callable[[Row], Place] | None = None
    #: the block that a row came with; None where the order follows no block
    block: Callable[[Row], int] | None
    #: that block's hash where a row has it and is canonical; else it is looked up
    block_hash: Callable[[Row], bytes] | None = None
    fact: Callable[[Row, Question], Mapping[str, Any]]
    #: the typed dictionary that `fact` makes: a download's columns
    shape: type
    #: below every row
    bottom: Place
    count: Callable[[Reads], Total] | None = None
    #: rows of a block stay as they are while the block stands
    immutable: bool = False
    #: a page of it can cost more than its rows
    heavy: bool = False


async def answer_list(request: Request, asked: Listed, listing: Listing[Any]) -> Response:
    """A page as JSON, or the whole list as CSV or NDJSON, as the question asks."""
    desk = desk_of(request)
    await wait_for_block(desk, asked)
    form = format_of(request, asked)
    if form != "json":
        from explorer.api.exports import answer_export

        return await answer_export(desk, request, asked, listing, form)

    def answer() -> Response:
        with desk.mirror.snapshot() as now:
            question = question_in(now, getattr(asked, "at_block", None))
            cursor = cursor_of(desk, request, asked, question)
            block = _depends_on(listing, asked, question, cursor)
            # That the cursor's block is canonical was seen as the token was read.
            is_seen = cursor is not None and cursor.block_number == block
            tag = tag_of(desk, request, question, block, cursor.block_hash if cursor and is_seen else None)
            return tell(
                desk, request, question, block, tag, lambda: _page(desk, request, asked, listing, question, cursor)
            )

    # What takes long takes a thread: it would hold up everybody else's page.
    is_long = listing.heavy or asked.total or (asked.limit or 0) > _QUICK_ROWS
    return await run_in_threadpool(answer) if is_long else answer()


def cursor_of(desk: Desk, request: Request, asked: Listed, question: Question) -> Cursor | None:
    """The place that the token names; raises `Malformed`, or `Refused` (409) where a reorg replaced its block."""
    if asked.page_token is None:
        return None
    return read_cursor(desk, asked.page_token, question_of(request), question)


def read_cursor(desk: Desk, token: str, name: str, question: Question) -> Cursor:
    """As above, for the list with its filters that `name` spells."""
    cursor = desk.seal.read(token, name)
    if cursor.block_hash and not question.now.is_canonical(cursor.block_hash):
        ancestor = question.now.ancestor_since(cursor.reorg_epoch)
        # No rollback explains it: the mirror was built anew, of a chain that never had that block.
        fork_block = question.status.deploy_block if ancestor is None else ancestor + 1
        raise forked(fork_block, question.status.reorg_epoch)
    return cursor


def question_of(request: Request) -> str:
    """The list with its filters: what a page token is bound to."""
    free = ("page_token", "limit", "total", "format", "min_block")
    return repr(
        (request.scope["path"], sorted(item for item in request.query_params.multi_items() if item[0] not in free))
    )


def _depends_on(listing: Listing[Any], asked: Listed, question: Question, cursor: Cursor | None) -> int:
    """A page below a row of a list that only grows depends on nothing newer than that row."""
    if listing.immutable and cursor is not None and cursor.block_hash and not cursor.newer and not asked.total:
        return min(cursor.block_number, question.block)
    return question.block


def read_page(
    listing: Listing[Row], question: Question, cursor: Cursor | None, limit: int
) -> tuple[list[Row], bool, bool]:
    """Rows newest first, whether newer ones precede them, whether older ones follow."""
    if cursor is None or not cursor.newer:
        rows = list(listing.fetch(question.now, limit=limit + 1, before=_given(cursor)))
        return rows[:limit], cursor is not None, len(rows) > limit
    rows = list(listing.fetch(question.now, limit=limit + 1, after=_given(cursor)))
    return rows[-limit:], len(rows) > limit, cursor.place != listing.bottom


def _given(cursor: Cursor | None) -> Any:
    """As the read door wants it: a bare value where the place has one part."""
    if cursor is None:
        return None
    return cursor.place if len(cursor.place) > 1 else cursor.place[0]


def _page(
    desk: Desk, request: Request, asked: Listed, listing: Listing[Row], question: Question, cursor: Cursor | None
) -> dict[str, Any]:
    rows, newer, older = read_page(listing, question, cursor, asked.limit or PAGE_ROWS)
    name = question_of(request)
    ends = _cursors(listing, question, rows)
    prev = desk.seal.token(ends[0], name) if ends and newer else None
    following = desk.seal.token(ends[1], name) if ends and older else None
    bottom = Cursor(place=listing.bottom, newer=True, reorg_epoch=0, block_number=0, block_hash=b"")
    total = listing.count(question.now) if asked.total and listing.count is not None else None
    link = _link_of(request)
    return {
        "data": [listing.fact(row, question) for row in rows],
        "has_more": following is not None,
        "next_page_token": following,
        "prev_page_token": prev,
        "links": {
            "first": link(None),
            "prev": prev and link(prev),
            "next": following and link(following),
            "last": link(desk.seal.token(bottom, name)),
        },
        "total": None if total is None else {"count": total.count, "estimate": total.estimate},
    }


def _cursors(listing: Listing[Row], question: Question, rows: Sequence[Row]) -> tuple[Cursor, Cursor] | None:
    """To what is newer than the first row, and to what is older than the last."""
    if not rows:
        return None
    first, last = rows[0], rows[-1]
    numbers = [question.block] * 2 if listing.block is None else [listing.block(first), listing.block(last)]
    if listing.block_hash is not None:
        hashes = [listing.block_hash(first), listing.block_hash(last)]
    else:
        found = question.now.hashes(set(numbers))
        hashes = [found.get(number, b"") for number in numbers]
    top = listing.top or listing.place
    epoch = question.status.reorg_epoch
    newer = Cursor(place=top(first), newer=True, reorg_epoch=epoch, block_number=numbers[0], block_hash=hashes[0])
    older = Cursor(
        place=listing.place(last), newer=False, reorg_epoch=epoch, block_number=numbers[1], block_hash=hashes[1]
    )
    return newer, older


def _link_of(request: Request) -> Callable[[str | None], str]:
    """Makes links to the list's pages by their tokens, which need no escapes."""
    path = str(request.scope["path"])
    kept = urlencode([item for item in request.query_params.multi_items() if item[0] != "page_token"])

    def link(token: str | None) -> str:
        query = "&".join(filter(None, (kept, token and f"page_token={token}")))
        return f"{path}?{query}" if query else path

    return link
