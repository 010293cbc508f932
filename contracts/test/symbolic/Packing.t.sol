// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EndReason, LeaseState} from "../../src/interfaces/LedgerTypes.sol";
import {AttestedWord} from "../../src/libraries/AttestedWord.sol";
import {LeaseStatus, LeaseStatuses} from "../../src/libraries/LeaseStatus.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title What is packed into a word comes out as it went in, and leaves its neighbours alone
contract PackingProof is Symbolic {
    function check_AStatusIsReadAsItWasPacked(uint8 state, uint8 reason) external pure {
        LeaseStatus status = LeaseStatuses.pack(_state(state), _reason(reason));
        assert(uint8(status.state()) == state && uint8(status.reason()) == reason);
        assert(!status.done() && !status.early() && !status.responded());
    }

    function check_ANewStateLeavesReasonAndFlags(uint16 bits, uint8 state) external pure {
        LeaseStatus old = LeaseStatus.wrap(bits);
        LeaseStatus status = old.withState(_state(state));
        assert(uint8(status.state()) == state);
        assert(LeaseStatus.unwrap(status) >> 3 == bits >> 3);
        assert(status.isOpen() == (state == uint8(LeaseState.Open)));
        assert(status.isClosed() == (state == uint8(LeaseState.Closed)));
    }

    function check_EachFlagIsSetAlone(uint16 bits, bool done) external pure {
        LeaseStatus old = LeaseStatus.wrap(bits);
        LeaseStatus status = old.withDone(done);
        assert(status.done() == done && _equalBut(old, status, 6));
        status = old.withEarly();
        assert(status.early() && _equalBut(old, status, 7));
        status = old.withResponded();
        assert(status.responded() && _equalBut(old, status, 8));
    }

    function check_AnAuditorsWordIsReadAsItWasPacked(uint256 traits, uint8 zone, uint40 until) external pure {
        (uint256 traits_, uint8 zone_, uint40 until_) = AttestedWord.unpack(AttestedWord.pack(traits, zone, until));
        assert(traits_ == traits & AttestedWord.TRAITS && zone_ == zone && until_ == until);
    }

    function check_AnAuditorsWordCoversExactlyWhatItSays(
        uint256 traits,
        uint8 zone,
        uint40 until,
        uint256 neededTraits,
        uint8 neededZone,
        uint256 neededUntil
    ) external pure {
        bool covers = AttestedWord.covers(AttestedWord.pack(traits, zone, until), neededTraits, neededZone, neededUntil);
        bool expected = neededUntil <= until && neededTraits & traits & AttestedWord.TRAITS == neededTraits
            && (neededZone == 0 || neededZone == zone);
        assert(covers == expected);
    }

    function check_NoWordCoversNothingButNow(uint256 traits, uint8 zone, uint256 until) external pure {
        vm.assume(until != 0);
        assert(!AttestedWord.covers(0, traits, zone, until));
    }

    function _equalBut(LeaseStatus a, LeaseStatus b, uint256 bit) private pure returns (bool) {
        return (LeaseStatus.unwrap(a) ^ LeaseStatus.unwrap(b)) & ~uint16(1 << bit) == 0;
    }

    function _state(uint8 state) private pure returns (LeaseState) {
        vm.assume(state <= uint8(type(LeaseState).max));
        return LeaseState(state);
    }

    function _reason(uint8 reason) private pure returns (EndReason) {
        vm.assume(reason <= uint8(type(EndReason).max));
        return EndReason(reason);
    }
}
