// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ClaimTerms, EndReason, LeaseState, Match, Offer, Order, Skip} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract OpenLanesTest is LedgerTest {
    Order private order;

    /// Two lanes: fills 0, 2, 4 and fills 1, 3.
    function setUp() public override {
        super.setUp();
        fund(provider.addr, 500e6);
        order = aBondedOrder();
        order.replicas = 2;
        order.maxLeases = 5;
        order.zones = 0;
    }

    /* LANES */

    function test_ReplicasOpenOnceInAnyOrder() public {
        openFill(1);
        expectRefused(1, Skip.AlreadyOpen);
        openFill(0);
        expectRefused(0, Skip.AlreadyOpen);
        assertMoney(provider.addr, 500e6 - 2 * BOND, 2 * BOND);
        assertEq(freeOf(buyer.addr), 1_000e6 - 2 * LOCK - 2 * FEE, "buyer");
        assertEq(ledger.account(provider.addr).openLeases, 2, "open leases");
    }

    function test_SkipWhen_ReplicaNotSigned() public {
        openFill(0);
        Match memory match_ = matchOf(order, buyer, 1);
        match_.signature = "";
        expectSkipped(anyOffer(), provider, match_, Skip.OrderSignature);
    }

    function test_SkipWhen_FillOutOfRange() public {
        expectRefused(5, Skip.FillOutOfRange);
        expectRefused(255, Skip.FillOutOfRange);
    }

    function test_SkipWhen_NoPredecessor() public {
        expectRefused(2, Skip.NoPredecessor);
        openFill(1);
        expectRefused(2, Skip.NoPredecessor);
        openFill(0);
        closeFill(0, EndReason.Faulty);
        expectRefused(4, Skip.NoPredecessor);
        openFill(2);
    }

    function test_SkipWhen_PredecessorOpen() public {
        openFill(0);
        openFill(1);
        closeFill(1, EndReason.Faulty);
        expectRefused(2, Skip.PredecessorOpen);
        openFill(3);
    }

    function test_SkipWhen_LaneDone_AndTheOtherGoesOn() public {
        openFill(0);
        openFill(1);
        closeFill(0, EndReason.Cancelled);
        closeFill(1, EndReason.Faulty);
        expectRefused(2, Skip.LaneDone);
        openFill(3);
    }

    function test_SkipWhen_LaneDoneByALastClaim() public {
        order.replicas = 1;
        openFill(0);
        claimAs(provider, order, 0, aClaim(400e12));
        expectRefused(1, Skip.LaneDone);
        // Nor does the challenge reopen it, before the ruling.
        challengeAs(buyer.addr, order, 0);
        expectRefused(1, Skip.LaneDone);
        ruleAs(arbiter, order, false, [uint48(0), 0, 0]);
        openFill(1);
    }

    function test_SkipWhen_ALastClaimStands() public {
        order.replicas = 1;
        openFill(0);
        claimAs(provider, order, 0, aClaim(400e12));
        vm.warp(block.timestamp + WINDOW);
        ledger.finalise(order, 0);
        expectRefused(1, Skip.LaneDone);
    }

    function test_OpensAfterAClaimThatIsNotTheLast() public {
        order.replicas = 1;
        openFill(0);
        ClaimTerms memory terms = aClaim(400e12);
        terms.last = false;
        claimAs(provider, order, 0, terms);
        openFill(1);
    }

    function test_OpensBesideACommitment() public {
        openFill(0);
        commitAs(provider, order, 0, "salt");
        openFill(2);
    }

    /* BUDGET */

    function test_LanesHaveTheirOwnBudgets() public {
        openFill(0);
        openFill(1);
        closeFill(0, EndReason.Faulty);
        openFill(2);
        assertEq(ledger.lease(leaseOf(order, 2)).locked, BUDGET - LOCK, "lane 0");
        closeFill(1, EndReason.Faulty);
        redeem(aVoucher(leaseOf(order, 1), 10e6, false));
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 1);
        openFill(3);
        assertEq(ledger.lease(leaseOf(order, 3)).locked, LOCK, "lane 1 paid 10 of 80");
    }

    function test_SkipWhen_TheLaneHasNothingLeft() public {
        order.budget = LOCK;
        openFill(0);
        openFill(1);
        closeFill(0, EndReason.Faulty);
        expectRefused(2, Skip.NothingToLock);
    }

    function test_SkipWhen_LessThanTheMinimumChargeIsLeft() public {
        order.budget = LOCK + MIN_CHARGE - 1;
        openFill(0);
        closeFill(0, EndReason.Faulty);
        expectRefused(2, Skip.MinCharge);

        order.budget += 1;
        openFill(0);
        closeFill(0, EndReason.Faulty);
        openFill(2);
        assertEq(ledger.lease(leaseOf(order, 2)).locked, MIN_CHARGE, "all that is left");
    }

    /// The earlier fills are read only where the budget might be short at the highest rate; both ways give the same lock.
    function test_BudgetWithRoomForAllLocksTheSame() public {
        order.maxRate = RATE;
        for (uint48 i; i < 3; ++i) {
            order.budget = 3 * LOCK - 1 + i;
            openFill(0);
            closeFill(0, EndReason.Faulty);
            openFill(2);
            closeFill(2, EndReason.Faulty);
            openFill(4);
            assertEq(ledger.lease(leaseOf(order, 4)).locked, i == 0 ? LOCK - 1 : LOCK, "lock");
        }
    }

    /* DELEGATES */

    function test_DelegateIsChargedForEachLane() public {
        uint64 first = uint64(BUDGET) + 3 * uint64(FEE);
        uint64 second = uint64(BUDGET) + 2 * uint64(FEE);
        approve(first + second);
        assertEq(openAs(matcher, anyOffer(), provider, matchOf(order, delegateKey, 0)), 1, "lane 0");
        assertEq(ledger.delegate(buyer.addr, delegateKey.addr).remaining, second, "after lane 0");
        assertEq(openAs(matcher, anyOffer(), provider, matchOf(order, delegateKey, 1)), 1, "lane 1");
        assertEq(ledger.delegate(buyer.addr, delegateKey.addr).remaining, 0, "after lane 1");
        closeFill(0, EndReason.Faulty);
        assertEq(openAs(matcher, anyOffer(), provider, matchOf(order, delegateKey, 2)), 1, "later fill");
    }

    function test_SkipWhen_TheCapCoversOneLaneOnly() public {
        approve(2 * uint64(BUDGET) + 5 * uint64(FEE) - 1);
        assertEq(openAs(matcher, anyOffer(), provider, matchOf(order, delegateKey, 0)), 1, "lane 0");
        expectSkipped(anyOffer(), provider, matchOf(order, delegateKey, 1), Skip.DelegateCap);
        // The buyer itself still may.
        openFill(1);
    }

    function test_SixteenReplicas() public {
        (order.replicas, order.maxLeases) = (16, 16);
        (order.quantity, order.budget) = (1e8, 5e6);
        for (uint8 fill; fill < 16; ++fill) {
            openFill(15 - fill);
        }
        assertEq(ledger.account(provider.addr).openLeases, 16, "open leases");
        assertMoney(provider.addr, 500e6 - 16 * BOND, 16 * BOND);
        expectRefused(16, Skip.FillOutOfRange);
    }

    /* ZONES */

    function test_SkipWhen_AnotherLaneIsInTheZone() public {
        order.distinctZones = true;
        openIn(0, 7);
        expectZoneTaken(1, 7);
        closeFill(0, EndReason.Faulty);
        expectZoneTaken(1, 7);
        commitAs(provider, order, 0, "salt");
        expectZoneTaken(1, 7);
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(leaseOf(order, 0)), provider);
        expectZoneTaken(1, 7);
        vm.prank(arbiter);
        ledger.rule(order, 0, false, 0, 0, 0);
        assertState(leaseOf(order, 0), LeaseState.Closed);
        openIn(1, 7);
    }

    function test_ClosedLaneFreesItsZone() public {
        order.distinctZones = true;
        openIn(0, 7);
        closeFill(0, EndReason.Faulty);
        vm.warp(block.timestamp + NOTICE);
        expectZoneTaken(1, 7);
        ledger.finalise(order, 0);
        openIn(1, 7);
    }

    function test_OtherZonesAreFree() public {
        order.distinctZones = true;
        openIn(0, 7);
        openIn(1, 8);
        closeFill(0, EndReason.Faulty);
        expectZoneTaken(2, 7);
        expectZoneTaken(2, 8);
        openIn(2, 9);
    }

    function test_SkipWhen_ThePredecessorWasInTheZone() public {
        order.distinctZones = true;
        openIn(0, 7);
        closeFill(0, EndReason.Faulty);
        expectZoneTaken(2, 7);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        expectZoneTaken(2, 7);
    }

    function test_AnEarlierFillOfTheLaneCountsUntilItIsClosed() public {
        order.distinctZones = true;
        order.budget = 3 * LOCK;
        openIn(0, 7);
        closeFill(0, EndReason.Faulty);
        openIn(2, 8);
        closeFill(2, EndReason.Faulty);
        expectZoneTaken(4, 7);
        vm.warp(block.timestamp + NOTICE);
        expectZoneTaken(4, 7);
        ledger.finalise(order, 0);
        openIn(4, 7);
    }

    function test_ZonesMayRepeatWithoutDistinctZones() public {
        openIn(0, 7);
        openIn(1, 7);
        closeFill(0, EndReason.Faulty);
        openIn(2, 7);
    }

    function test_SkipWhen_TheZoneIsUndeclared() public {
        order.distinctZones = true;
        expectSkipped(offerIn(0), provider, matchOf(order, buyer, 0), Skip.Zone);
        order.distinctZones = false;
        openIn(0, 0);
    }

    /* CASES */

    function anyOffer() private view returns (Offer memory offer) {
        offer = aBondedOffer();
        offer.capacity = 100;
    }

    function offerIn(uint8 zone) private view returns (Offer memory offer) {
        offer = anyOffer();
        offer.zone = zone;
    }

    function openFill(uint8 fill) private {
        openWith(anyOffer(), provider, order, fill);
    }

    function openIn(uint8 fill, uint8 zone) private {
        openWith(offerIn(zone), provider, order, fill);
    }

    function closeFill(uint8 fill, EndReason reason) private {
        vm.prank(buyer.addr);
        ledger.close(order, fill, reason);
    }

    function expectRefused(uint8 fill, Skip reason) private {
        expectSkipped(anyOffer(), provider, matchOf(order, buyer, fill), reason);
    }

    function expectZoneTaken(uint8 fill, uint8 zone) private {
        expectSkipped(offerIn(zone), provider, matchOf(order, buyer, fill), Skip.ZoneTaken);
    }

    function approve(uint64 cap) private {
        vm.prank(buyer.addr);
        ledger.approveDelegate({key: delegateKey.addr, cap: cap, until: type(uint40).max});
    }
}
