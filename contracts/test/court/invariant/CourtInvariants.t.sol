// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Case, Juror, Outcome, Phase, Seat} from "../../../src/interfaces/CourtTypes.sol";
import {IComputeLedger} from "../../../src/interfaces/IComputeLedger.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {Lease, LeaseState} from "../../../src/interfaces/LedgerTypes.sol";
import {CourtHandler} from "./CourtHandler.sol";

/// @dev README.md says each invariant in a sentence. Each has a campaign of its own, so each is a shorter one.
/// forge-config: default.invariant.runs = 16
contract CourtInvariants is Test {
    CourtHandler private handler;
    IReexecutionCourt private court;
    IComputeLedger private ledger;

    function setUp() public {
        handler = new CourtHandler();
        court = IReexecutionCourt(handler.theCourt());
        ledger = IComputeLedger(handler.theLedger());
        bytes4[5] memory actions = [
            CourtHandler.openCase.selector,
            CourtHandler.step.selector,
            CourtHandler.stepAgain.selector,
            CourtHandler.visit.selector,
            CourtHandler.pass.selector
        ];
        bytes4[] memory selectors = new bytes4[](actions.length);
        for (uint256 i; i < actions.length; ++i) {
            selectors[i] = actions[i];
        }
        targetContract(address(handler));
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    /* MONEY */

    function invariant_TokensAreStakesAndBurned() public view {
        uint256 stakes;
        for (uint256 i; i < handler.countOfJurors(); ++i) {
            stakes += jurorNumber(i).stake;
        }
        (uint256 tokens,) = handler.courtHolds();
        assertEq(tokens, stakes + court.burned());
    }

    function invariant_AccountIsTheFeesOwed() public view {
        uint256 owed;
        for (uint256 i; i < handler.countOfJurors(); ++i) {
            owed += jurorNumber(i).owed;
        }
        (, uint256 inLedger) = handler.courtHolds();
        assertEq(inLedger, owed);
    }

    function invariant_BurnedNeverFalls() public view {
        assertFalse(handler.burnedFell());
    }

    function invariant_StakeIsAtMostABond() public view {
        uint256 bond = court.seatBond();
        for (uint256 i; i < handler.countOfJurors(); ++i) {
            assertLe(jurorNumber(i).stake, bond);
        }
    }

    function invariant_PartiesGainNothing() public view {
        assertLe(handler.partiesHave(), handler.partiesHad());
    }

    function invariant_EveryBaseUnitIsSomewhere() public view {
        uint256 inLocks;
        for (uint256 i; i < handler.countOfCases(); ++i) {
            Lease memory lease = ledger.lease(handler.leaseAt(i));
            if (lease.state != LeaseState.Closed) inLocks += lease.locked - lease.paid;
        }
        assertEq(
            handler.partiesHave() + inLocks + handler.jurorsHave() + court.burned(),
            handler.partiesHad() + handler.jurorsGot()
        );
    }

    function invariant_Exit() public {
        handler.exitAll();
        (uint256 tokens, uint256 inLedger) = handler.courtHolds();
        assertEq(tokens, court.burned(), "only burned is left");
        assertEq(inLedger, 0, "no fee is left");
        for (uint256 i; i < handler.countOfCases(); ++i) {
            bytes32 lease = handler.leaseAt(i);
            assertEq(uint8(court.caseOf(lease).phase), uint8(Phase.Ended), "ended");
            assertEq(uint8(ledger.stateOf(lease)), uint8(LeaseState.Closed), "closed");
        }
    }

    /* JURORS */

    function invariant_ListedHaveAWholeBond() public view {
        uint256 bond = court.seatBond();
        for (uint256 i; i < court.places(); ++i) {
            address who = court.jurorAt(i);
            if (who != address(0)) assertEq(court.jurorOf(who).stake, bond);
        }
    }

    function invariant_ListedOnce() public view {
        uint256 listed;
        for (uint256 i; i < court.places(); ++i) {
            address who = court.jurorAt(i);
            if (who == address(0)) continue;
            ++listed;
            assertEq(court.jurorOf(who).place, i + 1, "knows its place");
        }
        uint256 placed;
        for (uint256 i; i < handler.countOfJurors(); ++i) {
            if (jurorNumber(i).place != 0) ++placed;
        }
        assertEq(placed, listed, "nobody else has one");
    }

    function invariant_SeatedAreListed() public view {
        for (uint256 i; i < handler.countOfJurors(); ++i) {
            Juror memory juror = jurorNumber(i);
            assertTrue(!juror.seated || juror.place != 0);
        }
    }

    function invariant_JurorsAreDistinct() public view {
        for (uint256 i; i < handler.countOfCases(); ++i) {
            Case memory case_ = court.caseOf(handler.leaseAt(i));
            Seat[] memory seats = court.seatsOf(handler.leaseAt(i));
            for (uint256 j; j < seats.length; ++j) {
                if (!holds(case_, seats[j])) continue;
                for (uint256 k; k < j; ++k) {
                    assertTrue(!holds(case_, seats[k]) || seats[k].juror != seats[j].juror);
                }
            }
        }
    }

    function invariant_SeatsHoldTheirJurors() public view {
        for (uint256 i; i < handler.countOfCases(); ++i) {
            Case memory case_ = court.caseOf(handler.leaseAt(i));
            Seat[] memory seats = court.seatsOf(handler.leaseAt(i));
            for (uint256 j; j < seats.length; ++j) {
                if (!holds(case_, seats[j])) continue;
                Juror memory juror = court.jurorOf(seats[j].juror);
                assertTrue(juror.seated, "sits");
                assertEq(juror.seat, j, "here");
            }
        }
    }

    function invariant_NobodySitsInTwoCases() public view {
        uint256 held;
        for (uint256 i; i < handler.countOfCases(); ++i) {
            Case memory case_ = court.caseOf(handler.leaseAt(i));
            Seat[] memory seats = court.seatsOf(handler.leaseAt(i));
            for (uint256 j; j < seats.length; ++j) {
                if (holds(case_, seats[j])) ++held;
            }
        }
        // Fewer would be one in two cases, more would be one that no live case lets go.
        assertEq(seatedJurors(), held);
    }

    /* CASES */

    function invariant_ThereIsAMiddle() public view {
        for (uint256 i; i < handler.countOfCases(); ++i) {
            Case memory case_ = court.caseOf(handler.leaseAt(i));
            uint256 stretch = case_.hi.position - case_.lo.position;
            if (case_.phase == Phase.Posting || case_.phase == Phase.Answering) assertGt(stretch, 1, "a middle");
            if (case_.phase == Phase.Drawing || case_.phase == Phase.Voting) assertEq(stretch, 1, "one segment");
            assertLe(case_.hi.position, case_.segments, "within the trace");
        }
    }

    function invariant_WorkRises() public view {
        for (uint256 i; i < handler.countOfCases(); ++i) {
            Case memory case_ = court.caseOf(handler.leaseAt(i));
            assertLe(case_.startWork, case_.lo.work, "start");
            assertLe(case_.lo.work, case_.hi.work, "stretch");
        }
    }

    function invariant_EndedMeansAnOutcome() public view {
        for (uint256 i; i < handler.countOfCases(); ++i) {
            Case memory case_ = court.caseOf(handler.leaseAt(i));
            assertEq(case_.phase == Phase.Ended, case_.outcome != Outcome.None);
        }
    }

    function invariant_RuledIsClosed() public view {
        for (uint256 i; i < handler.countOfCases(); ++i) {
            bytes32 lease = handler.leaseAt(i);
            if (isRuled(court.caseOf(lease))) assertEq(uint8(ledger.stateOf(lease)), uint8(LeaseState.Closed));
        }
    }

    function invariant_AJuryRulesByMajority() public view {
        for (uint256 i; i < handler.countOfCases(); ++i) {
            bytes32 lease = handler.leaseAt(i);
            Case memory case_ = court.caseOf(lease);
            if (!isRuled(case_) || case_.round == 0) continue;
            Seat[] memory seats = court.seatsOf(lease);
            uint256 most;
            for (uint256 j; j < seats.length; ++j) {
                uint256 same = votesFor(case_, seats, seats[j].value);
                if (same > most) most = same;
            }
            assertGt(2 * most, case_.seats);
        }
    }

    function invariant_TheMajoritySaysForWhom() public view {
        for (uint256 i; i < handler.countOfCases(); ++i) {
            bytes32 lease = handler.leaseAt(i);
            Case memory case_ = court.caseOf(lease);
            if (!isRuled(case_) || case_.round == 0) continue;
            uint256 forProvider = votesFor(case_, court.seatsOf(lease), court.claimedValue(lease));
            assertEq(2 * forProvider > case_.seats, case_.outcome == Outcome.ProviderWins);
        }
    }

    /* HEAD */

    function invariant_HeadEqualsEvents() public view {
        (uint208 hash, uint48 count) = court.head();
        (uint208 replayedHash, uint48 replayedCount) = handler.replayedHead();
        assertEq(count, replayedCount, "count");
        assertEq(hash, replayedHash, "hash");
    }

    /* SUMS */

    function jurorNumber(uint256 index) private view returns (Juror memory) {
        return court.jurorOf(handler.jurorNumber(index));
    }

    function seatedJurors() private view returns (uint256 seated) {
        for (uint256 i; i < handler.countOfJurors(); ++i) {
            if (jurorNumber(i).seated) ++seated;
        }
    }

    /// The silent of an earlier jury have gone; all others sit until the case ends.
    function holds(Case memory case_, Seat memory seat) private pure returns (bool) {
        return case_.phase != Phase.Ended && (seat.round == case_.round || seat.revealed);
    }

    function isRuled(Case memory case_) private pure returns (bool) {
        return case_.outcome == Outcome.ProviderWins || case_.outcome == Outcome.BuyerWins;
    }

    /// Seats of the last jury that revealed the value.
    function votesFor(Case memory case_, Seat[] memory seats, bytes32 value) private pure returns (uint256 votes) {
        for (uint256 i; i < seats.length; ++i) {
            if (seats[i].round == case_.round && seats[i].revealed && seats[i].value == value) ++votes;
        }
    }
}
