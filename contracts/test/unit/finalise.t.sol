// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {EndReason, Lease, LeaseState, Order} from "../../src/interfaces/LedgerTypes.sol";
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

    function expectTooEarly(uint40 deadline) private {
        expectDeadlineNotReached(deadline);
        ledger.finalise(order, 0);
    }

    function expectNotClosing(LeaseState state) private {
        expectWrongState(lease, state);
        ledger.finalise(order, 0);
    }
}
