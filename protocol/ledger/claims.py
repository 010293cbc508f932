"""The slow path: claims, challenges, rulings, and the deadline that moves every state on (SPEC "Claims", "Disputes").

It is there so that a buyer who signs nothing still pays, and a provider who lies still loses.
"""

from dataclasses import dataclass

from protocol.events import (
    ClaimCommitted,
    DisputeLapsed,
    EndReason,
    LeaseClaimed,
    LeaseDisputed,
    LeaseRuled,
    LeaseState,
)
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, keccak256
from protocol.ids import lease_id
from protocol.ledger.leases import find, finish, is_owner, settle_minimum
from protocol.ledger.signing import SignedVoucher, signed_by, signed_voucher, voucher_digest
from protocol.ledger.state import (
    ARBITER_SECONDS,
    Call,
    Claim,
    Dispute,
    Lease,
    Ledger,
    LedgerError,
    Refusal,
    require,
    whole_call,
)
from protocol.messages import digest
from protocol.terms import Order, UsageReceipt
from protocol.units import METER_WORK, earned_down

_ENDED_OTHERWISE = (EndReason.COMPLETED, EndReason.CANCELLED, EndReason.EXPIRED)
"""Reasons that end a lane whatever becomes of a claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartVoucher:
    """Proof of the checkpoint that a lease started at: a voucher of an earlier fill of the same lane."""

    fill: int
    voucher: SignedVoucher


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTerms:
    """What a provider states without a voucher."""

    #: raw, cumulative for this lease
    work: int
    #: result hash when `last`, else the state hash of the newest segment
    result: bytes
    #: checkpoint that the lease started at, or zero
    start: bytes
    #: the job is done
    last: bool


def commitment_of(lease: bytes, provider: str, result: bytes, salt: bytes) -> bytes:
    """keccak256(abi.encode(lease, provider, result, salt)): nobody else can use a copy of it."""
    return keccak256(lease + bytes(12) + bytes.fromhex(provider[2:]) + result + salt)


def is_claimable(order: Order) -> bool:
    """The slow path is for verified work under an arbiter."""
    return order.meter == METER_WORK and order.arbiter != ZERO_ADDRESS


@whole_call
def commit_claim(ledger: Ledger, call: Call, order: Order, fill: int, commitment: bytes) -> None:
    """The provider commits to a result; it is revealed in the second half of one challenge window, or was none."""
    key, lease = find(ledger, order, fill)
    require(call.caller == lease.provider, LedgerError.NOT_PROVIDER)
    _require_claimable(call, order, lease)
    _enter_claimed(call, order, lease)
    reveal_from = lease.deadline - order.challenge_window // 2
    ledger.claims[key] = Claim(result=commitment, reveal_from=reveal_from)
    ledger.events.append(ClaimCommitted(key, call.caller, commitment, reveal_from, lease.deadline))


@whole_call
def claim(
    ledger: Ledger, call: Call, order: Order, fill: int, terms: ClaimTerms, salt: bytes, start: StartVoucher | None
) -> None:
    """The provider asks for its pay without a voucher, once.

    With replicas it has committed before, and reveals now; a commitment that was made is honoured in any case.
    """
    key, lease = find(ledger, order, fill)
    require(call.caller == lease.provider, LedgerError.NOT_PROVIDER)
    committed = key in ledger.claims and ledger.claims[key].reveal_from != 0
    if order.replicas > 1 or committed:
        _require_reveal(ledger, call, key, terms.result, salt)
    else:
        _require_claimable(call, order, lease)
    if terms.start != ZERO_HASH:
        _require_start(ledger, order, fill, terms.start, start)

    # A slash of the whole bond always covers what a claim can take.
    target = min(earned_down(METER_WORK, lease.rate, terms.work), lease.locked, lease.paid + order.bond)
    _enter_claimed(call, order, lease)
    lease.responded = True
    lease.done = lease.done or terms.last
    ledger.claims[key] = Claim(result=terms.result, start=terms.start, work=terms.work, target=target, last=terms.last)
    ledger.events.append(
        LeaseClaimed(key, call.caller, terms.result, terms.start, terms.work, target, terms.last, lease.deadline)
    )


def _require_claimable(call: Call, order: Order, lease: Lease) -> None:
    """A first word: the order is for the slow path, and the lease runs or its notice is not over."""
    require(is_claimable(order), LedgerError.NOT_CLAIMABLE)
    require(lease.state in (LeaseState.OPEN, LeaseState.CLOSING), LedgerError.WRONG_STATE)
    require(call.time < lease.deadline_at(call.time, order.notice), LedgerError.DEADLINE_PASSED)


def _require_reveal(ledger: Ledger, call: Call, key: bytes, result: bytes, salt: bytes) -> None:
    """A second word: there is a commitment, it is its time, and this is what it hides."""
    lease, committed = ledger.leases[key], ledger.claims.get(key)
    if lease.state is not LeaseState.CLAIMED or committed is None or committed.reveal_from == 0:
        raise Refusal(LedgerError.WRONG_STATE)
    require(call.time >= committed.reveal_from, LedgerError.DEADLINE_NOT_REACHED)
    require(call.time < lease.deadline, LedgerError.DEADLINE_PASSED)
    revealed = commitment_of(key, call.caller, result, salt)
    require(revealed == committed.result, LedgerError.WRONG_COMMITMENT)


def _require_start(ledger: Ledger, order: Order, fill: int, checkpoint: bytes, start: StartVoucher | None) -> None:
    """The buyer's side signed the checkpoint as the result of an earlier fill of the lane."""
    if start is None or start.fill not in range(fill % order.replicas, fill, order.replicas):
        raise Refusal(LedgerError.WRONG_START)
    key, voucher = lease_id(digest(ledger.domain, order), start.fill), start.voucher
    require(voucher.lease == key and voucher.result == checkpoint, LedgerError.WRONG_START)
    signed = voucher_digest(ledger, voucher, ledger.leases[key].provider)
    require(signed_voucher(order.voucher_signer, signed, voucher), LedgerError.WRONG_START)


def _enter_claimed(call: Call, order: Order, lease: Lease) -> None:
    """A challenge window begins. An earlier end keeps its reason; a lease that ran ends by the claim."""
    lease.expire(call.time)
    if lease.state is LeaseState.OPEN:
        lease.reason = EndReason.CLAIMED
    lease.state = LeaseState.CLAIMED
    lease.deadline = call.time + order.challenge_window


@whole_call
def challenge(
    ledger: Ledger, call: Call, order: Order, fill: int, receipt: UsageReceipt | None, signature: bytes = b""
) -> None:
    """Buyer or voucherSigner disputes a revealed claim, or a usage receipt that the provider signed.

    The bond, as high as the provider's, comes from the caller's own account. A lease that ran is ended by it.
    """
    key, lease = find(ledger, order, fill)
    hashed = ZERO_HASH
    if receipt is None:
        revealed = key in ledger.claims and ledger.claims[key].reveal_from == 0
        require(lease.state is LeaseState.CLAIMED and revealed, LedgerError.WRONG_STATE)
    else:
        require(is_claimable(order), LedgerError.NOT_CLAIMABLE)
        hashed = digest(ledger.domain, receipt)
        said = receipt.lease == key and signed_by(ledger.wallets, lease.provider, hashed, signature)
        require(said, LedgerError.RECEIPT_SIGNATURE)
        decided = lease.state in (LeaseState.DISPUTED, LeaseState.CLOSED)
        require(not decided, LedgerError.WRONG_STATE)
    require(is_owner(order, call.caller), LedgerError.NOT_BUYER_SIDE)
    require(call.time < lease.deadline_at(call.time, order.notice), LedgerError.DEADLINE_PASSED)
    challenger = ledger.accounts[call.caller]
    require(not challenger.guarded, LedgerError.GUARDED)
    require(order.bond <= challenger.free, LedgerError.INSUFFICIENT_FREE)

    challenger.free -= order.bond
    challenger.bonded += order.bond
    ledger.disputes[key] = Dispute(challenger=call.caller, bond=order.bond, receipt=hashed)
    lease.expire(call.time)
    if lease.state is LeaseState.OPEN:
        lease.reason, lease.early = EndReason.FAULTY, True
    lease.state = LeaseState.DISPUTED
    lease.deadline = call.time + ARBITER_SECONDS
    ledger.events.append(LeaseDisputed(key, call.caller, hashed, order.bond, lease.deadline))


@whole_call
def rule(
    ledger: Ledger,
    call: Call,
    order: Order,
    fill: int,
    provider_wins: bool,
    award: int,
    to_winner: int,
    to_jurors: int,
) -> None:
    """The order's arbiter decides a dispute in time; or, where nobody objects, grants a revealed claim.

    `award` base units of the lock go to a winning provider, at most what its revealed claim still asks for.
    `to_winner` and `to_jurors` come from the loser's bond.
    """
    key, lease = find(ledger, order, fill)
    require(call.caller == order.arbiter, LedgerError.NOT_ARBITER)
    require(call.time < lease.deadline, LedgerError.DEADLINE_PASSED)
    slash = to_winner + to_jurors
    claimed = ledger.claims.get(key)
    agreement = lease.state is LeaseState.CLAIMED and claimed is not None and claimed.reveal_from == 0
    granted = agreement and provider_wins and slash == 0
    require(lease.state is LeaseState.DISPUTED or granted, LedgerError.WRONG_STATE)
    most = _claim_due(ledger, key) if provider_wins else 0
    require(award <= most, LedgerError.RULING_TOO_LARGE)
    require(slash <= order.bond, LedgerError.RULING_TOO_LARGE)

    dispute = ledger.disputes.get(key)
    challenger, returned = ZERO_ADDRESS, 0
    if dispute is not None:
        challenger = dispute.challenger
        returned = dispute.bond - slash if provider_wins else dispute.bond
        ledger.accounts[challenger].bonded -= dispute.bond
        ledger.accounts[challenger].free += returned
    ledger.accounts[order.arbiter].free += to_jurors
    ledger.events.append(LeaseRuled(key, call.caller, challenger, provider_wins, award, to_winner, to_jurors, returned))
    if provider_wins:
        ledger.accounts[lease.provider].free += to_winner
        # It won, so it was there.
        lease.responded = True
        extra, penalty = settle_minimum(lease, order, award)
        finish(ledger, key, order, extra=extra, penalty=penalty)
    else:
        # A claim that lost has ended no lane.
        lease.done = lease.reason in _ENDED_OTHERWISE
        finish(ledger, key, order, extra=0, penalty=to_winner, to_jurors=to_jurors)


def _claim_due(ledger: Ledger, key: bytes) -> int:
    """Base units that a claim still gives; vouchers redeemed since are netted, and a commitment alone gives nothing."""
    return ledger.leases[key].due(ledger.claims[key].target) if key in ledger.claims else 0


@whole_call
def finalise(ledger: Ledger, call: Call, order: Order, fill: int) -> None:
    """Anyone ends a lease whose deadline has passed, whatever its state.

    A notice that is over returns the rest of the lock. An unchallenged claim is paid. A silent arbiter loses nobody a
    bond, and what was in dispute goes back to the buyer.
    """
    key, lease = find(ledger, order, fill)
    ending = lease.state_at(call.time) not in (LeaseState.OPEN, LeaseState.CLOSED)
    require(ending, LedgerError.WRONG_STATE)
    require(call.time >= lease.deadline_at(call.time, order.notice), LedgerError.DEADLINE_NOT_REACHED)
    lease.expire(call.time)
    extra = 0
    if lease.state is LeaseState.CLAIMED:
        extra = _claim_due(ledger, key)
    elif lease.state is LeaseState.DISPUTED:
        dispute = ledger.disputes[key]
        ledger.accounts[dispute.challenger].bonded -= dispute.bond
        ledger.accounts[dispute.challenger].free += dispute.bond
        ledger.events.append(DisputeLapsed(key, dispute.challenger, dispute.bond))
        # Nobody is slashed, so nobody is taken to have been away either.
        lease.responded = True
    extra, penalty = settle_minimum(lease, order, extra)
    finish(ledger, key, order, extra=extra, penalty=penalty)
