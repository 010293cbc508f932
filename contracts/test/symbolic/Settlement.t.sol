// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Leases} from "../../src/Leases.sol";
import {
    Account,
    ClaimTerms,
    EndReason,
    LeaseState,
    Order,
    SignedVoucher,
    StartVoucher,
    UsageReceipt
} from "../../src/interfaces/LedgerTypes.sol";
import {Scene} from "./support/Scene.sol";

/// @title Each step of a lease moves money and makes none, and pays what it should
contract SettlementProof is Scene {
    /* FINALISE */

    function check_FinaliseOfAClosingLease(Setting memory s) external {
        _finalise(s, LeaseState.Closing);
    }

    function check_FinaliseOfAnExpiredLease(Setting memory s) external {
        _finalise(s, LeaseState.Open);
    }

    function check_FinaliseOfAClaimedLease(Setting memory s) external {
        _finalise(s, LeaseState.Claimed);
    }

    function check_FinaliseOfADisputedLease(Setting memory s) external {
        _finalise(s, LeaseState.Disputed);
    }

    /// At its time it succeeds; sums stay; the provider has between what vouchers paid and the lock; its bond is free, less
    /// the minimum charge at most; nobody else loses anything.
    function _finalise(Setting memory s, LeaseState state) private {
        unchecked {
            bytes32 id = _put(s, state);
            uint256 end = s.stored.deadline;
            if (state == LeaseState.Open) end += s.order.notice;
            vm.assume(end <= type(uint40).max);
            uint256 sum = _sum(id);
            (bool done,) = address(ledger).call(abi.encodeCall(ledger.finalise, (s.order, s.fill)));
            assert(done == (s.time >= end));
            vm.assume(done);
            Leases.StoredLease memory after_ = ledger.readLease(id);
            Account memory provider = ledger.account(PROVIDER);
            bool right = _and(_sum(id) == sum, after_.status.isClosed());
            right = _and(right, _and(s.stored.paid <= after_.paid, after_.paid <= after_.locked));
            right = _and(right, provider.bonded == s.provider.bonded - s.order.bond);
            right = _and(right, provider.openLeases == s.provider.openLeases - 1);
            uint256 before = uint256(s.provider.free) + s.provider.bonded;
            right = _and(right, _worth(PROVIDER) + s.order.minCharge >= before);
            right = _and(right, _worth(BUYER) >= uint256(s.buyer.free) + s.buyer.bonded);
            right = _and(right, _and(_kept(CHALLENGER, s.challenger), _kept(ARBITER, s.arbiter)));
            assert(right);
        }
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
        bytes32 id = _putOpen(s);
        voucher.lease = id;
        uint256 sum = _sum(id);
        _redeem(voucher);
        uint48 paid = ledger.readLease(id).paid;
        assert(_sum(id) == sum);
        assert(s.stored.paid <= paid && paid <= s.stored.locked);
        assert(paid == s.stored.paid || paid == voucher.cumulative || paid == s.stored.locked);
        Account memory provider = ledger.account(PROVIDER);
        assert(provider.free == s.provider.free + (paid - s.stored.paid));
        assert(provider.bonded == s.provider.bonded && provider.openLeases == s.provider.openLeases);
        assert(_worth(BUYER) == uint256(s.buyer.free) + s.buyer.bonded);
    }

    function check_AVoucherOfAnotherSignerPaysNothing(Setting memory s, SignedVoucher memory voucher) external {
        bytes32 id = _putOpen(s);
        voucher.lease = id;
        bytes32 digest = ledger.hashSignedVoucher(voucher, PROVIDER);
        uint8 v = uint256(voucher.vs) >> 255 == 0 ? 27 : 28;
        vm.assume(ecrecover(digest, v, voucher.r, voucher.vs << 1 >> 1) != s.stored.voucherSigner);
        _redeem(voucher);
        assert(ledger.readLease(id).paid == s.stored.paid);
        assert(ledger.account(PROVIDER).free == s.provider.free);
    }

    function check_AVoucherOfAnotherLeasePaysNothingHere(Setting memory s, SignedVoucher memory voucher) external {
        bytes32 id = _putOpen(s);
        vm.assume(voucher.lease != id);
        _redeem(voucher);
        assert(ledger.readLease(id).paid == s.stored.paid);
        assert(ledger.account(PROVIDER).free == s.provider.free);
    }

    function check_TwoVouchersPayTheSameInEitherOrder(
        Setting memory s,
        SignedVoucher memory one,
        SignedVoucher memory other
    ) external {
        bytes32 id = _putOpen(s);
        (one.lease, other.lease) = (id, id);
        _redeem(one);
        _redeem(other);
        uint48 paid = ledger.readLease(id).paid;
        uint64 free = ledger.account(PROVIDER).free;
        ledger.setLease(id, s.stored);
        ledger.setAccount(PROVIDER, s.provider);
        _redeem(other);
        _redeem(one);
        assert(ledger.readLease(id).paid == paid);
        assert(ledger.account(PROVIDER).free == free);
    }

    function check_AClosedLeasePaysNoVoucher(Setting memory s, SignedVoucher memory voucher) external {
        bytes32 id = _put(s, LeaseState.Closed);
        voucher.lease = id;
        _redeem(voucher);
        assert(ledger.readLease(id).paid == s.stored.paid);
        assert(ledger.account(PROVIDER).free == s.provider.free);
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
        assert(stored.provider == provider && stored.locked == locked && stored.paid == 0);
        assert(stored.voucherSigner == voucherSigner && stored.deadline == deadline);
        assert(stored.rate == rate && stored.zone == zone);
        assert(stored.status.isOpen() && stored.status.reason() == EndReason.None);
        assert(!stored.status.done() && !stored.status.early() && !stored.status.responded());
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
        assert(target <= s.stored.locked);
        assert(target <= uint256(s.stored.paid) + s.order.bond);
        _assertNothingMoved(s, id);
    }

    function check_AChallengeStakesExactlyTheBond(Setting memory s) external {
        bytes32 id = _put(s, LeaseState.Claimed);
        UsageReceipt memory none;
        uint256 sum = _sum(id);
        vm.prank(CHALLENGER);
        ledger.challenge(s.order, s.fill, none, "");
        assert(_sum(id) == sum);
        Account memory challenger = ledger.account(CHALLENGER);
        assert(challenger.free == s.challenger.free - s.order.bond);
        assert(challenger.bonded == s.challenger.bonded + s.order.bond);
        assert(ledger.disputeOf(id).challenger == CHALLENGER && ledger.disputeOf(id).bond == s.order.bond);
        assert(_worth(PROVIDER) == uint256(s.provider.free) + s.provider.bonded);
    }

    function _putOpen(Setting memory s) private returns (bytes32 id) {
        id = _put(s, LeaseState.Open);
        vm.assume(s.stored.voucherSigner != address(0));
    }

    function _redeem(SignedVoucher memory voucher) private {
        SignedVoucher[] memory vouchers = new SignedVoucher[](1);
        vouchers[0] = voucher;
        ledger.redeem(vouchers);
    }

    function _assertNothingMoved(Setting memory s, bytes32 id) private view {
        Leases.StoredLease memory stored = ledger.readLease(id);
        assert(stored.paid == s.stored.paid && stored.locked == s.stored.locked);
        assert(stored.provider == PROVIDER && !stored.status.isClosed());
        assert(ledger.account(PROVIDER).free == s.provider.free);
        assert(ledger.account(PROVIDER).bonded == s.provider.bonded);
        assert(ledger.account(BUYER).free == s.buyer.free && ledger.account(BUYER).bonded == s.buyer.bonded);
        assert(ledger.account(CHALLENGER).free == s.challenger.free);
        assert(ledger.account(ARBITER).free == s.arbiter.free);
    }
}
