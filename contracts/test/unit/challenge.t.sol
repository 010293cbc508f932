// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Test.sol";

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {
    ClaimTerms,
    Dispute,
    EndReason,
    LeaseState,
    Offer,
    Order,
    UsageReceipt
} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract ChallengeTest is LedgerTest {
    Order private order;
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        order = aBondedOrder();
        lease = openBonded(order);
    }

    /* A CLAIM */

    function test_OfAClaim() public {
        claimAs(provider, order, 0, aClaim(400e12));
        uint40 deadline = uint40(block.timestamp + ARBITER_TIME);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseDisputed({
            lease: lease, challenger: buyer.addr, receipt: 0, bond: BOND, deadline: deadline
        });
        challengeAs(buyer.addr, order, 0);

        assertLease(lease, LeaseState.Disputed, EndReason.Claimed, true, 0);
        assertEq(ledger.lease(lease).deadline, deadline, "deadline");
        assertFalse(ledger.lease(lease).early, "early");
        Dispute memory dispute = ledger.disputeOf(lease);
        assertEq(dispute.challenger, buyer.addr, "challenger");
        assertEq(dispute.bond, BOND, "bond");
        assertEq(dispute.receipt, 0, "receipt");
        assertMoney(buyer.addr, 1_000e6 - LOCK - FEE - BOND, BOND);
        assertMoney(provider.addr, 9 * BOND, BOND);
    }

    function test_OfAClaimThatIsNotTheLastKeepsTheLaneOpen() public {
        ClaimTerms memory terms = aClaim(400e12);
        terms.last = false;
        claimAs(provider, order, 0, terms);
        challengeAs(buyer.addr, order, 0);
        assertLease(lease, LeaseState.Disputed, EndReason.Claimed, false, 0);
    }

    function test_VoucherSignerStakesItsOwnMoney() public {
        claimAs(provider, order, 0, aClaim(400e12));
        fund(voucherSigner.addr, BOND);
        challengeAs(voucherSigner.addr, order, 0);
        assertEq(ledger.disputeOf(lease).challenger, voucherSigner.addr, "challenger");
        assertMoney(voucherSigner.addr, 0, BOND);
        assertMoney(buyer.addr, 1_000e6 - LOCK - FEE, 0);
    }

    function test_RevertWhen_NothingIsClaimed() public {
        expectRefused(LeaseState.Open);
        commitAs(provider, order, 0, "salt");
        expectRefused(LeaseState.Claimed);
        vm.warp(block.timestamp + WINDOW / 2);
        revealAs(provider, order, 0, aClaim(1), "salt");
        challengeAs(buyer.addr, order, 0);
        expectRefused(LeaseState.Disputed);
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        expectRefused(LeaseState.Closed);
    }

    function test_RevertWhen_TheClaimsWindowIsOver() public {
        claimAs(provider, order, 0, aClaim(400e12));
        uint256 deadline = block.timestamp + WINDOW;
        for (uint256 i; i < 2; ++i) {
            vm.warp(deadline + i);
            expectDeadlinePassed(deadline);
            challengeAs(buyer.addr, order, 0);
        }
        vm.warp(deadline - 1);
        challengeAs(buyer.addr, order, 0);
    }

    function test_RevertWhen_WrongOrder() public {
        order.salt += 1;
        bytes32 wrong = leaseOf(order, 0);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongOrder.selector, wrong));
        challengeAs(buyer.addr, order, 0);
    }

    function test_RevertWhen_NotTheBuyersOwn() public {
        claimAs(provider, order, 0, aClaim(400e12));
        address[5] memory others = [provider.addr, matcher, deputy, arbiter, stranger];
        for (uint256 i; i < others.length; ++i) {
            fund(others[i], BOND);
            vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotBuyerSide.selector, others[i]));
            challengeAs(others[i], order, 0);
        }
    }

    function test_RevertWhen_TheBondIsMissing() public {
        claimAs(provider, order, 0, aClaim(400e12));
        fund(voucherSigner.addr, BOND - 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_InsufficientFree.selector, BOND - 1, BOND));
        challengeAs(voucherSigner.addr, order, 0);
        fund(voucherSigner.addr, 1);
        challengeAs(voucherSigner.addr, order, 0);
        assertMoney(voucherSigner.addr, 0, BOND);
    }

    /* A USAGE RECEIPT */

    function test_OfAReceiptEndsAnOpenLease() public {
        UsageReceipt memory receipt = aReceipt(lease);
        bytes32 digest = ledger.hashUsageReceipt(receipt);
        bytes memory signature = sign(provider, digest);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseDisputed({
            lease: lease,
            challenger: buyer.addr,
            receipt: digest,
            bond: BOND,
            deadline: uint40(block.timestamp + ARBITER_TIME)
        });
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, signature);
        assertLease(lease, LeaseState.Disputed, EndReason.Faulty, false, 0);
        assertTrue(ledger.lease(lease).early, "early");
        assertEq(ledger.disputeOf(lease).receipt, digest, "receipt");
        assertMoney(buyer.addr, 1_000e6 - LOCK - FEE - BOND, BOND);
    }

    function test_OfAReceiptPastTheDurationIsExpired() public {
        vm.warp(block.timestamp + DURATION);
        disputeReceipt();
        assertLease(lease, LeaseState.Disputed, EndReason.Expired, true, 0);
        assertFalse(ledger.lease(lease).early, "early");
    }

    function test_OfAReceiptASecondBeforeTheDuration() public {
        vm.warp(block.timestamp + DURATION - 1);
        disputeReceipt();
        assertLease(lease, LeaseState.Disputed, EndReason.Faulty, false, 0);
    }

    function test_OfAReceiptKeepsTheReasonOfAClose() public {
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        disputeReceipt();
        assertLease(lease, LeaseState.Disputed, EndReason.Resigned, false, 0);
        assertFalse(ledger.lease(lease).early, "early");
    }

    function test_OfAReceiptKeepsAClaimsReasonAndLane() public {
        claimAs(provider, order, 0, aClaim(400e12));
        disputeReceipt();
        assertLease(lease, LeaseState.Disputed, EndReason.Claimed, true, 0);
    }

    function test_ACommitmentIsDisputedByReceiptOnly() public {
        commitAs(provider, order, 0, "salt");
        disputeReceipt();
        assertLease(lease, LeaseState.Disputed, EndReason.Claimed, false, 0);
        // And can be revealed no more.
        vm.warp(block.timestamp + WINDOW / 2);
        expectWrongState(lease, LeaseState.Disputed);
        revealAs(provider, order, 0, aClaim(1), "salt");
    }

    function test_RevertWhen_TheReceiptIsNotTheProvidersOfThisLease() public {
        expectBadReceipt(aReceipt(lease), buyer);
        expectBadReceipt(aReceipt(lease), otherProvider);
        UsageReceipt memory receipt = aReceipt("other");
        expectBadReceipt(receipt, provider);

        // One member changed after it was signed.
        for (uint256 i; i < 5; ++i) {
            receipt = aReceipt(lease);
            bytes memory signature = sign(provider, ledger.hashUsageReceipt(receipt));
            if (i == 0) receipt.sequence += 1;
            if (i == 1) receipt.meteredUntil += 1;
            if (i == 2) receipt.work += 1;
            if (i == 3) receipt.result = "other";
            if (i == 4) receipt.checkpoint = "other";
            expectBadReceipt(receipt, signature);
        }
        expectBadReceipt(aReceipt(lease), "");
    }

    function test_RevertWhen_NotForTheSlowPath() public {
        Offer memory offer = aBondedOffer();
        (offer.meter, order.meter) = (0, 0);
        lease = openWith(offer, provider, order, 0);
        expectNotClaimable();
        offer = aBondedOffer();
        order = aBondedOrder();
        (offer.arbiter, order.arbiter, order.challengeWindow) = (address(0), address(0), 0);
        lease = openWith(offer, provider, order, 0);
        expectNotClaimable();
    }

    function test_RevertWhen_DisputedOrClosed() public {
        UsageReceipt memory receipt = aReceipt(lease);
        bytes memory signature = sign(provider, ledger.hashUsageReceipt(receipt));
        disputeReceipt();
        expectWrongState(lease, LeaseState.Disputed);
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, signature);
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        expectWrongState(lease, LeaseState.Closed);
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, signature);
    }

    function test_RevertWhen_TheNoticeIsOver() public {
        UsageReceipt memory receipt = aReceipt(lease);
        bytes memory signature = sign(provider, ledger.hashUsageReceipt(receipt));
        uint256 deadline = block.timestamp + DURATION + NOTICE;
        vm.warp(deadline);
        expectDeadlinePassed(deadline);
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, signature);
        vm.warp(deadline - 1);
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, signature);
    }

    /* CASES */

    function disputeReceipt() private {
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);
    }

    function expectRefused(LeaseState state) private {
        expectWrongState(lease, state);
        challengeAs(buyer.addr, order, 0);
    }

    function expectNotClaimable() private {
        UsageReceipt memory receipt = aReceipt(lease);
        bytes memory signature = sign(provider, ledger.hashUsageReceipt(receipt));
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotClaimable.selector, lease));
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, signature);
    }

    function expectBadReceipt(UsageReceipt memory receipt, Vm.Wallet memory signer) private {
        expectBadReceipt(receipt, sign(signer, ledger.hashUsageReceipt(receipt)));
    }

    function expectBadReceipt(UsageReceipt memory receipt, bytes memory signature) private {
        bytes32 digest = ledger.hashUsageReceipt(receipt);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_ReceiptSignature.selector, digest));
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, signature);
    }
}
