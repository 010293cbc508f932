"""What a ReexecutionCourt is made with. Immutable, so whoever wants other terms deploys another court."""

from dataclasses import dataclass
from typing import Final

HOUR: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class CourtTerms:
    """The constructor's arguments after the ledger, in its order."""

    #: base units that a juror stakes; nine of them judge disputes of up to 4.5 stakes
    seat_bond: int
    #: base units; a dispute's bond must pay twelve of them
    fee_per_seat: int
    #: seconds for each move of provider or challenger, of which there are at most 33
    move_time: int
    #: seconds for the commitments of a jury
    commit_time: int
    #: seconds for a jury to reveal
    reveal_time: int

    @property
    def arguments(self) -> tuple[int, ...]:
        return (self.seat_bond, self.fee_per_seat, self.move_time, self.commit_time, self.reveal_time)


#: The longest case takes 33 moves and two juries: 8.25 + 2 days, of the 14 that the ledger gives an arbiter.
REAL_TERMS: Final = CourtTerms(
    seat_bond=100 * 10**6, fee_per_seat=10**6, move_time=6 * HOUR, commit_time=12 * HOUR, reveal_time=12 * HOUR
)
#: Short enough to be waited for, and cheap enough for the demo's cents.
DEV_TERMS: Final = CourtTerms(seat_bond=10**6, fee_per_seat=10**4, move_time=60, commit_time=60, reveal_time=60)
