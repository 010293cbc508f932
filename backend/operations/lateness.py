"""How late the market itself was: a provider cannot speak while nobody listens (SPEC "Replicas").

Nobody's silence, and nobody's want of progress, is time in which the market took no calls. The longest that is granted
is bounded: else a market without a server would keep the leases of dead providers for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spell:
    """The market took no calls, or too late ones; unix seconds."""

    from_time: int
    until_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """All spells that are remembered; no two of them overlap."""

    spells: Sequence[Spell] = ()
    most_seconds: int = 0

    def excused_seconds(self, since_time: int, now_time: int) -> int:
        """Of the seconds since then, those that nobody is blamed for."""
        if not self.spells:
            return 0
        late = sum(max(0, min(spell.until_time, now_time) - max(spell.from_time, since_time)) for spell in self.spells)
        return min(late, self.most_seconds)

    def waited_seconds(self, since_time: int, now_time: int) -> int:
        """What counts of the seconds since then."""
        return now_time - since_time - self.excused_seconds(since_time, now_time)


def spell_between(heard_time: int, now_time: int, apart_seconds: int) -> Spell | None:
    """By the last answer to a call of our own and this one: further apart than so much, there was nobody to hear."""
    return Spell(heard_time, now_time) if now_time - heard_time > apart_seconds else None
