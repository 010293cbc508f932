// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {
    EndReason,
    LastVoucher,
    LeaseState,
    Match,
    Offer,
    Order,
    SignedOffer,
    SignedVoucher,
    Skip,
    UsageReceipt
} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";
import {Wallet} from "../support/Wallets.sol";

contract ThreatsTest is LedgerTest {
    uint256 private constant CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    Order private order;

    function setUp() public override {
        super.setUp();
        fund(provider.addr, 10 * BOND);
        order = aBondedOrder();
    }

    /* C1 */

    function test_C1_MessagesOfAnotherLedgerAreNone() public {
        IComputeLedger here = ledger;
        bytes32 lease = openBonded(order);
        SignedVoucher memory voucher = aVoucher(lease, 5e6, true);
        LastVoucher memory item = aLastVoucher(order, 0, 5e6);
        item.providerSignature = sign(provider, voucherDigest(lease, 5e6, voucher.result, true));
        UsageReceipt memory receipt = aReceipt(lease);
        bytes memory receiptSignature = sign(provider, here.hashUsageReceipt(receipt));
        SignedOffer memory signedHere = signed(aBondedOffer(), provider);
        Match memory matchHere = matchOf(order, buyer, 0);

        // The same parties, token, registry and terms on a twin.
        ledger = deployLedger(address(dollar), MIN_NOTICE);
        assertNotEq(ledger.hashOrder(order), here.hashOrder(order), "domain");
        fund(buyer.addr, 1_000e6);
        fund(provider.addr, 10 * BOND);
        expectSkip(signed(aBondedOffer(), provider), matchHere, Skip.OrderSignature);
        expectSkip(signedHere, matchOf(order, buyer, 0), Skip.OfferSignature);
        bytes32 twin = openBonded(order);
        assertNotEq(twin, lease, "another lease");

        assertEq(redeem(voucher), 0, "voucher as it is");
        assertEq(closeLast(item), 0, "last voucher as it is");
        (voucher.lease, item.voucher.lease, receipt.lease) = (twin, twin, twin);
        expectNoMoney(voucher, item, receipt, receiptSignature);
    }

    function test_C1_MessagesOfAnotherChainAreNone() public {
        bytes32 lease = openBonded(order);
        SignedVoucher memory voucher = aVoucher(lease, 5e6, true);
        LastVoucher memory item = aLastVoucher(order, 0, 5e6);
        item.providerSignature = sign(provider, voucherDigest(lease, 5e6, voucher.result, true));
        UsageReceipt memory receipt = aReceipt(lease);
        bytes memory receiptSignature = sign(provider, ledger.hashUsageReceipt(receipt));
        SignedOffer memory signedHere = signed(aBondedOffer(), provider);
        order.salt += 1;
        Match memory matchHere = matchOf(order, buyer, 0);
        order.salt -= 1;

        // A fork with another id: the state is the same, the domain is not.
        vm.chainId(31_338);
        expectSkip(signedHere, matchHere, Skip.OfferSignature);
        expectSkip(signed(aBondedOffer(), provider), matchHere, Skip.OrderSignature);
        // Nor can the order's digest, and with it the lease's id, be met again.
        assertNotEq(leaseOf(order, 0), lease, "lease");
        assertEq(redeem(voucher), 0, "voucher");
        assertEq(closeLast(item), 0, "last voucher");
        bytes32 wrong = leaseOf(order, 0);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongOrder.selector, wrong));
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, receiptSignature);
        // Back on its own chain all of it holds.
        vm.chainId(31_337);
        assertEq(redeem(voucher), 1, "voucher");
    }

    /* C2 */

    function test_C2_AnOrderIsUsedUpByItsContentsNotItsSignature() public {
        Wallet wallet = new Wallet(buyer.addr);
        fund(address(wallet), 500e6);
        order.buyer = address(wallet);
        openBonded(order);
        Match memory again = matchOf(order, buyer, 0);
        // The wallet reads the first 65 bytes alone: the same order, signed by other bytes.
        again.signature = bytes.concat(again.signature, "more");
        expectSkip(signed(aBondedOffer(), provider), again, Skip.AlreadyOpen);
        vm.prank(address(wallet));
        ledger.close(order, 0, EndReason.Faulty);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        expectSkip(signed(aBondedOffer(), provider), again, Skip.AlreadyOpen);
    }

    /* C3 */

    function test_C3_OnlyOneFormOfASignatureCounts() public {
        bytes32 lease = openBonded(order);
        LastVoucher memory item = aLastVoucher(order, 0, 5e6);
        bytes32 voucher = voucherDigest(lease, 5e6, item.voucher.result, true);
        UsageReceipt memory receipt = aReceipt(lease);
        bytes32 receiptDigest = ledger.hashUsageReceipt(receipt);
        for (uint256 form; form < 7; ++form) {
            SignedOffer memory offer = signed(aBondedOffer(), provider);
            offer.signature = otherForm(provider.privateKey, ledger.hashOffer(offer.offer), form);
            order.salt = 1 + form;
            expectSkip(offer, matchOf(order, buyer, 0), Skip.OfferSignature);
            Match memory match_ = matchOf(order, buyer, 0);
            match_.signature = otherForm(buyer.privateKey, ledger.hashOrder(order), form);
            expectSkip(signed(aBondedOffer(), provider), match_, Skip.OrderSignature);
            order = aBondedOrder();

            item.providerSignature = otherForm(provider.privateKey, voucher, form);
            if (item.providerSignature.length != 0) assertEq(closeLast(item), 0, "last voucher");
            bytes memory signature = otherForm(provider.privateKey, receiptDigest, form);
            vm.expectRevert(
                abi.encodeWithSelector(IComputeLedger.ComputeLedger_ReceiptSignature.selector, receiptDigest)
            );
            vm.prank(buyer.addr);
            ledger.challenge(order, 0, receipt, signature);
            bytes memory word = otherForm(auditor.privateKey, registry.hashAttestation(anAttestation()), form);
            vm.expectRevert();
            registry.attest(anAttestation(), word);
        }
        assertLease(lease, LeaseState.Open, EndReason.None, false, 0);
    }

    /* C5 */

    function test_C5_VoidedOrdersHaveNoLaterFills() public {
        bytes32 lease = openBonded(order);
        bytes32 digest = ledger.hashOrder(order);
        closeAs(matcher, order, EndReason.Unresponsive);
        uint256 snapshot = vm.snapshotState();

        vm.prank(buyer.addr);
        ledger.cancel(digest);
        expectFill1(Skip.OrderCancelled);
        // What is open stays: the provider still redeems.
        assertEq(redeem(aVoucher(lease, 5e6, false)), 1, "redeemed");
        vm.revertToState(snapshot);

        vm.prank(buyer.addr);
        ledger.bumpEpoch();
        expectFill1(Skip.OrderEpoch);
        assertEq(redeem(aVoucher(lease, 5e6, false)), 1, "redeemed");
        vm.revertToState(snapshot);

        vm.warp(order.expiry);
        expectFill1(Skip.OrderExpired);
        vm.warp(order.expiry - 1);
        openWith(aBondedOffer(), provider, order, 1);
    }

    /* C6 */

    function test_C6_WhoeverOpensComesToTheSameLease() public {
        vm.warp(order.matcherUntil);
        address[4] memory openers = [matcher, deputy, stranger, provider.addr];
        bytes32 expected;
        for (uint256 i; i < openers.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            assertEq(openAs(openers[i], aBondedOffer(), provider, matchOf(order, buyer, 0)), 1, "opened");
            bytes32 lease = leaseOf(order, 0);
            bytes32 state = keccak256(abi.encode(lease, ledger.lease(lease), ledger.account(buyer.addr)));
            if (i == 0) expected = state;
            assertEq(state, expected, "same lease");
            assertEq(ledger.lease(lease).rate, RATE, "the offer's rate");
            vm.revertToState(snapshot);
        }
    }

    function test_C6_WhoComesSecondFindsItOpen() public {
        vm.warp(order.matcherUntil);
        Match memory match_ = matchOf(order, buyer, 0);
        assertEq(openAs(stranger, aBondedOffer(), provider, match_), 1, "first");
        uint64 free = freeOf(buyer.addr);
        expectSkip(signed(aBondedOffer(), provider), match_, Skip.AlreadyOpen);
        assertEq(freeOf(buyer.addr), free, "nothing is paid twice");
    }

    /* C9 */

    function testFuzz_C9_NothingRemains(uint64 quantity, uint48 voucher, uint64 work, uint48 minCharge, uint8 how)
        public
    {
        order.quantity = uint64(bound(quantity, 1e8, 2e9));
        order.minCharge = uint48(bound(minCharge, MIN_CHARGE, BOND));
        vm.assume(uint256(order.quantity) * RATE / 1e6 >= order.minCharge);
        uint256 before = worth();
        bytes32 lease = openBonded(order);
        redeem(aVoucher(lease, uint48(bound(voucher, 0, 2 * LOCK)), false));
        if (how % 4 == 1) closeAs(buyer.addr, order, EndReason.Unresponsive);
        if (how % 4 == 2) closeAs(buyer.addr, order, EndReason.Faulty);
        if (how % 8 > 3) claimAs(provider, order, 0, aClaim(work));
        vm.warp(block.timestamp + DURATION + NOTICE + WINDOW);
        ledger.finalise(order, 0);
        assertEq(worth(), before, "no unit is made or lost");
        assertEq(ledger.account(provider.addr).bonded, 0, "bonded");
        assertLe(ledger.lease(lease).paid, ledger.lease(lease).locked, "paid");
    }

    /* C10 */

    function test_C10_ALeaseOfNoDuration() public {
        Offer memory offer = aBondedOffer();
        offer.minDuration = 0;
        order.duration = 0;
        bytes32 lease = openWith(offer, provider, order, 0);
        assertState(lease, LeaseState.Closing);
        expectWrongState(lease, LeaseState.Closing);
        closeAs(buyer.addr, order, EndReason.Cancelled);
        expectSkip(signed(offer, provider), matchOf(order, buyer, 1), Skip.LaneDone);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        assertLease(lease, LeaseState.Closed, EndReason.Expired, true, 0);
        assertMoney(buyer.addr, 1_000e6 - FEE, 0);
        assertMoney(provider.addr, 10 * BOND, 0);
    }

    function test_C10_OpenPayAndCloseInOneBlock() public {
        bytes32 lease = openBonded(order);
        redeem(aVoucher(lease, 4e6, false));
        LastVoucher memory item = aLastVoucher(order, 0, 5e6);
        vm.prank(provider.addr);
        assertEq(closeLast(item), 1, "closed");
        assertMoney(buyer.addr, 1_000e6 - FEE - 5e6, 0);
        assertMoney(provider.addr, 10 * BOND + 5e6, 0);
    }

    /* C11 */

    function test_C11_EverybodyGetsOutOfEveryState() public {
        for (uint256 i; i < 10; ++i) {
            uint256 snapshot = vm.snapshotState();
            bytes32 lease = openBonded(order);
            if (i == 1) closeAs(buyer.addr, order, EndReason.Unresponsive);
            if (i == 2) closeAs(buyer.addr, order, EndReason.Cancelled);
            if (i == 3) closeLast(aLastVoucher(order, 0, 5e6));
            if (i == 4) commitAs(provider, order, 0, "salt");
            if (i >= 5 && i < 7) claimAs(provider, order, 0, aClaim(200e12));
            if (i == 6) challengeAs(buyer.addr, order, 0);
            if (i >= 7 && i < 9) commitAs(provider, order, 0, "salt");
            if (i == 8) vm.warp(block.timestamp + WINDOW / 2);
            if (i == 8) revealAs(provider, order, 0, aClaim(200e12), "salt");
            if (i == 7 || i == 9) challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);

            // Nobody of the lease does anything any more.
            vm.warp(block.timestamp + 15 days);
            vm.prank(stranger);
            ledger.finalise(order, 0);
            assertState(lease, LeaseState.Closed);
            drain();
            vm.revertToState(snapshot);
        }
    }

    /* C13 */

    function testFuzz_C13_BuyerAndProviderTogetherNeverGain(bool providerWins, uint48 toWinner, uint48 toJurors)
        public
    {
        toWinner = uint48(bound(toWinner, 0, BOND));
        toJurors = uint48(bound(toJurors, 0, BOND - toWinner));
        openBonded(order);
        claimAs(provider, order, 0, aClaim(200e12));
        challengeAs(buyer.addr, order, 0);
        ruleAs(arbiter, order, providerWins, [providerWins ? uint48(10e6) : 0, toWinner, toJurors]);
        assertEq(
            uint256(freeOf(buyer.addr)) + freeOf(provider.addr),
            1_000e6 - FEE + 10 * BOND - toJurors,
            "what jurors cost"
        );
        assertMoney(arbiter, toJurors, 0);
        // A loser's loss is its bond at most, and what it owed.
        if (!providerWins) assertGe(freeOf(provider.addr), 9 * BOND, "provider");
        else assertGe(freeOf(buyer.addr), 1_000e6 - FEE - 10e6 - BOND, "buyer");
    }

    /* C14 */

    function test_C14_NobodyIsAboveTheRules() public {
        string[9] memory powers = [
            "owner()",
            "pause()",
            "unpause()",
            "upgradeTo(address)",
            "upgradeToAndCall(address,bytes)",
            "transferOwnership(address)",
            "setFee(uint256)",
            "sweep(address)",
            "initialize()"
        ];
        for (uint256 i; i < powers.length; ++i) {
            (bool ok,) = address(ledger).call(abi.encodeWithSignature(powers[i], stranger, ""));
            assertFalse(ok, powers[i]);
            (ok,) = address(registry).call(abi.encodeWithSignature(powers[i], stranger, ""));
            assertFalse(ok, powers[i]);
        }
        // Nor does it take coins that nobody could get out again.
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        (bool paid,) = address(ledger).call{value: 1}("");
        assertFalse(paid, "coins");
    }

    /* C15 */

    /// forge-config: default.isolate = true
    function test_C15_EndingCostsTheSameHoweverManyThereAre() public {
        openBonded(order);
        Order memory alone = order;
        uint256 snapshot = vm.snapshotState();
        uint256 few = gasToEnd(alone);
        vm.revertToState(snapshot);

        fund(buyer.addr, 10_000e6);
        fund(provider.addr, 10_000e6);
        Offer memory offer = aBondedOffer();
        offer.capacity = 1_000;
        for (uint256 i = 1; i < 100; ++i) {
            order.salt = i;
            openWith(offer, provider, order, 0);
        }
        assertApproxEqAbs(gasToEnd(alone), few, 100, "gas");
    }

    /// forge-config: default.isolate = true
    function test_C15_TheLastOfSixteenFillsIsWithinBounds() public {
        fund(buyer.addr, 10_000e6);
        fund(provider.addr, 10_000e6);
        (order.maxLeases, order.distinctZones, order.zones) = (16, true, 0);
        order.budget = 16 * LOCK - 1;
        order.maxRate = RATE;
        Offer memory offer = aBondedOffer();
        offer.capacity = 100;
        for (uint8 fill; fill < 15; ++fill) {
            offer.zone = 1 + fill;
            openWith(offer, provider, order, fill);
            vm.prank(matcher);
            ledger.close(order, fill, EndReason.Unresponsive);
        }
        offer.zone = 99;
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = signed(offer, provider);
        Match[] memory matches = new Match[](1);
        matches[0] = matchOf(order, buyer, 15);
        vm.prank(matcher);
        uint256 opened = ledger.open(offers, matches, 0);
        assertLt(vm.lastCallGas().gasTotalUsed, 300_000, "gas");
        assertEq(opened, 1, "opened");
        assertEq(ledger.lease(leaseOf(order, 15)).locked, LOCK - 1, "the rest of the budget");
    }

    /* CASES */

    /// The same signature in a form that must not count.
    function otherForm(uint256 key, bytes32 digest, uint256 form) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        uint8 other = v == 27 ? 28 : 27;
        if (form == 0) return abi.encodePacked(r, CURVE_ORDER - uint256(s), other);
        if (form == 1) return abi.encodePacked(r, s, v - 27);
        if (form == 2) return abi.encodePacked(r, uint256(s) | uint256(v - 27) << 255);
        if (form == 3) return abi.encodePacked(r, s, v, uint8(0));
        if (form == 4) return abi.encodePacked(r, s, other);
        if (form == 5) return new bytes(65);
        return "";
    }

    function expectSkip(SignedOffer memory offer, Match memory match_, Skip reason) private {
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = offer;
        Match[] memory matches = new Match[](1);
        matches[0] = match_;
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(leaseOf(match_.order, match_.fill), reason);
        vm.prank(matcher);
        assertEq(ledger.open(offers, matches, 0), 0, "opened");
    }

    function expectFill1(Skip reason) private {
        expectSkip(signed(aBondedOffer(), provider), matchOf(order, buyer, 1), reason);
    }

    function expectNoMoney(
        SignedVoucher memory voucher,
        LastVoucher memory item,
        UsageReceipt memory receipt,
        bytes memory receiptSignature
    ) private {
        assertEq(redeem(voucher), 0, "voucher");
        assertEq(closeLast(item), 0, "last voucher");
        bytes32 digest = ledger.hashUsageReceipt(receipt);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_ReceiptSignature.selector, digest));
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, receiptSignature);
        assertLease(voucher.lease, LeaseState.Open, EndReason.None, false, 0);
    }

    function gasToEnd(Order memory which) private returns (uint256) {
        vm.warp(block.timestamp + DURATION + NOTICE);
        ledger.finalise(which, 0);
        return vm.lastCallGas().gasTotalUsed;
    }

    function worth() private view returns (uint256) {
        return uint256(freeOf(buyer.addr)) + freeOf(provider.addr) + freeOf(matcher);
    }

    /// Everybody withdraws all that is free; nothing stays.
    function drain() private {
        address[3] memory all = [buyer.addr, provider.addr, matcher];
        for (uint256 i; i < all.length; ++i) {
            assertEq(ledger.account(all[i]).bonded, 0, "bonded");
            uint64 free = freeOf(all[i]);
            vm.prank(all[i]);
            ledger.withdraw(all[i], all[i], free);
        }
        assertEq(dollar.balanceOf(address(ledger)), 0, "nothing stays");
    }
}
