// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReexecutionCourt} from "../../../src/ReexecutionCourt.sol";
import {Case, Juror, Seat} from "../../../src/interfaces/CourtTypes.sol";

/// @title The whole court, with its cases, seats and jurors open to write
contract CourtHarness is ReexecutionCourt {
    constructor(address ledger_, uint48 seatBond_, uint48 fee_) ReexecutionCourt(ledger_, seatBond_, fee_, 1, 1, 1) {}

    function setCase(bytes32 id, Case calldata case_) external {
        _cases[id] = case_;
    }

    function addSeat(bytes32 id, Seat calldata seat) external {
        _seats[id].push(seat);
    }

    function setJuror(address who, Juror calldata juror) external {
        _jurors[who] = juror;
    }

    function slashSilent(address who, bytes32 id) external {
        _slashSilent(who, id);
    }

    function slashWrong(address who, bytes32 id) external {
        _slashWrong(who, id);
    }
}
