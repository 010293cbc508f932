"""Where a lease stands: the stored state lags behind the clock; the money always adds up or the check says so."""

from dataclasses import replace

import pytest

from explorer.checks import head_check, money_check
from explorer.standing import result_of, standing, timeline
from protocol.events import EVENTS, LeaseState, LedgerEvent, Skipped
from tests.support.fake_mirror import HEAD_BLOCK, NOTICE_SECONDS, RESULT, RUNNING, SECOND, START_TIME, FakeMirror
from tests.unit.explorer.test_sentences import sample


def test_an_open_lease_past_its_deadline_is_closing_and_then_due(mirror: FakeMirror) -> None:
    lease = mirror.lease_rows[RUNNING]
    deadline = lease.deadline_time
    assert standing(lease, deadline - 1).state is LeaseState.OPEN
    closing = standing(lease, deadline)
    assert (closing.state, closing.until_time, closing.due) == (LeaseState.CLOSING, deadline + NOTICE_SECONDS, False)
    assert standing(lease, deadline + NOTICE_SECONDS).due


def test_a_closed_lease_has_nothing_left(mirror: FakeMirror) -> None:
    closed = standing(mirror.lease_rows[SECOND], START_TIME + 64)
    assert closed.is_closed
    assert (closed.remaining_base, closed.until_time, closed.due) == (0, None, False)


def test_the_timeline_is_oldest_first_with_the_orphan_before_what_replaced_it(mirror: FakeMirror) -> None:
    chapters = timeline(mirror.events(lease=SECOND, canonical=None))
    assert [chapter.mark for chapter in chapters] == ["opened", "paid", "paid", "paid", "accepted", "closed"]
    assert [chapter.row.canonical for chapter in chapters] == [True, False, True, True, True, True]


def test_only_an_accepted_result_counts(mirror: FakeMirror) -> None:
    assert result_of(mirror.events(lease=SECOND, canonical=None)) == RESULT
    assert result_of(mirror.events(lease=RUNNING)) is None


def test_a_payment_that_is_missing_or_changed_fails_the_money_check(mirror: FakeMirror) -> None:
    lease, payments = mirror.lease_rows[SECOND], mirror.payments(lease=SECOND)
    now = START_TIME + 64
    assert money_check(lease, payments, now).holds is True
    assert money_check(lease, payments[1:], now).holds is False
    assert money_check(replace(lease, refunded_base=lease.refunded_base - 1), payments, now).holds is False
    assert money_check(replace(lease, locked_base=lease.locked_base - 1), payments, now).holds is False


def test_the_head_check_is_open_until_the_newest_event_is_below_a_proof(mirror: FakeMirror) -> None:
    assert head_check(mirror.status(), 35).holds is True
    assert head_check(mirror.status(), 64).holds is None
    mirror.proved_block = None
    assert head_check(mirror.status(), 35).holds is None


@pytest.mark.parametrize("state", [LeaseState.CLAIMED, LeaseState.DISPUTED])
def test_a_claim_or_a_dispute_past_its_deadline_is_due(mirror: FakeMirror, state: LeaseState) -> None:
    lease = replace(mirror.lease_rows[RUNNING], state=state)
    deadline = lease.deadline_time
    before = standing(lease, deadline - 1)
    assert (before.state, before.until_time, before.due) == (state, deadline, False)
    assert standing(lease, deadline).due
    assert standing(lease, deadline).state is state


@pytest.mark.parametrize("kind", [kind for kind in EVENTS if "lease" in kind.TYPES])
def test_only_what_was_passed_over_is_called_so(mirror: FakeMirror, kind: type[LedgerEvent]) -> None:
    (chapter,) = timeline([mirror.emit(HEAD_BLOCK, sample(kind), canonical=False)])
    assert chapter.title != "Passed over"
    (skipped,) = timeline([mirror.emit(HEAD_BLOCK, sample(Skipped), canonical=False)])
    assert skipped.title == "Passed over"
