"""Keyset pages of lists whose ids sort by time: a token names the last row that was sent, so new rows shift nothing."""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from backend.errors import BadRequest

Row = TypeVar("Row")
_ULID: Final = "[0-9a-hjkmnp-tv-z]{26}"


def row_after(token: str, prefix: str) -> str:
    """The id that a token names; raises `BadRequest` for what no page gave out."""
    if re.fullmatch(f"{prefix}_{_ULID}", token) is None:
        raise BadRequest("page_token was not given out for this list", remedy="leave it out to start at the newest row")
    return token


def page_of(rows: Sequence[Row], limit: int, id_of: Callable[[Row], str]) -> tuple[list[Row], str | None]:
    """The first `limit` of `limit + 1` rows asked for, and the next token where there are more."""
    page = list(rows[:limit])
    return page, id_of(page[-1]) if len(rows) > limit else None
