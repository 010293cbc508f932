// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {EndReason, Lease, LeaseState, Order} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract CloseTest is LedgerTest {
    Order private order;
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        order = anOrder();
        lease = open(order, 0);
    }

    function test_StartsTheNotice() public {
        uint40 deadline = uint40(block.timestamp + NOTICE);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseClosing({
            lease: lease, by: matcher, reason: EndReason.Unresponsive, deadline: deadline, done: false
        });
        vm.prank(matcher);
        ledger.close(order, 0, EndReason.Unresponsive);

        Lease memory stored = ledger.lease(lease);
        assertEq(uint8(stored.state), uint8(LeaseState.Closing), "state");
        assertEq(uint8(stored.reason), uint8(EndReason.Unresponsive), "reason");
        assertEq(stored.deadline, deadline, "deadline");
        assertFalse(stored.done, "done");
        assertEq(stored.locked, LOCK, "locked");
        assertEq(ledger.account(provider.addr).openLeases, 1, "open leases");
    }

    function test_CancelledMarksTheLaneDone() public {
        vm.prank(voucherSigner.addr);
        ledger.close(order, 0, EndReason.Cancelled);
        assertTrue(ledger.lease(lease).done, "done");
        assertEq(uint8(ledger.lease(lease).reason), uint8(EndReason.Cancelled), "reason");
    }

    function test_BuyerMayGiveAnyOfItsReasons() public {
        vm.prank(buyer.addr);
        ledger.close(order, 0, EndReason.Faulty);
        assertFalse(ledger.lease(lease).done, "done");
    }

    function test_RevertWhen_WrongOrder() public {
        order.salt += 1;
        bytes32 wrong = leaseOf(order, 0);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongOrder.selector, wrong));
        vm.prank(buyer.addr);
        ledger.close(order, 0, EndReason.Cancelled);
    }

    function test_RevertWhen_NotBuyerSide() public {
        address[2] memory others = [provider.addr, stranger];
        for (uint256 i; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotBuyerSide.selector, others[i]));
            vm.prank(others[i]);
            ledger.close(order, 0, EndReason.Unresponsive);
        }
    }

    function test_RevertWhen_ReasonNotAllowed() public {
        EndReason[4] memory reasons = [EndReason.None, EndReason.Completed, EndReason.Resigned, EndReason.Expired];
        for (uint256 i; i < reasons.length; ++i) {
            expectReasonRefused(buyer.addr, reasons[i]);
        }
    }

    function test_RevertWhen_MatcherCancels() public {
        expectReasonRefused(matcher, EndReason.Cancelled);
    }

    function test_RevertWhen_NotOpen() public {
        vm.prank(buyer.addr);
        ledger.close(order, 0, EndReason.Faulty);
        expectNotOpen(LeaseState.Closing);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        expectNotOpen(LeaseState.Closed);
    }

    function test_RevertWhen_PastItsDuration() public {
        uint256 end = block.timestamp + DURATION;
        vm.warp(end);
        expectNotOpen(LeaseState.Closing);
        vm.warp(end - 1);
        vm.prank(buyer.addr);
        ledger.close(order, 0, EndReason.Cancelled);
    }

    function expectReasonRefused(address caller, EndReason reason) private {
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_ReasonNotAllowed.selector, caller, reason));
        vm.prank(caller);
        ledger.close(order, 0, reason);
    }

    function expectNotOpen(LeaseState state) private {
        expectWrongState(lease, state);
        vm.prank(buyer.addr);
        ledger.close(order, 0, EndReason.Cancelled);
    }
}
