"""What the market does about the lanes of one job: a pure function of what it knows (SPEC "Replicas").

A lane is one replica: the fills `lane`, `lane + replicas`, … of the order, one after the other. All lanes run the same
segments. A segment is accepted, and paid, when every lane that is awaited has sent it and `quorum` of them sent the
same, or when the market's own run gives what they sent. Who sent anything else is closed as faulty and not paid.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property

from backend.operations.lateness import Lateness
from protocol.events import EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a lane says that a segment came to. Honest lanes say the same, bit for bit."""

    #: of the usage receipt: the state hash, or the result hash at the job's end
    result: str
    state_hash: str
    #: raw, cumulative over the job
    work: int
    #: SHA-256 of the checkpoint file; zero at the job's end
    checkpoint: str
    #: the job ended with it
    is_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The one segment that a lease has sent and was not paid for."""

    sequence: int
    #: unix seconds of the commitment, or of the usage receipt where none is asked
    since_time: int
    #: None while there is only a commitment to it
    value: Value | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChain:
    """A lease as the mirror has it now."""

    #: stored as Open and not past its duration
    is_open: bool
    has_run_out: bool
    #: the ledger opens no later fill of the lane
    is_done: bool
    #: how it ended, in words for people
    ended_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFacts:
    """One fill that the market proposed."""

    lease: str
    fill: int
    provider: str
    #: None before the mirror shows it
    chain: OnChain | None
    #: unix seconds at which the market gave it up; None while it runs or is to be opened
    ended_time: int | None = None
    #: since the provider was heard, as far as somebody listened
    silent_seconds: int = 0
    #: last segment of the job that was paid before it began
    base: int
    #: last segment of the job that it, or a lease before it in its lane, was paid for
    paid: int
    pending: Pending | None = None
    #: unix seconds at which it was there to be served, or of what it sent last
    progress_time: int

    @property
    def is_running(self) -> bool:
        return self.ended_time is None and self.chain is not None and self.chain.is_open

    def sent(self, sequence: int) -> Pending | None:
        """What it sent of this segment, if only a commitment."""
        return self.pending if self.pending is not None and self.pending.sequence == sequence else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A segment that the market runs itself, from the checkpoint before it."""

    sequence: int
    is_running: bool = False
    #: None if it could not be run here
    found: Value | None = None
    #: the checkpoint before it is not the state that was accepted
    start_is_wrong: bool = False
    #: why it could not be run
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for the job from its order and the market's settings. Times in seconds."""

    replicas: int
    quorum: int
    max_leases: int
    #: anybody can run it again to the same result
    is_exact: bool
    notice_seconds: int
    #: a provider that is not heard for longer loses its lease
    silence_seconds: int
    #: a lane that keeps the others waiting for longer loses its lease
    patience_seconds: int
    #: a lease that sends nothing for longer is lost
    wall_seconds: int


class LaneState(Enum):
    """Where a lane is."""

    #: its lease runs
    RUNNING = auto()
    #: its lease is to be opened
    OPENING = auto()
    #: the next fill is to be let
    WAITING = auto()
    #: no fill is left, or the ledger opens none
    GONE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One replica of the job."""

    number: int
    state: LaneState
    #: the newest lease, if there was any
    newest: LeaseFacts | None
    next_fill: int

    @property
    def can_open(self) -> bool:
        """The ledger would open the next fill now."""
        before = self.newest
        return self.state is LaneState.WAITING and (
            before is None or (before.chain is not None and not before.chain.is_open)
        )


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """All that the market knows of one job."""

    rules: Rules
    is_ended: bool = False
    leases: tuple[LeaseFacts, ...] = ()
    #: lanes that the ledger refused for the buyer's sake
    closed_lanes: frozenset[int] = frozenset()
    #: by segment, as far as they are needed
    accepted: Mapping[int, Value] = field(default_factory=dict)
    #: by segment: those that were asked for because the lanes do not agree
    ties: Mapping[int, Check] = field(default_factory=dict)
    #: the random one before `last`; None before it was drawn
    spot: Check | None = None
    #: it was drawn that no segment is checked
    is_spared: bool = False
    #: unix seconds of its first proposal
    begun_time: int
    #: unix seconds
    now_time: int
    #: the market's own, which is nobody's delay
    lateness: Lateness = field(default_factory=Lateness)

    @property
    def live(self) -> list[LeaseFacts]:
        return [lease for lease in self.leases if lease.ended_time is None]

    def waited_seconds(self, since_time: int) -> int:
        """As far as the market took calls."""
        return self.lateness.waited_seconds(since_time, self.now_time)

    @cached_property
    def lanes(self) -> tuple[Lane, ...]:
        return tuple(self._lane(number) for number in range(self.rules.replicas))

    def _lane(self, number: int) -> Lane:
        fills = [lease for lease in self.leases if lease.fill % self.rules.replicas == number]
        newest = max(fills, key=lambda lease: lease.fill, default=None)
        next_fill = number if newest is None else newest.fill + self.rules.replicas
        state = self._state(number, newest, next_fill)
        return Lane(number=number, state=state, newest=newest, next_fill=next_fill)

    def _state(self, number: int, newest: LeaseFacts | None, next_fill: int) -> LaneState:
        if newest is not None and newest.ended_time is None:
            return LaneState.RUNNING if newest.is_running else LaneState.OPENING
        is_done = newest is not None and newest.chain is not None and newest.chain.is_done
        if is_done or number in self.closed_lanes or next_fill >= self.rules.max_leases:
            return LaneState.GONE
        return LaneState.WAITING

    def is_in_notice(self, lane: Lane) -> bool:
        """A lane without a running lease is waited for as long as its last one's notice lasts."""
        ends = [lease.ended_time for lease in self.leases if self._is_of(lease, lane) and lease.ended_time is not None]
        return self.now_time < max(ends, default=self.begun_time) + self.rules.notice_seconds

    def _is_of(self, lease: LeaseFacts, lane: Lane) -> bool:
        return lease.fill % self.rules.replicas == lane.number

    def is_awaited(self, lane: Lane, sequence: int, *, committed_is_enough: bool = False) -> bool:
        """Whether nothing is decided about the segment before this lane has sent it."""
        if lane.state is LaneState.GONE:
            return False
        if lane.newest is None or lane.state is not LaneState.RUNNING:
            return self.is_in_notice(lane)
        sent = lane.newest.sent(sequence)
        return sent is None or (sent.value is None and not committed_is_enough)


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Give the lease up, and close it on chain; the lane's next fill may be let."""

    lease: str
    reason: EndReason
    why: str
    #: it sent something that is not so
    is_caught: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Its end is on chain already."""

    lease: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """The job is over: a `last` voucher over what was vouched for."""

    lease: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """The segment is so: these leases get its voucher. With the job's end the job has its result."""

    sequence: int
    leases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Run the segment here: the lanes do not agree."""

    sequence: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Draw whether a segment up to this one is run again before `last`, and which."""

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """This segment and all after it were accepted and are not so."""

    sequence: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The job ends without a result; what is locked comes back."""

    state: str
    why: str


Action = Close | Drop | Settle | Accept | Replay | Draw | Strike | End


def decide(job: JobFacts) -> list[Action]:
    """What is due now; carried out together, and decided again until nothing is."""
    if job.is_ended:
        return [Settle(lease=lease.lease) for lease in job.live]
    return _lost(job) or _hopeless(job) or _segments(job)


def may_reveal(job: JobFacts, lease: LeaseFacts) -> bool:
    """Whether a lease that committed to a segment may show it: nobody who is awaited could copy it any more."""
    if lease.pending is None:
        return False
    sequence = lease.pending.sequence
    return sequence in job.accepted or not any(
        job.is_awaited(lane, sequence, committed_is_enough=True) for lane in job.lanes
    )


def _lost(job: JobFacts) -> list[Action]:
    """Leases that run no longer, or whose provider does not answer."""
    actions: list[Action] = []
    for lease in job.live:
        if lease.chain is None:
            continue
        who = f"provider {lease.provider}"
        if not lease.chain.is_open:
            actions.append(Drop(lease=lease.lease, why=f"the lease of {who} {lease.chain.ended_by}"))
        elif lease.silent_seconds > job.rules.silence_seconds:
            actions.append(Close(lease=lease.lease, reason=EndReason.UNRESPONSIVE, why=f"{who} went silent"))
        elif _owed_seconds(job, lease) > job.rules.patience_seconds:
            why = f"{who} kept the other replicas waiting"
            actions.append(Close(lease=lease.lease, reason=EndReason.UNRESPONSIVE, why=why))
        elif lease.pending is None and job.waited_seconds(lease.progress_time) > job.rules.wall_seconds:
            why = f"{who} sent no segment for {job.rules.wall_seconds} s"
            actions.append(Close(lease=lease.lease, reason=EndReason.UNRESPONSIVE, why=why))
    return actions


def _owed_seconds(job: JobFacts, lease: LeaseFacts) -> int:
    """For how long others wait for this lease and for nothing else."""
    waiting = [
        other.pending
        for other in job.live
        if other.lease != lease.lease and other.pending is not None and other.pending.sequence > lease.paid
    ]
    if not waiting:
        return 0
    if lease.pending is None:
        since = max(lease.progress_time, min(pending.since_time for pending in waiting))
    elif lease.pending.value is None and may_reveal(job, lease):
        since = max(lease.pending.since_time, *(pending.since_time for pending in waiting))
    else:
        return 0
    return job.waited_seconds(since)


def _hopeless(job: JobFacts) -> list[Action]:
    """No lane runs, and none can be let again."""
    if not job.leases or any(lane.state is not LaneState.GONE for lane in job.lanes):
        return []
    newest = max((lane.newest for lane in job.lanes if lane.newest), key=lambda lease: lease.ended_time or 0)
    if newest.chain is not None and newest.chain.has_run_out:
        return [End(state="expired", why="the lease's duration ended before the job did")]
    if newest.chain is not None and newest.chain.is_done:
        return [End(state="failed", why=f"the lease of provider {newest.provider} {newest.chain.ended_by}")]
    return [End(state="failed", why=f"all {job.rules.max_leases} leases ended without a result")]


def _segments(job: JobFacts) -> list[Action]:
    """What is to be said about the segments that were sent."""
    sent: dict[int, dict[str, Value]] = {}
    for lease in job.live:
        if lease.is_running and lease.pending is not None and lease.pending.value is not None:
            sent.setdefault(lease.pending.sequence, {})[lease.lease] = lease.pending.value
    actions: list[Action] = []
    for sequence, values in sorted(sent.items()):
        known = job.accepted.get(sequence)
        if known is not None:
            # A lane that is behind: what it sends is compared with what the others were paid for.
            actions += _verdict(job, sequence, values, known, f"{job.rules.quorum} lanes")
        elif not any(job.is_awaited(lane, sequence) for lane in job.lanes):
            actions += _judge(job, sequence, values)
    return actions


def _judge(job: JobFacts, sequence: int, values: dict[str, Value]) -> list[Action]:
    """Everybody who is awaited has sent the segment."""
    ((value, votes),) = Counter(values.values()).most_common(1)
    by = f"{votes} of {len(values)} lanes"
    if votes < job.rules.quorum:
        check = job.ties.get(sequence)
        if not job.rules.is_exact:
            return [End(state="failed", why=f"segment {sequence}: only {by} agree, and the job cannot be run again")]
        if check is None:
            return [Replay(sequence=sequence, why=f"only {by} agree on segment {sequence}")]
        if check.is_running:
            return []
        if check.start_is_wrong:
            return _strike(job, sequence - 1, {})
        if check.found is None:
            why = f"only {by} agree on segment {sequence}, and the market could not run it: {check.why}"
            return [End(state="failed", why=why)]
        value, by = check.found, "the market's own run"
    right = {lease: said for lease, said in values.items() if said == value}
    if right and value.is_end and job.rules.is_exact:
        doubts = _spot(job, sequence, value, right)
        if doubts is not None:
            return doubts
    return _verdict(job, sequence, values, value, by)


def _verdict(job: JobFacts, sequence: int, values: dict[str, Value], value: Value, by: str) -> list[Action]:
    right = tuple(lease for lease, said in values.items() if said == value)
    providers = {lease.lease: lease.provider for lease in job.live}
    odd: list[Action] = [
        _caught(lease, f"provider {providers[lease]} gave another result for segment {sequence} than {by}")
        for lease, said in values.items()
        if said != value
    ]
    return [Accept(sequence=sequence, leases=right), *odd] if right else odd


def _caught(lease: str, why: str) -> Close:
    return Close(lease=lease, reason=EndReason.FAULTY, why=why, is_caught=True)


def _spot(job: JobFacts, sequence: int, value: Value, right: Mapping[str, Value]) -> list[Action] | None:
    """What stands between the job's end and its `last` vouchers; None if nothing does."""
    check = job.spot
    if check is None:
        return None if job.is_spared else [Draw(sequence=sequence)]
    if check.is_running:
        return []
    if check.start_is_wrong:
        return _strike(job, check.sequence - 1, right)
    expected = value if check.sequence == sequence else job.accepted.get(check.sequence)
    if check.found is None or check.found == expected:
        return None
    return _strike(job, check.sequence, right)


def _strike(job: JobFacts, sequence: int, right: Mapping[str, Value]) -> list[Action]:
    """The segment was paid for, or is about to be, and the market's own run says otherwise."""
    why = f"the market ran segment {sequence} again and found another state"
    ends = {lease for lease in right if (found := _by_id(job, lease).pending) and found.sequence == sequence}
    guilty = [lease for lease in job.live if lease.base < sequence <= lease.paid or lease.lease in ends]
    if any(lease.base >= sequence for lease in job.live):
        # It went on from what an earlier lease was paid for: it cannot go back under the lease that it has.
        return [End(state="failed", why=f"{why} than an earlier lease was paid for")]
    return [
        Strike(sequence=sequence, why=why),
        *(_caught(lease.lease, f"{why} than provider {lease.provider}") for lease in guilty),
    ]


def _by_id(job: JobFacts, lease: str) -> LeaseFacts:
    return next(found for found in job.leases if found.lease == lease)
