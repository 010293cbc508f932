// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Juror, Phase, Seat} from "../../src/interfaces/CourtTypes.sol";
import {Order} from "../../src/interfaces/LedgerTypes.sol";
import {CourtHarness} from "./support/CourtHarness.sol";
import {LedgerStub} from "./support/LedgerStub.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title What the court's verdict takes from a bond and from jurors, for every seat bond and fee it may be deployed with
/// @dev Juries of three; the ledger is a stub that says what the check sets.
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

    function check_AVerdictOfAllThree(Money memory m, Order memory order, bytes32 value) external {
        _tally(m, order, [_vote(value), _vote(value), _vote(value)]);
        _assertVerdict(m, 3);
        assert(court.burned() == 0);
    }

    function check_AVerdictOfTwoAgainstOne(Money memory m, Order memory order, bytes32 value, bytes32 other) external {
        vm.assume(value != other);
        _tally(m, order, [_vote(value), _vote(other), _vote(value)]);
        _assertVerdict(m, 2);
        assert(court.burned() == m.seatBond);
        assert(court.jurorOf(_juror(1)).owed == 0);
    }

    function check_AVerdictOfTwoAndASilentOne(Money memory m, Order memory order, bytes32 value) external {
        Seat memory silent;
        _tally(m, order, [silent, _vote(value), _vote(value)]);
        _assertVerdict(m, 2);
        assert(court.burned() == m.seatBond / 10);
        assert(court.jurorOf(_juror(0)).owed == 0);
    }

    function check_ASplitJuryRulesNothing(Money memory m, Order memory order, bytes32 a, bytes32 b, bytes32 c)
        external
    {
        vm.assume(_and(a != b, _and(b != c, a != c)));
        _tally(m, order, [_vote(a), _vote(b), _vote(c)]);
        assert(!ledger.ruled() && court.burned() == 0);
        assert(court.caseOf(LEASE).phase == Phase.Drawing && court.caseOf(LEASE).seats == 9);
    }

    function check_OneVoteOfThreeRulesNothing(Money memory m, Order memory order, bytes32 value) external {
        Seat memory silent;
        _tally(m, order, [silent, _vote(value), silent]);
        assert(!ledger.ruled());
        assert(court.burned() == 2 * uint256(m.seatBond / 10));
    }

    /// The bond is split and no more than split; jurors have what the ledger is told they have, each at most its fee; the
    /// award is within claim and lock; what jurors lost is burned.
    function _assertVerdict(Money memory m, uint256 votes) private view {
        unchecked {
            bool right = ledger.ruled();
            right = _and(right, uint256(ledger.toWinner()) + ledger.toJurors() == m.bond);
            right = _and(right, ledger.toJurors() <= votes * m.fee);
            uint256 award = ledger.award();
            uint256 most = m.target < m.locked ? m.target : m.locked;
            right = _and(right, _or(award == 0, _and(ledger.providerWins(), m.paid + award <= most)));
            uint256 owed;
            uint256 stakes;
            for (uint256 i; i < 3; ++i) {
                Juror memory juror = court.jurorOf(_juror(i));
                owed += juror.owed;
                stakes += juror.stake;
                right = _and(right, _and(juror.owed <= m.fee, !juror.seated));
                right = _and(right, juror.stake <= m.seatBond);
            }
            right = _and(right, owed == ledger.toJurors());
            right = _and(right, stakes + court.burned() == 3 * uint256(m.seatBond));
            assert(right);
        }
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

    function _juror(uint256 i) private pure returns (address) {
        return address(uint160(0x2000 + i));
    }

    function _vote(bytes32 value) private pure returns (Seat memory seat) {
        seat.revealed = true;
        seat.value = value;
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
            seats[i].juror = _juror(i);
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
