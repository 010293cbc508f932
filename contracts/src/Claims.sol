// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Leases} from "./Leases.sol";
import {IComputeLedger} from "./interfaces/IComputeLedger.sol";
import {
    Account,
    Claim,
    ClaimTerms,
    Dispute,
    EndReason,
    LeaseState,
    Order,
    StartVoucher,
    UsageReceipt
} from "./interfaces/LedgerTypes.sol";
import {LeaseMath} from "./libraries/LeaseMath.sol";
import {LeaseStatus, LeaseStatuses} from "./libraries/LeaseStatus.sol";
import {Terms} from "./libraries/Terms.sol";

/// @title The slow path: claims, challenges, rulings (SPEC "Claims", "Disputes")
/// @dev It is there so that a buyer who signs nothing still pays, and a provider who lies still loses. An arbiter is never
/// called; it calls `rule`, in time or not at all.
abstract contract Claims is Leases {
    /// Seconds that an arbiter has to decide.
    uint32 internal constant ARBITER_TIME = 14 days;

    mapping(bytes32 id => Claim) internal _claims;
    mapping(bytes32 id => Dispute) internal _disputes;

    /* CLAIM */

    /// @inheritdoc IComputeLedger
    function commitClaim(Order calldata order_, uint8 fill, bytes32 commitment) external guarded {
        (Order memory order, bytes32 id, StoredLease memory stored) = _loadServed(order_, fill);
        _checkClaimable({order: order, id: id, stored: stored});

        // Effect: the commitment stands until the window ends; it is revealed in the second half of it.
        uint40 deadline = _move(id, _claimedStatus(stored), order.challengeWindow);
        uint40 revealFrom = deadline - order.challengeWindow / 2;
        _claims[id].result = commitment;
        _claims[id].revealFrom = revealFrom;
        _recordAlone({
            topics: 3, encoded: abi.encode(ClaimCommitted.selector, id, msg.sender, commitment, revealFrom, deadline)
        });
    }

    /// @inheritdoc IComputeLedger
    function claim(
        Order calldata order_,
        uint8 fill,
        ClaimTerms calldata terms,
        bytes32 salt,
        StartVoucher calldata start
    ) external guarded {
        (Order memory order, bytes32 id, StoredLease memory stored) = _loadServed(order_, fill);
        // With replicas a commitment comes first; one that was made is honoured in any case.
        if (order.replicas == 1 && _claims[id].revealFrom == 0) {
            _checkClaimable({order: order, id: id, stored: stored});
        } else {
            _checkReveal({id: id, stored: stored, result: terms.result, salt: salt});
        }
        if (terms.from != 0) _checkStart({order_: order_, fill: fill, from: terms.from, start: start});

        // Effect: what the provider is to have, never more than a slash could cover (invariant 11).
        uint256 target = LeaseMath.earnedByWorkDown({rate: stored.rate, work: terms.work});
        if (target > stored.locked) target = stored.locked;
        if (target > uint256(stored.paid) + order.bond) target = uint256(stored.paid) + order.bond;
        _claims[id] = Claim({
            result: terms.result,
            from: terms.from,
            work: terms.work,
            // forge-lint: disable-next-line(unsafe-typecast) At most the lock, which has 48 bits.
            target: uint48(target),
            revealFrom: 0,
            last: terms.last
        });
        LeaseStatus status = _claimedStatus(stored).withResponded();
        if (terms.last) status = status.withDone(true);
        uint40 deadline = _move(id, status, order.challengeWindow);
        _recordAlone({
            topics: 3,
            encoded: abi.encode(
                LeaseClaimed.selector,
                id,
                msg.sender,
                terms.result,
                terms.from,
                terms.work,
                target,
                terms.last,
                deadline
            )
        });
    }

    /// @dev The first word of a provider: the order is for the slow path, nothing was claimed, and the notice is not over.
    function _checkClaimable(Order memory order, bytes32 id, StoredLease memory stored) private view {
        require(_isClaimable(order), ComputeLedger_NotClaimable(id));
        LeaseState state = _stateNow(stored);
        require(state == LeaseState.Open || state == LeaseState.Closing, ComputeLedger_WrongState(id, state));
        _checkBefore(_deadlineNow(stored, order));
    }

    /// @dev The second word of a provider that committed.
    function _checkReveal(bytes32 id, StoredLease memory stored, bytes32 result, bytes32 salt) private view {
        // Check: there is a commitment, and it is its time.
        uint40 revealFrom = _claims[id].revealFrom;
        LeaseState state = stored.status.state();
        require(state == LeaseState.Claimed && revealFrom != 0, ComputeLedger_WrongState(id, state));
        require(block.timestamp >= revealFrom, ComputeLedger_DeadlineNotReached(revealFrom, block.timestamp));
        _checkBefore(stored.deadline);

        // Check: it is what was committed to. Lease and provider are in it, so a copy of another's commitment is of no use.
        bytes32 commitment = _claims[id].result;
        bytes32 revealed = keccak256(abi.encode(id, msg.sender, result, salt));
        require(revealed == commitment, ComputeLedger_WrongCommitment(commitment, revealed));
    }

    /// @dev A claim fixes reason and `done` of a lease that ended by its duration, as a close would.
    function _claimedStatus(StoredLease memory stored) private view returns (LeaseStatus) {
        if (stored.status.state() != LeaseState.Open) return stored.status.withState(LeaseState.Claimed);
        if (block.timestamp >= stored.deadline) {
            return LeaseStatuses.pack(LeaseState.Claimed, EndReason.Expired).withDone(true);
        }
        return LeaseStatuses.pack(LeaseState.Claimed, EndReason.Claimed);
    }

    /// @dev The buyer's side itself signed the checkpoint that this lease started at, as the result of an earlier fill.
    function _checkStart(Order calldata order_, uint8 fill, bytes32 from, StartVoucher calldata start) private view {
        bool earlier = start.fill < fill && start.fill % order_.replicas == fill % order_.replicas;
        bytes32 id = leaseId(_hashOrder(order_), start.fill);
        bytes32 digest = _hashSignedVoucher(start.voucher, _leases[id].provider);
        require(
            earlier && start.voucher.lease == id && start.voucher.result == from
                && _isVoucherSigner(order_.voucherSigner, digest, start.voucher),
            ComputeLedger_WrongStart(from)
        );
    }

    /* CHALLENGE */

    /// @inheritdoc IComputeLedger
    function challenge(Order calldata order_, uint8 fill, UsageReceipt calldata receipt, bytes calldata signature)
        external
        guarded
    {
        (Order memory order, bytes32 id, StoredLease memory stored) = _load(order_, fill);
        LeaseState state = stored.status.state();
        bytes32 digest;
        if (receipt.lease == 0) {
            // Check: there is a claim that can be read.
            require(state == LeaseState.Claimed && _claims[id].revealFrom == 0, ComputeLedger_WrongState(id, state));
        } else {
            // Check: the order is for the slow path, the provider said it of this lease, and nothing is decided yet.
            require(_isClaimable(order), ComputeLedger_NotClaimable(id));
            digest = _hashUsageReceipt(receipt);
            require(
                receipt.lease == id && _isSigner(stored.provider, digest, signature),
                ComputeLedger_ReceiptSignature(digest)
            );
            require(state != LeaseState.Disputed && state != LeaseState.Closed, ComputeLedger_WrongState(id, state));
        }

        // Check: the caller owns the dispute, in time, and can pay for being wrong.
        require(_ownsOrder(order), ComputeLedger_NotBuyerSide(msg.sender));
        _checkBefore(_deadlineNow(stored, order));
        Account storage challenger = _accounts[msg.sender];
        require(!challenger.guarded, ComputeLedger_Guarded(msg.sender));
        require(challenger.free >= order.bond, ComputeLedger_InsufficientFree(challenger.free, order.bond));

        // Effect: the challenger's bond stands against the provider's. A running lease is ended by it.
        challenger.free -= order.bond;
        challenger.bonded += order.bond;
        _disputes[id] = Dispute({challenger: msg.sender, bond: order.bond, receipt: digest});
        LeaseStatus status = stored.status.withState(LeaseState.Disputed);
        if (state == LeaseState.Open) {
            status = block.timestamp < stored.deadline
                ? LeaseStatuses.pack(LeaseState.Disputed, EndReason.Faulty).withEarly()
                : LeaseStatuses.pack(LeaseState.Disputed, EndReason.Expired).withDone(true);
        }
        uint40 deadline = _move(id, status, ARBITER_TIME);
        _recordAlone({
            topics: 3, encoded: abi.encode(LeaseDisputed.selector, id, msg.sender, digest, order.bond, deadline)
        });
    }

    /* RULING */

    /// @inheritdoc IComputeLedger
    function rule(Order calldata order_, uint8 fill, bool providerWins, uint48 award, uint48 toWinner, uint48 toJurors)
        external
        guarded
    {
        (Order memory order, bytes32 id, StoredLease memory stored) = _load(order_, fill);

        // Check: the order's arbiter, in time.
        require(msg.sender == order.arbiter, ComputeLedger_NotArbiter(order.arbiter, msg.sender));
        _checkBefore(stored.deadline);

        // Check: there is a dispute; or nobody objects, and then only a revealed claim can be granted.
        LeaseState state = stored.status.state();
        uint256 slash = uint256(toWinner) + toJurors;
        bool agreed = state == LeaseState.Claimed && _claims[id].revealFrom == 0 && providerWins && slash == 0;
        require(state == LeaseState.Disputed || agreed, ComputeLedger_WrongState(id, state));

        // Check: neither the award nor the slash is more than what is at stake (invariants 4, 6). Without a revealed claim
        // the target is 0.
        uint48 most = providerWins ? _claimDue(id, stored) : 0;
        require(award <= most, ComputeLedger_RulingTooLarge(most, award));
        require(slash <= order.bond, ComputeLedger_RulingTooLarge(order.bond, slash));

        Head memory head_ = _loadHead();
        _settle({
            head_: head_,
            id: id,
            stored: stored,
            order: order,
            providerWins: providerWins,
            award: award,
            toWinner: toWinner,
            toJurors: toJurors
        });
        _storeHead(head_);
    }

    function _settle(
        Head memory head_,
        bytes32 id,
        StoredLease memory stored,
        Order memory order,
        bool providerWins,
        uint48 award,
        uint48 toWinner,
        uint48 toJurors
    ) private {
        Dispute memory dispute = _disputes[id];
        Ending memory ending;
        ending.paid = stored.paid + award;
        (ending.reason, ending.done) = _endOf(stored);

        // Effect: the loser's bond pays, and what is left of the challenger's is free again.
        uint48 returned = dispute.bond;
        if (providerWins) {
            // No dispute, no slash: then both sums are 0.
            returned -= dispute.challenger == address(0) ? 0 : toWinner + toJurors;
            _accounts[stored.provider].free += toWinner;
            // It won, so it was there.
            stored.status = stored.status.withResponded();
            _chargeMinimum(stored, order, ending);
        } else {
            // A claim that lost has ended no lane; what ended it otherwise still does.
            ending.done = ending.reason == EndReason.Completed || ending.reason == EndReason.Cancelled
                || ending.reason == EndReason.Expired;
            ending.penalty = toWinner;
            ending.toJurors = toJurors;
        }
        if (dispute.challenger != address(0)) {
            Account storage challenger = _accounts[dispute.challenger];
            challenger.bonded -= dispute.bond;
            challenger.free += returned;
        }
        _accounts[msg.sender].free += toJurors;
        _record({
            head_: head_,
            topics: 4,
            encoded: abi.encode(
                LeaseRuled.selector,
                id,
                msg.sender,
                dispute.challenger,
                providerWins,
                award,
                toWinner,
                toJurors,
                returned
            )
        });
        _finish({head_: head_, id: id, stored: stored, order: order, ending: ending});
    }

    /// @dev Base units that a claim still gives. A commitment that was not revealed has no target.
    function _claimDue(bytes32 id, StoredLease memory stored) internal view returns (uint48) {
        return LeaseMath.dueOf({cumulative: _claims[id].target, locked: stored.locked, paid: stored.paid});
    }

    /// @dev The arbiter was silent: both bonds return, and what was in dispute goes back to the buyer.
    function _lapse(Head memory head_, bytes32 id) internal {
        Dispute memory dispute = _disputes[id];
        Account storage challenger = _accounts[dispute.challenger];
        challenger.bonded -= dispute.bond;
        challenger.free += dispute.bond;
        _record({
            head_: head_, topics: 3, encoded: abi.encode(DisputeLapsed.selector, id, dispute.challenger, dispute.bond)
        });
    }

    /* VIEWS */

    /// @inheritdoc IComputeLedger
    function claimOf(bytes32 id) external view returns (Claim memory) {
        return _claims[id];
    }

    /// @inheritdoc IComputeLedger
    function disputeOf(bytes32 id) external view returns (Dispute memory) {
        return _disputes[id];
    }

    /* INTERNAL */

    function _isClaimable(Order memory order) private pure returns (bool) {
        return order.meter == Terms.METER_WORK && order.arbiter != address(0);
    }

    /// @dev The lease of a fill that the caller serves.
    function _loadServed(Order calldata order_, uint8 fill)
        internal
        view
        returns (Order memory order, bytes32 id, StoredLease memory stored)
    {
        (order, id, stored) = _load(order_, fill);
        _checkProvider(stored);
    }

    function _checkProvider(StoredLease memory stored) internal view {
        require(msg.sender == stored.provider, ComputeLedger_NotProvider(stored.provider, msg.sender));
    }

    function _checkBefore(uint40 deadline) internal view {
        require(block.timestamp < deadline, ComputeLedger_DeadlinePassed(deadline, block.timestamp));
    }
}
