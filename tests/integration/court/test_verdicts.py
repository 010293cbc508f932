"""Disputes about a real job: bisected, one segment run again by jurors, paid to the unit (SPEC "Court")."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from protocol.court import Outcome
from protocol.events import LeaseState
from protocol.hashing import ZERO_HASH
from protocol.terms import UsageReceipt
from protocol.trace import UNREPLAYABLE, final_value, segment_value
from protocol.units import earned_down
from tests.integration.court.conftest import Leases
from tests.support.court_job import (
    SEGMENTS,
    Told,
    forging_the_output,
    going_on,
    honest,
    inflating,
    misplacing,
    skipping,
)
from tests.support.court_money import Money, Purse, each
from tests.support.court_trial import Trial
from tests.support.court_world import BOND, EARNED, RATE, SEAT_BOND, SEAT_FEE, CourtWorld

pytestmark = pytest.mark.node

FEES = 3 * SEAT_FEE


def true_value(segment: int) -> bytes:
    """What an honest run finds in the segment, without any help of the provider."""
    leaf = honest().trace[segment - 1]
    if segment == SEGMENTS:
        return final_value(leaf.state_hash, leaf.work, honest().end)
    return segment_value(leaf.state_hash, leaf.work)


def lost_by_the_provider(world: CourtWorld, trial: Trial, *, loser: str = "provider") -> dict[str, Purse]:
    """Nothing was vouched for what is false: the bond is the buyer's, but for the jurors' fees."""
    return {
        "buyer": Purse(free=BOND - FEES),
        loser: Purse(free=-BOND),
        "court": Purse(free=FEES),
        **each(world, trial.jury(), Purse(owed=SEAT_FEE)),
    }


def test_an_honest_provider_wins_against_a_false_challenge(world: CourtWorld, money: Money, lease: Leases) -> None:
    trial = lease(honest(), challenger=world.ledger.voucher_signer)
    trial.dispute()
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.open_trace()
    # Who denies everything is led to the first segment.
    trial.bisect(mine=())
    assert (trial.case.lo.position, trial.case.hi.position) == (0, 1)
    jury = trial.draw()
    trial.vote_truly(jury)
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    assert trial.case.outcome is Outcome.PROVIDER_WINS
    assert money.closed(trial) == {
        "buyer": Purse(free=-EARNED),
        "signer": Purse(free=-BOND),
        "provider": Purse(free=EARNED + BOND - FEES),
        "court": Purse(free=FEES),
        **each(world, jury, Purse(owed=SEAT_FEE)),
    }
    # The fees are there to be taken, and so are the stakes.
    for juror in jury:
        world.send(juror, "collect", juror.address)
        world.send(juror, "leave", juror.address)
    gained = money.closed(trial)
    assert {name: gained[name] for name in each(world, jury, Purse())} == each(
        world, jury, Purse(stake=-SEAT_BOND, wallet=SEAT_BOND + SEAT_FEE)
    )
    assert "court" not in gained


@pytest.mark.parametrize(
    ("cheat", "segment"),
    [
        pytest.param(lambda: skipping(13), 13, id="a segment is skipped and billed"),
        pytest.param(lambda: skipping(2), 2, id="the second segment is skipped"),
        pytest.param(lambda: inflating(20, 1), 20, id="one unit of work too many"),
        pytest.param(lambda: inflating(1, 10**9), 1, id="too much from the beginning"),
        pytest.param(forging_the_output, SEGMENTS, id="another output"),
    ],
)
def test_a_cheater_is_found_by_bisection_and_slashed(
    world: CourtWorld, money: Money, lease: Leases, cheat: Callable[[], Told], segment: int
) -> None:
    trial = lease(cheat())
    trial.dispute()
    trial.open_trace()
    trial.bisect()
    assert (trial.case.lo.position, trial.case.hi.position) == (segment - 1, segment)
    trial.vote_truly(trial.draw())
    money.mirrored(trial, LeaseState.DISPUTED)
    # From the cheater's own snapshot the jurors find what the job really does.
    assert trial.value() == true_value(segment) != world.view("claimedValue", trial.leased.id)
    trial.tally(world.stranger)
    assert trial.case.outcome is Outcome.BUYER_WINS
    assert money.closed(trial) == lost_by_the_provider(world, trial)
    # The lane goes on under the same order, elsewhere.
    successor = lease(honest(), order=trial.leased.order, fill=1, provider=1)
    assert successor.state is LeaseState.OPEN


@pytest.mark.parametrize(
    ("told", "segment"),
    [
        pytest.param(going_on, SEGMENTS + 1, id="a segment after the end"),
        pytest.param(lambda: replace(honest(), serves=False), SEGMENTS, id="files withheld"),
        pytest.param(lambda: replace(honest(), snapshots={}), SEGMENTS, id="snapshot withheld"),
    ],
)
def test_what_cannot_be_run_again_is_lost(
    world: CourtWorld, money: Money, lease: Leases, told: Callable[[], Told], segment: int
) -> None:
    trial = lease(told())
    trial.dispute()
    trial.open_trace()
    trial.bisect()
    assert trial.case.hi.position == segment
    assert trial.value() == UNREPLAYABLE
    trial.vote_truly(trial.draw())
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    assert money.closed(trial) == lost_by_the_provider(world, trial)


def receipt_of(trial: Trial) -> UsageReceipt:
    """The provider's, for the whole job."""
    return UsageReceipt(
        lease=trial.leased.id,
        sequence=SEGMENTS,
        metered_until=1,
        work=trial.work(),
        result=trial.told.result.result_hash(),
        checkpoint=ZERO_HASH,
    )


def test_the_buyer_is_made_whole_first(world: CourtWorld, money: Money, lease: Leases) -> None:
    trial = lease(skipping(2))
    trial.receipt = receipt_of(trial)
    # The buyer's side paid for everything before it ran the job itself.
    paid = earned_down(1, RATE, trial.work())
    trial.redeem(paid)
    money.mirrored(trial, LeaseState.OPEN)
    trial.challenge()
    trial.bring()
    trial.open_trace()
    trial.bisect()
    assert trial.case.lo.position == 1
    assert trial.value() == true_value(2)
    jury = trial.draw()
    trial.vote_truly(jury)
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    # All but what the first segment earned comes back; what is left of the bond is less than three fees, and one base
    # unit of it cannot be shared.
    first = earned_down(1, RATE, honest().work(1))
    left = BOND - (paid - first)
    assert (paid, first, left) == (5_822_853, 313_861, 491_008)
    fee = 163_669
    assert money.closed(trial) == {
        "buyer": Purse(free=-first + 1),
        "provider": Purse(free=paid - BOND),
        "court": Purse(free=3 * fee),
        **each(world, jury, Purse(owed=fee)),
    }


@pytest.mark.parametrize("disputed", ["claim", "receipt"])
def test_a_successor_answers_for_its_own_part_alone(
    world: CourtWorld, money: Money, lease: Leases, disputed: str
) -> None:
    position, told = 8, honest()
    first = lease(told)
    paid = earned_down(1, RATE, told.work(position))
    voucher = first.redeem(paid, result=told.trace[position - 1].state_hash)
    world.send_ledger(first.leased.provider, "resign", *first.terms)
    trial = lease(skipping(20), order=first.leased.order, fill=1, provider=1)
    trial.start = (position, (0, voucher))
    if disputed == "claim":
        trial.claim()
    else:
        trial.receipt = receipt_of(trial)
    trial.challenge()
    trial.bring()
    trial.open_trace()
    assert trial.case.lo.position == position
    trial.bisect()
    assert trial.case.hi.position == 20
    assert trial.value() == true_value(20)
    trial.vote_truly(trial.draw())
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    first.pass_time(first.deadline)
    first.finalise(world.stranger)
    expected = lost_by_the_provider(world, trial, loser="second")
    assert money.closed(first, trial) == expected | {
        "buyer": Purse(free=BOND - FEES - paid),
        "provider": Purse(free=paid),
    }


def test_a_successor_cannot_move_the_place_where_it_started(world: CourtWorld, money: Money, lease: Leases) -> None:
    true, said, told = 8, 5, honest()
    first = lease(told)
    paid = earned_down(1, RATE, told.work(true))
    voucher = first.redeem(paid, result=told.trace[true - 1].state_hash)
    world.send_ledger(first.leased.provider, "resign", *first.terms)
    trial = lease(misplacing(true, said), order=first.leased.order, fill=1, provider=1)
    trial.start = (said, (0, voucher))
    trial.dispute()
    trial.open_trace()
    trial.bisect()
    # The challenger finds none of it, so the first segment of the lease is left; nobody can run it from there.
    assert (trial.case.lo.position, trial.case.hi.position) == (said, said + 1)
    assert trial.value() == UNREPLAYABLE
    trial.vote_truly(trial.draw())
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    assert trial.case.outcome is Outcome.BUYER_WINS
    first.pass_time(first.deadline)
    first.finalise(world.stranger)
    expected = lost_by_the_provider(world, trial, loser="second")
    assert money.closed(first, trial) == expected | {
        "buyer": Purse(free=BOND - FEES - paid),
        "provider": Purse(free=paid),
    }
