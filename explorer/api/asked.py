"""What a question to `/v1/ledger` can say. An unknown parameter is refused: a misspelt filter would show too much."""

from typing import Annotated, Final, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

PAGE_ROWS: Final = 50
MOST_ROWS: Final = 1000

Format = Literal["json", "csv", "ndjson"]
Number = Annotated[int, Field(ge=0, le=2**62)]
Spelt = Annotated[str, Field(max_length=200)]
"""An identifier; what is wrong with it is said by `explorer.identifiers`."""


class Asked(BaseModel):
    """Any question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_block: Number | None = Field(
        default=None,
        description="answer only when the mirror has read this block: waits a few seconds, then 425 with Retry-After",
        examples=[35],
    )


class AskedAt(Asked):
    """A question that a past block can answer too."""

    at_block: Number | None = Field(
        default=None, description="how it was after this block, the deployment's or a later one", examples=[35]
    )


class Listed(Asked):
    """A question for a list, newest row first."""

    limit: int | None = Field(
        default=None,
        ge=1,
        le=MOST_ROWS,
        description=f"rows of a page, {PAGE_ROWS} unless said; of a download, all unless said",
    )
    page_token: Annotated[str, Field(max_length=600)] | None = Field(
        default=None, description="from `next_page_token`, `prev_page_token` or `links` of a page of the same list"
    )
    total: bool = Field(default=False, description="count the whole list: exact where cheap, else an estimate")
    format: Format | None = Field(
        default=None, description="csv and ndjson stream the whole list; without it the Accept header decides"
    )


class ListedAt(Listed, AskedAt):
    """A list that a past block can answer too."""


class EventsAsked(ListedAt):
    lease: Spelt | None = None
    account: Spelt | None = None
    transaction: Spelt | None = None
    block: Number | None = None
    kind: Annotated[str, Field(max_length=40, description="an event name, such as LeaseOpened")] | None = None
    orphaned: bool = Field(default=False, description="also those that a reorg undid")


class LeasesAsked(ListedAt):
    buyer: Spelt | None = None
    provider: Spelt | None = None
    job: Spelt | None = None
    order: Spelt | None = None
    state: Annotated[str, Field(max_length=20)] = Field(
        default="", description="as stored: open, closing, claimed, disputed or closed; empty = any"
    )


class PaymentsAsked(ListedAt):
    lease: Spelt | None = None
    provider: Spelt | None = None


class TransactionsAsked(ListedAt):
    account: Spelt | None = None


class SearchAsked(Asked):
    q: Annotated[str, Field(max_length=200, examples=["0x"])]


class StreamAsked(BaseModel):
    """Filters of the stream add up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lease: Spelt | None = None
    account: Spelt | None = None
    kind: Annotated[str, Field(max_length=40)] | None = None
    after: Annotated[str, Field(max_length=60)] | None = Field(
        default=None,
        description="id of the last message that you have, `{reorg_epoch}.{seq}`; the Last-Event-ID header goes before "
        "it; `0.0` is the ledger's first event; without either only what comes from now on is sent",
        examples=["0.0"],
    )


_ACCEPTED: Final[dict[str, Format]] = {
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/json": "json",
}


def format_of(request: Request, asked: Listed) -> Format:
    """The parameter, else the first media type in Accept that we have, else JSON."""
    if asked.format is not None:
        return asked.format
    for part in request.headers.get("accept", "").split(","):
        name = part.split(";")[0].strip().lower()
        if name in _ACCEPTED:
            return _ACCEPTED[name]
    return "json"
