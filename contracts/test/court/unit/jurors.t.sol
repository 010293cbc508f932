// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Guard} from "../../../src/Guard.sol";
import {Juror} from "../../../src/interfaces/CourtTypes.sol";
import {IComputeLedger} from "../../../src/interfaces/IComputeLedger.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {CourtTest} from "../support/CourtTest.sol";
import {MoodyToken} from "../support/MoodyToken.sol";

contract CourtJurorsTest is CourtTest {
    address private juror = makeAddr("juror");

    /* JOIN */

    function test_Join_RevertWhen_ZoneIsZero() public {
        vm.expectRevert(IReexecutionCourt.ReexecutionCourt_ZoneExpected.selector);
        vm.prank(juror);
        court.join(0);
    }

    function test_Join_RevertWhen_Listed() public {
        joinAs(juror, 1);
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_AlreadyJuror.selector, juror));
        vm.prank(juror);
        court.join(1);
    }

    function test_Join_RevertWhen_InACase() public {
        bringToVote();
        address seated = jury()[0];
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_AlreadyJuror.selector, seated));
        vm.prank(seated);
        court.join(1);
    }

    function test_Join_RevertWhen_TokenRefuses() public {
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_TransferFailed.selector, address(dollar))
        );
        vm.prank(juror);
        court.join(1);
    }

    function test_Join_RevertWhen_LessArrives() public {
        MoodyToken token = moody();
        token.setFee(1);
        expectIncomplete(SEAT_BOND - 1);
        vm.prank(juror);
        court.join(1);
        // A balance that falls is nothing received either.
        token.setFee(2 * SEAT_BOND);
        token.mint(address(court), SEAT_BOND);
        expectIncomplete(0);
        vm.prank(juror);
        court.join(1);
    }

    function test_Join_CreditsTheBondIfMoreArrives() public {
        MoodyToken token = moody();
        token.setBonus(5);
        vm.prank(juror);
        court.join(1);
        assertEq(court.jurorOf(juror).stake, SEAT_BOND, "stake");
    }

    function test_Join_AfterSlash_PullsWhatIsMissing() public {
        bringToVote();
        address silent = jury()[0];
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        dollar.mint(silent, SEAT_BOND);
        vm.startPrank(silent);
        dollar.approve(address(court), SEAT_BOND);
        court.join(9);
        vm.stopPrank();
        assertEq(dollar.balanceOf(silent), SEAT_BOND - SEAT_BOND / 10, "only a tenth");
        assertEq(court.jurorOf(silent).stake, SEAT_BOND, "whole again");
        assertEq(court.jurorOf(silent).zone, 9, "zone");
    }

    function test_Join_LengthensTheListOrTakesAGap() public {
        dollar.mint(juror, SEAT_BOND);
        vm.startPrank(juror);
        dollar.approve(address(court), SEAT_BOND);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.JurorJoined(juror, 3, SEAT_BOND);
        court.join(3);
        vm.stopPrank();
        Juror memory stored = court.jurorOf(juror);
        assertEq(stored.stake, SEAT_BOND, "stake");
        assertEq(stored.zone, 3, "zone");
        assertEq(stored.since, block.number, "since");
        assertEq(stored.place, 1, "place");
        assertFalse(stored.seated, "seated");
        assertEq(dollar.balanceOf(address(court)), SEAT_BOND, "money");

        joinAs(stranger, 4);
        assertEq(court.places(), 2, "two places");
        vm.prank(juror);
        court.leave(juror);
        assertEq(court.jurorAt(0), address(0), "gap");
        address third = makeAddr("third");
        joinAs(third, 5);
        assertEq(court.places(), 2, "still two");
        assertEq(court.jurorAt(0), third, "in the gap");
        assertEq(court.jurorOf(third).place, 1, "its place");
        assertEq(court.jurorAt(1), stranger, "nobody moved");
        assertEq(court.jurorAt(2), address(0), "past the end");
    }

    /* LEAVE */

    function test_Leave_RevertWhen_ReceiverIsZero() public {
        joinAs(juror, 1);
        vm.expectRevert(IReexecutionCourt.ReexecutionCourt_ZeroAddress.selector);
        vm.prank(juror);
        court.leave(address(0));
    }

    function test_Leave_RevertWhen_NoStake() public {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NotJuror.selector, juror));
        vm.prank(juror);
        court.leave(juror);
    }

    function test_Leave_RevertWhen_Seated() public {
        bringToVote();
        address seated = jury()[0];
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_Seated.selector, seated));
        vm.prank(seated);
        court.leave(seated);
    }

    function test_Leave_RevertWhen_TokenRefuses() public {
        MoodyToken token = moody();
        vm.prank(juror);
        court.join(1);
        token.setBlocked(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_TransferFailed.selector, address(token))
        );
        vm.prank(juror);
        court.leave(stranger);
        assertEq(court.jurorOf(juror).stake, SEAT_BOND, "stays");
        vm.prank(juror);
        court.leave(juror);
    }

    function test_Leave_RefusesACallFromTheToken() public {
        MoodyToken token = moody();
        vm.prank(juror);
        court.join(1);
        token.setHook(address(court), abi.encodeCall(IReexecutionCourt.leave, (address(token))));
        vm.prank(juror);
        court.leave(juror);
        assertEq(token.hookError(), abi.encodeWithSelector(Guard.Guard_Reentered.selector), "refused");
    }

    function test_Leave_AfterSlash_SendsTheRestOnce() public {
        bringToVote();
        address silent = jury()[0];
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        vm.startPrank(silent);
        court.leave(silent);
        assertEq(dollar.balanceOf(silent), SEAT_BOND - SEAT_BOND / 10, "the rest");
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NotJuror.selector, silent));
        court.leave(silent);
        vm.stopPrank();
    }

    function test_Leave_SendsTheStake() public {
        joinAs(juror, 1);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.JurorLeft(juror, stranger, SEAT_BOND);
        vm.prank(juror);
        court.leave(stranger);
        assertEq(dollar.balanceOf(stranger), SEAT_BOND, "sent");
        assertEq(court.jurorOf(juror).stake, 0, "stake");
        assertEq(court.jurorOf(juror).place, 0, "place");
    }

    /* COLLECT */

    function test_Collect_RevertWhen_NothingIsOwed() public {
        joinAs(juror, 1);
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NothingOwed.selector, juror));
        vm.prank(juror);
        court.collect(juror);
    }

    function test_Collect_RevertWhen_ReceiverIsZero() public {
        address winner = winAsJuror();
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAddress.selector);
        vm.prank(winner);
        court.collect(address(0));
        assertEq(court.jurorOf(winner).owed, SEAT_FEE, "stays");
    }

    function test_Collect_SendsTheFeesOnce() public {
        address winner = winAsJuror();
        vm.expectEmit(address(court));
        emit IReexecutionCourt.FeesCollected(winner, stranger, SEAT_FEE);
        vm.prank(winner);
        court.collect(stranger);
        assertEq(dollar.balanceOf(stranger), SEAT_FEE, "sent");
        assertEq(court.jurorOf(winner).owed, 0, "owed");
        assertEq(freeOf(address(court)), 2 * SEAT_FEE, "the others'");
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NothingOwed.selector, winner));
        vm.prank(winner);
        court.collect(stranger);
    }

    function winAsJuror() private returns (address) {
        bringToVote();
        vote(votes(trueValue(), 3));
        court.tally(order, fill);
        return jury()[0];
    }

    /// A court of a ledger whose token has moods; the juror has the money and has approved.
    function moody() private returns (MoodyToken token) {
        token = new MoodyToken();
        address other = deployCode("ComputeLedger.sol:ComputeLedger", abi.encode(token, registry, uint32(10)));
        court = deployCourt(other, SEAT_BOND, SEAT_FEE, MOVE_TIME, COMMIT_TIME, REVEAL_TIME);
        token.mint(juror, 10 * SEAT_BOND);
        vm.prank(juror);
        token.approve(address(court), 10 * SEAT_BOND);
    }

    function expectIncomplete(uint256 received) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IReexecutionCourt.ReexecutionCourt_StakeIncomplete.selector, uint256(SEAT_BOND), received
            )
        );
    }
}
