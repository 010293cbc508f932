// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Juror, Outcome, Phase, Seat} from "../../../src/interfaces/CourtTypes.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {LeaseState, Order} from "../../../src/interfaces/LedgerTypes.sol";
import {CourtTest} from "../support/CourtTest.sol";

contract CourtDrawTest is CourtTest {
    function test_RevertWhen_NotDrawing() public {
        bringClaim();
        expectWrongPhase(Phase.Opening);
        court.draw(order, fill);
    }

    function test_RevertWhen_AnchorIsNotPast() public {
        seatJurors(3);
        vm.roll(block.number + 1);
        bringToDraw();
        uint64 anchor = court.caseOf(lease).anchor;
        assertEq(anchor, block.number + 1, "a block to come");
        expectNotReached(anchor, anchor - 1);
        court.draw(order, fill);
        vm.roll(anchor);
        expectNotReached(anchor, anchor);
        court.draw(order, fill);
        vm.roll(anchor + 1);
        court.draw(order, fill);
        assertPhase(Phase.Voting);
    }

    function test_AnchorsAnewAfter256Blocks() public {
        seatJurors(2);
        vm.roll(block.number + 1);
        bringToDraw();
        uint64 anchor = court.caseOf(lease).anchor;
        vm.roll(anchor + 256);
        court.draw(order, fill);
        assertEq(court.caseOf(lease).filled, 2, "the hash is still known");
        assertEq(court.caseOf(lease).probes, 64, "all of one call");

        seatJurors(1);
        vm.roll(anchor + 257);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.DrawAnchored(lease, 1, 3, anchor + 258, 3);
        court.draw(order, fill);
        Case memory case_ = court.caseOf(lease);
        assertEq(case_.anchor, anchor + 258, "anchor");
        assertEq(case_.places, 3, "places");
        assertEq(case_.probes, 0, "probes");
        assertEq(case_.filled, 2, "those seated stay");
        assertPhase(Phase.Drawing);

        drawJury();
        assertEq(court.seatsOf(lease)[2].juror, jurors[2], "the third");
    }

    function test_EndsWhenAJuryWouldComeTooLate() public {
        seatJurors(2);
        vm.roll(block.number + 1);
        bringToDraw();
        vm.roll(block.number + 2);
        court.draw(order, fill);
        assertTrue(court.jurorOf(jurors[0]).seated, "seated");

        uint256 latest = ledger.lease(lease).deadline - COMMIT_TIME - REVEAL_TIME;
        vm.warp(latest - 1);
        court.draw(order, fill);
        assertPhase(Phase.Drawing);
        vm.warp(latest);
        court.draw(order, fill);
        assertEnded(Outcome.Default);
        assertLease(LeaseState.Disputed);
        for (uint256 i; i < 2; ++i) {
            assertFalse(court.jurorOf(jurors[i]).seated, "released");
            assertEq(court.jurorOf(jurors[i]).stake, SEAT_BOND, "whole");
            vm.prank(jurors[i]);
            court.leave(jurors[i]);
        }
    }

    function test_AVerdictIsPossibleAtTheLastMoment() public {
        seatJurors(JURORS);
        vm.roll(block.number + 1);
        bringToDraw();
        vm.warp(ledger.lease(lease).deadline - COMMIT_TIME - REVEAL_TIME - 1);
        drawJury();
        vote(votes(trueValue(), 2));
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        assertEnded(Outcome.ProviderWins);
    }

    /// The second jury could not be drawn: those of the first that revealed, and those of the second, are free again.
    function test_EndsInTheSecondRound() public {
        seatJurors(6);
        vm.roll(block.number + 1);
        bringToDraw();
        drawJury();
        address[] memory first = jury();
        vote(votes(keccak256("a"), 1));
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        vm.roll(block.number + 2);
        court.draw(order, fill);
        assertEq(court.caseOf(lease).filled, 3, "three are left");

        // A silent one of the first jury comes back and must not be touched.
        joinAs(first[1], 30);
        vm.warp(ledger.lease(lease).deadline);
        court.draw(order, fill);
        assertEnded(Outcome.Default);
        for (uint256 i; i < 6; ++i) {
            assertFalse(court.jurorOf(jurors[i]).seated, "released");
        }
        assertEq(court.jurorOf(first[0]).stake, SEAT_BOND, "revealed");
        assertEq(court.jurorOf(first[1]).stake, SEAT_BOND, "came back");
        assertEq(court.jurorOf(first[2]).stake, SEAT_BOND - SEAT_BOND / 10, "silent");
    }

    function test_WaitsForJurors() public {
        bringToDraw();
        vm.roll(block.number + 2);
        court.draw(order, fill);
        assertPhase(Phase.Drawing);
        assertEq(court.caseOf(lease).probes, 0, "nobody to look at");
    }

    /// 400 joined and all but five left: the gaps cost calls, nothing else.
    function test_GoesOnOverSeveralCalls() public {
        seatJurors(400);
        for (uint256 i = 5; i < 400; ++i) {
            vm.prank(jurors[i]);
            court.leave(jurors[i]);
        }
        vm.roll(block.number + 1);
        bringToDraw();
        vm.roll(block.number + 2);
        uint256 calls;
        for (; court.caseOf(lease).phase == Phase.Drawing; ++calls) {
            uint256 gas = gasleft();
            court.draw(order, fill);
            assertLt(gas - gasleft(), 1_000_000, "bounded");
        }
        assertGt(calls, 1, "calls");
        assertEq(court.places(), 400, "places");
    }

    function test_PassesBy_Parties() public {
        joinAs(buyer.addr, 1);
        joinAs(voucherSigner.addr, 1);
        joinAs(provider.addr, 1);
        assertSeatsNobody();
    }

    function test_PassesBy_TheProvidersZone() public {
        joinAs(stranger, ZONE);
        assertSeatsNobody();
    }

    function test_PassesBy_WhoLeft() public {
        joinAs(stranger, 1);
        vm.prank(stranger);
        court.leave(stranger);
        assertSeatsNobody();
    }

    function test_PassesBy_WhoJoinedInTheAnchorBlock() public {
        // The gap is within the list that the anchor counted.
        joinAs(makeAddr("before"), 1);
        vm.prank(makeAddr("before"));
        court.leave(stranger);
        vm.roll(block.number + 1);
        bringToDraw();
        uint64 anchor = court.caseOf(lease).anchor;
        assertEq(court.caseOf(lease).places, 1, "places");
        vm.roll(anchor);
        joinAs(makeAddr("late"), 1);
        vm.roll(anchor + 1);
        court.draw(order, fill);
        assertEq(court.caseOf(lease).filled, 0, "filled");
    }

    function test_PassesBy_WhoSitsInAnotherCase() public {
        seatJurors(3);
        vm.roll(block.number + 1);
        bringToDraw();
        drawJury();
        order = anOrder();
        order.salt = 99;
        lease = openLease(order, 0, provider, ZONE);
        claim(true);
        challenge();
        court.bring(order, fill);
        openTrace(anOpening(true));
        bisect();
        vm.roll(court.caseOf(lease).anchor + 1);
        court.draw(order, fill);
        assertEq(court.caseOf(lease).filled, 0, "filled");
    }

    /// A juror that leaves when it has seen the seed takes only itself out: nobody else gains or loses a seat by it but who
    /// comes next.
    function testFuzz_LeavingChangesNobodyElse(bytes32 hash, uint256 who) public {
        seatJurors(JURORS);
        vm.roll(block.number + 1);
        bringToDraw();
        uint256 anchor = court.caseOf(lease).anchor;
        vm.roll(anchor + 1);
        vm.setBlockhash(anchor, hash);
        address leaving = jurors[who % JURORS];
        uint256 state = vm.snapshotState();
        court.draw(order, fill);
        address[] memory expected = jury();
        vm.revertToState(state);

        vm.prank(leaving);
        court.leave(leaving);
        court.draw(order, fill);
        address[] memory found = jury();
        uint256 at;
        for (uint256 i; i < expected.length; ++i) {
            if (expected[i] == leaving) continue;
            assertEq(found[at++], expected[i], "same order");
        }
    }

    /// Over 300 seeds nobody is drawn much more often than others: 16 jurors, 900 seats, 56 each on average.
    function test_IsFair() public {
        seatJurors(JURORS);
        vm.roll(block.number + 1);
        bringToDraw();
        uint256 anchor = court.caseOf(lease).anchor;
        vm.roll(anchor + 1);
        uint256[] memory counts = new uint256[](JURORS);
        for (uint256 round; round < 300; ++round) {
            uint256 state = vm.snapshotState();
            vm.setBlockhash(anchor, keccak256(abi.encode("seed", round)));
            court.draw(order, fill);
            address[] memory who = jury();
            for (uint256 i; i < 3; ++i) {
                ++counts[court.jurorOf(who[i]).place - 1];
            }
            vm.revertToStateAndDelete(state);
        }
        for (uint256 i; i < JURORS; ++i) {
            assertGt(counts[i], 30, "too rarely");
            assertLt(counts[i], 85, "too often");
        }
    }

    function testFuzz_SeatsDistinctEligibleJurors(bytes32 hash) public {
        seatJurors(JURORS);
        joinAs(stranger, ZONE);
        joinAs(buyer.addr, 1);
        vm.roll(block.number + 1);
        bringToDraw();
        uint256 anchor = court.caseOf(lease).anchor;
        vm.roll(anchor + 1);
        vm.setBlockhash(anchor, hash);
        court.draw(order, fill);
        vote(votes(keccak256("a"), keccak256("b"), keccak256("c")));
        court.tally(order, fill);
        drawJury();
        Seat[] memory seats = court.seatsOf(lease);
        assertEq(seats.length, 12, "3 + 9");
        for (uint256 i; i < 12; ++i) {
            Juror memory juror = court.jurorOf(seats[i].juror);
            assertTrue(juror.seated, "seated");
            assertEq(juror.seat, i, "seat");
            assertEq(seats[i].round, i < 3 ? 1 : 2, "round");
            assertNotEq(seats[i].juror, stranger, "zone");
            assertNotEq(seats[i].juror, buyer.addr, "party");
            for (uint256 j; j < i; ++j) {
                assertNotEq(seats[i].juror, seats[j].juror, "distinct");
            }
        }
    }

    function test_StartsTheCommitments() public {
        seatJurors(3);
        vm.roll(block.number + 1);
        bringToDraw();
        vm.roll(court.caseOf(lease).anchor + 1);
        vm.warp(block.timestamp + 7);
        uint40 commitUntil = uint40(block.timestamp + COMMIT_TIME);
        // Who comes first depends on the seed alone.
        uint256 state = vm.snapshotState();
        court.draw(order, fill);
        address[] memory who = jury();
        vm.revertToState(state);
        for (uint8 i; i < 3; ++i) {
            vm.expectEmit(address(court));
            emit IReexecutionCourt.JurorSeated(lease, who[i], 1, i);
        }
        vm.expectEmit(address(court));
        emit IReexecutionCourt.VotingStarted(lease, 1, commitUntil, commitUntil + REVEAL_TIME);
        vm.prank(stranger);
        court.draw(order, fill);
        Case memory case_ = court.caseOf(lease);
        assertPhase(Phase.Voting);
        assertEq(case_.filled, 3, "filled");
        assertEq(case_.deadline, commitUntil, "commit until");
        assertEq(case_.revealUntil, commitUntil + REVEAL_TIME, "reveal until");
        assertEq(case_.probes, looksForThree(case_.anchor), "looked");
    }

    /// How often one looks at three places until each was seen.
    function looksForThree(uint64 anchor) private view returns (uint32 looks) {
        bytes32 seed = keccak256(abi.encode(blockhash(anchor), lease));
        for (uint256 seen; seen != 7; ++looks) {
            seen |= 1 << uint256(keccak256(abi.encode(seed, looks))) % 3;
        }
    }

    function assertSeatsNobody() private {
        vm.roll(block.number + 1);
        bringToDraw();
        vm.roll(block.number + 2);
        court.draw(order, fill);
        Case memory case_ = court.caseOf(lease);
        assertEq(case_.filled, 0, "filled");
        assertEq(case_.probes, 64, "looked");
        assertPhase(Phase.Drawing);
    }

    function expectNotReached(uint64 anchor, uint256 number) private {
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_AnchorNotReached.selector, anchor, number)
        );
    }
}
