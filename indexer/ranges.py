"""How many blocks to ask for at once: grows while answers are quick, shrinks when they are slow or refused. Pure.

Nodes refuse a request for two reasons. A *ceiling* ("at most 1000 blocks", "batch too large") holds for every range of
that size, so it is remembered and never tried again. A *density* ("more than 10000 results", a timeout) is about what
lies in this range alone, so the range is split and the next one may be larger.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from protocol.errors import NodeUnavailable, RpcRefused

_QUICK_SECONDS: Final = 0.5
_SLOW_SECONDS: Final = 2.0

_CEILING: Final = re.compile(
    r"block range|range (is )?too (large|wide)|max(imum)? (block )?range|ranges? over"
    r"|(limited|up) to (a )?[\d,_]+ blocks?|batch (size )?(is )?(too large|limit)"
    r"|too many (requests|calls) in (a |the )?batch|request entity too large|\b413\b",
    re.IGNORECASE,
)
_DENSITY: Final = re.compile(
    r"more than [\d,_]+ (results|logs)|too many (results|logs)|response (size|is too)|result set|timed? ?out|deadline",
    re.IGNORECASE,
)

_NUMBER: Final = re.compile(r"\d[\d,_]*")


class Refusal(Enum):
    """Why a node did not answer a range."""

    CEILING = "ceiling"
    DENSITY = "density"
    #: nothing that a smaller range would change
    OTHER = "other"


def refusal_of(error: Exception) -> Refusal:
    """What a node's error says about the range that it was asked for."""
    if not isinstance(error, RpcRefused | NodeUnavailable):
        return Refusal.OTHER
    said = str(error)
    if _CEILING.search(said):
        return Refusal.CEILING
    return Refusal.DENSITY if _DENSITY.search(said) else Refusal.OTHER


@dataclass(slots=True)
class RangeSize:
    """Blocks per request to one node."""

    blocks: int
    #: never above it
    ceiling: int

    def answered(self, asked: int, seconds: float) -> None:
        """Of a range that was answered whole; one at the chain's end that is shorter than it may be says little."""
        if seconds > _SLOW_SECONDS:
            self.blocks = max(1, min(asked, self.blocks) // 2)
        elif seconds < _QUICK_SECONDS and asked >= self.blocks:
            self.blocks = min(self.ceiling, self.blocks * 2)

    def refused(self, asked: int, error: Exception) -> bool:
        """Whether a smaller range is worth a try."""
        refusal = refusal_of(error)
        if refusal is Refusal.OTHER or asked <= 1:
            return False
        smaller = asked // 2
        if refusal is Refusal.CEILING:
            smaller = self.ceiling = _stated(str(error), asked) or smaller
        self.blocks = max(1, min(smaller, self.ceiling))
        return True


def _stated(said: str, asked: int) -> int | None:
    """The largest number in a node's words that would be a smaller range: most say what they would take."""
    numbers = (int(found.replace(",", "").replace("_", "")) for found in _NUMBER.findall(said))
    return max((number for number in numbers if 1 <= number < asked), default=None)
