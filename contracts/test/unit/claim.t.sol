// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {
    Claim,
    ClaimTerms,
    EndReason,
    Lease,
    LeaseState,
    Offer,
    Order,
    SignedVoucher,
    StartVoucher
} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract ClaimTest is LedgerTest {
    /// 50,000 pico-dollars x 20 x 10^6 units of work = a base unit.
    uint64 private constant WORK_OF_A_UNIT = 20e6;

    Order private order;
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        order = aBondedOrder();
        lease = openBonded(order);
    }

    /* WHAT IT ASKS FOR */

    function test_AimsAtWhatTheWorkEarned() public {
        uint40 deadline = uint40(block.timestamp + WINDOW);
        ClaimTerms memory terms = aClaim(12e6 * WORK_OF_A_UNIT);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseClaimed({
            lease: lease,
            provider: provider.addr,
            result: terms.result,
            from: 0,
            work: terms.work,
            target: 12e6,
            last: true,
            deadline: deadline
        });
        claimAs(provider, order, 0, terms);

        Claim memory stored = ledger.claimOf(lease);
        assertEq(stored.result, terms.result, "result");
        assertEq(stored.from, 0, "from");
        assertEq(stored.work, terms.work, "work");
        assertEq(stored.target, 12e6, "target");
        assertEq(stored.revealFrom, 0, "nothing to reveal");
        assertTrue(stored.last, "last");
        assertEq(ledger.lease(lease).deadline, deadline, "deadline");
        assertEq(ledger.lease(lease).paid, 0, "nothing is paid yet");
    }

    function test_RoundsDownOnce() public {
        assertTarget(WORK_OF_A_UNIT - 1, 0);
        assertTarget(WORK_OF_A_UNIT, 1);
        assertTarget(2 * WORK_OF_A_UNIT - 1, 1);
        assertTarget(0, 0);
    }

    function test_AimsAtMostAtWhatTheBondCovers() public {
        assertTarget((BOND - 1) * WORK_OF_A_UNIT, BOND - 1);
        assertTarget(BOND * WORK_OF_A_UNIT, BOND);
        assertTarget((BOND + 1) * WORK_OF_A_UNIT, BOND);
        assertTarget(type(uint64).max, BOND);
        redeem(aVoucher(lease, 7e6, false));
        assertTarget(type(uint64).max, BOND + 7e6);
        assertTarget(7e6 * WORK_OF_A_UNIT, 7e6);
    }

    function test_AimsAtMostAtTheLock() public {
        redeem(aVoucher(lease, 45e6, false));
        assertTarget((LOCK - 1) * WORK_OF_A_UNIT, LOCK - 1);
        assertTarget(LOCK * WORK_OF_A_UNIT, LOCK);
        assertTarget(type(uint64).max, LOCK);
    }

    /* WHAT BECOMES OF THE LEASE */

    function test_OfAnOpenLeaseIsItsEnd() public {
        claimAs(provider, order, 0, aClaim(1));
        assertLease(lease, LeaseState.Claimed, EndReason.Claimed, true, 0);
        assertTrue(ledger.lease(lease).responded, "responded");
        assertFalse(ledger.lease(lease).early, "early");
    }

    function test_ThatIsNotTheLastLeavesTheLaneOpen() public {
        ClaimTerms memory terms = aClaim(1);
        terms.last = false;
        claimAs(provider, order, 0, terms);
        assertLease(lease, LeaseState.Claimed, EndReason.Claimed, false, 0);
        assertFalse(ledger.claimOf(lease).last, "last");
    }

    function test_AfterACloseKeepsItsReason() public {
        closeAs(matcher, order, EndReason.Unresponsive);
        ClaimTerms memory terms = aClaim(1);
        terms.last = false;
        claimAs(provider, order, 0, terms);
        assertLease(lease, LeaseState.Claimed, EndReason.Unresponsive, false, 0);
        Lease memory stored = ledger.lease(lease);
        assertTrue(stored.early && stored.responded, "early, and answered");
        assertEq(stored.deadline, block.timestamp + WINDOW, "deadline");
    }

    function test_AfterTheDurationIsExpiredAndDone() public {
        vm.warp(block.timestamp + DURATION);
        ClaimTerms memory terms = aClaim(1);
        terms.last = false;
        claimAs(provider, order, 0, terms);
        assertLease(lease, LeaseState.Claimed, EndReason.Expired, true, 0);
    }

    function test_ASecondBeforeTheDurationIsNotExpired() public {
        vm.warp(block.timestamp + DURATION - 1);
        claimAs(provider, order, 0, aClaim(1));
        assertLease(lease, LeaseState.Claimed, EndReason.Claimed, true, 0);
    }

    /* REFUSALS */

    function test_RevertWhen_WrongOrder() public {
        order.salt += 1;
        bytes32 wrong = leaseOf(order, 0);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongOrder.selector, wrong));
        claimAs(provider, order, 0, aClaim(1));
    }

    function test_RevertWhen_NotProvider() public {
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotProvider.selector, provider.addr, otherProvider.addr)
        );
        claimAs(otherProvider, order, 0, aClaim(1));
    }

    function test_RevertWhen_NotClaimable() public {
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

    function test_RevertWhen_ClaimedDisputedOrClosed() public {
        claimAs(provider, order, 0, aClaim(1));
        expectRefused(LeaseState.Claimed);
        challengeAs(buyer.addr, order, 0);
        expectRefused(LeaseState.Disputed);
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        expectRefused(LeaseState.Closed);
    }

    function test_RevertWhen_TheNoticeIsOver() public {
        uint256 deadline = block.timestamp + DURATION + NOTICE;
        expectTooLate(deadline);
        vm.warp(deadline - 1);
        claimAs(provider, order, 0, aClaim(1));
    }

    function test_RevertWhen_TheNoticeOfACloseIsOver() public {
        closeAs(matcher, order, EndReason.Faulty);
        uint256 deadline = block.timestamp + NOTICE;
        expectTooLate(deadline);
        vm.warp(deadline - 1);
        claimAs(provider, order, 0, aClaim(1));
    }

    /* FROM A CHECKPOINT */

    function test_FromACheckpointOfAnEarlierFill() public {
        (ClaimTerms memory terms, StartVoucher memory start) = takeOver();
        vm.prank(otherProvider.addr);
        ledger.claim(order, 1, terms, 0, start);
        assertEq(ledger.claimOf(leaseOf(order, 1)).from, terms.from, "from");
    }

    function test_RevertWhen_TheStartProvesNothing() public {
        for (uint256 i; i < 8; ++i) {
            uint256 snapshot = vm.snapshotState();
            (ClaimTerms memory terms, StartVoucher memory start) = takeOver();
            if (i == 0) terms.from = "other";
            if (i == 1) start.voucher.result = "other";
            if (i == 2) start.voucher.cumulative += 1;
            if (i == 3) start.voucher.vs ^= bytes32(uint256(1) << 255);
            if (i == 4) start.voucher.lease = leaseOf(order, 1);
            if (i == 5) start.fill = 1;
            if (i == 6) start = StartVoucher({fill: 1, voucher: aVoucher(leaseOf(order, 1), 1, terms.from, false)});
            // A voucher of an order that is not this one.
            if (i == 7) start.voucher = foreignVoucher(terms.from);
            vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongStart.selector, terms.from));
            vm.prank(otherProvider.addr);
            ledger.claim(order, 1, terms, 0, start);
            vm.revertToState(snapshot);
        }
    }

    function test_RevertWhen_TheStartIsOfAnotherLane() public {
        order.replicas = 2;
        openBonded(order);
        openWith(aBondedOffer(), provider, order, 1);
        bytes32 checkpoint = keccak256("checkpoint");
        StartVoucher memory start =
            StartVoucher({fill: 0, voucher: aVoucher(leaseOf(order, 0), 5e6, checkpoint, false)});
        commitAs(provider, order, 1, "salt");
        vm.warp(block.timestamp + WINDOW / 2);
        ClaimTerms memory terms = aClaim(1);
        terms.from = checkpoint;
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongStart.selector, checkpoint));
        vm.prank(provider.addr);
        ledger.claim(order, 1, terms, "salt", start);
    }

    /// The voucher proves a checkpoint whether or not it was redeemed, and after its lease is Closed.
    function test_FromACheckpointOfAClosedFill() public {
        (ClaimTerms memory terms, StartVoucher memory start) = takeOver();
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);
        vm.prank(otherProvider.addr);
        ledger.claim(order, 1, terms, 0, start);
        assertState(leaseOf(order, 1), LeaseState.Claimed);
    }

    /* CASES */

    /// Fill 0 left a checkpoint and was away; another provider serves fill 1.
    function takeOver() private returns (ClaimTerms memory terms, StartVoucher memory start) {
        terms = aClaim(100e12);
        terms.from = keccak256("checkpoint");
        start.voucher = aVoucher(lease, 5e6, terms.from, false);
        closeAs(matcher, order, EndReason.Unresponsive);
        fund(otherProvider.addr, BOND);
        Offer memory offer = aBondedOffer();
        offer.provider = otherProvider.addr;
        openWith(offer, otherProvider, order, 1);
    }

    function foreignVoucher(bytes32 result) private returns (SignedVoucher memory) {
        Order memory other = aBondedOrder();
        other.salt = 9;
        return aVoucher(openBonded(other), 5e6, result, false);
    }

    function assertTarget(uint64 work, uint48 target) private {
        uint256 snapshot = vm.snapshotState();
        claimAs(provider, order, 0, aClaim(work));
        assertEq(ledger.claimOf(lease).target, target, "target");
        vm.revertToState(snapshot);
    }

    function expectRefused(LeaseState state) private {
        expectWrongState(lease, state);
        claimAs(provider, order, 0, aClaim(1));
    }

    function expectNotClaimable() private {
        bytes memory expected = abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotClaimable.selector, lease);
        vm.expectRevert(expected);
        claimAs(provider, order, 0, aClaim(1));
        vm.expectRevert(expected);
        vm.prank(provider.addr);
        ledger.commitClaim(order, 0, "commitment");
    }

    function expectTooLate(uint256 deadline) private {
        for (uint256 i; i < 2; ++i) {
            vm.warp(deadline + i);
            expectDeadlinePassed(deadline);
            claimAs(provider, order, 0, aClaim(1));
            expectDeadlinePassed(deadline);
            vm.prank(provider.addr);
            ledger.commitClaim(order, 0, "commitment");
        }
    }
}
