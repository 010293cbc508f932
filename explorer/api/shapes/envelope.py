"""The JSON of `/v1/ledger`: amounts are decimal strings in base units, hashes 0x hex, times unix seconds of the chain.

Typed dictionaries: they document the API, mypy checks them, and orjson writes them without another copy. `level` and
`finality` of a row are those of its block.
"""

from typing import Generic, TypeVar

from typing_extensions import TypedDict

T = TypeVar("T")


class One(TypedDict, Generic[T]):
    """A single fact."""

    data: T


class TotalFact(TypedDict):
    """How many rows the whole list has."""

    count: int
    #: counting them all would have cost more than the page
    estimate: bool


class Links(TypedDict):
    """Where the neighbouring pages are; null where there is none."""

    first: str
    prev: str | None
    next: str | None
    last: str


class Many(TypedDict, Generic[T]):
    """A page of facts, newest first."""

    data: list[T]
    #: older rows follow
    has_more: bool
    next_page_token: str | None
    prev_page_token: str | None
    links: Links
    #: only when asked for by `total=true`
    total: TotalFact | None
