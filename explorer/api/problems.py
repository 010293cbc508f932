"""What every route says in the OpenAPI document about its failures, and about the forms that a list comes in."""

from typing import Any, Final

from protocol.wire.problems import MEDIA_TYPE, Problem

_SCHEMA: Final = Problem.model_json_schema()


def _problem(says: str, status: int, code: str, title: str, detail: str) -> dict[str, Any]:
    example = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return {"description": says, "content": {MEDIA_TYPE: {"schema": _SCHEMA, "example": example}}}


_MALFORMED: Final = _problem(
    "A parameter is malformed or unknown.", 400, "malformed", "Not a valid lease", "not 32 bytes of 0x hex"
)
_UNKNOWN: Final = _problem(
    "Well-formed, but not on this ledger.", 404, "not_on_ledger", "No such lease", "0x12… is not up to block 64"
)
_FORKED: Final = _problem(
    "The page token's block was replaced by a reorg; `fork_block` is the first that was.",
    409,
    "history_changed",
    "The chain replaced this page's blocks",
    "Blocks from 26 on were replaced after this page token was given out",
)
_EARLY: Final = _problem(
    "The mirror has not read that block yet; see Retry-After.",
    425,
    "too_early",
    "Not there yet",
    "The mirror has read up to block 64, not yet block 70",
)
_UNREADY: Final = _problem(
    "No mirror yet, or too many long answers at a time; see Retry-After.",
    503,
    "mirror_missing",
    "The mirror is not ready",
    "It has not read the ledger's first block yet",
)
_OTHER: Final = _problem(
    "Any other refusal.", 405, "method_not_allowed", "Only GET", "The ledger's facts can only be read"
)

Responses = dict[int | str, dict[str, Any]]

#: a fact by its id, or about the whole
ONE: Final[Responses] = {
    304: {"description": "As you have it: If-None-Match named this state."},
    400: _MALFORMED,
    404: _UNKNOWN,
    425: _EARLY,
    503: _UNREADY,
    "default": _OTHER,
}
#: a list: a page, or all of it
MANY: Final[Responses] = ONE | {
    200: {
        "description": "A page as JSON; with `format` or Accept the whole list as CSV or NDJSON, its last line a "
        "trailer with row count, blocks and SHA-256.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    },
    409: _FORKED,
}
#: an offline proof, as a file
PROOF: Final[Responses] = ONE | {
    200: {"description": "The proof.", "content": {"application/json": {"schema": {"type": "object"}}}},
    409: _problem(
        "The blocks that are to hold no event of the ledger hold one.",
        409,
        "not_absent",
        "The ledger is in these blocks",
        "transaction 0 of block 2 holds a log of the ledger",
    ),
}
STREAM: Final[Responses] = {
    200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
    400: _MALFORMED,
    503: _UNREADY,
    "default": _OTHER,
}
