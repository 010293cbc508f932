"""Jurors that are absent, split, wrong or copying: what it costs them, and how the lease is Closed all the same."""

import pytest

from protocol.court import Outcome, Phase
from protocol.errors import TransactionReverted
from protocol.events import LeaseState
from protocol.hashing import keccak256
from protocol.trace import UNREPLAYABLE
from tests.integration.court.conftest import Leases
from tests.integration.court.test_verdicts import EARNED
from tests.support.court_job import honest, skipping
from tests.support.court_money import Money, Purse, each
from tests.support.court_trial import Trial, salt_of
from tests.support.court_world import BOND, SEAT_BOND, SEAT_FEE, SILENCE, CourtWorld
from tests.support.ledger_world import DOLLAR

pytestmark = pytest.mark.node

WRONG = keccak256(b"what no run gives")


def before_the_jury(trial: Trial) -> None:
    trial.dispute()
    trial.open_trace()
    trial.bisect()


def pass_votes(trial: Trial) -> None:
    trial.pass_time(trial.case.reveal_until)


def won_by_the_provider(seats: int) -> dict[str, Purse]:
    fees = seats * SEAT_FEE
    return {
        "buyer": Purse(free=-EARNED - BOND),
        "provider": Purse(free=EARNED + BOND - fees),
        "court": Purse(free=fees),
    }


def finalised_by_a_stranger(trial: Trial, money: Money) -> None:
    """Not a second before the deadline."""
    assert trial.case.outcome is Outcome.DEFAULT
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.pass_time(trial.deadline - 60)
    with pytest.raises(TransactionReverted, match="DeadlineNotReached"):
        trial.finalise(trial.world.stranger)
    trial.pass_time(trial.deadline)
    trial.finalise(trial.world.stranger)


def test_absent_jurors_end_in_the_default(world: CourtWorld, money: Money, lease: Leases) -> None:
    trial = lease(honest())
    before_the_jury(trial)
    first = trial.draw()
    assert len(first) == 3
    with pytest.raises(TransactionReverted, match="DeadlineNotReached"):
        trial.tally(world.stranger)
    pass_votes(trial)
    trial.tally(world.stranger)
    second = trial.draw()
    assert len(second) == 9
    assert not set(first) & set(second)
    pass_votes(trial)
    trial.tally(world.stranger)
    finalised_by_a_stranger(trial, money)
    assert money.closed(trial) == {
        **each(world, [*first, *second], Purse(stake=-SILENCE)),
        "burned": Purse(stake=12 * SILENCE),
    }


def test_two_of_three_decide_and_the_third_pays_for_its_silence(world: CourtWorld, money: Money, lease: Leases) -> None:
    trial = lease(skipping(13))
    before_the_jury(trial)
    *present, absent = trial.draw()
    trial.vote_truly(present)
    with pytest.raises(TransactionReverted, match="Seated"):
        world.send(absent, "leave", absent.address)
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    assert money.closed(trial) == {
        "buyer": Purse(free=BOND - 2 * SEAT_FEE),
        "provider": Purse(free=-BOND),
        "court": Purse(free=2 * SEAT_FEE),
        **each(world, present, Purse(owed=SEAT_FEE)),
        **each(world, [absent], Purse(stake=-SILENCE)),
        "burned": Purse(stake=SILENCE),
    }


def test_who_is_alone_with_its_value_loses_its_stake(world: CourtWorld, money: Money, lease: Leases) -> None:
    trial = lease(skipping(13))
    before_the_jury(trial)
    *honest_jurors, bribed = trial.draw()
    found = trial.value()
    trial.vote([*((juror, found) for juror in honest_jurors), (bribed, world.view("claimedValue", trial.leased.id))])
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    assert money.closed(trial) == {
        "buyer": Purse(free=BOND - 2 * SEAT_FEE),
        "provider": Purse(free=-BOND),
        "court": Purse(free=2 * SEAT_FEE),
        **each(world, honest_jurors, Purse(owed=SEAT_FEE)),
        **each(world, [bribed], Purse(stake=-SEAT_BOND)),
        "burned": Purse(stake=SEAT_BOND),
    }
    # To come back, it stakes anew.
    world.join(bribed, 99)
    assert world.view("jurorOf", bribed.address)[0] == SEAT_BOND


def test_a_split_jury_is_followed_by_nine(world: CourtWorld, money: Money, lease: Leases) -> None:
    trial = lease(honest())
    before_the_jury(trial)
    right, wrong, idle = first = trial.draw()
    trial.vote([(right, trial.value()), (wrong, WRONG), (idle, UNREPLAYABLE)])
    trial.tally(world.stranger)
    assert trial.case.phase is Phase.DRAWING
    money.mirrored(trial, LeaseState.DISPUTED)
    with pytest.raises(TransactionReverted, match="Seated"):
        world.send(wrong, "leave", wrong.address)
    second = trial.draw()
    assert len(second) == 9
    assert not set(first) & set(second)
    present, absent = second[:5], second[5:]
    trial.vote_truly(present)
    pass_votes(trial)
    trial.tally(world.stranger)
    assert money.closed(trial) == {
        **won_by_the_provider(6),
        **each(world, [right, *present], Purse(owed=SEAT_FEE)),
        **each(world, [wrong, idle], Purse(stake=-SEAT_BOND)),
        **each(world, absent, Purse(stake=-SILENCE)),
        "burned": Purse(stake=2 * SEAT_BOND + 4 * SILENCE),
    }


def test_four_of_nine_are_no_verdict(world: CourtWorld, money: Money, lease: Leases) -> None:
    trial = lease(skipping(13))
    before_the_jury(trial)
    one, two, three = trial.draw()
    found = trial.value()
    trial.vote([(one, found), (two, WRONG), (three, UNREPLAYABLE)])
    trial.tally(world.stranger)
    second = trial.draw()
    votes = [found] * 4 + [WRONG] * 4
    trial.vote(list(zip(second, votes, strict=False)))
    pass_votes(trial)
    trial.tally(world.stranger)
    finalised_by_a_stranger(trial, money)
    # Without a verdict nobody was wrong; the ninth was silent.
    assert money.closed(trial) == {
        **each(world, second[8:], Purse(stake=-SILENCE)),
        "burned": Purse(stake=SILENCE),
    }
    for juror in (one, *second[:8]):
        world.send(juror, "leave", juror.address)


def test_a_copied_commitment_cannot_be_opened(world: CourtWorld, money: Money, lease: Leases) -> None:
    trial = lease(honest())
    before_the_jury(trial)
    author, *copiers = trial.draw()
    found = trial.value()
    trial.commit(author, found)
    copied = trial.commitment(author.address, found)
    for copier in copiers:
        world.send(copier, "commit", trial.leased.id, copied)
    trial.pass_commitments()
    trial.reveal(author, found)
    for copier in copiers:
        # Value and salt are public now, and of no use to another juror.
        with pytest.raises(TransactionReverted, match="WrongCommitment"):
            trial.reveal(copier, found, salt=salt_of(author.address))
    money.mirrored(trial, LeaseState.DISPUTED)
    pass_votes(trial)
    trial.tally(world.stranger)
    second = trial.draw()
    trial.vote_truly(second)
    trial.tally(world.stranger)
    assert money.closed(trial) == {
        **won_by_the_provider(10),
        **each(world, [author, *second], Purse(owed=SEAT_FEE)),
        **each(world, copiers, Purse(stake=-SILENCE)),
        "burned": Purse(stake=2 * SILENCE),
    }


def test_what_three_stakes_do_not_cover_gets_nine_seats_at_once(world: CourtWorld, money: Money, lease: Leases) -> None:
    bond = 2 * BOND
    trial = lease(skipping(13), order=world.order(bond=bond))
    before_the_jury(trial)
    jury = trial.draw()
    assert len(jury) == 9
    trial.vote_truly(jury)
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    assert money.closed(trial) == {
        "buyer": Purse(free=bond - 9 * SEAT_FEE),
        "provider": Purse(free=-bond),
        "court": Purse(free=9 * SEAT_FEE),
        **each(world, jury, Purse(owed=SEAT_FEE)),
    }


@pytest.mark.parametrize(
    ("bond", "refusal"),
    [
        pytest.param(12 * SEAT_FEE - 1, "BondTooSmall", id="it does not pay for two juries"),
        # With one base unit less at stake on each side it would be half of nine stakes to the unit.
        pytest.param((9 * SEAT_BOND // 2 - EARNED) // 2 + 1, "TooValuable", id="nine stakes do not cover it"),
    ],
)
def test_what_the_court_refuses_lapses(world: CourtWorld, money: Money, lease: Leases, bond: int, refusal: str) -> None:
    more = 10 * DOLLAR
    world.fund(world.providers[0], more)
    trial = lease(honest(), order=world.order(bond=bond))
    trial.claim()
    trial.challenge()
    with pytest.raises(TransactionReverted, match=refusal):
        trial.bring()
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.pass_time(trial.deadline)
    trial.finalise(world.stranger)
    assert money.closed(trial) == {"provider": Purse(free=more)}


def test_parties_and_neighbours_do_not_sit(world: CourtWorld, money: Money, lease: Leases) -> None:
    # Three jurors may sit; the parties and one of the provider's zone are listed beside them.
    for juror in world.jurors[3:]:
        world.send(juror, "leave", juror.address)
    for party in (world.buyer, world.ledger.voucher_signer, world.providers[0]):
        world.join(party, 200)
    trial = lease(skipping(13))
    before_the_jury(trial)
    assert set(trial.draw()) == set(world.jurors[:3])
    trial.vote_truly(trial.jury())
    money.mirrored(trial, LeaseState.DISPUTED)
    trial.tally(world.stranger)
    money.closed(trial)
