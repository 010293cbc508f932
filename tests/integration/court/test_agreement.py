"""Replicas that agree are paid at once; those that differ go the long way."""

from typing import Any

import pytest

from protocol.calls import struct_of
from protocol.errors import TransactionReverted
from protocol.events import LeaseState
from protocol.hashing import keccak256
from protocol.terms import Order
from tests.integration.court.conftest import Leases
from tests.support.court_job import honest, run_again, skipping
from tests.support.court_money import Money, Purse, each
from tests.support.court_trial import Trial
from tests.support.court_world import BOND, EARNED, SEAT_FEE, TRAIT, WINDOW_SECONDS, CourtWorld

pytestmark = pytest.mark.node

ZONE_BIT = 1 << 255
SALT = keccak256(b"salt")


def replicated(world: CourtWorld, **changes: Any) -> Order:
    terms: dict[str, Any] = {
        "replicas": 2,
        "quorum": 2,
        "distinct_zones": True,
        "auditor": world.auditor.address,
        "attested": TRAIT | ZONE_BIT,
    }
    return world.order(**terms | changes)


def agree(world: CourtWorld, trial: Trial) -> None:
    world.send(world.stranger, "agree", struct_of(trial.leased.order), [0, 1])


def claimed(*trials: Trial) -> None:
    """Committed, and revealed as soon as it may be."""
    for trial in trials:
        trial.commit_claim(SALT)
    trials[0].world.node.advance_time(WINDOW_SECONDS // 2)
    for trial in trials:
        trial.claim(SALT)


def test_attested_replicas_that_agree_are_paid_at_once(world: CourtWorld, money: Money, lease: Leases) -> None:
    world.attest(0)
    world.attest(1)
    order = replicated(world)
    first, second = lease(honest(), order=order), lease(run_again(), order=order, fill=1, provider=1)
    first.commit_claim(SALT)
    second.commit_claim(SALT)
    with pytest.raises(TransactionReverted, match="NotClaimed"):
        agree(world, first)
    world.node.advance_time(WINDOW_SECONDS // 2)
    first.claim(SALT)
    second.claim(SALT)
    money.mirrored(second, LeaseState.CLAIMED)
    agree(world, first)
    assert money.closed(first, second) == {
        "buyer": Purse(free=-2 * EARNED),
        "provider": Purse(free=EARNED),
        "second": Purse(free=EARNED),
    }


def test_without_attestation_equal_results_wait_for_the_window(world: CourtWorld, money: Money, lease: Leases) -> None:
    world.attest(0)
    order = replicated(world, attested=0)
    first, second = lease(honest(), order=order), lease(run_again(), order=order, fill=1, provider=1)
    claimed(first, second)
    with pytest.raises(TransactionReverted, match="NotAttested"):
        agree(world, first)
    money.mirrored(second, LeaseState.CLAIMED)
    world.node.advance_time(WINDOW_SECONDS)
    first.finalise(world.stranger)
    second.finalise(world.stranger)
    assert money.closed(first, second) == {
        "buyer": Purse(free=-2 * EARNED),
        "provider": Purse(free=EARNED),
        "second": Purse(free=EARNED),
    }


def test_replicas_that_differ_are_judged(world: CourtWorld, money: Money, lease: Leases) -> None:
    world.attest(0)
    world.attest(1)
    order = replicated(world)
    first, second = lease(honest(), order=order), lease(skipping(13), order=order, fill=1, provider=1)
    claimed(first, second)
    with pytest.raises(TransactionReverted, match="Disagreement"):
        agree(world, first)
    second.challenge()
    second.bring()
    second.open_trace()
    # The buyer need not have run the job: the other replica's trace is what it answers by.
    second.bisect(mine=first.told.trace)
    jury = second.draw()
    second.vote_truly(jury)
    money.mirrored(second, LeaseState.DISPUTED)
    second.tally(world.stranger)
    first.pass_time(first.deadline)
    first.finalise(world.stranger)
    assert money.closed(first, second) == {
        "buyer": Purse(free=-EARNED + BOND - 3 * SEAT_FEE),
        "provider": Purse(free=EARNED),
        "second": Purse(free=-BOND),
        "court": Purse(free=3 * SEAT_FEE),
        **each(world, jury, Purse(owed=SEAT_FEE)),
    }


def test_a_copied_result_cannot_be_claimed(world: CourtWorld, money: Money, lease: Leases) -> None:
    world.attest(0)
    world.attest(1)
    order = replicated(world)
    first, lazy = lease(honest(), order=order), lease(honest(), order=order, fill=1, provider=1)
    first.commit_claim(SALT)
    copied = world.view_ledger("claimOf", first.leased.id)[0]
    world.send_ledger(lazy.leased.provider, "commitClaim", *lazy.terms, copied)
    world.node.advance_time(WINDOW_SECONDS // 2)
    first.claim(SALT)
    with pytest.raises(TransactionReverted, match="WrongCommitment"):
        lazy.claim(SALT)
    with pytest.raises(TransactionReverted, match="NotClaimed"):
        agree(world, first)
    money.mirrored(lazy, LeaseState.CLAIMED)
    world.node.advance_time(WINDOW_SECONDS)
    first.finalise(world.stranger)
    lazy.finalise(world.stranger)
    assert money.closed(first, lazy) == {"buyer": Purse(free=-EARNED), "provider": Purse(free=EARNED)}
