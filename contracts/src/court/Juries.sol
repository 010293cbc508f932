// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Juror, Phase, Seat} from "../interfaces/CourtTypes.sol";
import {IReexecutionCourt} from "../interfaces/IReexecutionCourt.sol";
import {Order} from "../interfaces/LedgerTypes.sol";
import {Jurors} from "./Jurors.sol";

/// @title Juries: drawn, sworn to a value by commitment, counted
abstract contract Juries is Jurors {
    /// @inheritdoc IReexecutionCourt
    uint32 public immutable commitTime;

    /// @inheritdoc IReexecutionCourt
    uint32 public immutable revealTime;

    mapping(bytes32 lease => Seat[]) internal _seats;

    uint8 internal constant FIRST_JURY = 3;
    uint8 internal constant SECOND_JURY = 9;

    /// Places that one call of `draw` looks at.
    uint32 private constant PROBES = 64;

    /// Blocks for which the EVM knows a hash.
    uint256 private constant HASHES_KEPT = 256;

    constructor(uint32 commitTime_, uint32 revealTime_) {
        commitTime = commitTime_;
        revealTime = revealTime_;
    }

    /* DRAW */

    /// @dev Nobody knows the hash of a block that is yet to come, and nobody who joins from it on is drawn by it.
    function _anchor(bytes32 lease, Case storage case_) internal {
        case_.phase = Phase.Drawing;
        case_.anchor = uint64(block.number + 1);
        case_.places = uint32(_places.length);
        case_.probes = 0;
        _emit({
            topics: 2,
            encoded: abi.encode(
                DrawAnchored.selector, lease, case_.round, case_.seats, block.number + 1, _places.length
            )
        });
    }

    /// @dev A new jury. Of the one before, only jurors that revealed are still seated, so this one has none of it.
    function _callJury(bytes32 lease, Case storage case_, uint8 seats) internal {
        case_.round += 1;
        case_.seats = seats;
        case_.filled = 0;
        _anchor(lease, case_);
    }

    /// @dev Looks at up to `PROBES` places in an order that the seed alone decides.
    /// @param zone the provider's
    function _draw(bytes32 lease, Case storage case_, Order calldata order, uint8 zone) internal {
        uint64 anchor = case_.anchor;
        require(block.number > anchor, ReexecutionCourt_AnchorNotReached(anchor, block.number));
        if (block.number > anchor + HASHES_KEPT) {
            _anchor(lease, case_);
            return;
        }
        if (case_.places == 0) return;

        bytes32 seed = keccak256(abi.encode(blockhash(anchor), lease));
        uint32 probe = case_.probes;
        uint32 end = probe + PROBES;
        uint8 filled = case_.filled;
        for (; probe < end && filled < case_.seats; ++probe) {
            address who = _places[uint256(keccak256(abi.encode(seed, probe))) % case_.places];
            if (!_isEligible(who, case_, order, zone)) continue;
            _seat({lease: lease, case_: case_, who: who});
            ++filled;
        }
        case_.probes = probe;
        case_.filled = filled;
        if (filled == case_.seats) _startVoting(lease, case_);
    }

    function _isEligible(address who, Case storage case_, Order calldata order, uint8 zone)
        private
        view
        returns (bool)
    {
        if (who == address(0) || who == case_.provider || who == order.buyer || who == order.voucherSigner) return false;
        Juror storage juror = _jurors[who];
        return !juror.seated && juror.zone != zone && juror.since < case_.anchor;
    }

    function _seat(bytes32 lease, Case storage case_, address who) private {
        Seat[] storage seats = _seats[lease];
        uint8 seat = uint8(seats.length);
        seats.push().juror = who;
        seats[seat].round = case_.round;
        _jurors[who].seated = true;
        _jurors[who].seat = seat;
        _emit({topics: 3, encoded: abi.encode(JurorSeated.selector, lease, who, case_.round, seat)});
    }

    function _startVoting(bytes32 lease, Case storage case_) private {
        case_.phase = Phase.Voting;
        case_.committed = 0;
        case_.revealed = 0;
        _setVoting({lease: lease, case_: case_, commitUntil: uint40(block.timestamp + commitTime)});
    }

    function _setVoting(bytes32 lease, Case storage case_, uint40 commitUntil) private {
        case_.deadline = commitUntil;
        case_.revealUntil = commitUntil + revealTime;
        _emit({
            topics: 2,
            encoded: abi.encode(VotingStarted.selector, lease, case_.round, commitUntil, commitUntil + revealTime)
        });
    }

    /* VOTE */

    /// @inheritdoc IReexecutionCourt
    function commit(bytes32 lease, bytes32 commitment) external guarded {
        // Check: a juror of this jury, in time, for the first time.
        Case storage case_ = _caseIn(lease, Phase.Voting);
        Seat storage seat = _seatOf(lease, case_);
        _checkBefore(case_.deadline);
        require(commitment != 0, ReexecutionCourt_ZeroCommitment());
        require(seat.commitment == 0, ReexecutionCourt_AlreadyCommitted(msg.sender));

        // Effect: it is bound. When all are, nobody has to wait.
        seat.commitment = commitment;
        case_.committed += 1;
        _emit({topics: 3, encoded: abi.encode(VoteCommitted.selector, lease, msg.sender, commitment)});
        if (case_.committed == case_.seats) {
            _setVoting({lease: lease, case_: case_, commitUntil: uint40(block.timestamp)});
        }
    }

    /// @inheritdoc IReexecutionCourt
    function reveal(bytes32 lease, bytes32 value, bytes32 salt) external guarded {
        // Check: a juror of this jury, in time, for the first time, with what it committed to.
        Case storage case_ = _caseIn(lease, Phase.Voting);
        Seat storage seat = _seatOf(lease, case_);
        _checkReached(case_.deadline);
        _checkBefore(case_.revealUntil);
        require(!seat.revealed, ReexecutionCourt_AlreadyRevealed(msg.sender));
        bytes32 revealed = keccak256(abi.encode(lease, case_.round, msg.sender, value, salt));
        require(revealed == seat.commitment, ReexecutionCourt_WrongCommitment(seat.commitment, revealed));

        // Effect: it counts.
        seat.revealed = true;
        seat.value = value;
        case_.revealed += 1;
        _emit({topics: 3, encoded: abi.encode(VoteRevealed.selector, lease, msg.sender, value)});
    }

    /// @dev The caller's seat in the present jury.
    function _seatOf(bytes32 lease, Case storage case_) private view returns (Seat storage seat) {
        Seat[] storage seats = _seats[lease];
        uint256 index = _jurors[msg.sender].seat;
        require(index < seats.length, ReexecutionCourt_NotSeated(lease, msg.sender));
        seat = seats[index];
        require(seat.juror == msg.sender && seat.round == case_.round, ReexecutionCourt_NotSeated(lease, msg.sender));
    }

    /* COUNT */

    /// @dev Check: the time is over, or everybody who committed has revealed.
    function _checkCountable(Case storage case_) internal view {
        if (block.timestamp >= case_.deadline && case_.revealed == case_.committed) return;
        _checkReached(case_.revealUntil);
    }

    /// @dev The value that more than half of the present jury's seats revealed, if there is one.
    function _decision(bytes32 lease, Case storage case_) internal view returns (bool decided, bytes32 value) {
        Seat[] memory seats = _seats[lease];
        for (uint256 i; i < seats.length; ++i) {
            if (!_counts(seats[i], case_.round)) continue;
            value = seats[i].value;
            uint256 votes;
            for (uint256 j; j < seats.length; ++j) {
                if (_counts(seats[j], case_.round) && seats[j].value == value) ++votes;
            }
            if (2 * votes > case_.seats) return (true, value);
        }
        return (false, 0);
    }

    function _counts(Seat memory seat, uint8 round) private pure returns (bool) {
        return seat.round == round && seat.revealed;
    }

    /// @dev Seats of both juries on the value.
    function _votesFor(bytes32 lease, bytes32 value) internal view returns (uint256 votes) {
        Seat[] memory seats = _seats[lease];
        for (uint256 i; i < seats.length; ++i) {
            if (seats[i].revealed && seats[i].value == value) ++votes;
        }
    }

    /* RELEASE */

    /// @dev After a decision: fees for those who found it, slashes for all others.
    function _payJuries(bytes32 lease, uint8 round, bytes32 value, uint48 fee) internal {
        Seat[] memory seats = _seats[lease];
        for (uint256 i; i < seats.length; ++i) {
            address who = seats[i].juror;
            if (!seats[i].revealed) {
                // Those of an earlier jury have paid already.
                if (seats[i].round == round) _slashSilent(who, lease);
            } else if (seats[i].value == value) {
                _jurors[who].owed += fee;
                _jurors[who].seated = false;
            } else {
                _slashWrong(who, lease);
            }
        }
    }

    /// @dev A jury that did not decide: the silent pay and go. The others stay seated, as the next jury may prove them wrong.
    function _slashSilentSeats(bytes32 lease, uint8 round) internal {
        Seat[] memory seats = _seats[lease];
        for (uint256 i; i < seats.length; ++i) {
            if (seats[i].round == round && !seats[i].revealed) _slashSilent(seats[i].juror, lease);
        }
    }

    /// @dev No verdict: whoever still sits in the case is free again. A juror that paid for its silence may sit elsewhere.
    /// @param silentToo whether the silent of the present jury still sit, because none was slashed
    function _releaseSeats(bytes32 lease, uint8 round, bool silentToo) internal {
        Seat[] memory seats = _seats[lease];
        for (uint256 i; i < seats.length; ++i) {
            if (seats[i].revealed || (silentToo && seats[i].round == round)) _jurors[seats[i].juror].seated = false;
        }
    }

    /* VIEWS */

    /// @inheritdoc IReexecutionCourt
    function seatsOf(bytes32 lease) external view returns (Seat[] memory) {
        return _seats[lease];
    }
}
