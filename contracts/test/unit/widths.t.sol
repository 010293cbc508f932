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
    Skip
} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

/// @dev Sums of two 48-bit amounts have 49 bits: each place where two are added is passed here.
contract WidthsTest is LedgerTest {
    uint48 private constant MOST = type(uint48).max;

    Offer private offer;
    Order private order;

    function setUp() public override {
        super.setUp();
        fund(buyer.addr, 20 * uint256(MOST));
        fund(provider.addr, 20 * uint256(MOST));
        offer = aBondedOffer();
        (offer.bond, offer.minCharge, offer.rate, offer.capacity) = (MOST, 0, type(uint32).max, 100);
        offer.notice = 10;
        order = aBondedOrder();
        (order.bond, order.budget, order.fee) = (MOST, MOST, 0);
        (order.maxRate, order.quantity, order.maxLeases) = (type(uint32).max, type(uint64).max, 1);
    }

    function test_FinalisesWithEverythingLocked() public {
        bytes32 lease = openIt();
        assertEq(ledger.lease(lease).locked, MOST, "locked");
        vm.warp(block.timestamp + DURATION + NOTICE);
        ledger.finalise(order, 0);
        assertBalances(0);
    }

    function test_FinalisesWithPayAndBondTogether() public {
        bytes32 lease = openIt();
        redeem(aVoucher(lease, MOST - 1, false));
        redeem(aVoucher(lease, MOST, false));
        vm.warp(block.timestamp + DURATION + NOTICE);
        ledger.finalise(order, 0);
        assertBalances(int256(uint256(MOST)));
    }

    function test_FinalisesWithPenaltyAndRefundTogether() public {
        order.minCharge = MOST;
        openIt();
        closeAs(buyer.addr, order, EndReason.Unresponsive);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        assertBalances(-int256(uint256(MOST)));
    }

    function test_FinalisesWithTheMinimumChargeOfTheWholeLock() public {
        order.minCharge = MOST;
        openIt();
        closeAs(buyer.addr, order, EndReason.Faulty);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        assertBalances(int256(uint256(MOST)));
    }

    function test_PaysAStandingClaimOfTheWholeLock() public {
        openIt();
        claimAs(provider, order, 0, aClaim(type(uint64).max));
        vm.warp(block.timestamp + WINDOW);
        ledger.finalise(order, 0);
        assertBalances(int256(uint256(MOST)));
    }

    /// paid + bond is more than 48 bits can say: the lock is the bound then.
    function test_ClaimsOnTopOfWhatIsPaid() public {
        bytes32 lease = openIt();
        redeem(aVoucher(lease, MOST / 2, false));
        claimAs(provider, order, 0, aClaim(type(uint64).max));
        assertEq(ledger.claimOf(lease).target, MOST, "target");
    }

    function test_RulesForTheProvider() public {
        openIt();
        claimAs(provider, order, 0, aClaim(type(uint64).max));
        challengeAs(buyer.addr, order, 0);
        ruleAs(arbiter, order, true, [MOST, MOST, 0]);
        assertBalances(2 * int256(uint256(MOST)));
    }

    function test_RulesForTheBuyer() public {
        openIt();
        claimAs(provider, order, 0, aClaim(type(uint64).max));
        challengeAs(buyer.addr, order, 0);
        ruleAs(arbiter, order, false, [uint48(0), MOST, 0]);
        assertBalances(-int256(uint256(MOST)));
    }

    function test_LapsesWithBothBonds() public {
        openIt();
        claimAs(provider, order, 0, aClaim(type(uint64).max));
        challengeAs(buyer.addr, order, 0);
        vm.warp(block.timestamp + ARBITER_TIME);
        ledger.finalise(order, 0);
        assertBalances(0);
    }

    function test_AgreesWithPayAndBondTogether() public {
        openIt();
        LastVoucher memory item = aLastVoucher(order, 0, MOST);
        vm.prank(provider.addr);
        closeLast(item);
        assertBalances(int256(uint256(MOST)));
    }

    function test_LargestAmountsDoNotSinkTheBatch() public {
        order.fee = MOST;
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = signed(offer, provider);
        Match[] memory matches = new Match[](10);
        for (uint256 i; i < 10; ++i) {
            order.salt = i;
            matches[i] = matchOf(order, buyer, 0);
        }
        vm.prank(matcher);
        assertEq(ledger.open(offers, matches, 0), 10, "opened");
        assertEq(freeOf(matcher), 10 * uint64(MOST), "more than 48 bits");
        assertMoney(provider.addr, 10 * uint256(MOST), 10 * uint256(MOST));
        assertEq(freeOf(buyer.addr), 1_000e6, "buyer");
        // The next one lacks money, and the one after is fine.
        Match[] memory last = new Match[](2);
        order.salt = 10;
        last[0] = matchOf(order, buyer, 0);
        Order memory small = aBondedOrder();
        last[1] = matchOf(small, buyer, 0);
        last[1].offer = 1;
        offers = new SignedOffer[](2);
        (offers[0], offers[1]) = (signed(offer, provider), signed(aSmallOffer(), provider));
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(leaseOf(order, 0), Skip.BuyerFunds);
        vm.prank(matcher);
        assertEq(ledger.open(offers, last, 0), 1, "opened");
    }

    function test_DelegateIsChargedMoreThan48Bits() public {
        (order.fee, order.maxLeases) = (MOST, 16);
        uint64 charge = 17 * uint64(MOST);
        vm.prank(buyer.addr);
        ledger.approveDelegate({key: delegateKey.addr, cap: charge - 1, until: type(uint40).max});
        expectSkipped(offer, provider, matchOf(order, delegateKey, 0), Skip.DelegateCap);
        vm.prank(buyer.addr);
        ledger.approveDelegate({key: delegateKey.addr, cap: charge + 3, until: type(uint40).max});
        assertEq(openAs(matcher, offer, provider, matchOf(order, delegateKey, 0)), 1, "opened");
        assertEq(ledger.delegate(buyer.addr, delegateKey.addr).remaining, 3, "remaining");
    }

    function test_RunsWithTheLedgerFull() public {
        fund(stranger, type(uint64).max - dollar.balanceOf(address(ledger)));
        bytes32 lease = openIt();
        redeem(aVoucher(lease, MOST, false));
        closeAs(buyer.addr, order, EndReason.Faulty);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        assertBalances(int256(uint256(MOST)));
        uint64 free = freeOf(stranger);
        vm.prank(stranger);
        ledger.withdraw(stranger, stranger, free);
        assertEq(dollar.balanceOf(stranger), free, "withdrawn");
    }

    function test_LongestTimes() public {
        (order.duration, offer.maxDuration) = (type(uint32).max, type(uint32).max);
        (order.notice, order.challengeWindow) = (30 days, 30 days);
        bytes32 lease = openIt();
        uint256 end = block.timestamp + type(uint32).max;
        assertEq(ledger.lease(lease).deadline, end, "deadline");
        vm.warp(end + 30 days - 1);
        claimAs(provider, order, 0, aClaim(1));
        assertEq(ledger.lease(lease).deadline, end + 60 days - 1, "window");
    }

    /* DIRTY BITS */

    /// A word of calldata can hold more than its member's type. The buyer can sign such an order; it must not gain by it.
    function test_OrderWithBitsAboveItsTypes() public {
        order = aBondedOrder();
        uint256 opened;
        for (uint256 member; member < 31; ++member) {
            for (uint256 bit = 48; bit < 256; bit += 69) {
                if (tryDirty({member: member, bit: bit, ofOffer: false})) ++opened;
            }
        }
        assertGt(opened, 60, "most are cut to their types");
    }

    function test_OfferWithBitsAboveItsTypes() public {
        order = aBondedOrder();
        uint256 opened;
        for (uint256 member; member < 16; ++member) {
            for (uint256 bit = 48; bit < 256; bit += 69) {
                if (tryDirty({member: member, bit: bit, ofOffer: true})) ++opened;
            }
        }
        assertGt(opened, 30, "most are cut to their types");
    }

    /* CASES */

    /// Opens with one bit set above; the call may revert, skip, or open on the terms without the bit.
    function tryDirty(uint256 member, uint256 bit, bool ofOffer) private returns (bool opened) {
        uint256 snapshot = vm.snapshotState();
        order.salt = 1000 * member + bit;
        (bool ok, bytes memory answer, bytes32 lease) = callOpen(member, bit, ofOffer);
        assertEq(total(lease), 40 * uint256(MOST) + 1_000e6, "nothing is made or lost");
        opened = ok && abi.decode(answer, (uint256)) == 1;
        if (opened) {
            // What was locked and paid is what the types say.
            assertLe(freeOf(matcher), FEE, "fee");
            assertLe(ledger.account(provider.addr).bonded, BOND, "bond");
            assertEq(ledger.account(provider.addr).openLeases, 1, "open leases");
            assertEq(ledger.account(provider.addr).epoch, 0, "epoch");
            assertGe(freeOf(buyer.addr), 20 * uint256(MOST) + 1_000e6 - BUDGET - FEE, "buyer");
        } else {
            assertEq(freeOf(buyer.addr), 20 * uint256(MOST) + 1_000e6, "untouched");
        }
        vm.revertToState(snapshot);
    }

    /// Signs what it sends: the digest of the dirty words.
    function callOpen(uint256 member, uint256 bit, bool ofOffer)
        private
        returns (bool ok, bytes memory answer, bytes32 lease)
    {
        bytes memory offerWords = abi.encode(aSmallOffer());
        bytes memory orderWords = abi.encode(order);
        flip(ofOffer ? offerWords : orderWords, member, bit);
        bytes memory offerSignature = sign(provider, digestOf(offerTypehash(), offerWords));
        bytes32 digest = digestOf(orderTypehash(), orderWords);
        bytes memory orderSignature = sign(buyer, digest);
        lease = ledger.leaseId(digest, 0);

        // One SignedOffer and one Match by hand, since the compiler would clean them.
        bytes memory signedOffer = bytes.concat(offerWords, abi.encode(17 * 32, 65), offerSignature, new bytes(31));
        bytes memory match_ =
            bytes.concat(orderWords, abi.encode(34 * 32, 0, 0), abi.encode(65), orderSignature, new bytes(31));
        bytes memory offers = bytes.concat(abi.encode(1, 32), signedOffer);
        bytes memory matches = bytes.concat(abi.encode(1, 32), match_);
        vm.prank(matcher);
        (ok, answer) = address(ledger)
            .call(
                bytes.concat(
                    IComputeLedger.open.selector, abi.encode(96, 96 + offers.length, bytes32(0)), offers, matches
                )
            );
    }

    function test_HandmadeCallOpens() public {
        order = aBondedOrder();
        (bool ok, bytes memory answer, bytes32 lease) = callOpen(0, 256, false);
        assertTrue(ok, "call");
        assertEq(abi.decode(answer, (uint256)), 1, "opened");
        assertEq(lease, leaseOf(order, 0), "lease");
        assertState(lease, LeaseState.Open);
    }

    function flip(bytes memory words, uint256 member, uint256 bit) private pure {
        if (bit > 255) return;
        assembly ("memory-safe") {
            let place := add(words, mul(32, add(member, 1)))
            mstore(place, xor(mload(place), shl(bit, 1)))
        }
    }

    function digestOf(bytes32 typeHash, bytes memory words) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Gridlease"),
                keccak256("1"),
                block.chainid,
                address(ledger)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(bytes.concat(typeHash, words))));
    }

    function offerTypehash() private pure returns (bytes32) {
        return keccak256(
            "Offer(address provider,uint256 quantities,uint256 traits,uint8 zone,uint8 meter,uint32 rate,"
            "uint32 capacity,uint32 minDuration,uint32 maxDuration,uint32 notice,uint48 minCharge,uint48 bond,"
            "address arbiter,uint40 expiry,uint64 epoch,uint256 salt)"
        );
    }

    function orderTypehash() private pure returns (bytes32) {
        return keccak256(
            "Order(address buyer,address voucherSigner,bytes32 job,uint256 quantities,uint256 allOf,uint256 anyOf,"
            "uint256 noneOf,uint256 zones,bool distinctZones,address auditor,uint256 attested,uint8 meter,"
            "uint32 maxRate,uint64 quantity,uint32 duration,uint48 budget,uint8 replicas,uint8 quorum,"
            "uint8 maxLeases,uint48 bond,uint32 notice,uint48 minCharge,address arbiter,uint32 challengeWindow,"
            "address matcher,address deputy,uint40 matcherUntil,uint48 fee,uint40 expiry,uint64 epoch,uint256 salt)"
        );
    }

    function aSmallOffer() private view returns (Offer memory small) {
        small = aBondedOffer();
        small.capacity = 100;
    }

    function openIt() private returns (bytes32) {
        return openWith(offer, provider, order, 0);
    }

    /// Free and bonded of the two sides and the opener, and what the one lease holds.
    function total(bytes32 lease) private view returns (uint256 sum) {
        address[3] memory all = [buyer.addr, provider.addr, matcher];
        for (uint256 i; i < all.length; ++i) {
            sum += ledger.account(all[i]).free + ledger.account(all[i]).bonded;
        }
        sum += ledger.lease(lease).locked;
    }

    /// Everything is Closed, and the provider won `gain`.
    function assertBalances(int256 gain) private view {
        assertMoney(provider.addr, uint256(int256(20 * uint256(MOST)) + gain), 0);
        assertMoney(buyer.addr, uint256(int256(20 * uint256(MOST) + 1_000e6) - gain), 0);
        assertEq(ledger.account(provider.addr).openLeases, 0, "open leases");
    }
}
