"""Keyset pages: a `page_token` names the last row that was sent, so rows that arrive meanwhile shift nothing."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

from fastapi import Query

from explorer.identifiers import Malformed

PAGE_SIZE: Final = 50

Limit = Annotated[int, Query(ge=1, le=200, description="rows of one page")]
PageToken = Annotated[str | None, Query(description="`next_page_token` of the page before")]

Row = TypeVar("Row")
Position = tuple[int, int]
"""Block number and log index of a row."""

_TOKEN: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")


def position_of(token: str | None) -> Position | None:
    """The position that a token names; raises `Malformed`."""
    if token is None:
        return None
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        raise Malformed("page_token", "it was not given out by this site", "leave it out to start at the newest row")
    return int(parts[1]), int(parts[2])


def page_of(rows: Sequence[Row], limit: int, position: Callable[[Row], Position]) -> tuple[list[Row], str | None]:
    """The first `limit` of `limit + 1` rows asked for, and the next token where there are more."""
    page = list(rows[:limit])
    if len(rows) <= limit:
        return page, None
    number, index = position(page[-1])
    return page, f"{number}-{index}"
