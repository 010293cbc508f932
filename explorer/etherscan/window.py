"""Which rows of a list: page and offset as there, up to row 10,000; beyond it, and through reorgs, by our own token.

A full page carries `next_page_token`; with `page_token` the list goes on from its last row, however long it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from explorer.api.cursors import Cursor
from explorer.api.listing import read_cursor
from explorer.etherscan.call import Call
from explorer.etherscan.replies import Body, NotOk, WindowTooLarge, none_found, ok
from indexer.queries import Window

DEEPEST: Final = 10_000
#: of raw transactions and logs in one answer: a batch's calldata can have fifty kilobytes
_MOST_BYTES: Final = 24 << 20
#: what does not change which list it is
_FREE: Final = ("apikey", "chainid", "page", "offset", "page_token")

Row = TypeVar("Row")
#: block number, index in the block, block hash
Place = Callable[[Row], tuple[int, int, bytes]]


def window_of(call: Call, first_block: int, last_block: int, most: int) -> Window:
    """One row more than the page has, so that it is known whether more follow. Raises `NotOk`, `Malformed`, `Refused`.

    `most`: rows of one page, and how many there are where nothing is said.
    """
    asked = call.asked
    newest_first = asked.choice("sort", ("asc", "desc"), "asc") == "desc"
    # Zero is sent for “not said”.
    page, offset = asked.number("page", 1) or 1, asked.number("offset", most) or most
    if offset > most:
        raise NotOk(f"Error! Invalid offset: {offset} rows asked, at most {most} a page")
    if page * offset > max(DEEPEST, most):
        raise WindowTooLarge
    token, place = asked.find("page_token"), None
    if token is not None:
        if page != 1:
            raise NotOk("Error! Invalid page: page_token goes on by itself, leave page out")
        at, index = read_cursor(call.desk, token, _name(call), call.question).place
        place = (int(at), int(index))
    return Window(
        first_block=first_block,
        last_block=min(last_block, call.status.block_number),
        newest_first=newest_first,
        limit=offset + 1,
        skip=(page - 1) * offset,
        place=place,
        most_bytes=_MOST_BYTES,
    )


def listed(
    call: Call, window: Window, rows: Sequence[Row], place: Place[Row], fact: Callable[[Row], Any], what: str
) -> Body:
    """The page; `what`: how its rows are called where there is none."""
    if not rows:
        return none_found(what)
    page = rows[: window.limit - 1]
    body = ok([fact(row) for row in page])
    if len(rows) < window.limit:
        return body
    number, index, block_hash = place(page[-1])
    cursor = Cursor(
        place=(number, index),
        newer=not window.newest_first,
        reorg_epoch=call.status.reorg_epoch,
        block_number=number,
        block_hash=block_hash,
    )
    return {**body, "next_page_token": call.desk.seal.token(cursor, _name(call))}


def _name(call: Call) -> str:
    """The list with its filters: what a token is bound to."""
    return repr(("etherscan", sorted(item for item in call.asked.values.items() if item[0] not in _FREE)))
