"""What is decided about a job's lanes: a table of states and events, and a machine that plays whole jobs at random."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backend.leases.lanes import (
    Accept,
    Action,
    Check,
    Close,
    Draw,
    Drop,
    End,
    JobFacts,
    LaneState,
    LeaseFacts,
    OnChain,
    Pending,
    Replay,
    Rules,
    Settle,
    Strike,
    Value,
    decide,
    may_reveal,
)
from protocol.events import EndReason

NOW = 1_000_000
OPEN = OnChain(is_open=True, has_run_out=False, is_done=False)
CLOSING = OnChain(is_open=False, has_run_out=False, is_done=False, ended_by="ended: it resigned")
RUN_OUT = OnChain(is_open=False, has_run_out=True, is_done=True, ended_by="ended by its duration")
RULES = Rules(
    replicas=1,
    quorum=1,
    max_leases=3,
    is_exact=True,
    notice_seconds=60,
    silence_seconds=20,
    patience_seconds=120,
    wall_seconds=300,
)
THREE = replace(RULES, replicas=3, quorum=2, max_leases=9)


def value(sequence: int, said: str = "so", *, is_end: bool = False) -> Value:
    return Value(
        result=f"{said} {sequence}",
        state_hash=f"{said} {sequence}",
        work=sequence,
        checkpoint=f"{said} {sequence}",
        is_end=is_end,
    )


def lease(fill: int = 0, said: Value | None = None, **changes: Any) -> LeaseFacts:
    """A lease that runs, with what it has sent of the first segment."""
    pending = Pending(sequence=said.work, since_time=NOW, value=said) if said else None
    plain = LeaseFacts(
        lease=f"lease {fill}",
        fill=fill,
        provider=f"provider {fill}",
        chain=OPEN,
        base=0,
        paid=0,
        pending=pending,
        progress_time=NOW,
    )
    return replace(plain, **changes)


def facts(*leases: LeaseFacts, rules: Rules = RULES, **changes: Any) -> JobFacts:
    plain: dict[str, Any] = {"rules": rules, "leases": leases, "begun_time": NOW - 1000, "now_time": NOW}
    return JobFacts(**plain | changes)


def committed(fill: int, sequence: int = 1, since_time: int = NOW) -> LeaseFacts:
    return lease(fill, pending=Pending(sequence=sequence, since_time=since_time, value=None))


def kinds(actions: list[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


ONE_SENT = value(1)
LAST = value(1, is_end=True)
GONE: dict[str, Any] = {"ended_time": NOW - 100, "chain": CLOSING}

TABLE: list[tuple[str, JobFacts, list[Any]]] = [
    # One lane, event by event.
    ("a proposal that is not on chain yet is waited for", facts(lease(chain=None, silent_seconds=99)), []),
    ("a lease that runs and sends nothing yet is let run", facts(lease()), []),
    ("its segment is accepted at once", facts(lease(0, ONE_SENT)), [Accept(sequence=1, leases=("lease 0",))]),
    ("a silent provider loses its lease", facts(lease(silent_seconds=21)), [("Close", EndReason.UNRESPONSIVE)]),
    ("one that is heard and sends nothing for too long too", facts(lease(progress_time=NOW - 301)), [("Close", 3)]),
    ("one that resigned is done with", facts(lease(chain=CLOSING)), ["Drop"]),
    ("one whose duration is over is done with", facts(lease(chain=RUN_OUT)), ["Drop"]),
    ("then its job expires", facts(lease(chain=RUN_OUT, ended_time=NOW)), [("End", "expired")]),
    ("a lane that may be let again is waited for", facts(lease(**GONE)), []),
    ("one without a fill left fails the job", facts(lease(2, **GONE)), [("End", "failed")]),
    ("a lane that the buyer cannot pay for fails it too", facts(lease(**GONE), closed_lanes=frozenset({0})), ["End"]),
    ("what a silent provider had sent is not paid", facts(lease(0, ONE_SENT, silent_seconds=21)), ["Close"]),
    # Cancelled: in each state.
    ("a cancelled job settles a running lease", facts(lease(0, ONE_SENT), is_ended=True), [Settle(lease="lease 0")]),
    ("and a proposal", facts(lease(chain=None), is_ended=True), [Settle(lease="lease 0")]),
    ("and leaves what has ended", facts(lease(**GONE), is_ended=True), []),
    # The end: drawn, run again, and only then paid.
    ("before the last voucher a check is drawn", facts(lease(0, LAST)), [Draw(sequence=1)]),
    ("and waited for", facts(lease(0, LAST), spot=Check(sequence=1, is_running=True)), []),
    ("the same found is accepted", facts(lease(0, LAST), spot=Check(sequence=1, found=LAST)), ["Accept"]),
    ("so is what could not be run here", facts(lease(0, LAST), spot=Check(sequence=1, why="no memory")), ["Accept"]),
    ("and what was drawn to be spared", facts(lease(0, LAST), is_spared=True), ["Accept"]),
    ("what cannot be run again is not", facts(lease(0, LAST), rules=replace(RULES, is_exact=False)), ["Accept"]),
    (
        "another result found is the provider's fault",
        facts(lease(0, LAST), spot=Check(sequence=1, found=value(1, "other", is_end=True))),
        ["Strike", ("Close", EndReason.FAULTY)],
    ),
    (
        "so is a segment that it was paid for",
        facts(
            lease(0, value(3, is_end=True), paid=2),
            accepted={2: value(2)},
            spot=Check(sequence=2, found=value(2, "other")),
        ),
        ["Strike", ("Close", EndReason.FAULTY)],
    ),
    (
        "a checkpoint that is not the accepted state is the fault of the segment before",
        facts(lease(0, value(3, is_end=True), paid=2), spot=Check(sequence=3, start_is_wrong=True)),
        [
            Strike(sequence=2, why="the market ran segment 2 again and found another state"),
            ("Close", EndReason.FAULTY),
        ],
    ),
    (
        "who went on from an earlier lease's lie is not to blame, and the job ends",
        facts(
            lease(0, base=0, paid=2, **GONE),
            lease(1, value(3, is_end=True), base=2, paid=2),
            accepted={2: value(2)},
            spot=Check(sequence=2, found=value(2, "other")),
        ),
        [("End", "failed")],
    ),
    (
        "nor is a lease that has not begun",
        facts(
            lease(0, value(3, is_end=True), paid=2),
            lease(3, chain=None, base=1, paid=1),
            rules=replace(RULES, replicas=2, quorum=2, max_leases=8),
            accepted={2: value(2)},
            ties={3: Check(sequence=3, found=value(3, is_end=True))},
            spot=Check(sequence=2, found=value(2, "other")),
        ),
        ["Strike", ("Close", EndReason.FAULTY)],
    ),
    # Three lanes.
    ("nothing is paid before all have sent", facts(lease(0, ONE_SENT), lease(1, ONE_SENT), lease(2), rules=THREE), []),
    (
        "a commitment is not enough",
        facts(lease(0, ONE_SENT), lease(1, ONE_SENT), committed(2), rules=THREE),
        [],
    ),
    (
        "all the same are paid together",
        facts(*(lease(fill, ONE_SENT) for fill in range(3)), rules=THREE),
        [Accept(sequence=1, leases=("lease 0", "lease 1", "lease 2"))],
    ),
    (
        "the odd one is closed as faulty and not paid",
        facts(lease(0, ONE_SENT), lease(1, value(1, "lie")), lease(2, ONE_SENT), rules=THREE),
        [Accept(sequence=1, leases=("lease 0", "lease 2")), ("Close", EndReason.FAULTY)],
    ),
    (
        "a lane that is to be let again is waited for while its notice lasts",
        facts(lease(0, ONE_SENT), lease(1, ONE_SENT), lease(2, ended_time=NOW - 59, chain=CLOSING), rules=THREE),
        [],
    ),
    (
        "and no longer",
        facts(lease(0, ONE_SENT), lease(1, ONE_SENT), lease(2, ended_time=NOW - 60, chain=CLOSING), rules=THREE),
        ["Accept"],
    ),
    (
        "a lane without fills is not waited for",
        facts(lease(0, ONE_SENT), lease(1, ONE_SENT), lease(8, ended_time=NOW, chain=CLOSING), rules=THREE),
        ["Accept"],
    ),
    (
        "three different results are run here",
        facts(*(lease(fill, value(1, f"{fill}")) for fill in range(3)), rules=THREE),
        ["Replay"],
    ),
    (
        "one lane alone is no quorum",
        facts(lease(0, ONE_SENT), lease(4, **GONE), lease(5, **GONE), rules=replace(THREE, max_leases=6)),
        ["Replay"],
    ),
    (
        "the market's own run decides",
        facts(
            *(lease(fill, value(1, f"{fill}")) for fill in range(3)),
            rules=THREE,
            ties={1: Check(sequence=1, found=value(1, "1"))},
        ),
        [Accept(sequence=1, leases=("lease 1",)), ("Close", EndReason.FAULTY), ("Close", EndReason.FAULTY)],
    ),
    (
        "and may find all of them wrong",
        facts(
            lease(0, value(1, "lie")),
            lease(1, value(1, "lie 2")),
            rules=replace(RULES, replicas=2, quorum=2, max_leases=8),
            ties={1: Check(sequence=1, found=ONE_SENT)},
        ),
        [("Close", EndReason.FAULTY), ("Close", EndReason.FAULTY)],
    ),
    (
        "a tie that cannot be run gives the money back",
        facts(*(lease(fill, value(1, f"{fill}")) for fill in range(3)), rules=THREE, ties={1: Check(sequence=1)}),
        [("End", "failed")],
    ),
    (
        "so does one of a job that nobody can run again",
        facts(*(lease(fill, value(1, f"{fill}")) for fill in range(3)), rules=replace(THREE, is_exact=False)),
        [("End", "failed")],
    ),
    (
        "a lane that is behind is compared with what was accepted, and waits for nobody",
        facts(lease(0, paid=5), lease(1, paid=5), lease(2, ONE_SENT), rules=THREE, accepted={1: value(1)}),
        [Accept(sequence=1, leases=("lease 2",))],
    ),
    (
        "and caught like any other",
        facts(lease(0, paid=5), lease(1, paid=5), lease(2, value(1, "lie")), rules=THREE, accepted={1: value(1)}),
        [("Close", EndReason.FAULTY)],
    ),
    (
        "one that keeps the others waiting loses its lease",
        facts(
            committed(0, since_time=NOW - 121),
            committed(1, since_time=NOW - 121),
            lease(2, progress_time=NOW - 200),
            rules=THREE,
        ),
        [("Close", EndReason.UNRESPONSIVE)],
    ),
    (
        "so does one that does not show what it committed to",
        facts(
            *(
                lease(fill, pending=Pending(sequence=1, since_time=NOW - 121, value=ONE_SENT if fill else None))
                for fill in range(3)
            ),
            rules=THREE,
        ),
        [("Close", EndReason.UNRESPONSIVE)],
    ),
    (
        "but not while it may not show it",
        facts(committed(0, since_time=NOW - 500), committed(1, since_time=NOW - 500), lease(2), rules=THREE),
        [],
    ),
]


@pytest.mark.parametrize(("promise", "job", "expected"), TABLE, ids=[row[0].replace(" ", "_") for row in TABLE])
def test_each_state_and_event_has_its_answer(promise: str, job: JobFacts, expected: list[Any]) -> None:
    found = decide(job)
    assert kinds(found) == [
        one if isinstance(one, str) else one[0] if isinstance(one, tuple) else type(one).__name__ for one in expected
    ], promise
    for action, one in zip(found, expected, strict=True):
        if isinstance(one, tuple):
            assert (action.reason if isinstance(action, Close) else getattr(action, "state", None)) == one[1]
        elif not isinstance(one, str):
            assert action == one


class TestReveal:
    def test_nobody_shows_a_segment_before_every_running_lane_has_committed(self) -> None:
        job = facts(committed(0), committed(1), lease(2), rules=THREE)
        assert not may_reveal(job, job.leases[0])
        job = facts(committed(0), committed(1), committed(2), rules=THREE)
        assert all(may_reveal(job, one) for one in job.leases)

    def test_a_lane_in_its_notice_is_waited_for_and_a_lane_that_is_gone_is_not(self) -> None:
        waiting = facts(committed(0), lease(1, ended_time=NOW - 1, chain=CLOSING), committed(2), rules=THREE)
        assert not may_reveal(waiting, waiting.leases[0])
        gone = facts(committed(0), lease(7, ended_time=NOW - 1, chain=CLOSING), committed(2), rules=THREE)
        assert may_reveal(gone, gone.leases[0])


SEGMENTS = 4


class Lanes(RuleBasedStateMachine):
    """One job of three replicas, in which anything may happen to any lease; the machine carries out what is decided."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.leases: dict[int, LeaseFacts] = {}
        #: fill → segment → what it was paid for
        self.paid: dict[int, dict[int, Value]] = {}
        self.accepted: dict[int, Value] = {}
        self.ties: dict[int, Check] = {}
        self.spot: Check | None = None
        self.ended: str | None = None
        self.liars: set[int] = set()
        self.caught: set[int] = set()
        for fill in range(3):
            self._open(fill)

    def _open(self, fill: int) -> None:
        lane = [self.leases[other] for other in self.leases if other % 3 == fill % 3]
        base = max((one.paid for one in lane), default=0)
        self.leases[fill] = lease(fill, base=base, paid=base, progress_time=self.now)
        self.paid[fill] = {}

    def facts(self) -> JobFacts:
        return facts(
            *self.leases.values(),
            rules=THREE,
            accepted=self.accepted,
            ties=self.ties,
            spot=self.spot,
            is_ended=self.ended is not None,
            now_time=self.now,
        )

    def _judge(self) -> None:
        for _ in range(20):
            actions = decide(self.facts())
            if not actions:
                return
            for action in actions:
                self._do(action)
        raise AssertionError("it never comes to an end")

    def _fill(self, name: str) -> int:
        return int(name.split()[1])

    def _do(self, action: Action) -> None:
        if isinstance(action, Close | Drop | Settle):
            fill = self._fill(action.lease)
            closed = self.leases[fill].chain if isinstance(action, Drop) else CLOSING
            self.leases[fill] = replace(self.leases[fill], ended_time=self.now, chain=closed, pending=None)
            if isinstance(action, Close) and action.is_caught:
                self.caught.add(fill)
        elif isinstance(action, Accept):
            if action.sequence not in self.accepted:
                assert all(one.pending and one.pending.value for one in self._running()), "all have sent it"
            if action.sequence == SEGMENTS:
                assert self.spot is not None, "a check was drawn"
                assert not self.spot.is_running, "and waited for"
            for name in action.leases:
                fill = self._fill(name)
                one = self.leases[fill]
                assert one.pending is not None
                assert one.pending.value is not None
                said = one.pending.value
                assert said == self.accepted.setdefault(action.sequence, said), "one segment, one truth"
                self.paid[fill][action.sequence] = said
                self.leases[fill] = replace(one, paid=action.sequence, pending=None, progress_time=self.now)
                if said.is_end:
                    self.leases[fill] = replace(self.leases[fill], ended_time=self.now)
                    self.ended = "succeeded"
        elif isinstance(action, Replay):
            self.ties[action.sequence] = Check(sequence=action.sequence, is_running=True)
        elif isinstance(action, Draw):
            self.spot = Check(sequence=1 + action.sequence // 2, is_running=True)
        elif isinstance(action, Strike):
            self.accepted = {one: said for one, said in self.accepted.items() if one < action.sequence}
            self.ties = {one: check for one, check in self.ties.items() if one < action.sequence}
            for fill, one in self.leases.items():
                self.leases[fill] = replace(one, paid=min(one.paid, action.sequence - 1))
            self.spot = None
        elif isinstance(action, End):
            self.ended = action.state

    def _running(self) -> list[LeaseFacts]:
        return [one for one in self.leases.values() if one.is_running]

    @precondition(lambda self: self.ended is None)
    @rule(data=st.data(), lies=st.booleans())
    def a_lease_commits_or_shows(self, data: st.DataObject, lies: bool) -> None:
        able = [one.fill for one in self._running() if one.pending is None or one.pending.value is None]
        if able:
            self._go_on(data.draw(st.sampled_from(able)), lies)

    @precondition(lambda self: self.ended is None)
    @rule(data=st.data(), lies=st.booleans(), turns=st.integers(1, 4))
    def all_leases_go_on(self, data: st.DataObject, lies: bool, turns: int) -> None:
        for _ in range(2 * turns):
            for fill in data.draw(st.permutations([one.fill for one in self._running()])):
                if self.ended is None and self.leases[fill].is_running:
                    self._go_on(fill, lies)

    def _go_on(self, fill: int, lies: bool) -> None:
        one = self.leases[fill]
        if one.pending is not None and one.pending.value is not None:
            return
        if one.pending is None:
            pending = Pending(sequence=one.paid + 1, since_time=self.now, value=None)
        elif may_reveal(self.facts(), one):
            sequence = one.pending.sequence
            if sequence not in self.accepted:
                assert all(other.pending for other in self._running()), "all have committed"
            # At most one lane in three lies, and each lie is its own.
            is_liar = lies and one.fill % 3 == 1
            said = value(sequence, f"lie {one.fill}" if is_liar else "so", is_end=sequence == SEGMENTS)
            self.liars |= {one.fill} if is_liar else set()
            pending = Pending(sequence=sequence, since_time=self.now, value=said)
        else:
            return
        self.leases[one.fill] = replace(one, pending=pending, progress_time=self.now)
        self._judge()

    @precondition(lambda self: self.ended is None)
    @rule(data=st.data(), how=st.sampled_from(["silent", "resigns", "runs out"]))
    def a_lease_ends(self, data: st.DataObject, how: str) -> None:
        running = self._running()
        if not running:
            return
        one = data.draw(st.sampled_from(running))
        changed: dict[str, Any] = {"silent_seconds": 21} if how == "silent" else {"chain": CLOSING}
        self.leases[one.fill] = replace(one, **({"chain": RUN_OUT} if how == "runs out" else changed))
        self._judge()

    @precondition(lambda self: self.ended is None)
    @rule(data=st.data())
    def a_lane_is_let_again(self, data: st.DataObject) -> None:
        ready = [lane.next_fill for lane in self.facts().lanes if lane.can_open]
        if ready:
            self._open(data.draw(st.sampled_from(ready)))
            self._judge()

    @precondition(lambda self: self.ended is None)
    @rule(is_able=st.booleans())
    def the_markets_runs_come_back(self, is_able: bool) -> None:
        def found(check: Check) -> Check:
            said = value(check.sequence, is_end=check.sequence == SEGMENTS) if is_able else None
            return replace(check, is_running=False, found=said)

        self.ties = {one: found(check) if check.is_running else check for one, check in self.ties.items()}
        self.spot = found(self.spot) if self.spot and self.spot.is_running else self.spot
        self._judge()

    @rule(seconds=st.sampled_from([1, 30, 61, 130]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self._judge()

    @precondition(lambda self: self.ended is None and len(self.accepted) > 1)
    @rule()
    def the_buyer_cancels(self) -> None:
        self.ended = "canceled"
        self._judge()

    @invariant()
    def no_lie_is_paid_and_nobody_honest_is_blamed(self) -> None:
        assert all(said.result.startswith("so") for paid in self.paid.values() for said in paid.values())
        assert self.caught <= self.liars

    @invariant()
    def each_lane_runs_one_lease_at_a_time_and_pays_each_segment_once(self) -> None:
        for lane in range(3):
            fills = [fill for fill in self.leases if fill % 3 == lane]
            assert sum(self.leases[fill].ended_time is None for fill in fills) <= 1
            paid = [sequence for fill in fills for sequence in self.paid[fill]]
            assert paid == list(range(1, len(paid) + 1))

    @invariant()
    def a_job_that_is_over_has_no_lease_left_and_one_that_is_not_has_a_lane(self) -> None:
        lanes = self.facts().lanes
        if self.ended is not None:
            assert all(one.ended_time is not None for one in self.leases.values())
        else:
            assert any(lane.state is not LaneState.GONE for lane in lanes)
        assert (self.ended == "succeeded") == (SEGMENTS in self.accepted)


Lanes.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLanes = Lanes.TestCase
