"""What a verification says: checks that hold or do not, and the cells that differ, each with its event."""

from dataclasses import dataclass
from typing import Any, Final

_LONGEST: Final = 80
_BEFORE_DIFFERENCE: Final = 30

#: in the order in which a difference is named when one event has several
COMPARED: Final = (
    "events",
    "transactions",
    "parties",
    "leases",
    "lease_versions",
    "claim_versions",
    "disputes",
    "account_versions",
    "delegate_versions",
    "payments",
    "cancelled",
    "blocks",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One claim, and whether it holds."""

    name: str
    holds: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cell that is not what the chain makes it."""

    table: str
    column: str
    expected: str
    found: str
    #: of the event that it belongs to; None where it belongs to a block without events
    seq: int | None
    kind: str | None
    block_number: int | None
    log_index: int | None

    def order(self) -> tuple[int, int, int]:
        """Earliest event first; what belongs to no event comes last."""
        none = 2**63
        rank = COMPARED.index(self.table) if self.table in COMPARED else len(COMPARED)
        return (none if self.seq is None else self.seq, none if self.block_number is None else self.block_number, rank)

    def __str__(self) -> str:
        if self.seq is None:
            where = f"block {self.block_number}"
        else:
            where = f"event {self.seq} {self.kind} (block {self.block_number}, log {self.log_index})"
        return f"{where}: {self.table}.{self.column} is {self.found}, expected {self.expected}"


def spell(value: Any) -> str:
    """A cell for people: bytes as hex, cut where it is long."""
    return _cut(_text(value), 0)


def spell_both(expected: Any, found: Any) -> tuple[str, str]:
    """Two cells that differ, each cut so that the difference is in what is left."""
    texts = _text(expected), _text(found)
    if max(map(len, texts)) <= _LONGEST:
        return texts
    pairs = enumerate(zip(*texts, strict=False))
    shared = next((index for index, (one, other) in pairs if one != other), min(map(len, texts)))
    first = max(0, shared - _BEFORE_DIFFERENCE)
    return _cut(texts[0], first), _cut(texts[1], first)


def _text(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def _cut(text: str, first: int) -> str:
    rest = ("…" if first else "") + text[first:]
    return rest if len(rest) <= _LONGEST else rest[: _LONGEST - 3] + "…"
