// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Outcome, Phase} from "../../../src/interfaces/CourtTypes.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {LeaseState} from "../../../src/interfaces/LedgerTypes.sol";
import {CourtTest} from "../support/CourtTest.sol";

contract CourtBringTest is CourtTest {
    /// What the verdict moves: a claim of 20 dollars and two bonds of 20.
    uint256 private constant VALUE = 60e6;

    function test_RevertWhen_AnotherArbiter() public {
        dispute();
        IReexecutionCourt other = deployCourt(SEAT_BOND, SEAT_FEE);
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NotArbiter.selector, address(court)));
        other.bring(order, fill);
    }

    function test_RevertWhen_NotDisputed() public {
        openLease();
        expectNotDisputed(LeaseState.Open);
        court.bring(order, fill);
        claim(true);
        expectNotDisputed(LeaseState.Claimed);
        court.bring(order, fill);
        challenge();
        vm.warp(ledger.lease(lease).deadline);
        ledger.finalise(order, fill);
        expectNotDisputed(LeaseState.Closed);
        court.bring(order, fill);
    }

    function test_RevertWhen_NoSuchLease() public {
        dispute();
        order.salt += 1;
        lease = ledger.leaseId(ledger.hashOrder(order), fill);
        expectNotDisputed(LeaseState.None);
        court.bring(order, fill);
    }

    function test_RevertWhen_TooLate() public {
        dispute();
        uint40 deadline = ledger.lease(lease).deadline;
        vm.warp(deadline);
        expectDeadlinePassed(deadline);
        court.bring(order, fill);
        vm.warp(deadline - 1);
        court.bring(order, fill);
    }

    function test_RevertWhen_BroughtBefore() public {
        dispute();
        court.bring(order, fill);
        expectWrongPhase(Phase.Opening);
        court.bring(order, fill);
    }

    function test_RevertWhen_BondDoesNotCoverFees() public {
        court = deployCourt(SEAT_BOND, BOND / 12 + 1);
        dispute();
        vm.expectRevert(
            abi.encodeWithSelector(
                IReexecutionCourt.ReexecutionCourt_BondTooSmall.selector, 12 * uint256(BOND / 12 + 1), uint256(BOND)
            )
        );
        court.bring(order, fill);
    }

    function test_TakesABondThatJustCoversFees() public {
        court = deployCourt(SEAT_BOND, BOND / 12);
        dispute();
        court.bring(order, fill);
        assertPhase(Phase.Opening);
    }

    function test_RevertWhen_TooValuable() public {
        uint48 bond = uint48(VALUE * 2 / 9);
        court = deployCourt(bond, SEAT_FEE);
        dispute();
        vm.expectRevert(
            abi.encodeWithSelector(
                IReexecutionCourt.ReexecutionCourt_TooValuable.selector, 9 * uint256(bond) / 2, VALUE
            )
        );
        court.bring(order, fill);
    }

    function test_TakesNineSeats() public {
        // The least seat bond of which nine are enough, and the greatest of which three are not.
        court = deployCourt(uint48(VALUE * 2 / 9 + 1), SEAT_FEE);
        dispute();
        court.bring(order, fill);
        assertEq(court.caseOf(lease).seats, 9, "nine");
        court = deployCourt(40e6 - 1, SEAT_FEE);
        dispute();
        court.bring(order, fill);
        assertEq(court.caseOf(lease).seats, 9, "still nine");
    }

    function test_NineSeatsFirst_NoSecondJury() public {
        court = deployCourt(39e6, SEAT_FEE);
        bringToVote();
        assertEq(jury().length, 9, "nine");
        vote(votes(trueValue(), 4));
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        assertEnded(Outcome.Default);
        assertEq(court.burned(), 5 * (uint256(39e6) / 10), "the silent");
    }

    function test_TakesThreeSeats() public {
        court = deployCourt(40e6, SEAT_FEE);
        dispute();
        vm.expectEmit(address(court));
        emit IReexecutionCourt.CaseBrought(
            lease, provider.addr, buyer.addr, VALUE, 3, uint40(block.timestamp + MOVE_TIME)
        );
        vm.prank(stranger);
        court.bring(order, fill);
        Case memory case_ = court.caseOf(lease);
        assertEq(case_.provider, provider.addr, "provider");
        assertEq(case_.challenger, buyer.addr, "challenger");
        assertEq(case_.seats, 3, "seats");
        assertEq(case_.round, 0, "round");
        assertEq(case_.deadline, block.timestamp + MOVE_TIME, "deadline");
        assertPhase(Phase.Opening);
    }

    /// Of a usage receipt, and of a claim that was paid by vouchers, only the bonds are moved.
    function test_ValueIsWhatTheClaimStillPays() public {
        openLease();
        claim(true);
        redeem(20e6 - 5);
        challenge();
        vm.expectEmit(address(court));
        emit IReexecutionCourt.CaseBrought(
            lease, provider.addr, buyer.addr, 40e6 + 5, 3, uint40(block.timestamp + MOVE_TIME)
        );
        court.bring(order, fill);
    }

    function dispute() private {
        openLease();
        claim(true);
        challenge();
    }

    function expectNotDisputed(LeaseState state) private {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NotDisputed.selector, lease, state));
    }
}
