// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {EndReason, Lease, LeaseState, Offer, Order} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract FinaliseTest is LedgerTest {
    Order private order;
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        order = anOrder();
        lease = open(order, 0);
    }

    function test_RefundsAfterTheNotice() public {
        redeem(aVoucher(lease, 20e6, false));
        vm.prank(matcher);
        ledger.close(order, 0, EndReason.Faulty);
        uint40 deadline = uint40(block.timestamp + NOTICE);
        vm.warp(deadline - 1);
        expectTooEarly(deadline);

        vm.warp(deadline);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseClosed({
            lease: lease,
            buyer: buyer.addr,
            provider: provider.addr,
            reason: EndReason.Faulty,
            paid: 20e6,
            refunded: LOCK - 20e6,
            penalty: 0,
            returned: 0,
            done: false
        });
        vm.prank(stranger);
        ledger.finalise(order, 0);
        assertEq(freeOf(buyer.addr), 1_000e6 - FEE - 20e6, "buyer");
        assertEq(ledger.account(provider.addr).openLeases, 0, "open leases");
        assertState(lease, LeaseState.Closed);
    }

    function test_EndsByItsDuration() public {
        uint40 end = uint40(block.timestamp + DURATION);
        vm.warp(end - 1);
        expectNotClosing(LeaseState.Open);
        vm.warp(end);
        assertState(lease, LeaseState.Closing);
        expectTooEarly(end + NOTICE);
        vm.warp(end + NOTICE - 1);
        expectTooEarly(end + NOTICE);

        vm.warp(end + NOTICE);
        ledger.finalise(order, 0);
        Lease memory stored = ledger.lease(lease);
        assertEq(uint8(stored.state), uint8(LeaseState.Closed), "state");
        assertEq(uint8(stored.reason), uint8(EndReason.Expired), "reason");
        assertTrue(stored.done, "done");
        assertEq(freeOf(buyer.addr), 1_000e6 - FEE, "buyer");
    }

    function test_RevertWhen_WrongOrder() public {
        order.salt += 1;
        bytes32 wrong = leaseOf(order, 0);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongOrder.selector, wrong));
        ledger.finalise(order, 0);
    }

    function test_RevertWhen_Closed() public {
        vm.warp(block.timestamp + DURATION + NOTICE);
        ledger.finalise(order, 0);
        expectNotClosing(LeaseState.Closed);
        assertEq(freeOf(buyer.addr), 1_000e6 - FEE, "refunded once");
    }

    /* THE MINIMUM CHARGE */

    function test_EarlyEndsAreToppedUp() public {
        EndReason[2] memory reasons = [EndReason.Faulty, EndReason.Cancelled];
        uint48[4] memory vouchers = [0, MIN_CHARGE - 1, MIN_CHARGE, MIN_CHARGE + 1];
        for (uint256 i; i < 8; ++i) {
            bonded();
            uint48 voucher = vouchers[i / 2];
            redeem(aVoucher(lease, voucher, false));
            closeAs(buyer.addr, order, reasons[i % 2]);
            uint48 paid = voucher < MIN_CHARGE ? MIN_CHARGE : voucher;
            expectEnd(NOTICE, reasons[i % 2], paid, 0);
        }
    }

    function test_AbsentProviderPaysTheMinimumChargeInstead() public {
        uint48[3] memory vouchers = [0, MIN_CHARGE - 1, LOCK];
        for (uint256 i; i < 3; ++i) {
            bonded();
            redeem(aVoucher(lease, vouchers[i], false));
            closeAs(matcher, order, EndReason.Unresponsive);
            expectEnd(NOTICE, EndReason.Unresponsive, vouchers[i], MIN_CHARGE);
        }
    }

    function test_AbsentProviderPaysAtMostItsBond() public {
        order = aBondedOrder();
        order.minCharge = BOND;
        lease = openBonded(order);
        closeAs(matcher, order, EndReason.Unresponsive);
        expectEnd(NOTICE, EndReason.Unresponsive, 0, BOND);
    }

    function test_ProviderThatAnsweredIsToppedUp() public {
        bonded();
        closeAs(matcher, order, EndReason.Unresponsive);
        vm.prank(provider.addr);
        ledger.acknowledge(lease);
        expectEnd(NOTICE, EndReason.Unresponsive, MIN_CHARGE, 0);
    }

    function test_ProviderThatClaimedIsToppedUp() public {
        bonded();
        closeAs(matcher, order, EndReason.Unresponsive);
        claimAs(provider, order, 0, aClaim(1));
        expectEnd(WINDOW, EndReason.Unresponsive, MIN_CHARGE, 0);
    }

    function test_ClaimAboveTheMinimumIsNotToppedUp() public {
        bonded();
        closeAs(matcher, order, EndReason.Faulty);
        claimAs(provider, order, 0, aClaim(120e12));
        expectEnd(WINDOW, EndReason.Faulty, 6e6, 0);
    }

    function test_NobodyOwesAnythingOtherwise() public {
        bonded();
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        expectEnd(NOTICE, EndReason.Resigned, 0, 0);
        bonded();
        claimAs(provider, order, 0, aClaim(1));
        expectEnd(WINDOW, EndReason.Claimed, 0, 0);
        bonded();
        expectEnd(DURATION + NOTICE, EndReason.Expired, 0, 0);
    }

    /* CLAIMED */

    function test_AStandingClaimIsPaid() public {
        bonded();
        claimAs(provider, order, 0, aClaim(240e12));
        uint40 deadline = uint40(block.timestamp + WINDOW);
        vm.warp(deadline - 1);
        expectTooEarly(deadline);
        vm.warp(deadline);
        vm.prank(stranger);
        ledger.finalise(order, 0);
        assertLease(lease, LeaseState.Closed, EndReason.Claimed, true, 12e6);
        assertMoney(provider.addr, 10 * BOND + 12e6, 0);
    }

    function test_VouchersRedeemedSinceAreNetted() public {
        bonded();
        claimAs(provider, order, 0, aClaim(240e12));
        redeem(aVoucher(lease, 5e6, false));
        expectEnd(WINDOW, EndReason.Claimed, 12e6, 0);
        bonded();
        claimAs(provider, order, 0, aClaim(240e12));
        redeem(aVoucher(lease, 30e6, false));
        expectEnd(WINDOW, EndReason.Claimed, 30e6, 0);
    }

    /* DISPUTED */

    function test_ASilentArbiterReturnsBothBonds() public {
        bonded();
        redeem(aVoucher(lease, 2e6, false));
        claimAs(provider, order, 0, aClaim(240e12));
        challengeAs(buyer.addr, order, 0);
        redeem(aVoucher(lease, 3e6, false));
        uint64 free = freeOf(buyer.addr);
        uint40 deadline = uint40(block.timestamp + 14 days);
        vm.warp(deadline - 1);
        expectTooEarly(deadline);
        vm.warp(deadline);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.DisputeLapsed(lease, buyer.addr, BOND);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseClosed({
            lease: lease,
            buyer: buyer.addr,
            provider: provider.addr,
            reason: EndReason.Claimed,
            paid: 3e6,
            refunded: LOCK - 3e6,
            penalty: 0,
            returned: BOND,
            done: true
        });
        vm.prank(stranger);
        ledger.finalise(order, 0);
        assertMoney(provider.addr, 10 * BOND + 3e6, 0);
        assertMoney(buyer.addr, free + BOND + LOCK - 3e6, 0);
    }

    function test_ALapsedDisputeOfTheVoucherSigners() public {
        bonded();
        fund(voucherSigner.addr, BOND);
        challengeReceiptAs(voucherSigner.addr, order, 0, aReceipt(lease), provider);
        expectEnd(14 days, EndReason.Faulty, MIN_CHARGE, 0);
        assertMoney(voucherSigner.addr, BOND, 0);
    }

    function test_ALapsedDisputeTakesNobodyToBeAway() public {
        bonded();
        closeAs(matcher, order, EndReason.Unresponsive);
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);
        expectEnd(14 days, EndReason.Unresponsive, MIN_CHARGE, 0);
    }

    /* CASES */

    function bonded() private {
        order = aBondedOrder();
        order.salt = uint256(lease);
        order.expiry = type(uint40).max;
        if (freeOf(buyer.addr) < 100e6) fund(buyer.addr, 500e6);
        Offer memory offer = aBondedOffer();
        vm.startPrank(provider.addr);
        if (freeOf(provider.addr) != 0) ledger.withdraw(provider.addr, provider.addr, freeOf(provider.addr));
        vm.stopPrank();
        fund(provider.addr, 10 * BOND);
        lease = openWith(offer, provider, order, 0);
    }

    /// Finalises `time` from now; the provider has then paid, and ten bonds less the penalty, of which nothing is locked.
    function expectEnd(uint256 time, EndReason reason, uint48 paid, uint48 penalty) private {
        uint64 before = freeOf(buyer.addr) + ledger.account(buyer.addr).bonded;
        uint48 already = ledger.lease(lease).paid;
        vm.warp(block.timestamp + time);
        ledger.finalise(order, 0);
        assertEq(ledger.lease(lease).paid, paid, "paid");
        assertEq(uint8(ledger.lease(lease).reason), uint8(reason), "reason");
        assertState(lease, LeaseState.Closed);
        assertMoney(provider.addr, 10 * BOND + paid - penalty, 0);
        assertMoney(buyer.addr, before + LOCK - paid + penalty, 0);
        assertGe(paid, already, "never falls");
    }

    function expectTooEarly(uint40 deadline) private {
        expectDeadlineNotReached(deadline);
        ledger.finalise(order, 0);
    }

    function expectNotClosing(LeaseState state) private {
        expectWrongState(lease, state);
        ledger.finalise(order, 0);
    }
}
