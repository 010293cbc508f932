// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Resource vectors: 16 lanes of 16 bits in one word
/// @notice The top bit of each lane is a guard and must be 0, so a lane holds 0 to 32,767 of its unit. What the lanes mean
/// is written in SPEC "Resources"; here "lower is better" quantities are already inverted.
library Resources {
    /// The guard bit of each lane.
    uint256 internal constant GUARDS = 0x8000800080008000800080008000800080008000800080008000800080008000;

    /// @notice Whether every lane of `offered` is at least the same lane of `needed`. False if either has a guard bit set.
    /// @dev With the guards of `offered` set, no lane borrows from its neighbour: a lane that is too small loses its own
    /// guard instead. All guards left = all lanes suffice.
    function covers(uint256 offered, uint256 needed) internal pure returns (bool) {
        if ((offered | needed) & GUARDS != 0) return false;
        unchecked {
            return ((offered | GUARDS) - needed) & GUARDS == GUARDS;
        }
    }
}
