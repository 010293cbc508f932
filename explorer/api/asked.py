"""What a question to `/v1/ledger` can say. An unknown parameter is refused: a misspelt filter would show too much."""

from typing import Annotated, Any, Final, Literal, Self

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from explorer.identifiers import Malformed

PAGE_ROWS: Final = 50
MOST_ROWS: Final = 1000

Format = Literal["json", "csv", "ndjson"]
Number = Annotated[int, Field(ge=0, le=2**62)]
Spelt = Annotated[str, Field(max_length=200)]
"""An identifier; what is wrong with it is said by `explorer.identifiers`."""


class Parameters(BaseModel):
    """Query parameters. Read here and not by the framework, whose way takes longer than a page of rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def of(cls, request: Request) -> Self:
        """Raises `Malformed` for a parameter that is wrong, unknown, or given twice."""
        given: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name in given:
                raise Malformed(name[:40], "it is given twice", f"give `{name[:40]}` once")
            given[name] = value
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][-1])[:40]
            known = ", ".join(cls.model_fields)
            remedy = f"use {known}" if first["type"] == "extra_forbidden" else f"correct or leave out `{field}`"
            raise Malformed(field, first["msg"], remedy) from error

    @classmethod
    def described(cls) -> dict[str, Any]:
        """The parameters as OpenAPI has them, for a route's `openapi_extra`."""
        schema = cls.model_json_schema()
        return {
            "parameters": [
                {
                    "name": name,
                    "in": "query",
                    "required": name in schema.get("required", ()),
                    "description": part.get("description", ""),
                    "schema": {key: value for key, value in part.items() if key != "description"},
                }
                for name, part in schema.get("properties", {}).items()
            ]
        }


class Asked(Parameters):
    """Any question."""

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
    orphaned: bool = Field(
        default=False, description="also those that a reorg undid; with `account` canonical ones only"
    )


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


ProvedBlock = Annotated[int, Field(ge=0, lt=2**53)]


class LeaseProofAsked(Asked):
    block: ProvedBlock | None = Field(default=None, description="the state after this block; the newest unless said")


class AbsenceAsked(Asked):
    from_block: ProvedBlock
    to_block: ProvedBlock | None = Field(default=None, description="`from_block` unless said")


class HistoryAsked(Asked):
    from_block: ProvedBlock | None = Field(default=None, description="the deployment's block unless said")
    to_block: ProvedBlock | None = Field(default=None, description="the newest unless said")


class StreamAsked(Parameters):
    """Filters of the stream add up."""

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
