// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test, console} from "forge-std/Test.sol";

import {Case, Juror, Outcome, Phase, Seat} from "../../../src/interfaces/CourtTypes.sol";
import {IComputeLedger} from "../../../src/interfaces/IComputeLedger.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {Lease, LeaseState} from "../../../src/interfaces/LedgerTypes.sol";
import {CourtHandler} from "./CourtHandler.sol";

/// @dev The sentences are in README.md beside this file.
contract CourtInvariants is Test {
    CourtHandler private handler;
    IReexecutionCourt private court;
    IComputeLedger private ledger;

    uint256 private burnedBefore;

    function setUp() public {
        handler = new CourtHandler();
        court = IReexecutionCourt(handler.theCourt());
        ledger = IComputeLedger(handler.theLedger());
        bytes4[] memory selectors = new bytes4[](5);
        selectors[0] = CourtHandler.openCase.selector;
        selectors[1] = CourtHandler.step.selector;
        selectors[2] = CourtHandler.stepAgain.selector;
        selectors[3] = CourtHandler.visit.selector;
        selectors[4] = CourtHandler.pass.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
        targetContract(address(handler));
    }

    /// 1, 2, 3
    function invariant_MoneyOfJurors() public {
        uint256 stakes;
        uint256 owed;
        uint256 bond = court.seatBond();
        for (uint256 i; i < handler.countOfJurors(); ++i) {
            Juror memory juror = court.jurorOf(handler.jurorNumber(i));
            stakes += juror.stake;
            owed += juror.owed;
            assertLe(juror.stake, bond, "stake");
        }
        (uint256 tokens, uint256 inLedger) = handler.courtHolds();
        assertEq(tokens, stakes + court.burned(), "tokens = stakes + burned");
        assertEq(inLedger, owed, "ledger account = fees owed");
        assertGe(court.burned(), burnedBefore, "burned never falls");
        burnedBefore = court.burned();
    }

    /// 4, 5
    function invariant_ListOfJurors() public view {
        uint256 listed;
        for (uint256 i; i < court.places(); ++i) {
            address who = court.jurorAt(i);
            if (who == address(0)) continue;
            ++listed;
            assertEq(court.jurorOf(who).place, i + 1, "place");
            assertEq(court.jurorOf(who).stake, court.seatBond(), "listed = whole bond");
        }
        uint256 placed;
        for (uint256 i; i < handler.countOfJurors(); ++i) {
            Juror memory juror = court.jurorOf(handler.jurorNumber(i));
            if (juror.place != 0) ++placed;
            else assertFalse(juror.seated, "seated = listed");
        }
        assertEq(placed, listed, "each once");
    }

    /// 6, 7
    function invariant_Seats() public view {
        uint256 sitting;
        for (uint256 i; i < handler.countOfCases(); ++i) {
            bytes32 lease = handler.leaseAt(i);
            Case memory case_ = court.caseOf(lease);
            Seat[] memory seats = court.seatsOf(lease);
            if (case_.phase == Phase.Ended) continue;
            for (uint256 j; j < seats.length; ++j) {
                // The silent of the first jury have gone; all others sit, here and nowhere else.
                if (seats[j].round < case_.round && !seats[j].revealed) continue;
                Juror memory juror = court.jurorOf(seats[j].juror);
                assertTrue(juror.seated, "sits");
                assertEq(juror.seat, j, "seat");
                ++sitting;
                for (uint256 k; k < j; ++k) {
                    bool gone = seats[k].round < case_.round && !seats[k].revealed;
                    assertTrue(gone || seats[k].juror != seats[j].juror, "distinct");
                }
            }
        }
        uint256 seated;
        for (uint256 i; i < handler.countOfJurors(); ++i) {
            if (court.jurorOf(handler.jurorNumber(i)).seated) ++seated;
        }
        assertEq(seated, sitting, "nobody is seated without a seat");
    }

    /// 8, 9
    function invariant_NobodyGainsTogether() public view {
        assertLe(handler.partiesHave(), handler.partiesHad(), "buyer and provider together");
        uint256 inLocks;
        for (uint256 i; i < handler.countOfCases(); ++i) {
            Lease memory lease = ledger.lease(handler.leaseAt(i));
            if (lease.state != LeaseState.Closed) inLocks += lease.locked - lease.paid;
        }
        assertEq(
            handler.partiesHave() + inLocks + handler.jurorsHave() + court.burned(),
            handler.partiesHad() + handler.jurorsGot(),
            "every base unit is somewhere"
        );
    }

    /// 10, 11, 12
    function invariant_Cases() public view {
        for (uint256 i; i < handler.countOfCases(); ++i) {
            bytes32 lease = handler.leaseAt(i);
            Case memory case_ = court.caseOf(lease);
            if (case_.phase == Phase.Posting || case_.phase == Phase.Answering) {
                assertGt(case_.hi.position - case_.lo.position, 1, "there is a middle");
            }
            if (case_.phase == Phase.Drawing || case_.phase == Phase.Voting) {
                assertEq(case_.hi.position - case_.lo.position, 1, "one segment");
            }
            assertLe(case_.lo.work, case_.hi.work, "work rises");
            assertLe(case_.hi.position, case_.segments, "within the trace");

            bool ruled = case_.outcome == Outcome.ProviderWins || case_.outcome == Outcome.BuyerWins;
            assertEq(case_.phase == Phase.Ended, case_.outcome != Outcome.None, "ended = outcome");
            if (ruled) assertEq(uint8(ledger.stateOf(lease)), uint8(LeaseState.Closed), "ruled = Closed");
            if (ruled && case_.round != 0) assertMajority(lease, case_);
        }
    }

    /// No verdict of a jury without more than half of its seats on one value.
    function assertMajority(bytes32 lease, Case memory case_) private view {
        Seat[] memory seats = court.seatsOf(lease);
        uint256 forProvider;
        uint256 most;
        for (uint256 i; i < seats.length; ++i) {
            uint256 same;
            for (uint256 j; j < seats.length; ++j) {
                bool counts = seats[j].round == case_.round && seats[j].revealed;
                if (counts && seats[j].value == seats[i].value) ++same;
            }
            if (!seats[i].revealed || seats[i].round != case_.round) continue;
            if (same > most) most = same;
            if (seats[i].value == court.claimedValue(lease)) forProvider = same;
        }
        assertGt(2 * most, case_.seats, "majority");
        assertEq(2 * forProvider > case_.seats, case_.outcome == Outcome.ProviderWins, "whose");
    }

    /// 13
    function afterInvariant() public {
        handler.exitAll();
        (uint256 tokens, uint256 inLedger) = handler.courtHolds();
        assertEq(tokens, court.burned(), "only burned is left");
        assertEq(inLedger, 0, "no fee is left");
        for (uint256 i; i < handler.countOfCases(); ++i) {
            bytes32 lease = handler.leaseAt(i);
            assertEq(uint8(court.caseOf(lease).phase), uint8(Phase.Ended), "ended");
            assertEq(uint8(ledger.stateOf(lease)), uint8(LeaseState.Closed), "closed");
        }
        assertLe(handler.partiesHave(), handler.partiesHad(), "no profit");
        if (vm.envOr("COURT_CALLS", false)) printCalls();
    }

    function printCalls() private view {
        string[14] memory names = [
            "openCase",
            "openTrace",
            "post",
            "answer",
            "timeout",
            "draw",
            "commit",
            "reveal",
            "tally",
            "finalise",
            "come",
            "go",
            "collect",
            "pass"
        ];
        for (uint256 i; i < names.length; ++i) {
            console.log(names[i], handler.calls(bytes32(bytes(names[i]))));
        }
    }
}
