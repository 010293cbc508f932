// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Leases} from "../../src/Leases.sol";
import {
    Account,
    ClaimTerms,
    Dispute,
    EndReason,
    LeaseState,
    Order,
    SignedVoucher,
    StartVoucher,
    UsageReceipt
} from "../../src/interfaces/LedgerTypes.sol";
import {LeaseStatus, LeaseStatuses} from "../../src/libraries/LeaseStatus.sol";
import {Scene} from "./support/Scene.sol";

/// @title Each step of a lease moves money and makes none, and pays what it should
contract SettlementProof is Scene {
    /* FINALISE */

    function check_FinaliseSettlesAClosingLease(Setting memory s) external {
        _finalise(s, LeaseState.Closing);
    }

    function check_FinaliseSettlesAnExpiredLease(Setting memory s) external {
        s.stored.status = LeaseStatus.wrap(0);
        _finalise(s, LeaseState.Open);
    }

    function check_FinaliseSettlesAClaim(Setting memory s) external {
        s.stored.status = LeaseStatuses.pack(LeaseState.Claimed, EndReason.Claimed);
        _finalise(s, LeaseState.Claimed);
    }

    function check_FinaliseSettlesAClaimOfALeaseThatTheBuyerEnded(Setting memory s) external {
        s.stored.status = LeaseStatuses.pack(LeaseState.Claimed, EndReason.Unresponsive).withEarly().withResponded();
        _finalise(s, LeaseState.Claimed);
    }

    function check_FinaliseSettlesADisputeThatNobodyRuled(Setting memory s) external {
        _finalise(s, LeaseState.Disputed);
    }

    /// The provider has between what vouchers paid and the lock; its bond is free, less the minimum charge at most; what it
    /// does not get of either the buyer gets; a challenger has its bond back.
    function _finalise(Setting memory s, LeaseState state) private {
        bytes32 id = _put(s, state);
        ledger.finalise(s.order, s.fill);
        (Leases.StoredLease memory after_, Account[4] memory accounts) = _look(id);
        unchecked {
            uint64 paid = after_.paid - s.stored.paid;
            uint64 penalty = s.accounts[P].free + paid + s.order.bond - accounts[P].free;
            bool right = _and(after_.status.isClosed(), after_.locked == s.stored.locked);
            right = _and(right, _and(s.stored.paid <= after_.paid, after_.paid <= after_.locked));
            right = _and(right, _or(penalty == 0, _and(penalty == s.order.minCharge, paid == 0)));
            s.accounts[P].free += paid + s.order.bond - penalty;
            s.accounts[P].bonded -= s.order.bond;
            s.accounts[P].openLeases -= 1;
            s.accounts[B].free += s.stored.locked - after_.paid + penalty;
            if (state == LeaseState.Disputed) {
                s.accounts[C].free += s.order.bond;
                s.accounts[C].bonded -= s.order.bond;
            }
            assert(_and(right, _sameAll(accounts, s.accounts)));
        }
    }

    function check_FinaliseOfAClosingLeaseFailsOnlyBeforeItsTime(Setting memory s) external {
        _finaliseAtItsTime(s, LeaseState.Closing);
    }

    function check_FinaliseOfAClaimFailsOnlyBeforeItsTime(Setting memory s) external {
        s.stored.status = LeaseStatuses.pack(LeaseState.Claimed, EndReason.Claimed);
        _finaliseAtItsTime(s, LeaseState.Claimed);
    }

    function check_FinaliseOfADisputeFailsOnlyBeforeItsTime(Setting memory s) external {
        s.stored.status = LeaseStatuses.pack(LeaseState.Disputed, EndReason.Claimed);
        _finaliseAtItsTime(s, LeaseState.Disputed);
    }

    function _finaliseAtItsTime(Setting memory s, LeaseState state) private {
        _put(s, state);
        _assumeSolvent(s);
        (bool done,) = address(ledger).call(abi.encodeCall(ledger.finalise, (s.order, s.fill)));
        assert(done == (s.time >= s.stored.deadline));
    }

    function check_TheMinimumChargeIsPaidOnce(
        Leases.StoredLease memory stored,
        Order memory order,
        Leases.Ending memory ending
    ) external view {
        vm.assume(ending.penalty == 0 && ending.toJurors == 0 && ending.paid <= stored.locked);
        vm.assume(order.minCharge <= order.bond && order.minCharge <= stored.locked);
        Leases.Ending memory after_ = ledger.chargeMinimum(stored, order, ending);
        assert(ending.paid <= after_.paid && after_.paid <= stored.locked);
        assert(after_.penalty <= order.bond);
        // Either the provider is topped up or its bond pays, and neither unless the buyer's side ended the lease early.
        assert(after_.penalty == 0 || after_.paid == ending.paid);
        assert(stored.status.early() || (after_.penalty == 0 && after_.paid == ending.paid));
    }

    /* VOUCHERS */

    function check_RedeemPaysTheProviderExactlyWhatTheLeaseLoses(Setting memory s, SignedVoucher memory voucher)
        external
    {
        bytes32 id = _put(s, LeaseState.Open);
        vm.assume(uint256(s.accounts[P].free) + s.stored.locked <= type(uint64).max);
        voucher.lease = id;
        _redeem(voucher);
        (Leases.StoredLease memory after_, Account[4] memory accounts) = _look(id);
        unchecked {
            uint48 most = voucher.cumulative < s.stored.locked ? voucher.cumulative : s.stored.locked;
            // It pays all that the voucher says or nothing, and it says nothing that was paid before.
            bool right = _or(after_.paid == s.stored.paid, _and(after_.paid == most, most > s.stored.paid));
            s.accounts[P].free += after_.paid - s.stored.paid;
            assert(_and(right, _and(after_.locked == s.stored.locked, _sameAll(accounts, s.accounts))));
        }
    }

    function check_AVoucherOfAnotherSignerPaysNothing(Setting memory s, SignedVoucher memory voucher) external {
        bytes32 id = _put(s, LeaseState.Open);
        voucher.lease = id;
        bytes32 digest = ledger.hashSignedVoucher(voucher, PROVIDER);
        uint8 v = uint8(27 + (uint256(voucher.vs) >> 255));
        vm.assume(ecrecover(digest, v, voucher.r, voucher.vs << 1 >> 1) != s.stored.voucherSigner);
        vm.assume(s.stored.voucherSigner != address(0));
        _redeem(voucher);
        _assertNothingMoved(s, id);
    }

    function check_AVoucherOfAnotherLeasePaysNothingHere(Setting memory s, SignedVoucher memory voucher) external {
        bytes32 id = _put(s, LeaseState.Open);
        vm.assume(voucher.lease != id);
        _redeem(voucher);
        _assertNothingMoved(s, id);
    }

    /// That several pay the same in any order follows with `check_TheOrderOfVouchersIsIrrelevant`.
    function check_ASignedVoucherPaysWhatItSays(Setting memory s, SignedVoucher memory voucher) external {
        bytes32 id = _put(s, LeaseState.Open);
        vm.assume(uint256(s.accounts[P].free) + s.stored.locked <= type(uint64).max);
        voucher.lease = id;
        bytes32 digest = ledger.hashSignedVoucher(voucher, PROVIDER);
        vm.assume(ledger.isVoucherSigner(s.stored.voucherSigner, digest, voucher));
        _redeem(voucher);
        (Leases.StoredLease memory after_, Account[4] memory accounts) = _look(id);
        unchecked {
            uint48 most = voucher.cumulative < s.stored.locked ? voucher.cumulative : s.stored.locked;
            if (most < s.stored.paid) most = s.stored.paid;
            s.accounts[P].free += most - s.stored.paid;
            assert(_and(after_.paid == most, _sameAll(accounts, s.accounts)));
        }
    }

    function check_AVoucherOfNoMoreThanWasPaidPaysNothing(Setting memory s, SignedVoucher memory voucher) external {
        bytes32 id = _put(s, LeaseState.Open);
        vm.assume(voucher.cumulative <= s.stored.paid);
        voucher.lease = id;
        _redeem(voucher);
        _assertNothingMoved(s, id);
    }

    function check_AVoucherPaysOnlyTheFirstTime(Setting memory s, SignedVoucher memory voucher) external {
        bytes32 id = _put(s, LeaseState.Open);
        voucher.lease = id;
        _redeem(voucher);
        (Leases.StoredLease memory once, Account[4] memory accounts) = _look(id);
        _redeem(voucher);
        (Leases.StoredLease memory twice, Account[4] memory accountsTwice) = _look(id);
        assert(_and(once.paid == twice.paid, _sameAll(accounts, accountsTwice)));
    }

    function check_AClosedLeasePaysNoVoucher(Setting memory s, SignedVoucher memory voucher) external {
        bytes32 id = _put(s, LeaseState.Closed);
        voucher.lease = id;
        _redeem(voucher);
        _assertNothingMoved(s, id);
    }

    /* OTHER STEPS */

    function check_ANewLeaseIsStoredAsItWasOpened(
        bytes32 id,
        address provider,
        uint48 locked,
        address voucherSigner,
        uint40 deadline,
        uint32 rate,
        uint8 zone
    ) external {
        ledger.create(id, provider, locked, voucherSigner, deadline, rate, zone);
        Leases.StoredLease memory stored = ledger.readLease(id);
        bool right = _and(stored.provider == provider, _and(stored.locked == locked, stored.paid == 0));
        right = _and(right, _and(stored.voucherSigner == voucherSigner, stored.deadline == deadline));
        right = _and(right, _and(stored.rate == rate, stored.zone == zone));
        // Open, without a reason or a flag.
        assert(_and(right, LeaseStatus.unwrap(stored.status) == uint16(LeaseState.Open)));
    }

    function check_CloseMovesNoMoney(Setting memory s, EndReason reason, address caller) external {
        bytes32 id = _put(s, LeaseState.Open);
        vm.prank(caller);
        ledger.close(s.order, s.fill, reason);
        bool owner = caller == s.order.buyer || caller == s.order.voucherSigner;
        assert(owner || caller == s.order.matcher || caller == s.order.deputy);
        assert(owner || reason != EndReason.Cancelled);
        _assertNothingMoved(s, id);
    }

    function check_ResignMovesNoMoney(Setting memory s, address caller) external {
        bytes32 id = _put(s, LeaseState.Open);
        vm.prank(caller);
        ledger.resign(s.order, s.fill);
        assert(caller == PROVIDER);
        _assertNothingMoved(s, id);
    }

    function check_AClaimAsksForNoMoreThanLockAndBond(Setting memory s, ClaimTerms memory terms, bytes32 salt)
        external
    {
        bytes32 id = _put(s, LeaseState.Closing);
        terms.from = 0;
        StartVoucher memory none;
        vm.prank(PROVIDER);
        ledger.claim(s.order, s.fill, terms, salt, none);
        uint48 target = ledger.claimOf(id).target;
        assert(_and(target <= s.stored.locked, target <= uint256(s.stored.paid) + s.order.bond));
        _assertNothingMoved(s, id);
    }

    function check_AChallengeStakesExactlyTheBond(Setting memory s) external {
        bytes32 id = _put(s, LeaseState.Claimed);
        UsageReceipt memory none;
        vm.prank(CHALLENGER);
        ledger.challenge(s.order, s.fill, none, "");
        Dispute memory dispute = ledger.disputeOf(id);
        assert(_and(dispute.challenger == CHALLENGER, dispute.bond == s.order.bond));
        (, Account[4] memory accounts) = _look(id);
        unchecked {
            // Had it less, it could not.
            assert(s.accounts[C].free >= s.order.bond);
            s.accounts[C].free -= s.order.bond;
            s.accounts[C].bonded += s.order.bond;
        }
        assert(_sameAll(accounts, s.accounts));
    }

    function _redeem(SignedVoucher memory voucher) private {
        SignedVoucher[] memory vouchers = new SignedVoucher[](1);
        vouchers[0] = voucher;
        ledger.redeem(vouchers);
    }

    function _assertNothingMoved(Setting memory s, bytes32 id) private view {
        (Leases.StoredLease memory after_, Account[4] memory accounts) = _look(id);
        bool right = _and(after_.paid == s.stored.paid, after_.locked == s.stored.locked);
        right = _and(right, after_.status.isClosed() == s.stored.status.isClosed());
        assert(_and(right, _and(after_.provider == PROVIDER, _sameAll(accounts, s.accounts))));
    }
}
