// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Juror, Outcome, Phase, Seat} from "../../../src/interfaces/CourtTypes.sol";
import {IComputeLedger} from "../../../src/interfaces/IComputeLedger.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {LeaseState, StartVoucher, UsageReceipt} from "../../../src/interfaces/LedgerTypes.sol";
import {CourtTest} from "../support/CourtTest.sol";

contract CourtVoteTest is CourtTest {
    bytes32 private constant WRONG = keccak256("wrong");

    /* COMMIT */

    function test_Commit_RevertWhen_NotVoting() public {
        seatJurors(3);
        vm.roll(block.number + 1);
        bringToDraw();
        expectWrongPhase(Phase.Drawing);
        vm.prank(jurors[0]);
        court.commit(lease, WRONG);
    }

    function test_Commit_RevertWhen_NotSeated() public {
        bringToVote();
        expectNotSeated(stranger);
        vm.prank(stranger);
        court.commit(lease, WRONG);
    }

    function test_Commit_RevertWhen_OfTheJuryBefore() public {
        bringToVote();
        address[] memory first = jury();
        vote(votes(trueValue(), WRONG, 0));
        court.tally(order, fill);
        drawJury();
        expectNotSeated(first[0]);
        vm.prank(first[0]);
        court.commit(lease, WRONG);
    }

    /// A juror of another case whose seat has a number that this case does not have.
    function test_Commit_RevertWhen_SeatedElsewhere() public {
        bringToVote();
        vote(votes(trueValue(), WRONG, 0));
        court.tally(order, fill);
        drawJury();
        address other = jury()[8];
        seatJurors(4);
        vm.roll(block.number + 1);
        order = anOrder();
        order.salt = 99;
        lease = openLease(order, 0, provider, ZONE);
        claim(true);
        challenge();
        court.bring(order, fill);
        openTrace(anOpening(true));
        bisect();
        drawJury();
        expectNotSeated(other);
        vm.prank(other);
        court.commit(lease, WRONG);
    }

    function test_Commit_RevertWhen_Closed() public {
        bringToVote();
        address who = jury()[0];
        uint40 deadline = court.caseOf(lease).deadline;
        vm.warp(deadline);
        expectDeadlinePassed(deadline);
        vm.prank(who);
        court.commit(lease, WRONG);
        vm.warp(deadline - 1);
        vm.prank(who);
        court.commit(lease, WRONG);
    }

    function test_Commit_RevertWhen_Zero() public {
        bringToVote();
        address who = jury()[0];
        vm.expectRevert(IReexecutionCourt.ReexecutionCourt_ZeroCommitment.selector);
        vm.prank(who);
        court.commit(lease, 0);
    }

    function test_Commit_RevertWhen_Twice() public {
        bringToVote();
        address who = jury()[0];
        commitAs(who, WRONG);
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_AlreadyCommitted.selector, who));
        vm.prank(who);
        court.commit(lease, keccak256("other"));
    }

    function test_Commit_TheLastClosesThem() public {
        bringToVote();
        address[] memory who = jury();
        bytes32 commitment = commitmentOf(who[0], WRONG);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.VoteCommitted(lease, who[0], commitment);
        vm.prank(who[0]);
        court.commit(lease, commitment);
        assertEq(court.seatsOf(lease)[0].commitment, commitment, "kept");
        uint40 before = court.caseOf(lease).deadline;
        commitAs(who[1], WRONG);
        assertEq(court.caseOf(lease).deadline, before, "open");
        assertEq(court.caseOf(lease).committed, 2, "two");

        vm.warp(block.timestamp + 100);
        uint40 now_ = uint40(block.timestamp);
        commitment = commitmentOf(who[2], WRONG);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.VotingStarted(lease, 1, now_, now_ + REVEAL_TIME);
        vm.prank(who[2]);
        court.commit(lease, commitment);
        assertEq(court.caseOf(lease).deadline, now_, "closed");
        assertEq(court.caseOf(lease).revealUntil, now_ + REVEAL_TIME, "reveal until");
        revealAs(who[0], WRONG);
    }

    /* REVEAL */

    function test_Reveal_RevertWhen_NotVoting() public {
        bringClaim();
        expectWrongPhase(Phase.Opening);
        vm.prank(stranger);
        court.reveal(lease, WRONG, 0);
    }

    function test_Reveal_RevertWhen_NotSeated() public {
        bringToVote();
        vm.warp(court.caseOf(lease).deadline);
        expectNotSeated(stranger);
        vm.prank(stranger);
        court.reveal(lease, WRONG, 0);
    }

    function test_Reveal_RevertWhen_CommitmentsAreOpen() public {
        bringToVote();
        address who = jury()[0];
        commitAs(who, WRONG);
        uint40 deadline = court.caseOf(lease).deadline;
        vm.warp(deadline - 1);
        expectDeadlineNotReached(deadline);
        revealAs(who, WRONG);
        vm.warp(deadline);
        revealAs(who, WRONG);
    }

    function test_Reveal_RevertWhen_TooLate() public {
        bringToVote();
        address[] memory who = jury();
        commitAs(who[0], WRONG);
        commitAs(who[1], WRONG);
        uint40 until = court.caseOf(lease).revealUntil;
        vm.warp(until - 1);
        revealAs(who[0], WRONG);
        vm.warp(until);
        expectDeadlinePassed(until);
        revealAs(who[1], WRONG);
    }

    function test_Reveal_RevertWhen_Twice() public {
        bringToVote();
        address who = jury()[0];
        commitAs(who, WRONG);
        vm.warp(court.caseOf(lease).deadline);
        revealAs(who, WRONG);
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_AlreadyRevealed.selector, who));
        revealAs(who, WRONG);
    }

    function test_Reveal_RevertWhen_NotCommittedTo() public {
        bringToVote();
        address[] memory who = jury();
        commitAs(who[0], WRONG);
        bytes32 commitment = commitmentOf(who[0], WRONG);
        vm.warp(court.caseOf(lease).deadline);

        expectWrongCommitment(commitment, commitmentOf(who[0], keccak256("other")));
        revealAs(who[0], keccak256("other"));
        expectWrongCommitment(commitment, keccak256(abi.encode(lease, uint8(1), who[0], WRONG, bytes32(0))));
        vm.prank(who[0]);
        court.reveal(lease, WRONG, 0);
        // Nothing was committed to.
        expectWrongCommitment(0, commitmentOf(who[1], WRONG));
        revealAs(who[1], WRONG);
    }

    /// A commitment of the first round is none in the second.
    function test_Reveal_RevertWhen_OfAnotherRound() public {
        bringToVote();
        vote(votes(trueValue(), WRONG, 0));
        court.tally(order, fill);
        drawJury();
        address who = jury()[0];
        bytes32 old = keccak256(abi.encode(lease, uint8(1), who, WRONG, saltOf(who)));
        vm.prank(who);
        court.commit(lease, old);
        vm.warp(court.caseOf(lease).deadline);
        expectWrongCommitment(old, commitmentOf(who, WRONG));
        revealAs(who, WRONG);
    }

    function test_Reveal_Counts() public {
        bringToVote();
        address who = jury()[1];
        commitAs(who, WRONG);
        vm.warp(court.caseOf(lease).deadline);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.VoteRevealed(lease, who, WRONG);
        revealAs(who, WRONG);
        Seat memory seat = court.seatsOf(lease)[1];
        assertTrue(seat.revealed, "revealed");
        assertEq(seat.value, WRONG, "value");
        assertEq(court.caseOf(lease).revealed, 1, "count");
    }

    /* TALLY */

    function test_Tally_RevertWhen_NotVoting() public {
        bringClaim();
        expectWrongPhase(Phase.Opening);
        court.tally(order, fill);
    }

    function test_Tally_RevertWhen_Outstanding() public {
        bringToVote();
        address[] memory who = jury();
        uint40 until = court.caseOf(lease).revealUntil;
        // Nobody has committed, but may still.
        expectDeadlineNotReached(until);
        court.tally(order, fill);
        commitAs(who[0], WRONG);
        commitAs(who[1], WRONG);
        vm.warp(court.caseOf(lease).deadline);
        revealAs(who[0], WRONG);
        expectDeadlineNotReached(until);
        court.tally(order, fill);
        vm.warp(until - 1);
        expectDeadlineNotReached(until);
        court.tally(order, fill);
        vm.warp(until);
        court.tally(order, fill);
    }

    function test_Tally_WhenAllThatCommittedHaveRevealed() public {
        bringToVote();
        bytes32 value = trueValue();
        vote(votes(value, 2));
        assertLt(block.timestamp, court.caseOf(lease).revealUntil, "early");
        court.tally(order, fill);
        assertEnded(Outcome.ProviderWins);
    }

    function test_Tally_WhenNobodyCommitted() public {
        bringToVote();
        vm.warp(court.caseOf(lease).deadline);
        court.tally(order, fill);
        assertPhase(Phase.Drawing);
    }

    function test_Tally_TooLateForTheLedger() public {
        bringToVote();
        address[] memory who = jury();
        commitAs(who[0], WRONG);
        commitAs(who[1], WRONG);
        vm.warp(court.caseOf(lease).deadline);
        revealAs(who[0], WRONG);
        vm.warp(ledger.lease(lease).deadline);
        court.tally(order, fill);
        assertEnded(Outcome.Default);
        assertEq(court.burned(), 0, "nobody pays");
        for (uint256 i; i < 3; ++i) {
            Juror memory juror = court.jurorOf(who[i]);
            assertFalse(juror.seated, "released");
            assertEq(juror.stake, SEAT_BOND, "whole");
            assertEq(juror.owed, 0, "no fee");
        }
        ledger.finalise(order, fill);
        assertEq(ledger.account(provider.addr).bonded, 0, "bond");
    }

    function test_Tally_ForTheProvider() public {
        bringToVote();
        redeem(5e6);
        address[] memory who = jury();
        bytes32 value = trueValue();
        vote(votes(value, value, WRONG));
        uint256 before = freeOf(provider.addr);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.JurorSlashed(who[2], lease, SEAT_BOND, 0);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.CaseEnded(lease, Outcome.ProviderWins, value, 15e6, BOND - 2 * SEAT_FEE, 2 * SEAT_FEE);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseRuled(
            lease, address(court), buyer.addr, true, 15e6, BOND - 2 * SEAT_FEE, 2 * SEAT_FEE, 0
        );
        court.tally(order, fill);
        assertEnded(Outcome.ProviderWins);
        assertEq(freeOf(provider.addr) - before, 15e6 + BOND + BOND - 2 * SEAT_FEE, "provider");
        assertEq(freeOf(address(court)), 2 * SEAT_FEE, "fees");
        for (uint256 i; i < 2; ++i) {
            Juror memory juror = court.jurorOf(who[i]);
            assertEq(juror.owed, SEAT_FEE, "owed");
            assertEq(juror.stake, SEAT_BOND, "stake");
            assertFalse(juror.seated, "free");
            assertGt(juror.place, 0, "listed");
        }
        Juror memory wrong = court.jurorOf(who[2]);
        assertEq(wrong.stake, 0, "all");
        assertEq(wrong.owed, 0, "nothing");
        assertEq(wrong.place, 0, "off the list");
        assertFalse(wrong.seated, "free");
        assertEq(court.burned(), SEAT_BOND, "burned");
    }

    function test_Tally_SlashesTheSilent() public {
        bringToVote();
        address silent = jury()[2];
        vote(votes(trueValue(), 2));
        vm.expectEmit(address(court));
        emit IReexecutionCourt.JurorSlashed(silent, lease, SEAT_BOND / 10, SEAT_BOND - SEAT_BOND / 10);
        court.tally(order, fill);
        Juror memory juror = court.jurorOf(silent);
        assertEq(juror.stake, SEAT_BOND - SEAT_BOND / 10, "a tenth");
        assertEq(juror.place, 0, "off the list");
        assertFalse(juror.seated, "free");
        assertEq(court.burned(), SEAT_BOND / 10, "burned");
    }

    function test_Tally_ForTheBuyer_WhenItCannotBeReplayed() public {
        bringToVote();
        vote(votes(0, 0, trueValue()));
        vm.expectEmit(address(court));
        emit IReexecutionCourt.CaseEnded(lease, Outcome.BuyerWins, 0, 0, BOND - 2 * SEAT_FEE, 2 * SEAT_FEE);
        court.tally(order, fill);
        assertEnded(Outcome.BuyerWins);
        assertEq(ledger.lease(lease).paid, 0, "paid");
    }

    /// One vote for 0 and two that were silent are no majority for 0.
    function test_Tally_SilenceIsNoVoteForZero() public {
        bringToVote();
        vote(votes(0, 1));
        court.tally(order, fill);
        assertPhase(Phase.Drawing);
    }

    /// Vouchers paid 12 dollars, up to `lo` 10 were earned: 2 of harm leave enough for the fees.
    function test_Tally_HarmBeyondWhatWasEarned() public {
        lieFrom(5);
        bringToVote();
        redeem(12e6);
        assertEq(court.caseOf(lease).lo.position, 4, "half of the work is agreed");
        vote(votes(trueValue(), 3));
        expectRuledForBuyer(BOND - 3 * SEAT_FEE, 3 * SEAT_FEE);
        court.tally(order, fill);
    }

    /// 18.5 dollars of harm leave 1.5 of the bond for three jurors.
    function test_Tally_BuyerIsMadeWholeFirst() public {
        lieFrom(1);
        bringToVote();
        redeem(18.5e6);
        address[] memory who = jury();
        vote(votes(trueValue(), 3));
        expectRuledForBuyer(18.5e6, 1.5e6);
        court.tally(order, fill);
        assertEq(court.jurorOf(who[0]).owed, 0.5e6, "a third each");
    }

    /// What does not divide goes to the buyer.
    function test_Tally_TheRestOfADivisionIsTheBuyers() public {
        lieFrom(1);
        bringToVote();
        redeem(20e6 - 5);
        vote(votes(trueValue(), 3));
        expectRuledForBuyer(BOND - 3, 3);
        court.tally(order, fill);
    }

    /// Just enough for the fees, and one base unit less.
    function test_Tally_HarmThatJustLeavesTheFees() public {
        lieFrom(1);
        bringToVote();
        redeem(BOND - 3 * SEAT_FEE);
        uint256 state = vm.snapshotState();
        vote(votes(trueValue(), 3));
        expectRuledForBuyer(BOND - 3 * SEAT_FEE, 3 * SEAT_FEE);
        court.tally(order, fill);
        vm.revertToState(state);
        redeem(BOND - 3 * SEAT_FEE + 1);
        vote(votes(trueValue(), 3));
        expectRuledForBuyer(BOND - 3 * SEAT_FEE + 3, 3 * SEAT_FEE - 3);
        court.tally(order, fill);
    }

    function test_Tally_HarmTakesTheWholeBond() public {
        lieFrom(1);
        bringToVote();
        redeem(30e6);
        vote(votes(trueValue(), 3));
        expectRuledForBuyer(BOND, 0);
        court.tally(order, fill);
    }

    /// The lease went on from a checkpoint: what was earned counts from there.
    function test_Tally_HarmCountsFromTheStart() public {
        UsageReceipt memory receipt = bringReceiptFromCheckpoint();
        redeem(6e6);
        assertEq(receipt.work, WORK * 5 / 8, "five segments");
        bisect();
        drawJury();
        // Up to position 4 all is agreed: 2.5 dollars are earned, 3.5 are harm.
        assertEq(court.caseOf(lease).lo.position, 4, "lo");
        vote(votes(trueValue(), 3));
        expectRuledForBuyer(BOND - 3 * SEAT_FEE, 3 * SEAT_FEE);
        court.tally(order, fill);
    }

    function test_Tally_HarmCountsFromTheStart_AndLimitsFees() public {
        bringReceiptFromCheckpoint();
        redeem(20e6);
        bisect();
        drawJury();
        vote(votes(trueValue(), 3));
        // 20 paid, 2.5 earned: 17.5 of harm, 2.5 for three jurors.
        expectRuledForBuyer(BOND - 2_499_999, 2_499_999);
        court.tally(order, fill);
    }

    function test_Tally_AReceiptWithoutClaimAwardsNothing() public {
        seatJurors(JURORS);
        vm.roll(block.number + 1);
        openLease();
        UsageReceipt memory receipt = aReceipt();
        challengeReceipt(receipt);
        bringReceiptToVote(receipt);
        vote(votes(trueValue(), 3));
        vm.expectEmit(address(court));
        emit IReexecutionCourt.CaseEnded(lease, Outcome.ProviderWins, trueValue(), 0, BOND - 3 * SEAT_FEE, 3 * SEAT_FEE);
        court.tally(order, fill);
    }

    function test_Tally_AReceiptWithClaimAwardsTheClaim() public {
        seatJurors(JURORS);
        vm.roll(block.number + 1);
        openLease();
        UsageReceipt memory receipt = aReceipt();
        claim(true);
        challengeReceipt(receipt);
        bringReceiptToVote(receipt);
        vote(votes(trueValue(), 3));
        vm.expectEmit(address(court));
        emit IReexecutionCourt.CaseEnded(
            lease, Outcome.ProviderWins, trueValue(), 20e6, BOND - 3 * SEAT_FEE, 3 * SEAT_FEE
        );
        court.tally(order, fill);
    }

    function test_Tally_CallsNine() public {
        bringToVote();
        address[] memory who = jury();
        vote(votes(WRONG, 1));
        vm.expectEmit(address(court));
        emit IReexecutionCourt.DrawAnchored(lease, 2, 9, uint64(block.number + 1), uint32(JURORS));
        court.tally(order, fill);
        Case memory case_ = court.caseOf(lease);
        assertPhase(Phase.Drawing);
        assertEq(case_.seats, 9, "nine");
        assertEq(case_.round, 2, "round");
        assertEq(case_.filled, 0, "none yet");
        assertTrue(court.jurorOf(who[0]).seated, "who revealed waits");
        assertFalse(court.jurorOf(who[1]).seated, "the silent is free");
        assertEq(court.burned(), 2 * (SEAT_BOND / 10), "two silent");
    }

    /// Four of nine are not more than half, five are.
    function test_Tally_FiveOfNine() public {
        bringToVote();
        vote(votes(WRONG, keccak256("other"), 0));
        court.tally(order, fill);
        drawJury();
        bytes32[] memory values = votes(WRONG, 9);
        for (uint256 i = 5; i < 9; ++i) {
            values[i] = trueValue();
        }
        address[] memory second = jury();
        vote(values);
        court.tally(order, fill);
        assertEnded(Outcome.BuyerWins);
        assertEq(court.jurorOf(second[0]).owed, SEAT_FEE, "right");
        assertEq(court.jurorOf(second[8]).stake, 0, "outvoted");
        assertEq(freeOf(address(court)), 6 * SEAT_FEE, "five and one of the first jury");
    }

    /// However the votes fall, a decision needs more than half of all seats of the present jury.
    function testFuzz_DecisionNeedsMoreThanHalf(uint8[9] memory choices) public {
        bringToVote();
        vote(votes(WRONG, keccak256("other"), 0));
        court.tally(order, fill);
        drawJury();
        bytes32[3] memory kinds = [trueValue(), WRONG, bytes32(0)];
        uint256[4] memory counts;
        bytes32[] memory values = new bytes32[](9);
        address[] memory who = jury();
        for (uint256 i; i < 9; ++i) {
            uint256 kind = choices[i] % 4;
            ++counts[kind];
            if (kind == 3) continue;
            values[i] = kinds[kind];
            commitAs(who[i], values[i]);
        }
        if (block.timestamp < court.caseOf(lease).deadline) vm.warp(court.caseOf(lease).deadline);
        for (uint256 i; i < 9; ++i) {
            if (choices[i] % 4 != 3) revealAs(who[i], values[i]);
        }
        court.tally(order, fill);
        if (counts[0] >= 5) assertEnded(Outcome.ProviderWins);
        else if (counts[1] >= 5 || counts[2] >= 5) assertEnded(Outcome.BuyerWins);
        else assertEnded(Outcome.Default);
    }

    /* SUPPORT */

    function bringReceiptToVote(UsageReceipt memory receipt) private {
        StartVoucher memory start;
        court.bring(order, fill);
        vm.prank(provider.addr);
        court.openTrace(order, fill, receipt, anOpening(false), start);
        bisect();
        drawJury();
    }

    /// Fill 1 goes on from position 3; its segment 5 is false.
    function bringReceiptFromCheckpoint() private returns (UsageReceipt memory receipt) {
        seatJurors(JURORS);
        vm.roll(block.number + 1);
        lieFrom(5);
        openLease();
        bytes32 first = lease;
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        fill = 1;
        lease = openLease(order, 1, provider, ZONE);
        receipt = aReceipt();
        receipt.work = WORK - told[3].work;
        challengeReceipt(receipt);
        court.bring(order, fill);
        StartVoucher memory start;
        start.voucher = aVoucher(first, 1, told[3].state, false, voucherSigner);
        openAt3(receipt, start);
    }

    function openAt3(UsageReceipt memory receipt, StartVoucher memory start) private {
        vm.startPrank(provider.addr);
        court.openTrace(order, fill, receipt, anOpeningAt(3), start);
        vm.stopPrank();
    }

    function expectRuledForBuyer(uint48 toWinner, uint48 toJurors) private {
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseRuled(lease, address(court), buyer.addr, false, 0, toWinner, toJurors, BOND);
    }

    function expectNotSeated(address who) private {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NotSeated.selector, lease, who));
    }

    function expectWrongCommitment(bytes32 commitment, bytes32 revealed) private {
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_WrongCommitment.selector, commitment, revealed)
        );
    }
}
