// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Juror, Outcome, Phase, Seat} from "../../src/interfaces/CourtTypes.sol";
import {Order} from "../../src/interfaces/LedgerTypes.sol";
import {CourtHarness} from "./support/CourtHarness.sol";
import {LedgerStub} from "./support/LedgerStub.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title What the court's verdict takes from a bond and from jurors, for every seat bond and fee it may be deployed with
/// @dev Juries of three, who voted anything or nothing; the ledger is a stub that says what the check sets.
contract CourtProof is Symbolic {
    bytes32 private constant LEASE = bytes32(uint256(1));

    struct Money {
        uint48 seatBond;
        uint48 fee;
        uint48 locked;
        uint48 paid;
        uint48 target;
        uint48 bond;
        uint32 rate;
    }

    LedgerStub private ledger;
    CourtHarness private court;

    function check_ASilentJurorLosesATenthOfItsBond(Money memory m, Juror memory juror, address who) external {
        _deployCourt(m);
        vm.assume(juror.stake >= m.seatBond && juror.place == 0);
        court.setJuror(who, juror);
        court.slashSilent(who, LEASE);
        assert(court.jurorOf(who).stake == juror.stake - m.seatBond / 10);
        assert(court.burned() == m.seatBond / 10 && court.burned() <= m.seatBond);
        assert(!court.jurorOf(who).seated && court.jurorOf(who).owed == juror.owed);
    }

    function check_AWrongJurorLosesItsBondAndNoMore(Money memory m, Juror memory juror, address who) external {
        _deployCourt(m);
        vm.assume(juror.stake >= m.seatBond && juror.place == 0);
        court.setJuror(who, juror);
        court.slashWrong(who, LEASE);
        assert(court.jurorOf(who).stake == juror.stake - m.seatBond);
        assert(court.burned() == m.seatBond);
    }

    function check_AStakeIsNeverSlashedBelowZero(Money memory m, Juror memory juror, address who) external {
        _deployCourt(m);
        vm.assume(juror.place == 0);
        court.setJuror(who, juror);
        (bool done,) = address(court).call(abi.encodeCall(court.slashWrong, (who, LEASE)));
        assert(done == (juror.stake >= m.seatBond));
    }

    function check_AVerdictSplitsExactlyTheBond(Money memory m, Order memory order, Seat[3] memory seats) external {
        _tally(m, order, seats);
        vm.assume(ledger.ruled());
        assert(uint256(ledger.toWinner()) + ledger.toJurors() == m.bond);
    }

    function check_AVerdictAwardsAtMostTheClaim(Money memory m, Order memory order, Seat[3] memory seats) external {
        _tally(m, order, seats);
        vm.assume(ledger.ruled());
        uint48 award = ledger.award();
        assert(award == 0 || (ledger.providerWins() && uint256(m.paid) + award <= m.target));
        assert(uint256(m.paid) + award <= m.locked);
    }

    function check_JurorsGetWhatTheVerdictGivesThem(Money memory m, Order memory order, Seat[3] memory seats) external {
        _tally(m, order, seats);
        vm.assume(ledger.ruled());
        uint256 owed;
        for (uint256 i; i < 3; ++i) {
            Juror memory juror = court.jurorOf(seats[i].juror);
            owed += juror.owed;
            assert(juror.owed <= m.fee);
            assert(juror.owed == 0 || juror.stake == m.seatBond);
            assert(!juror.seated);
        }
        assert(owed == ledger.toJurors());
    }

    function check_ASlashedStakeIsBurned(Money memory m, Order memory order, Seat[3] memory seats) external {
        _tally(m, order, seats);
        uint256 stakes;
        for (uint256 i; i < 3; ++i) {
            stakes += court.jurorOf(seats[i].juror).stake;
        }
        assert(stakes + court.burned() == 3 * uint256(m.seatBond));
    }

    function check_AVerdictNeedsAMajority(Money memory m, Order memory order, Seat[3] memory seats) external {
        _tally(m, order, seats);
        vm.assume(ledger.ruled());
        bool a = _and(_and(seats[0].revealed, seats[1].revealed), seats[0].value == seats[1].value);
        bool b = _and(_and(seats[0].revealed, seats[2].revealed), seats[0].value == seats[2].value);
        bool c = _and(_and(seats[1].revealed, seats[2].revealed), seats[1].value == seats[2].value);
        assert(_or(a, _or(b, c)));
    }

    function check_ACaseIsTakenOnlyIfItsBondPaysTwoJuries(Money memory m, Order memory order) external {
        _deployCourt(m);
        order.arbiter = address(court);
        ledger.set(m.locked, m.paid, m.rate, m.target, m.bond, 1000);
        vm.warp(1);
        court.bring(order, 0);
        assert(m.bond >= uint256(m.fee) * 12);
    }

    /// What a majority of the jury loses by a wrong vote is at least what any verdict moves.
    function check_ACaseIsTakenOnlyIfAMajorityHasMoreToLose(Money memory m, Order memory order) external {
        _deployCourt(m);
        order.arbiter = address(court);
        ledger.set(m.locked, m.paid, m.rate, m.target, m.bond, 1000);
        vm.warp(1);
        court.bring(order, 0);
        uint8 seats = court.caseOf(LEASE).seats;
        uint256 most = m.target < m.locked ? m.target : m.locked;
        uint256 moved = (most > m.paid ? most - m.paid : 0) + 2 * uint256(m.bond);
        assert(seats == 3 || seats == 9);
        assert(2 * moved <= seats * uint256(m.seatBond));
    }

    function check_WhoLetsItsTimePassLosesTheBondToTheOther(Money memory m, Order memory order, uint8 phase) external {
        _deployCourt(m);
        vm.assume(phase >= uint8(Phase.Opening) && phase <= uint8(Phase.Answering));
        ledger.set(m.locked, m.paid, m.rate, m.target, m.bond, 1000);
        Case memory case_;
        case_.phase = Phase(phase);
        case_.deadline = 500;
        court.setCase(LEASE, case_);
        vm.warp(500);
        court.timeout(order, 0);
        assert(ledger.ruled() && ledger.providerWins() == (phase == uint8(Phase.Answering)));
        assert(ledger.toWinner() == m.bond && ledger.toJurors() == 0);
    }

    function _deployCourt(Money memory m) private {
        vm.assume(m.seatBond >= 10 && m.paid <= m.locked);
        ledger = new LedgerStub();
        court = CourtHarness(_deploy("CourtHarness", abi.encode(address(ledger), m.seatBond, m.fee)));
    }

    function _tally(Money memory m, Order memory order, Seat[3] memory seats) private {
        _deployCourt(m);
        vm.assume(m.bond >= uint256(m.fee) * 12);
        ledger.set(m.locked, m.paid, m.rate, m.target, m.bond, 1000);
        Case memory case_;
        case_.provider = address(0x1001);
        case_.phase = Phase.Voting;
        case_.seats = 3;
        case_.filled = 3;
        case_.round = 1;
        case_.segments = 2;
        case_.lo.work = m.target;
        case_.hi.position = 2;
        case_.revealUntil = 500;
        court.setCase(LEASE, case_);
        for (uint256 i; i < 3; ++i) {
            seats[i].juror = address(uint160(0x2000 + i));
            seats[i].round = 1;
            court.addSeat(LEASE, seats[i]);
            Juror memory juror;
            juror.stake = m.seatBond;
            juror.seated = true;
            court.setJuror(seats[i].juror, juror);
        }
        vm.warp(500);
        court.tally(order, 0);
    }
}
