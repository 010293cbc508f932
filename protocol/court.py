"""A case of the re-execution court as a program reads it, and what a juror votes (SPEC "Court").

Calls are encoded by `protocol.calls` as those of every contract; traces, proofs and commitments are `protocol.trace`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from protocol.hashing import ZERO_HASH, Address, checksum_address
from protocol.results import TraceLeaf
from protocol.rpc import Rpc
from protocol.trace import JobEnd, Point, final_value, middle, segment_value
from protocol.wallet import read

CONTRACT: Final = "ReexecutionCourt"


class Phase(IntEnum):
    """Whose move it is."""

    NONE = 0
    OPENING = 1
    POSTING = 2
    ANSWERING = 3
    DRAWING = 4
    VOTING = 5
    ENDED = 6


class Outcome(IntEnum):
    """How a case ended. DEFAULT: the court is silent, and the ledger's own rule for that holds."""

    NONE = 0
    PROVIDER_WINS = 1
    BUYER_WINS = 2
    DEFAULT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the court stores of a dispute; the fields that provider, challenger and jurors act by."""

    provider: Address
    challenger: Address
    phase: Phase
    outcome: Outcome
    #: unix seconds; of the move, or of the commitments while VOTING
    deadline: int
    #: unix seconds
    reveal_until: int
    #: of the present jury
    seats: int
    #: 1 or 2
    round_: int
    #: number of the block by whose hash the jury is drawn
    anchor: int
    #: leaves of the provider's trace
    segments: int
    #: what a vote for the provider says about the last segment; zero if it does not claim the job's end
    final_value: bytes
    #: where both sides agree
    lo: Point
    #: what the provider posted, while ANSWERING
    mid: Point
    #: what the provider claims and the challenger does not accept
    hi: Point

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Case":
        """From the struct as the ABI decodes it."""
        (
            provider, deadline, phase, outcome, seats, _filled, round_, challenger, reveal_until, _committed, _revealed,
            anchor, _places, _probes, segments, _start_work, _root, final, lo, mid, hi,
        ) = values  # fmt: skip
        return cls(
            provider=checksum_address(provider),
            challenger=checksum_address(challenger),
            phase=Phase(phase),
            outcome=Outcome(outcome),
            deadline=deadline,
            reveal_until=reveal_until,
            seats=seats,
            round_=round_,
            anchor=anchor,
            segments=segments,
            final_value=final,
            lo=_point(lo),
            mid=_point(mid),
            hi=_point(hi),
        )

    @property
    def next_position(self) -> int:
        """Where the provider posts next, while POSTING."""
        return middle(self.lo.position, self.hi.position)

    def value_of(self, leaf: TraceLeaf, end: JobEnd | None) -> bytes:
        """What a juror votes whose run of the segment in dispute gave `leaf`, and `end` if the job ended with it."""
        is_claimed_end = self.final_value != ZERO_HASH and self.hi.position == self.segments
        if end is not None and is_claimed_end:
            return final_value(leaf.state_hash, leaf.work, end)
        return segment_value(leaf.state_hash, leaf.work)


def _point(values: Sequence[Any]) -> Point:
    state, work, position = values
    return Point(state=state, work=work, position=position)


def read_case(rpc: Rpc, court: Address, lease: bytes, *, block: str = "latest") -> Case:
    """The case of a lease; its phase is NONE if there is none."""
    return Case.of(read(rpc, CONTRACT, court, "caseOf", lease, block=block)[0])
