// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {Match, Offer, Order, SignedOffer, Skip} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract OpenTermsTest is LedgerTest {
    Offer private offer;
    Order private order;

    function setUp() public override {
        super.setUp();
        fund(provider.addr, 1_000e6);
        offer = aBondedOffer();
        offer.capacity = 100;
        order = aBondedOrder();
    }

    /* THE ORDER ALONE */

    function test_SkipWhen_ReplicasDoNotFit() public {
        order.replicas = 0;
        expectRefused(Skip.Limits);
        order.replicas = 4;
        expectRefused(Skip.Limits);
        order.replicas = 3;
        expectOpens();
        (order.replicas, order.maxLeases) = (1, 17);
        expectRefused(Skip.Limits);
        order.maxLeases = 16;
        expectOpens();
        (order.replicas, order.maxLeases) = (255, 255);
        expectRefused(Skip.Limits);
        (order.replicas, order.maxLeases) = (0, 0);
        expectRefused(Skip.Limits);
    }

    function test_SkipWhen_QuorumIsNoMajority() public {
        order.maxLeases = 8;
        for (uint8 replicas = 1; replicas <= 8; ++replicas) {
            order.replicas = replicas;
            for (uint8 quorum; quorum <= 9; ++quorum) {
                order.quorum = quorum;
                bool good = quorum == 0 || (2 * quorum > replicas && quorum <= replicas);
                if (good) expectOpens();
                else expectRefused(Skip.Limits);
            }
        }
        order.quorum = 255;
        expectRefused(Skip.Limits);
    }

    function test_SkipWhen_AttestedWithoutAuditor() public {
        order.attested = 1;
        expectRefused(Skip.Limits);
        order.auditor = auditor.addr;
        expectRefused(Skip.Attestation);
    }

    function test_SkipWhen_TheWindowIsOutOfItsBounds() public {
        order.challengeWindow = MIN_NOTICE - 1;
        expectRefused(Skip.Limits);
        order.challengeWindow = 30 days + 1;
        expectRefused(Skip.Limits);
        order.challengeWindow = 0;
        expectRefused(Skip.Limits);
        order.challengeWindow = type(uint32).max;
        expectRefused(Skip.Limits);
        order.challengeWindow = MIN_NOTICE;
        expectOpens();
        order.challengeWindow = 30 days;
        expectOpens();
    }

    function test_SkipWhen_DisputeTermsWithoutArbiter() public {
        (order.arbiter, offer.arbiter) = (address(0), address(0));
        expectRefused(Skip.Limits);
        (order.challengeWindow, order.quorum) = (0, 1);
        expectRefused(Skip.Limits);
        order.quorum = 0;
        expectOpens();
    }

    /* THE OTHER SIDE */

    function test_SkipWhen_TheArbitersDiffer() public {
        offer.arbiter = stranger;
        expectRefused(Skip.Arbiter);
        offer.arbiter = address(0);
        expectRefused(Skip.Arbiter);
        offer.arbiter = arbiter;
        (order.arbiter, order.challengeWindow) = (address(0), 0);
        expectRefused(Skip.Arbiter);
    }

    function test_SkipWhen_TheBondIsMoreThanOffered() public {
        order.bond = offer.bond + 1;
        expectRefused(Skip.Bond);
        order.bond = type(uint48).max;
        expectRefused(Skip.Bond);
        order.bond = offer.bond;
        expectOpens();
    }

    function test_LocksTheOrdersBond() public {
        offer.bond = 3 * BOND;
        expectOpens();
        assertMoney(provider.addr, 1_000e6 - BOND, BOND);
    }

    function test_SkipWhen_TheMinimumChargeDoesNotFit() public {
        order.minCharge = offer.minCharge - 1;
        expectRefused(Skip.MinCharge);
        order.minCharge = order.bond + 1;
        expectRefused(Skip.MinCharge);
        order.minCharge = order.bond;
        expectOpens();
        order.minCharge = offer.minCharge;
        expectOpens();
        order.bond = 0;
        expectRefused(Skip.MinCharge);
    }

    function test_SkipWhen_TheMinimumChargeIsMoreThanTheLock() public {
        // 100 metered units cost 5 base units.
        (order.minCharge, offer.minCharge) = (5, 0);
        order.quantity = 80;
        expectRefused(Skip.MinCharge);
        order.quantity = 81;
        expectOpens();
        order.quantity = QUANTITY;
        order.budget = 4;
        expectRefused(Skip.MinCharge);
        order.budget = 5;
        expectOpens();
    }

    function test_SkipWhen_TheProviderCannotStake() public {
        vm.prank(provider.addr);
        ledger.withdraw(provider.addr, provider.addr, 1_000e6 - BOND + 1);
        expectRefused(Skip.ProviderFunds);
        fund(provider.addr, 1);
        expectOpens();
        assertMoney(provider.addr, 0, BOND);
    }

    function test_SkipWhen_OneAccountCannotDoBoth() public {
        vm.prank(provider.addr);
        ledger.withdraw(provider.addr, provider.addr, 1_000e6 - LOCK - FEE - BOND + 1);
        order.buyer = provider.addr;
        expectSkipped(offer, provider, matchOf(order, provider, 0), Skip.ProviderFunds);
        fund(provider.addr, 1);
        assertEq(openAs(matcher, offer, provider, matchOf(order, provider, 0)), 1, "opened");
        assertMoney(provider.addr, 0, BOND);
    }

    function test_SkipWhen_BuyerFundsComeFirst() public {
        order.buyer = provider.addr;
        vm.prank(provider.addr);
        ledger.withdraw(provider.addr, provider.addr, 1_000e6 - LOCK - FEE + 1);
        expectSkipped(offer, provider, matchOf(order, provider, 0), Skip.BuyerFunds);
    }

    /* WHO */

    function test_DeputyOpensBeforeMatcherUntil() public {
        Match memory match_ = matchOf(order, buyer, 0);
        assertEq(openAs(stranger, offer, provider, match_), 0, "stranger");
        assertEq(openAs(deputy, offer, provider, match_), 1, "deputy");
        assertEq(freeOf(deputy), FEE, "fee");
    }

    function test_AnyoneOpensWithoutMatcherThoughThereIsADeputy() public {
        order.matcher = address(0);
        assertEq(openAs(stranger, offer, provider, matchOf(order, buyer, 0)), 1, "stranger");
    }

    function test_NobodyIsNotTheDeputy() public {
        order.deputy = address(0);
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = signed(offer, provider);
        Match[] memory matches = new Match[](1);
        matches[0] = matchOf(order, buyer, 0);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(leaseOf(order, 0), Skip.Matcher);
        vm.prank(stranger);
        assertEq(ledger.open(offers, matches, 0), 0, "stranger");
    }

    /* CASES */

    function expectRefused(Skip reason) private {
        order.salt += 1;
        expectSkipped(offer, provider, matchOf(order, buyer, 0), reason);
    }

    function expectOpens() private {
        order.salt += 1;
        if (freeOf(buyer.addr) < 100e6) fund(buyer.addr, 500e6);
        if (freeOf(provider.addr) < BOND) fund(provider.addr, 500e6);
        openWith(offer, provider, order, 0);
    }
}
