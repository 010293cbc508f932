// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EndReason, LastVoucher, LeaseState, Match, Order, SignedOffer} from "../../src/interfaces/LedgerTypes.sol";
import {HeadReplay} from "../support/HeadReplay.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract HeadTest is LedgerTest {
    using HeadReplay for HeadReplay.State;

    HeadReplay.State private replayed;

    function setUp() public override {
        vm.recordLogs();
        super.setUp();
    }

    function test_IsInSlotZero() public view {
        (uint208 hash, uint48 count) = ledger.head();
        assertEq(count, 1, "the deposit");
        assertEq(uint256(vm.load(address(ledger), 0)), uint256(count) << 208 | hash, "slot 0");
    }

    function test_AdvancesWithEveryEvent() public {
        expectHead(1);
        vm.roll(500);
        vm.warp(block.timestamp + 12);

        Order memory order = anOrder();
        open(order, 0);
        expectHead(2);

        vm.roll(501);
        vm.startPrank(buyer.addr);
        ledger.approveDelegate({key: delegateKey.addr, cap: 500e6, until: type(uint40).max});
        ledger.cancel("digest");
        ledger.withdraw(buyer.addr, buyer.addr, 1);
        vm.stopPrank();
        expectHead(5);

        // A delegate's order gives two events in one call, a good last voucher two more.
        order.salt += 1;
        openAs(matcher, anOffer(), provider, matchOf(order, delegateKey, 0));
        expectHead(7);
        redeem(aVoucher(leaseOf(order, 0), 1e6, false));
        LastVoucher memory item = aLastVoucher(order, 0, 2e6);
        vm.prank(provider.addr);
        closeLast(item);
        expectHead(10);

        order.salt -= 1;
        vm.startPrank(buyer.addr);
        ledger.bumpEpoch();
        ledger.close(order, 0, EndReason.Cancelled);
        vm.stopPrank();
        expectHead(12);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        expectHead(13);
    }

    function test_AdvancesWithTheSlowPath() public {
        fund(provider.addr, 10 * BOND);
        expectHead(2);
        Order memory order = aBondedOrder();
        bytes32 lease = openBonded(order);
        closeAs(matcher, order, EndReason.Unresponsive);
        vm.startPrank(provider.addr);
        ledger.acknowledge(lease);
        ledger.setBeneficiary(provider.addr, stranger);
        vm.stopPrank();
        expectHead(6);
        commitAs(provider, order, 0, "salt");
        expectHead(7);
        vm.roll(600);
        vm.warp(block.timestamp + WINDOW / 2);
        revealAs(provider, order, 0, aClaim(400e12), "salt");
        challengeAs(buyer.addr, order, 0);
        expectHead(9);
        vm.warp(block.timestamp + 1);
        // The ruling and the end are two events.
        ruleAs(arbiter, order, true, [uint48(20e6), 1e6, 1e6]);
        expectHead(11);

        order.salt += 1;
        lease = openBonded(order);
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);
        expectHead(14);
        vm.warp(block.timestamp + ARBITER_TIME);
        ledger.finalise(order, 0);
        expectHead(16);
        ledger.open(new SignedOffer[](0), new Match[](0), "root");
        expectHead(17);
        // What is no event, and what reverts, leaves it.
        ledger.open(new SignedOffer[](0), new Match[](0), 0);
        expectWrongState(lease, LeaseState.Closed);
        ledger.finalise(order, 0);
        expectHead(17);
    }

    function test_AdvancesWithinABatch() public {
        expectHead(1);
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = signed(anOffer(), provider);
        Match[] memory matches = new Match[](4);
        for (uint256 i; i < 4; ++i) {
            Order memory order = anOrder();
            order.salt = i;
            matches[i] = matchOf(order, i == 2 ? provider : buyer, 0);
        }
        vm.prank(matcher);
        assertEq(ledger.open(offers, matches, 0), 3, "opened");
        expectHead(4);
    }

    function expectHead(uint48 count) private {
        HeadReplay.State memory state = replayed;
        state.advance(vm.getRecordedLogs(), address(ledger));
        replayed = state;
        (uint208 hash, uint48 count_) = ledger.head();
        assertEq(count_, count, "count");
        assertEq(state.count, count, "replayed count");
        assertEq(state.hash, hash, "replayed hash");
    }
}
