// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {EndReason, LastVoucher, Lease, LeaseState, Order, Skip} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract CloseLastTest is LedgerTest {
    Order private order;
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        order = anOrder();
        lease = open(order, 0);
    }

    /* BOTH SIDES */

    function test_ProviderSendsIt_ClosesAtOnce() public {
        LastVoucher memory item = aLastVoucher(order, 0, 20e6);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.VoucherRedeemed({
            lease: lease, provider: provider.addr, amount: 20e6, paid: 20e6, result: item.voucher.result, last: true
        });
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseClosed({
            lease: lease,
            buyer: buyer.addr,
            provider: provider.addr,
            reason: EndReason.Completed,
            paid: 20e6,
            refunded: LOCK - 20e6,
            penalty: 0,
            returned: 0,
            done: true
        });
        assertEq(closeLastAs(provider.addr, item), 1, "closed");
        assertClosed(EndReason.Completed, 20e6, true);
    }

    function test_ProviderSigned_AnyoneClosesAtOnce() public {
        assertEq(closeLastAs(stranger, countersigned(20e6)), 1, "closed");
        assertClosed(EndReason.Completed, 20e6, true);
    }

    function test_AgreedVoucherThatAddsNothingStillCloses() public {
        redeem(aVoucher(lease, 20e6, false));
        assertEq(closeLastAs(stranger, countersigned(5e6)), 1, "closed");
        assertClosed(EndReason.Completed, 20e6, true);
    }

    function test_AgreedOnAClosingLeaseKeepsItsReason() public {
        vm.prank(matcher);
        ledger.close(order, 0, EndReason.Unresponsive);
        assertEq(closeLastAs(provider.addr, aLastVoucher(order, 0, 20e6)), 1, "closed");
        assertClosed(EndReason.Unresponsive, 20e6, true);
    }

    function test_AgreedAfterItsDurationIsExpired() public {
        vm.warp(block.timestamp + DURATION);
        assertEq(closeLastAs(stranger, countersigned(20e6)), 1, "closed");
        assertClosed(EndReason.Expired, 20e6, true);
    }

    function test_AgreedAfterTheNotice_UntilFinalised() public {
        vm.warp(block.timestamp + DURATION + NOTICE);
        assertEq(closeLastAs(stranger, countersigned(LOCK)), 1, "closed");
        assertClosed(EndReason.Expired, LOCK, true);
    }

    /* ONE SIDE */

    function test_BuyerSideAlone_PaysAndStartsTheNotice() public {
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseClosing({
            lease: lease,
            by: stranger,
            reason: EndReason.Completed,
            deadline: uint40(block.timestamp + NOTICE),
            done: true
        });
        assertEq(closeLastAs(stranger, aLastVoucher(order, 0, 20e6)), 0, "closed");
        Lease memory stored = ledger.lease(lease);
        assertEq(uint8(stored.state), uint8(LeaseState.Closing), "state");
        assertTrue(stored.done, "done");
        assertEq(stored.paid, 20e6, "paid");

        // The notice over, the rest returns.
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        assertClosed(EndReason.Completed, 20e6, true);
    }

    function test_BuyerSideAlone_StartsTheNoticeEvenIfItAddsNothing() public {
        assertEq(closeLastAs(stranger, aLastVoucher(order, 0, 0)), 0, "closed");
        assertState(lease, LeaseState.Closing);
        assertEq(ledger.lease(lease).paid, 0, "paid");
    }

    function test_BuyerSideAlone_OnlyPaysAClosingLease() public {
        vm.prank(matcher);
        ledger.close(order, 0, EndReason.Faulty);
        uint40 deadline = ledger.lease(lease).deadline;
        vm.warp(block.timestamp + 5);
        assertEq(closeLastAs(stranger, aLastVoucher(order, 0, 20e6)), 0, "closed");
        Lease memory stored = ledger.lease(lease);
        assertEq(stored.deadline, deadline, "deadline");
        assertEq(uint8(stored.reason), uint8(EndReason.Faulty), "reason");
        assertFalse(stored.done, "done");
        assertEq(stored.paid, 20e6, "paid");
        expectSkipped(aLastVoucher(order, 0, 20e6), Skip.VoucherStale);
    }

    /* THE SLOW PATH */

    function test_AgreedOnAClaimedLeaseIsCompleted() public {
        bonded();
        claimAs(provider, order, 0, aClaim(400e12));
        assertEq(closeLastAs(stranger, countersigned(3e6)), 1, "closed");
        assertLease(lease, LeaseState.Closed, EndReason.Completed, true, 3e6);
        assertMoney(provider.addr, 10 * BOND + 3e6, 0);
    }

    function test_AgreedOnACommitmentIsCompleted() public {
        bonded();
        commitAs(provider, order, 0, "salt");
        assertEq(closeLastAs(provider.addr, aLastVoucher(order, 0, 0)), 1, "closed");
        assertLease(lease, LeaseState.Closed, EndReason.Completed, true, 0);
    }

    function test_AgreedOnAClaimAfterACloseKeepsItsReason() public {
        bonded();
        closeAs(matcher, order, EndReason.Unresponsive);
        claimAs(provider, order, 0, aClaim(400e12));
        assertEq(closeLastAs(stranger, countersigned(3e6)), 1, "closed");
        assertLease(lease, LeaseState.Closed, EndReason.Unresponsive, true, 3e6);
    }

    function test_AgreedMeansNoMinimumChargeAndNoPenalty() public {
        bonded();
        closeAs(matcher, order, EndReason.Unresponsive);
        assertEq(closeLastAs(provider.addr, aLastVoucher(order, 0, 1e6)), 1, "closed");
        assertMoney(provider.addr, 10 * BOND + 1e6, 0);
        assertMoney(buyer.addr, 1_000e6 - LOCK - 2 * FEE - 1e6, 0);
    }

    function test_BuyerSideAlone_OnlyPaysAClaimedLease() public {
        bonded();
        claimAs(provider, order, 0, aClaim(400e12));
        assertEq(closeLastAs(stranger, aLastVoucher(order, 0, 3e6)), 0, "closed");
        assertLease(lease, LeaseState.Claimed, EndReason.Claimed, true, 3e6);
        expectSkipped(aLastVoucher(order, 0, 3e6), Skip.VoucherStale);
        // The claim still stands: 20 dollars in all.
        vm.warp(block.timestamp + WINDOW);
        ledger.finalise(order, 0);
        assertMoney(provider.addr, 10 * BOND + 20e6, 0);
    }

    function test_ADisputedLeaseIsOnlyPaid() public {
        bonded();
        claimAs(provider, order, 0, aClaim(400e12));
        challengeAs(buyer.addr, order, 0);
        assertEq(closeLastAs(provider.addr, countersigned(3e6)), 0, "closed");
        assertLease(lease, LeaseState.Disputed, EndReason.Claimed, true, 3e6);
        expectSkipped(countersigned(3e6), Skip.VoucherStale);
        assertMoney(buyer.addr, 1_000e6 - 2 * LOCK - 2 * FEE - BOND, BOND);
    }

    function test_BuyerSideAlone_OwesTheMinimumCharge() public {
        bonded();
        closeLastAs(stranger, aLastVoucher(order, 0, 1e6));
        assertTrue(ledger.lease(lease).early, "early");
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        assertLease(lease, LeaseState.Closed, EndReason.Completed, true, MIN_CHARGE);
    }

    /* SKIPS */

    function test_SkipWhen_NotLast() public {
        LastVoucher memory item = aLastVoucher(order, 0, 20e6);
        item.voucher = aVoucher(lease, 20e6, false);
        expectSkipped(item, Skip.NotLast);
    }

    function test_SkipWhen_UnknownLease() public {
        LastVoucher memory item = aLastVoucher(order, 0, 20e6);
        item.fill = 1;
        item.voucher.lease = leaseOf(order, 1);
        expectSkipped(item, Skip.UnknownLease);
    }

    function test_SkipWhen_LeaseClosed() public {
        LastVoucher memory item = countersigned(20e6);
        closeLastAs(stranger, item);
        expectSkipped(item, Skip.LeaseClosed);
    }

    function test_SkipWhen_NotTheVoucherSigners() public {
        LastVoucher memory item = aLastVoucher(order, 0, 20e6);
        item.voucher.cumulative += 1;
        expectSkipped(item, Skip.VoucherSignature);
    }

    function test_SkipWhen_WrongOrder() public {
        LastVoucher memory item = aLastVoucher(order, 0, 20e6);
        item.order.salt += 1;
        expectSkipped(item, Skip.WrongOrder);
        item.order.salt -= 1;
        item.fill = 1;
        expectSkipped(item, Skip.WrongOrder);
    }

    function test_SkipWhen_ProviderSignatureIsNotTheProviders() public {
        LastVoucher memory item = aLastVoucher(order, 0, 20e6);
        bytes32 digest = voucherDigest(lease, 20e6, item.voucher.result, true);
        item.providerSignature = sign(voucherSigner, digest);
        expectSkipped(item, Skip.VoucherSignature);
        item.providerSignature = sign(provider, voucherDigest(lease, 19e6, item.voucher.result, true));
        expectSkipped(item, Skip.VoucherSignature);
    }

    function test_BadItemsDoNotSinkTheBatch() public {
        LastVoucher[] memory items = new LastVoucher[](2);
        items[0] = aLastVoucher(order, 0, 20e6);
        items[0].fill = 1;
        items[1] = countersigned(30e6);
        assertEq(ledger.closeLast(items), 1, "closed");
        assertClosed(EndReason.Completed, 30e6, true);
    }

    function bonded() private {
        order = aBondedOrder();
        lease = openBonded(order);
    }

    function countersigned(uint48 cumulative) private view returns (LastVoucher memory item) {
        item = aLastVoucher(order, 0, cumulative);
        item.providerSignature = sign(provider, voucherDigest(lease, cumulative, item.voucher.result, true));
    }

    function closeLastAs(address caller, LastVoucher memory item) private returns (uint256) {
        vm.prank(caller);
        return closeLast(item);
    }

    function assertClosed(EndReason reason, uint48 paid, bool done) private view {
        Lease memory stored = ledger.lease(lease);
        assertEq(uint8(stored.state), uint8(LeaseState.Closed), "state");
        assertEq(uint8(stored.reason), uint8(reason), "reason");
        assertEq(stored.done, done, "done");
        assertEq(stored.paid, paid, "paid");
        assertEq(freeOf(provider.addr), paid, "provider");
        assertEq(freeOf(buyer.addr), 1_000e6 - FEE - paid, "buyer");
        assertEq(ledger.account(provider.addr).openLeases, 0, "open leases");
    }

    function expectSkipped(LastVoucher memory item, Skip reason) private {
        (uint208 hash,) = ledger.head();
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(item.voucher.lease, reason);
        assertEq(closeLastAs(stranger, item), 0, "closed");
        (uint208 after_,) = ledger.head();
        assertEq(after_, hash, "head");
    }
}
