// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {Juror} from "../interfaces/CourtTypes.sol";
import {IReexecutionCourt} from "../interfaces/IReexecutionCourt.sol";
import {Cases} from "./Cases.sol";

/// @title Jurors: their stakes, their list, their fees
/// @dev One address, one seat bond, one case at a time: so each seat of a jury is covered by a bond of its own. Places of the
/// list never move: one that leaves leaves a gap, which the next that joins takes. In a list that closes its gaps, a juror
/// that leaves between seed and draw would choose who sits; here it only takes itself out.
abstract contract Jurors is Cases {
    using SafeERC20 for IERC20;

    IERC20 private immutable _token;

    /// @inheritdoc IReexecutionCourt
    uint48 public immutable seatBond;

    /// @inheritdoc IReexecutionCourt
    uint256 public burned;

    mapping(address who => Juror) internal _jurors;
    address[] internal _places;
    uint32[] private _gaps;

    /// Part of a seat bond that a silent juror loses.
    uint48 private constant SILENCE = 10;

    constructor(uint48 seatBond_) {
        // Check: a tenth of it is something.
        require(seatBond_ >= SILENCE, ReexecutionCourt_SeatBondOutOfRange(SILENCE, seatBond_));
        seatBond = seatBond_;
        _token = IERC20(_ledger.token());
    }

    /// @inheritdoc IReexecutionCourt
    function join(uint8 zone) external guarded {
        Juror storage juror = _jurors[msg.sender];

        // Check: it says where it is, and is not here yet. One that sits in a case is listed.
        require(zone != 0, ReexecutionCourt_ZoneExpected());
        require(juror.place == 0, ReexecutionCourt_AlreadyJuror(msg.sender));

        // Interaction: pull what is missing, and see that it came.
        uint256 missing = seatBond - juror.stake;
        uint256 before = _token.balanceOf(address(this));
        require(
            _token.trySafeTransferFrom(msg.sender, address(this), missing),
            ReexecutionCourt_TransferFailed(address(_token))
        );
        uint256 balance = _token.balanceOf(address(this));
        uint256 received = balance > before ? balance - before : 0;
        require(received >= missing, ReexecutionCourt_StakeIncomplete(missing, received));

        // Effect: list it.
        juror.stake = seatBond;
        juror.zone = zone;
        juror.since = uint40(block.number);
        if (_gaps.length == 0) {
            _places.push(msg.sender);
            juror.place = uint32(_places.length);
        } else {
            uint32 gap = _gaps[_gaps.length - 1];
            _gaps.pop();
            _places[gap] = msg.sender;
            juror.place = gap + 1;
        }
        _emit({topics: 2, encoded: abi.encode(JurorJoined.selector, msg.sender, zone, seatBond)});
    }

    /// @inheritdoc IReexecutionCourt
    function leave(address to) external guarded {
        Juror storage juror = _jurors[msg.sender];

        // Check: there is somebody to send to and something to send, and no case depends on it.
        uint64 stake = juror.stake;
        require(to != address(0), ReexecutionCourt_ZeroAddress());
        require(stake != 0, ReexecutionCourt_NotJuror(msg.sender));
        require(!juror.seated, ReexecutionCourt_Seated(msg.sender));

        // Effect: it is gone.
        _delist(juror);
        juror.stake = 0;
        _emit({topics: 3, encoded: abi.encode(JurorLeft.selector, msg.sender, to, stake)});

        // Interaction: send the stake.
        require(_token.trySafeTransfer(to, stake), ReexecutionCourt_TransferFailed(address(_token)));
    }

    /// @inheritdoc IReexecutionCourt
    function collect(address to) external guarded {
        Juror storage juror = _jurors[msg.sender];

        // Check: there is something to collect.
        uint64 owed = juror.owed;
        require(owed != 0, ReexecutionCourt_NothingOwed(msg.sender));

        // Effect: it is collected.
        juror.owed = 0;
        _emit({topics: 3, encoded: abi.encode(FeesCollected.selector, msg.sender, to, owed)});

        // Interaction: the ledger sends it from the court's account.
        _ledger.withdraw(address(this), to, owed);
    }

    /* VIEWS */

    /// @inheritdoc IReexecutionCourt
    function jurorOf(address who) external view returns (Juror memory) {
        return _jurors[who];
    }

    /// @inheritdoc IReexecutionCourt
    function places() external view returns (uint256) {
        return _places.length;
    }

    /// @inheritdoc IReexecutionCourt
    function jurorAt(uint256 place) external view returns (address) {
        return place < _places.length ? _places[place] : address(0);
    }

    /* INTERNAL */

    /// @dev It did not reveal.
    function _slashSilent(address who, bytes32 lease) internal {
        _slash({who: who, lease: lease, amount: seatBond / SILENCE});
    }

    /// @dev It revealed what the decision is not.
    function _slashWrong(address who, bytes32 lease) internal {
        _slash({who: who, lease: lease, amount: seatBond});
    }

    /// @dev Whoever sits has a whole seat bond, and sits in this case alone, so `amount` is there.
    function _slash(address who, bytes32 lease, uint48 amount) private {
        Juror storage juror = _jurors[who];
        uint64 stake = juror.stake - amount;
        juror.stake = stake;
        juror.seated = false;
        burned += amount;
        _delist(juror);
        _emit({topics: 3, encoded: abi.encode(JurorSlashed.selector, who, lease, amount, stake)});
    }

    /// @dev Leaves a gap in the list, if it is there.
    function _delist(Juror storage juror) private {
        uint32 place = juror.place;
        if (place == 0) return;
        juror.place = 0;
        _places[place - 1] = address(0);
        _gaps.push(place - 1);
    }
}
