// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {Claim, ClaimTerms, EndReason, LeaseState, Offer, Order} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract CommitClaimTest is LedgerTest {
    bytes32 private constant SALT = keccak256("salt");

    Order private order;
    bytes32 private lease;
    uint256 private start;

    function setUp() public override {
        super.setUp();
        order = aBondedOrder();
        order.replicas = 2;
        lease = openBonded(order);
        fund(otherProvider.addr, BOND);
        Offer memory offer = aBondedOffer();
        offer.provider = otherProvider.addr;
        openWith(offer, otherProvider, order, 1);
        start = block.timestamp;
    }

    function test_IsClaimedForOneWindow() public {
        bytes32 commitment = commitmentOf(lease, provider.addr, SALT);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.ClaimCommitted({
            lease: lease,
            provider: provider.addr,
            commitment: commitment,
            revealFrom: uint40(start + WINDOW / 2),
            deadline: uint40(start + WINDOW)
        });
        commitAs(provider, order, 0, SALT);
        assertLease(lease, LeaseState.Claimed, EndReason.Claimed, false, 0);
        Claim memory stored = ledger.claimOf(lease);
        assertEq(stored.result, commitment, "commitment");
        assertEq(stored.revealFrom, start + WINDOW / 2, "reveal from");
        assertEq(stored.target, 0, "target");
        assertEq(ledger.lease(lease).deadline, start + WINDOW, "deadline");
        assertFalse(ledger.lease(lease).responded, "responded");
    }

    function test_OfALeasePastItsDurationIsExpired() public {
        vm.warp(start + DURATION);
        commitAs(provider, order, 0, SALT);
        assertLease(lease, LeaseState.Claimed, EndReason.Expired, true, 0);
        vm.warp(block.timestamp + WINDOW / 2);
        ClaimTerms memory terms = aClaim(1);
        terms.last = false;
        revealAs(provider, order, 0, terms, SALT);
        assertLease(lease, LeaseState.Claimed, EndReason.Expired, true, 0);
    }

    function test_RevertWhen_NotItsToCommit() public {
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotProvider.selector, provider.addr, otherProvider.addr)
        );
        vm.prank(otherProvider.addr);
        ledger.commitClaim(order, 0, "commitment");
        order.salt += 1;
        bytes32 wrong = leaseOf(order, 0);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongOrder.selector, wrong));
        vm.prank(provider.addr);
        ledger.commitClaim(order, 0, "commitment");
    }

    function test_RevertWhen_AlreadyOnItsWay() public {
        commitAs(provider, order, 0, SALT);
        expectNoCommit(LeaseState.Claimed);
        vm.warp(start + WINDOW / 2);
        revealAs(provider, order, 0, aClaim(1), SALT);
        expectNoCommit(LeaseState.Claimed);
        challengeAs(buyer.addr, order, 0);
        expectNoCommit(LeaseState.Disputed);
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        expectNoCommit(LeaseState.Closed);
    }

    /* NOT REVEALED */

    function test_NotRevealedIsWorthNothing() public {
        commitAs(provider, order, 0, SALT);
        vm.warp(start + WINDOW - 1);
        expectDeadlineNotReached(start + WINDOW);
        ledger.finalise(order, 0);
        vm.warp(start + WINDOW);
        vm.prank(stranger);
        ledger.finalise(order, 0);
        assertLease(lease, LeaseState.Closed, EndReason.Claimed, false, 0);
        assertMoney(provider.addr, 10 * BOND, 0);
        openWith(aBondedOffer(), provider, order, 2);
    }

    function test_NotRevealedIsNoAnswer() public {
        closeAs(matcher, order, EndReason.Unresponsive);
        commitAs(provider, order, 0, SALT);
        vm.warp(start + WINDOW);
        ledger.finalise(order, 0);
        assertMoney(provider.addr, 10 * BOND - MIN_CHARGE, 0);
    }

    /* REVEALED */

    function test_RevealStartsANewWindow() public {
        commitAs(provider, order, 0, SALT);
        vm.warp(start + WINDOW - 1);
        revealAs(provider, order, 0, aClaim(200e12), SALT);
        Claim memory stored = ledger.claimOf(lease);
        assertEq(stored.result, keccak256("result"), "result");
        assertEq(stored.revealFrom, 0, "revealed");
        assertEq(stored.target, 10e6, "target");
        assertEq(ledger.lease(lease).deadline, start + 2 * WINDOW - 1, "deadline");
        assertLease(lease, LeaseState.Claimed, EndReason.Claimed, true, 0);
        assertTrue(ledger.lease(lease).responded, "responded");
        vm.warp(start + 2 * WINDOW - 1);
        ledger.finalise(order, 0);
        assertMoney(provider.addr, 10 * BOND + 10e6, 0);
    }

    function test_RevertWhen_RevealedOutOfTime() public {
        commitAs(provider, order, 0, SALT);
        vm.warp(start + WINDOW / 2 - 1);
        expectDeadlineNotReached(start + WINDOW / 2);
        revealAs(provider, order, 0, aClaim(1), SALT);
        for (uint256 i; i < 2; ++i) {
            vm.warp(start + WINDOW + i);
            expectDeadlinePassed(start + WINDOW);
            revealAs(provider, order, 0, aClaim(1), SALT);
        }
        vm.warp(start + WINDOW / 2);
        revealAs(provider, order, 0, aClaim(1), SALT);
    }

    function test_OddWindowsSecondHalfIsTheShorter() public {
        order.challengeWindow = 101;
        order.replicas = 1;
        openBonded(order);
        commitAs(provider, order, 0, SALT);
        assertEq(ledger.claimOf(leaseOf(order, 0)).revealFrom, start + 51, "reveal from");
    }

    function test_RevertWhen_NothingWasCommitted() public {
        expectWrongState(lease, LeaseState.Open);
        claimAs(provider, order, 0, aClaim(1));
        closeAs(matcher, order, EndReason.Faulty);
        expectWrongState(lease, LeaseState.Closing);
        claimAs(provider, order, 0, aClaim(1));
    }

    function test_RevertWhen_RevealedTwice() public {
        commitAs(provider, order, 0, SALT);
        vm.warp(start + WINDOW / 2);
        revealAs(provider, order, 0, aClaim(1), SALT);
        expectWrongState(lease, LeaseState.Claimed);
        revealAs(provider, order, 0, aClaim(type(uint64).max), SALT);
    }

    function test_RevertWhen_NotWhatWasCommitted() public {
        commitAs(provider, order, 0, SALT);
        vm.warp(start + WINDOW / 2);
        bytes32 commitment = commitmentOf(lease, provider.addr, SALT);
        expectWrongCommitment(commitment, commitmentOf(lease, provider.addr, "other"));
        revealAs(provider, order, 0, aClaim(1), "other");
        ClaimTerms memory terms = aClaim(1);
        terms.result = keccak256("other");
        expectWrongCommitment(commitment, keccak256(abi.encode(lease, provider.addr, terms.result, SALT)));
        revealAs(provider, order, 0, terms, SALT);
    }

    /// C13: who copies a commitment cannot reveal it, even after its owner has.
    function test_RevertWhen_Copied() public {
        commitAs(provider, order, 0, SALT);
        bytes32 copied = commitmentOf(lease, provider.addr, SALT);
        vm.prank(otherProvider.addr);
        ledger.commitClaim(order, 1, copied);
        vm.warp(start + WINDOW / 2);
        revealAs(provider, order, 0, aClaim(1), SALT);
        expectWrongCommitment(copied, commitmentOf(leaseOf(order, 1), otherProvider.addr, SALT));
        revealAs(otherProvider, order, 1, aClaim(1), SALT);
    }

    function test_OneReplicaIsHeldToItsCommitment() public {
        order.replicas = 1;
        lease = openBonded(order);
        commitAs(provider, order, 0, SALT);
        expectDeadlineNotReached(start + WINDOW / 2);
        claimAs(provider, order, 0, aClaim(1));
        vm.warp(start + WINDOW / 2);
        expectWrongCommitment(commitmentOf(lease, provider.addr, SALT), commitmentOf(lease, provider.addr, 0));
        claimAs(provider, order, 0, aClaim(1));
        revealAs(provider, order, 0, aClaim(1), SALT);
        assertEq(ledger.claimOf(lease).revealFrom, 0, "revealed");
    }

    function expectWrongCommitment(bytes32 commitment, bytes32 revealed) private {
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongCommitment.selector, commitment, revealed)
        );
    }

    function expectNoCommit(LeaseState state) private {
        expectWrongState(lease, state);
        vm.prank(provider.addr);
        ledger.commitClaim(order, 0, "commitment");
    }
}
