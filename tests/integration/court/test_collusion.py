"""Buyer and provider as one, alone or with jurors of theirs: whatever they play, together they never gain."""

from random import Random

import pytest

from protocol.court import Phase
from protocol.events import LeaseState
from protocol.hashing import keccak256
from protocol.keys import LocalKey
from tests.integration.court.conftest import Leases
from tests.support.court_job import Told, forging_the_output, honest, inflating, skipping
from tests.support.court_money import Money, Purse, each
from tests.support.court_trial import Trial
from tests.support.court_world import LOCK, SEAT_BOND, SEAT_FEE, CourtWorld

pytestmark = pytest.mark.node

STORIES = (honest, lambda: skipping(13), lambda: inflating(20, 10**9), forging_the_output)


def profit(gained: dict[str, Purse], world: CourtWorld, jurors: list[LocalKey]) -> int:
    """Of buyer, its voucher key, provider and the jurors of theirs; what the court owes them is theirs."""
    names = ["buyer", "signer", "provider", *each(world, jurors, Purse())]
    return sum(gained.get(name, Purse()).total() for name in names)


@pytest.mark.parametrize(
    ("told", "denies"), [(skipping(13), False), (honest(), True)], ids=["false claim", "false denial"]
)
def test_a_staged_dispute_costs_them_the_fees(
    world: CourtWorld, money: Money, lease: Leases, told: Told, denies: bool
) -> None:
    trial = lease(told)
    trial.dispute()
    trial.open_trace()
    trial.bisect(mine=() if denies else None)
    trial.vote_truly(trial.draw())
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    assert profit(money.closed(trial), world, []) == -3 * SEAT_FEE


def test_a_jury_of_theirs_wins_them_nothing_and_burns_the_honest(
    world: CourtWorld, money: Money, lease: Leases
) -> None:
    trial = lease(skipping(13))
    trial.dispute()
    trial.open_trace()
    trial.bisect()
    upright, *bribed = trial.draw()
    claimed = world.view("claimedValue", trial.leased.id)
    trial.vote([(upright, trial.value()), *((juror, claimed) for juror in bribed)])
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    gained = money.closed(trial)
    # The fees come from their own bond, and what the third juror lost is nobody's.
    assert profit(gained, world, bribed) == 0
    assert gained["burned"] == Purse(stake=SEAT_BOND)
    assert each(world, [upright], Purse(stake=-SEAT_BOND)).items() <= gained.items()


@pytest.mark.parametrize(
    ("told", "fees"),
    [
        pytest.param(skipping(13), 3 * SEAT_FEE, id="there is enough for all"),
        # What the accomplice was paid for a first segment that is false is the buyer's to have back: the whole bond.
        pytest.param(inflating(1, 1), 0, id="nothing is left for the jurors"),
    ],
)
def test_vouchers_in_the_last_moment_move_their_own_money_only(
    world: CourtWorld, money: Money, lease: Leases, told: Told, fees: int
) -> None:
    trial = lease(told)
    trial.dispute()
    trial.open_trace()
    trial.bisect()
    trial.vote_truly(trial.draw())
    trial.redeem(LOCK)
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    gained = money.closed(trial)
    assert profit(gained, world, []) == -fees
    assert gained.get("court", Purse()) == Purse(free=fees)


@pytest.mark.parametrize("seed", range(10))
def test_whatever_they_play_they_do_not_gain(world: CourtWorld, money: Money, lease: Leases, seed: int) -> None:
    dice = Random(seed)
    trial = lease(dice.choice(STORIES)())
    bribed = dice.sample(world.jurors, dice.randrange(len(world.jurors)))
    if dice.random() < 0.5:
        trial.redeem(dice.randint(1, LOCK))
    trial.dispute()
    money.mirrored(trial, LeaseState.DISPUTED)
    while trial.state is LeaseState.DISPUTED:
        play(trial, dice, bribed)
    gained = money.closed(trial)
    assert profit(gained, world, bribed) <= 0
    assert gained.get("burned", Purse()).total() >= 0


def play(trial: Trial, dice: Random, bribed: list[LocalKey]) -> None:
    """One move of whoever has to move, made or missed, true or false."""
    case, stranger = trial.case, trial.world.stranger
    if case.phase is Phase.ENDED:
        trial.pass_time(trial.deadline)
        trial.finalise(stranger)
    elif case.phase is Phase.DRAWING:
        trial.draw()
    elif case.phase is Phase.VOTING:
        found, claimed = trial.value(), trial.world.view("claimedValue", trial.leased.id)
        values = {True: [claimed, found, keccak256(b"anything")], False: [found]}
        trial.vote([(who, dice.choice(values[who in bribed])) for who in trial.jury() if dice.random() < 0.9])
        trial.pass_time(trial.case.reveal_until)
        trial.tally(stranger)
    elif dice.random() < 1 / 20:
        trial.pass_time(case.deadline)
        trial.timeout(stranger)
    elif case.phase is Phase.OPENING:
        trial.open_trace()
    elif case.phase is Phase.POSTING:
        trial.post()
    else:
        trial.answer(dice.random() < 0.5)
