// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Outcome, Phase, Seat} from "../../../src/interfaces/CourtTypes.sol";
import {LeaseState} from "../../../src/interfaces/LedgerTypes.sol";
import {HeadReplay} from "../../support/HeadReplay.sol";
import {CourtTest} from "../support/CourtTest.sol";

/// @dev What a bystander notes: which ways the cases went, what must never happen between two calls, and the head from the
/// logs. A campaign that never goes a way proves nothing about it, so a test asks for `ways`.
abstract contract CourtNotes is CourtTest {
    using HeadReplay for HeadReplay.State;

    /// A case and its jurors before a step.
    struct Moment {
        Case case_;
        Seat[] seats;
        uint64[] stakes;
    }

    mapping(string way => uint256) public ways;

    /// Noted at once, because the states between two calls are not kept.
    bool public burnedFell;
    uint256 private burnedBefore;

    HeadReplay.State private replayed;

    function replayedHead() external view returns (uint208 hash, uint48 count) {
        return (replayed.hash, replayed.count);
    }

    /// After every call, in its block.
    function noteCall() internal {
        if (court.burned() < burnedBefore) burnedFell = true;
        burnedBefore = court.burned();
        HeadReplay.State memory state = replayed;
        state.advance(vm.getRecordedLogs(), address(court));
        replayed = state;
    }

    function momentOf(Case memory case_) internal view returns (Moment memory moment) {
        moment.case_ = case_;
        moment.seats = court.seatsOf(lease);
        moment.stakes = new uint64[](moment.seats.length);
        for (uint256 i; i < moment.seats.length; ++i) {
            moment.stakes[i] = court.jurorOf(moment.seats[i].juror).stake;
        }
    }

    function noteStep(Moment memory before) internal {
        Case memory now_ = court.caseOf(lease);
        for (uint256 i; i < before.seats.length; ++i) {
            uint64 lost = before.stakes[i] - court.jurorOf(before.seats[i].juror).stake;
            if (lost == SEAT_BOND) ++ways["slash for a wrong value"];
            else if (lost != 0) ++ways["slash for silence"];
        }
        bool drawing = before.case_.phase == Phase.Drawing && now_.phase == Phase.Drawing;
        if (drawing && now_.anchor != before.case_.anchor) ++ways["draw from a forgotten hash"];
        if (before.case_.round == 1 && now_.round == 2) ++ways["second jury"];
        if (before.case_.phase != Phase.Ended && now_.phase == Phase.Ended) noteEnd(before.case_, now_);
    }

    function noteEnd(Case memory before, Case memory now_) private {
        bool forProvider = now_.outcome == Outcome.ProviderWins;
        if (now_.outcome == Outcome.Default) {
            bool waits = ledger.stateOf(lease) == LeaseState.Disputed && block.timestamp < ledger.lease(lease).deadline;
            ++ways[waits && before.phase == Phase.Voting ? "default without a majority" : "default by time"];
        } else if (before.phase == Phase.Opening) {
            ++ways["provider silent at the opening"];
        } else if (before.phase == Phase.Posting) {
            ++ways["provider silent at a middle"];
        } else if (before.phase == Phase.Answering) {
            ++ways["challenger silent"];
        } else if (now_.round == 1) {
            ++ways[forProvider ? "first jury for the provider" : "first jury for the buyer"];
        } else {
            ++ways[forProvider ? "second jury for the provider" : "second jury for the buyer"];
        }
    }
}
