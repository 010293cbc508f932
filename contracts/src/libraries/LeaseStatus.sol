// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EndReason, LeaseState} from "../interfaces/LedgerTypes.sol";

/// @dev State (3 bits) | reason (3 bits) | done | early | responded (1 bit each); the rest is 0. Two bytes, so that a lease
/// fits in two slots.
type LeaseStatus is uint16;

using LeaseStatuses for LeaseStatus global;

/// @title State, end reason and flags of a stored lease, packed
library LeaseStatuses {
    uint16 private constant REASON_SHIFT = 3;
    uint16 private constant THREE_BITS = 7;
    uint16 private constant DONE = 1 << 6;
    uint16 private constant EARLY = 1 << 7;
    uint16 private constant RESPONDED = 1 << 8;

    /// @dev A status without flags.
    function pack(LeaseState state_, EndReason reason_) internal pure returns (LeaseStatus) {
        return LeaseStatus.wrap(uint16(state_) | uint16(reason_) << REASON_SHIFT);
    }

    function withState(LeaseStatus status, LeaseState state_) internal pure returns (LeaseStatus) {
        return LeaseStatus.wrap(LeaseStatus.unwrap(status) & ~THREE_BITS | uint16(state_));
    }

    function withDone(LeaseStatus status, bool done_) internal pure returns (LeaseStatus) {
        uint16 bits = LeaseStatus.unwrap(status);
        return LeaseStatus.wrap(done_ ? bits | DONE : bits & ~DONE);
    }

    function withEarly(LeaseStatus status) internal pure returns (LeaseStatus) {
        return LeaseStatus.wrap(LeaseStatus.unwrap(status) | EARLY);
    }

    function withResponded(LeaseStatus status) internal pure returns (LeaseStatus) {
        return LeaseStatus.wrap(LeaseStatus.unwrap(status) | RESPONDED);
    }

    function state(LeaseStatus status) internal pure returns (LeaseState state_) {
        // No range check: what `pack` and `withState` put in is a LeaseState.
        assembly ("memory-safe") {
            state_ := and(status, THREE_BITS)
        }
    }

    function reason(LeaseStatus status) internal pure returns (EndReason reason_) {
        assembly ("memory-safe") {
            reason_ := and(shr(REASON_SHIFT, status), THREE_BITS)
        }
    }

    function isOpen(LeaseStatus status) internal pure returns (bool) {
        return LeaseStatus.unwrap(status) & THREE_BITS == uint16(LeaseState.Open);
    }

    function isClosed(LeaseStatus status) internal pure returns (bool) {
        return LeaseStatus.unwrap(status) & THREE_BITS == uint16(LeaseState.Closed);
    }

    function done(LeaseStatus status) internal pure returns (bool) {
        return LeaseStatus.unwrap(status) & DONE != 0;
    }

    function early(LeaseStatus status) internal pure returns (bool) {
        return LeaseStatus.unwrap(status) & EARLY != 0;
    }

    function responded(LeaseStatus status) internal pure returns (bool) {
        return LeaseStatus.unwrap(status) & RESPONDED != 0;
    }
}
