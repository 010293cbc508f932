"""Whoever is silent, the lease is Closed: by one call of the other side or of a stranger, not a second too early."""

from collections.abc import Callable

import pytest

from protocol.court import Outcome, Phase
from protocol.errors import TransactionReverted
from protocol.events import LeaseState
from tests.integration.court.conftest import Leases
from tests.support.court_job import honest
from tests.support.court_money import Money, Purse
from tests.support.court_trial import Trial
from tests.support.court_world import BOND, EARNED, CourtWorld

pytestmark = pytest.mark.node


def timed_out(trial: Trial, money: Money) -> None:
    """By a stranger, at the deadline of the move and not before."""
    deadline = trial.case.deadline
    trial.pass_time(deadline - 60)
    with pytest.raises(TransactionReverted, match="DeadlineNotReached"):
        trial.timeout(trial.world.stranger)
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.pass_time(deadline)
    trial.timeout(trial.world.stranger)


def to_opening(trial: Trial) -> None:
    trial.dispute()


def to_posting(trial: Trial) -> None:
    trial.dispute()
    trial.open_trace()
    trial.post()
    trial.answer(True)


def to_answering(trial: Trial) -> None:
    trial.dispute()
    trial.open_trace()
    trial.post()


def to_drawing(trial: Trial) -> None:
    trial.dispute()
    trial.open_trace()
    trial.bisect()


def to_voting(trial: Trial) -> None:
    to_drawing(trial)
    trial.draw()


def to_revealing(trial: Trial) -> None:
    to_voting(trial)
    for juror in trial.jury():
        trial.commit(juror, trial.value())


@pytest.mark.parametrize(
    ("moves", "late"),
    [
        pytest.param(to_opening, Trial.open_trace, id="opening"),
        pytest.param(to_posting, Trial.post, id="posting"),
    ],
)
def test_a_silent_provider_loses_its_bond(
    money: Money, lease: Leases, moves: Callable[[Trial], None], late: Callable[[Trial], None]
) -> None:
    trial = lease(honest())
    moves(trial)
    timed_out(trial, money)
    assert trial.case.outcome is Outcome.BUYER_WINS
    assert money.closed(trial) == {"buyer": Purse(free=BOND), "provider": Purse(free=-BOND)}
    with pytest.raises(TransactionReverted, match="WrongPhase"):
        late(trial)


def test_a_move_at_its_deadline_is_too_late(money: Money, lease: Leases, world: CourtWorld) -> None:
    trial = lease(honest())
    trial.dispute()
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.pass_time(trial.case.deadline)
    with pytest.raises(TransactionReverted, match="DeadlinePassed"):
        trial.open_trace()
    # One party's call is enough: here the buyer's.
    trial.timeout(world.buyer)
    assert money.closed(trial) == {"buyer": Purse(free=BOND), "provider": Purse(free=-BOND)}


def test_a_silent_buyer_loses_its_bond(money: Money, lease: Leases) -> None:
    trial = lease(honest())
    to_answering(trial)
    timed_out(trial, money)
    assert trial.case.outcome is Outcome.PROVIDER_WINS
    assert money.closed(trial) == {"buyer": Purse(free=-EARNED - BOND), "provider": Purse(free=EARNED + BOND)}


def test_a_dispute_that_nobody_brings_lapses(money: Money, lease: Leases, world: CourtWorld) -> None:
    trial = lease(honest())
    trial.claim()
    trial.challenge()
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.pass_time(trial.deadline - 60)
    with pytest.raises(TransactionReverted, match="DeadlineNotReached"):
        trial.finalise(world.stranger)
    trial.pass_time(trial.deadline)
    with pytest.raises(TransactionReverted, match="DeadlinePassed"):
        trial.bring()
    trial.finalise(world.stranger)
    assert money.closed(trial) == {}
    assert trial.case.phase is Phase.NONE


@pytest.mark.parametrize(
    ("moves", "ends"),
    [
        pytest.param(to_opening, Trial.timeout, id="opening"),
        pytest.param(to_posting, Trial.timeout, id="posting"),
        pytest.param(to_answering, Trial.timeout, id="answering"),
        pytest.param(to_drawing, Trial.redraw, id="drawing"),
        pytest.param(to_voting, Trial.tally, id="voting"),
        pytest.param(to_revealing, Trial.tally, id="revealing"),
    ],
)
def test_when_everybody_falls_silent_the_ledger_returns_everything(
    money: Money,
    lease: Leases,
    world: CourtWorld,
    moves: Callable[[Trial], None],
    ends: Callable[[Trial, object], None],
) -> None:
    trial = lease(honest())
    moves(trial)
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.pass_time(trial.deadline)
    trial.finalise(world.stranger)
    assert money.closed(trial) == {}
    # What is left of the case moves no money, and sets its jurors free.
    ends(trial, world.stranger)
    assert (trial.case.phase, trial.case.outcome) == (Phase.ENDED, Outcome.DEFAULT)
    for juror in world.jurors:
        world.send(juror, "leave", juror.address)
    assert world.view_token("balanceOf", world.court) == world.view("jurorOf", world.neighbour.address)[0]
