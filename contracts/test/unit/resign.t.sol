// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {EndReason, Lease, LeaseState, Order} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract ResignTest is LedgerTest {
    Order private order;
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        order = aBondedOrder();
        lease = openBonded(order);
    }

    function test_StartsTheNotice() public {
        uint40 deadline = uint40(block.timestamp + NOTICE);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseClosing({
            lease: lease, by: provider.addr, reason: EndReason.Resigned, deadline: deadline, done: false
        });
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        Lease memory stored = ledger.lease(lease);
        assertEq(uint8(stored.state), uint8(LeaseState.Closing), "state");
        assertEq(uint8(stored.reason), uint8(EndReason.Resigned), "reason");
        assertEq(stored.deadline, deadline, "deadline");
        assertFalse(stored.done || stored.early || stored.responded, "flags");
    }

    function test_CostsNeitherSideTheMinimumCharge() public {
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        redeem(aVoucher(lease, 1e6, false));
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        assertLease(lease, LeaseState.Closed, EndReason.Resigned, false, 1e6);
        assertMoney(provider.addr, 10 * BOND + 1e6, 0);
        assertMoney(buyer.addr, 1_000e6 - FEE - 1e6, 0);
    }

    function test_TheLaneGoesOn() public {
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        openWith(aBondedOffer(), provider, order, 1);
    }

    function test_RevertWhen_WrongOrder() public {
        order.salt += 1;
        bytes32 wrong = leaseOf(order, 0);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongOrder.selector, wrong));
        vm.prank(provider.addr);
        ledger.resign(order, 0);
    }

    function test_RevertWhen_NotProvider() public {
        address[3] memory others = [buyer.addr, matcher, stranger];
        for (uint256 i; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotProvider.selector, provider.addr, others[i])
            );
            vm.prank(others[i]);
            ledger.resign(order, 0);
        }
    }

    function test_RevertWhen_Ended() public {
        uint256 end = block.timestamp + DURATION;
        vm.warp(end);
        expectRefused(LeaseState.Closing);
        vm.warp(end - 1);
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        expectRefused(LeaseState.Closing);
        claimAs(provider, order, 0, aClaim(1));
        expectRefused(LeaseState.Claimed);
        challengeAs(buyer.addr, order, 0);
        expectRefused(LeaseState.Disputed);
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        expectRefused(LeaseState.Closed);
    }

    function expectRefused(LeaseState state) private {
        expectWrongState(lease, state);
        vm.prank(provider.addr);
        ledger.resign(order, 0);
    }
}
