// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Test.sol";

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {
    EndReason,
    Lease,
    LeaseState,
    Match,
    Offer,
    Order,
    SignedOffer,
    Skip
} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract OpenTest is LedgerTest {
    /* THE GOOD CASE */

    function test_LocksPaysTheFeeAndStoresTheLease() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        bytes32 id = leaseOf(order, 0);
        uint40 deadline = uint40(block.timestamp + DURATION);
        vm.recordLogs();
        assertEq(openAs(matcher, offer, provider, matchOf(order, buyer, 0)), 1, "opened");
        assertLeaseOpened({id: id, offer: offer, order: order, deadline: deadline});

        assertEq(freeOf(buyer.addr), 1_000e6 - LOCK - FEE, "buyer");
        assertEq(freeOf(matcher), FEE, "matcher");
        assertEq(ledger.account(provider.addr).openLeases, 1, "open leases");
        Lease memory lease = ledger.lease(id);
        assertEq(lease.provider, provider.addr, "provider");
        assertEq(lease.locked, LOCK, "locked");
        assertEq(lease.paid, 0, "paid");
        assertEq(lease.voucherSigner, voucherSigner.addr, "voucher signer");
        assertEq(lease.deadline, deadline, "deadline");
        assertEq(lease.rate, RATE, "rate");
        assertEq(lease.zone, 7, "zone");
        assertEq(uint8(lease.state), uint8(LeaseState.Open), "state");
        assertEq(uint8(lease.reason), uint8(EndReason.None), "reason");
        assertFalse(lease.done, "done");
    }

    function test_LockIsRoundedUpAndAtMostTheBudget() public {
        Order memory order = anOrder();
        order.quantity = 1;
        open(order, 0);
        assertEq(ledger.lease(leaseOf(order, 0)).locked, 1, "rounded up");

        order.quantity = type(uint64).max;
        open(order, 0);
        assertEq(ledger.lease(leaseOf(order, 0)).locked, BUDGET, "budget");
    }

    function test_BadItemsDoNotSinkTheBatch() public {
        SignedOffer[] memory offers = new SignedOffer[](2);
        offers[0] = signed(anOffer(), provider);
        offers[1] = signed(anOffer(), stranger_());
        Match[] memory matches = new Match[](4);
        Order memory order = anOrder();
        matches[0] = matchOf(order, provider, 0);
        matches[1] = matchOf(order, buyer, 0);
        matches[2] = matchOf(order, buyer, 0);
        matches[3] = matchOf(anOrder(), buyer, 0);
        matches[3].order.salt = 5;
        matches[3].offer = 1;
        bytes32 id = leaseOf(order, 0);

        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(id, Skip.OrderSignature);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(id, Skip.AlreadyOpen);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(leaseOf(matches[3].order, 0), Skip.OfferSignature);
        vm.prank(matcher);
        assertEq(ledger.open(offers, matches, 0), 1, "opened");
    }

    function test_OneAccountInEveryRole() public {
        Offer memory offer = anOffer();
        offer.provider = buyer.addr;
        Order memory order = anOrder();
        order.matcher = address(0);
        order.voucherSigner = buyer.addr;
        Match memory match_ = matchOf(order, buyer, 0);
        openAs(buyer.addr, offer, buyer, match_);

        assertEq(freeOf(buyer.addr), 1_000e6 - LOCK, "free: the fee came back");
        assertEq(ledger.account(buyer.addr).openLeases, 1, "open leases");

        vm.prank(buyer.addr);
        ledger.close(order, 0, EndReason.Cancelled);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        assertEq(freeOf(buyer.addr), 1_000e6, "all back");
        assertEq(ledger.account(buyer.addr).openLeases, 0, "none open");
    }

    /* THE CALL */

    function test_BookRootIsAnnouncedFirst() public {
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = signed(anOffer(), provider);
        Match[] memory matches = new Match[](1);
        matches[0] = matchOf(anOrder(), buyer, 0);
        vm.recordLogs();
        vm.prank(matcher);
        assertEq(ledger.open(offers, matches, "root"), 1, "opened");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 2, "logs");
        assertEq(logs[0].topics[0], IComputeLedger.Auction.selector, "first the auction");
        assertEq(logs[0].topics[1], bytes32(uint256(uint160(matcher))), "of the caller");
        assertEq(logs[0].data, abi.encode(bytes32("root")), "root");
        assertEq(logs[1].topics[0], IComputeLedger.LeaseOpened.selector, "then the lease");
    }

    function test_BookRootAloneIsAnnouncedToo() public {
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Auction(stranger, "root");
        vm.prank(stranger);
        assertEq(ledger.open(new SignedOffer[](0), new Match[](0), "root"), 0, "opened");
    }

    function test_SkipWhen_UnknownOffer() public {
        Match memory match_ = matchOf(anOrder(), buyer, 0);
        match_.offer = 1;
        expectSkipped(anOffer(), provider, match_, Skip.UnknownOffer);
    }

    function test_SkipWhen_AlreadyOpen() public {
        Order memory order = anOrder();
        Offer memory offer = anOffer();
        open(order, 0);
        expectSkipped(offer, order, Skip.AlreadyOpen);

        // Nor is it another reason once the lease is Closed and both messages have expired.
        vm.warp(offer.expiry);
        ledger.finalise(order, 0);
        expectSkipped(offer, order, Skip.AlreadyOpen);
    }

    /* THE OFFER */

    function test_SkipWhen_OfferExpired() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        offer.expiry = uint40(block.timestamp);
        expectSkipped(offer, order, Skip.OfferExpired);
        offer.expiry += 1;
        Match memory match_ = matchOf(order, buyer, 0);
        assertEq(openAs(matcher, offer, provider, match_), 1, "a second before");
    }

    function test_SkipWhen_OfferCancelled() public {
        Offer memory offer = anOffer();
        bytes32 digest = ledger.hashOffer(offer);
        vm.prank(provider.addr);
        ledger.cancel(digest);
        expectSkipped(offer, anOrder(), Skip.OfferCancelled);
    }

    function test_SkipWhen_OfferOfAnotherEpoch() public {
        Offer memory offer = anOffer();
        offer.epoch += 1;
        expectSkipped(offer, anOrder(), Skip.OfferEpoch);
        offer.epoch -= 1;
        vm.prank(provider.addr);
        ledger.bumpEpoch();
        expectSkipped(offer, anOrder(), Skip.OfferEpoch);
    }

    function test_SkipWhen_OfferNotSignedByItsProvider() public {
        expectSkipped(anOffer(), buyer, matchOf(anOrder(), buyer, 0), Skip.OfferSignature);
    }

    function test_SkipWhen_OfferOfNobody() public {
        // An unreadable signature recovers to address 0; that must not make it the provider's.
        Offer memory offer = anOffer();
        offer.provider = address(0);
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = SignedOffer({offer: offer, signature: new bytes(65)});
        Match[] memory matches = new Match[](1);
        matches[0] = matchOf(anOrder(), buyer, 0);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(leaseOf(anOrder(), 0), Skip.OfferSignature);
        vm.prank(matcher);
        ledger.open(offers, matches, 0);
    }

    /* THE ORDER'S TERMS */

    function test_SkipWhen_LimitsBroken() public {
        for (uint256 i; i < 3; ++i) {
            Order memory order = anOrder();
            if (i == 0) order.voucherSigner = address(0);
            if (i == 1) order.maxLeases = 0;
            if (i == 2) order.maxLeases = 17;
            expectSkipped(anOffer(), order, Skip.Limits);
        }
    }

    function test_SkipWhen_MeterDiffers() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        offer.meter = 0;
        expectSkipped(offer, order, Skip.Meter);
        (offer.meter, order.meter) = (2, 2);
        expectSkipped(offer, order, Skip.Meter);
    }

    function test_SkipWhen_RateZeroOrTooHigh() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        offer.rate = 0;
        expectSkipped(offer, order, Skip.Rate);
        offer.rate = order.maxRate + 1;
        expectSkipped(offer, order, Skip.Rate);
        offer.rate = order.maxRate;
        assertOpens(offer, order);
    }

    function test_SkipWhen_DurationOutsideTheOffer() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        order.duration = offer.minDuration - 1;
        expectSkipped(offer, order, Skip.Duration);
        order.duration = offer.maxDuration + 1;
        expectSkipped(offer, order, Skip.Duration);
        order.duration = offer.minDuration;
        assertOpens(offer, order);
        order.duration = offer.maxDuration;
        assertOpens(offer, order);
    }

    function test_SkipWhen_NoticeTooShortOrTooLong() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        order.notice = NOTICE - 1;
        expectSkipped(offer, order, Skip.Notice);
        order.notice = 30 days + 1;
        expectSkipped(offer, order, Skip.Notice);
        offer.notice = 0;
        order.notice = MIN_NOTICE - 1;
        expectSkipped(offer, order, Skip.Notice);
        order.notice = MIN_NOTICE;
        assertOpens(offer, order);
        order.notice = 30 days;
        assertOpens(offer, order);
    }

    function test_SkipWhen_QuantitiesNotCovered() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        order.quantities += 0x0100;
        expectSkipped(offer, order, Skip.Quantities);
        order.quantities = 1 << 255;
        expectSkipped(offer, order, Skip.Quantities);
    }

    function test_SkipWhen_TraitsDoNotFit() public {
        Order memory order = anOrder();
        Offer memory offer = anOffer();
        order.allOf = 0x10;
        expectSkipped(offer, order, Skip.Traits);
        order = anOrder();
        order.anyOf = 0x30;
        expectSkipped(offer, order, Skip.Traits);
        order = anOrder();
        order.noneOf = 0x01;
        expectSkipped(offer, order, Skip.Traits);
        order = anOrder();
        order.anyOf = 0;
        assertOpens(offer, order);
    }

    function test_SkipWhen_ZoneNotAccepted() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        offer.zone = 9;
        expectSkipped(offer, order, Skip.Zone);

        // An undeclared zone is in no set, but serves an order without one.
        offer.zone = 0;
        order.zones = 1;
        expectSkipped(offer, order, Skip.Zone);
        order.zones = 0;
        assertOpens(offer, order);

        offer.zone = 255;
        order.zones = 1 << 255;
        assertOpens(offer, order);
    }

    /* WHO AND WHEN */

    function test_SkipWhen_NotItsMatcher() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        Match memory match_ = matchOf(order, buyer, 0);
        vm.warp(order.matcherUntil - 1);
        assertEq(openAs(stranger, offer, provider, match_), 0, "before");
        vm.warp(order.matcherUntil);
        assertEq(openAs(stranger, offer, provider, match_), 1, "from then on");
        assertEq(freeOf(stranger), FEE, "fee");
    }

    function test_AnyoneOpensWithoutMatcher() public {
        Offer memory offer = anOffer();
        Order memory order = anOrder();
        order.matcher = address(0);
        Match memory match_ = matchOf(order, buyer, 0);
        assertEq(openAs(stranger, offer, provider, match_), 1, "opened");
    }

    function test_SkipWhen_OrderExpired() public {
        Order memory order = anOrder();
        order.expiry = uint40(block.timestamp);
        expectSkipped(anOffer(), order, Skip.OrderExpired);
        order.expiry += 1;
        assertOpens(anOffer(), order);
    }

    function test_SkipWhen_OrderCancelled() public {
        Order memory order = anOrder();
        bytes32 digest = ledger.hashOrder(order);
        vm.prank(buyer.addr);
        ledger.cancel(digest);
        expectSkipped(anOffer(), order, Skip.OrderCancelled);
    }

    function test_AnotherAccountCannotCancelTheOrder() public {
        Order memory order = anOrder();
        bytes32 digest = ledger.hashOrder(order);
        vm.prank(provider.addr);
        ledger.cancel(digest);
        assertOpens(anOffer(), order);
    }

    function test_SkipWhen_OrderOfAnotherEpoch() public {
        Order memory order = anOrder();
        vm.prank(buyer.addr);
        ledger.bumpEpoch();
        expectSkipped(anOffer(), order, Skip.OrderEpoch);
        assertOpens(anOffer(), anOrder());
    }

    function test_SkipWhen_OrderNotSigned() public {
        expectSkipped(anOffer(), provider, matchOf(anOrder(), provider, 0), Skip.OrderSignature);
        Match memory match_ = matchOf(anOrder(), buyer, 0);
        match_.signature = "";
        expectSkipped(anOffer(), provider, match_, Skip.OrderSignature);
        Order memory order = anOrder();
        order.buyer = address(0);
        match_ = matchOf(order, buyer, 0);
        match_.signature = new bytes(65);
        expectSkipped(anOffer(), provider, match_, Skip.OrderSignature);
    }

    function test_SkipWhen_OrderOfAnotherChain() public {
        Match memory match_ = matchOf(anOrder(), buyer, 0);
        Offer memory offer = anOffer();
        vm.chainId(7);
        expectSkipped(offer, provider, match_, Skip.OrderSignature);
    }

    /* DELEGATES */

    function test_DelegateIsChargedOnce() public {
        Order memory order = anOrder();
        uint64 charge = uint64(BUDGET) + 3 * uint64(FEE);
        approve(charge + 5);
        bytes32 digest = ledger.hashOrder(order);
        Match memory match_ = matchOf(order, delegateKey, 0);
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = signed(anOffer(), provider);
        Match[] memory matches = new Match[](1);
        matches[0] = match_;

        vm.expectEmit(address(ledger));
        emit IComputeLedger.DelegateCharged(buyer.addr, delegateKey.addr, digest, charge, 5);
        vm.prank(matcher);
        assertEq(ledger.open(offers, matches, 0), 1, "opened");
        assertEq(ledger.delegate(buyer.addr, delegateKey.addr).remaining, 5, "charged");

        // A later fill neither needs nor charges it.
        vm.startPrank(matcher);
        ledger.close(order, 0, EndReason.Faulty);
        matches[0].fill = 1;
        assertEq(ledger.open(offers, matches, 0), 1, "later fill");
        vm.stopPrank();
        assertEq(ledger.delegate(buyer.addr, delegateKey.addr).remaining, 5, "not again");
    }

    function test_SkipWhen_DelegateCapTooSmall() public {
        approve(uint64(BUDGET) + 3 * uint64(FEE) - 1);
        expectSkipped(anOffer(), provider, matchOf(anOrder(), delegateKey, 0), Skip.DelegateCap);
    }

    function test_SkipWhen_DelegateNotLive() public {
        vm.prank(buyer.addr);
        ledger.approveDelegate({key: delegateKey.addr, cap: 500e6, until: uint40(block.timestamp)});
        expectSkipped(anOffer(), provider, matchOf(anOrder(), delegateKey, 0), Skip.OrderSignature);
    }

    function test_SkipWhen_DelegateOfAnotherBuyer() public {
        vm.prank(stranger);
        ledger.approveDelegate({key: delegateKey.addr, cap: 500e6, until: type(uint40).max});
        expectSkipped(anOffer(), provider, matchOf(anOrder(), delegateKey, 0), Skip.OrderSignature);
    }

    /* LATER FILLS */

    function test_SkipWhen_FillOutOfRange() public {
        expectSkipped(anOffer(), provider, matchOf(anOrder(), buyer, 3), Skip.FillOutOfRange);
    }

    function test_SkipWhen_NoPredecessor() public {
        open(anOrder(), 0);
        expectSkipped(anOffer(), provider, matchOf(anOrder(), buyer, 2), Skip.NoPredecessor);
    }

    function test_SkipWhen_PredecessorOpen() public {
        Order memory order = anOrder();
        open(order, 0);
        expectSkipped(anOffer(), provider, matchOf(order, buyer, 1), Skip.PredecessorOpen);
        vm.warp(block.timestamp + DURATION - 1);
        expectSkipped(anOffer(), provider, matchOf(order, buyer, 1), Skip.PredecessorOpen);
    }

    function test_SkipWhen_LaneDoneByDuration() public {
        Order memory order = anOrder();
        open(order, 0);
        vm.warp(block.timestamp + DURATION);
        expectSkipped(anOffer(), provider, matchOf(order, buyer, 1), Skip.LaneDone);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        expectSkipped(anOffer(), provider, matchOf(order, buyer, 1), Skip.LaneDone);
    }

    function test_SkipWhen_LaneDoneByCancelling() public {
        Order memory order = anOrder();
        open(order, 0);
        vm.prank(buyer.addr);
        ledger.close(order, 0, EndReason.Cancelled);
        expectSkipped(anOffer(), provider, matchOf(order, buyer, 1), Skip.LaneDone);
    }

    function test_SkipWhen_LaneDoneByLastVoucher() public {
        Order memory order = anOrder();
        open(order, 0);
        closeLast(aLastVoucher(order, 0, 1e6));
        expectSkipped(anOffer(), provider, matchOf(order, buyer, 1), Skip.LaneDone);
    }

    function test_LaterFillIsBoundedByTheLaneBudget() public {
        Order memory order = anOrder();
        Match memory match_ = matchOf(order, buyer, 1);
        match_.signature = "";
        bytes32 first = open(order, 0);
        vm.prank(matcher);
        ledger.close(order, 0, EndReason.Unresponsive);

        // The first fill's notice runs, so its lock counts: 80 - 50 are left.
        Offer memory offer = anOffer();
        offer.provider = otherProvider.addr;
        offer.zone = 8;
        assertEq(openAs(matcher, offer, otherProvider, match_), 1, "second fill, no signature");
        assertEq(ledger.lease(leaseOf(order, 1)).locked, 30e6, "second lock");

        // Closed, it counts with what it was paid: 80 - 10 - 30.
        redeem(aVoucher(first, 10e6, false));
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        vm.prank(matcher);
        ledger.close(order, 1, EndReason.Faulty);
        match_.fill = 2;
        assertEq(openAs(matcher, offer, otherProvider, match_), 1, "third fill");
        assertEq(ledger.lease(leaseOf(order, 2)).locked, 40e6, "third lock");
    }

    /* MONEY AND ROOM */

    function test_SkipWhen_NothingToLock() public {
        Order memory order = anOrder();
        order.quantity = 0;
        expectSkipped(anOffer(), order, Skip.NothingToLock);

        order = anOrder();
        order.budget = LOCK;
        open(order, 0);
        vm.prank(matcher);
        ledger.close(order, 0, EndReason.Unresponsive);
        expectSkipped(anOffer(), provider, matchOf(order, buyer, 1), Skip.NothingToLock);
    }

    function test_SkipWhen_BuyerFundsMissing() public {
        vm.prank(buyer.addr);
        ledger.withdraw(buyer.addr, buyer.addr, 1_000e6 - LOCK - FEE + 1);
        expectSkipped(anOffer(), anOrder(), Skip.BuyerFunds);
        fund(buyer.addr, 1);
        assertOpens(anOffer(), anOrder());
        assertEq(freeOf(buyer.addr), 0, "free");
    }

    function test_SkipWhen_CapacityUsed() public {
        Order memory order = anOrder();
        Offer memory offer = anOffer();
        offer.capacity = 1;
        assertOpens(offer, order);
        order.salt += 1;
        expectSkipped(offer, order, Skip.Capacity);

        // It counts over all the provider's offers.
        offer.salt += 1;
        expectSkipped(offer, order, Skip.Capacity);
    }

    /// The event in two halves, since all its fields at once are too many for the stack.
    function assertLeaseOpened(bytes32 id, Offer memory offer, Order memory order, uint40 deadline) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1, "logs");
        assertEq(logs[0].topics[0], IComputeLedger.LeaseOpened.selector, "selector");
        assertEq(logs[0].topics[1], id, "lease");
        assertEq(logs[0].topics[2], bytes32(uint256(uint160(buyer.addr))), "buyer");
        assertEq(logs[0].topics[3], bytes32(uint256(uint160(provider.addr))), "provider");
        bytes memory who =
            abi.encode(ledger.hashOrder(order), ledger.hashOffer(offer), order.job, voucherSigner.addr, matcher);
        bytes memory terms =
            abi.encode(uint8(0), offer.meter, offer.zone, RATE, LOCK, offer.bond, FEE, deadline, NOTICE);
        assertEq(logs[0].data, bytes.concat(who, terms), "data");
    }

    function approve(uint64 cap) private {
        vm.prank(buyer.addr);
        ledger.approveDelegate({key: delegateKey.addr, cap: cap, until: uint40(block.timestamp + 1)});
    }

    function assertOpens(Offer memory offer, Order memory order) private {
        order.salt = uint256(keccak256(abi.encode(offer, order)));
        Match memory match_ = matchOf(order, buyer, 0);
        assertEq(openAs(matcher, offer, provider, match_), 1, "opens");
    }

    function stranger_() private returns (Vm.Wallet memory) {
        return vm.createWallet("stranger");
    }
}
