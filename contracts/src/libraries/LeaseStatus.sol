// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EndReason, LeaseState} from "../interfaces/IComputeLedger.sol";

/// @dev State (3 bits) | reason (3 bits) | done (1 bit); the rest is 0. Two bytes, so that a lease fits in two slots.
type LeaseStatus is uint16;

using LeaseStatuses for LeaseStatus global;

/// @title State, end reason and `done` of a stored lease, packed
library LeaseStatuses {
    uint16 private constant REASON_SHIFT = 3;
    uint16 private constant DONE_SHIFT = 6;
    uint16 private constant THREE_BITS = 7;

    function pack(LeaseState state_, EndReason reason_, bool done_) internal pure returns (LeaseStatus) {
        uint16 bits = uint16(state_) | uint16(reason_) << REASON_SHIFT;
        return LeaseStatus.wrap(done_ ? bits | uint16(1) << DONE_SHIFT : bits);
    }

    function state(LeaseStatus status) internal pure returns (LeaseState) {
        return LeaseState(LeaseStatus.unwrap(status) & THREE_BITS);
    }

    function reason(LeaseStatus status) internal pure returns (EndReason) {
        return EndReason(LeaseStatus.unwrap(status) >> REASON_SHIFT & THREE_BITS);
    }

    function done(LeaseStatus status) internal pure returns (bool) {
        return LeaseStatus.unwrap(status) >> DONE_SHIFT & 1 != 0;
    }
}
