// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {EndReason, Lease, LeaseState, Order} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract AcknowledgeTest is LedgerTest {
    Order private order;
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        order = aBondedOrder();
        lease = openBonded(order);
    }

    function test_NotesThatTheProviderResponded() public {
        closeAs(matcher, order, EndReason.Unresponsive);
        Lease memory expected = ledger.lease(lease);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseAcknowledged(lease, provider.addr);
        acknowledge();
        expected.responded = true;
        assertEq(abi.encode(ledger.lease(lease)), abi.encode(expected), "lease");
        // Once more changes nothing.
        acknowledge();
        assertEq(abi.encode(ledger.lease(lease)), abi.encode(expected), "again");
    }

    function test_SavesTheBond() public {
        closeAs(matcher, order, EndReason.Unresponsive);
        acknowledge();
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        assertMoney(provider.addr, 10 * BOND + MIN_CHARGE, 0);
        assertMoney(buyer.addr, 1_000e6 - FEE - MIN_CHARGE, 0);
    }

    function test_RevertWhen_NotProvider() public {
        closeAs(matcher, order, EndReason.Unresponsive);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotProvider.selector, provider.addr, matcher)
        );
        vm.prank(matcher);
        ledger.acknowledge(lease);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotProvider.selector, address(0), provider.addr)
        );
        vm.prank(provider.addr);
        ledger.acknowledge("unknown");
    }

    function test_RevertWhen_NotClosing() public {
        expectRefused(LeaseState.Open);
        uint256 end = block.timestamp + DURATION;
        vm.warp(end);
        // As stored: it ended without a close.
        expectRefused(LeaseState.Open);
        vm.warp(end - 1);
        closeAs(matcher, order, EndReason.Unresponsive);
        claimAs(provider, order, 0, aClaim(1));
        expectRefused(LeaseState.Claimed);
        challengeAs(buyer.addr, order, 0);
        expectRefused(LeaseState.Disputed);
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        expectRefused(LeaseState.Closed);
    }

    function test_RevertWhen_TooLate() public {
        closeAs(matcher, order, EndReason.Unresponsive);
        uint256 deadline = block.timestamp + NOTICE;
        for (uint256 i; i < 2; ++i) {
            vm.warp(deadline + i);
            expectDeadlinePassed(deadline);
            acknowledge();
        }
        vm.warp(deadline - 1);
        acknowledge();
        assertTrue(ledger.lease(lease).responded, "a second before");
    }

    function expectRefused(LeaseState state) private {
        expectWrongState(lease, state);
        acknowledge();
    }

    function acknowledge() private {
        vm.prank(provider.addr);
        ledger.acknowledge(lease);
    }
}
