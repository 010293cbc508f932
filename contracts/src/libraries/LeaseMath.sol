// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Money of one lease, in the token's base units
/// @dev Rates are pico-dollars (10^-6 base units) per metered unit. Products are taken in uint256: with the widths of the
/// messages none can overflow. The rounding is in the name.
library LeaseMath {
    /// Pico-dollars in a base unit.
    uint256 internal constant PICO_PER_BASE_UNIT = 1e6;

    /// Units of work in one metered unit of meter 1.
    uint256 internal constant WORK_PER_METERED_UNIT = 1e6;

    /// @notice What the most metered units of a lease cost, rounded up.
    /// @param quantity metered units
    function lockUp(uint32 rate, uint64 quantity) internal pure returns (uint256) {
        unchecked {
            return (uint256(rate) * quantity + PICO_PER_BASE_UNIT - 1) / PICO_PER_BASE_UNIT;
        }
    }

    /// @notice What `milliseconds` of machine time earned, rounded down.
    function earnedByTimeDown(uint32 rate, uint64 milliseconds) internal pure returns (uint256) {
        return uint256(rate) * milliseconds / PICO_PER_BASE_UNIT;
    }

    /// @notice What `work` earned, rounded down once, since `work` is raw and cumulative for its lease.
    function earnedByWorkDown(uint32 rate, uint64 work) internal pure returns (uint256) {
        return uint256(rate) * work / (PICO_PER_BASE_UNIT * WORK_PER_METERED_UNIT);
    }

    /// @notice What a voucher still pays: min(cumulative, locked) - paid, or 0.
    function dueOf(uint256 cumulative, uint256 locked, uint256 paid) internal pure returns (uint48) {
        uint256 due = cumulative < locked ? cumulative : locked;
        unchecked {
            // forge-lint: disable-next-line(unsafe-typecast) At most the lock, which has 48 bits.
            return due > paid ? uint48(due - paid) : 0;
        }
    }
}
