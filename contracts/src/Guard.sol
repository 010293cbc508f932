// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title No call enters while another is under way (invariant 12)
/// @dev By hand for its size: OpenZeppelin's transient guard names its slot by a 32-byte word at every use, 0.5 kB in all
/// (docs/decisions/0005). Nothing else here uses transient storage, so slot 0 is free.
abstract contract Guard {
    error Guard_Reentered();

    modifier guarded() {
        _enter();
        _;
        assembly ("memory-safe") {
            tstore(0, 0)
        }
    }

    function _enter() private {
        bool entered;
        assembly ("memory-safe") {
            entered := tload(0)
        }
        require(!entered, Guard_Reentered());
        assembly ("memory-safe") {
            tstore(0, 1)
        }
    }
}
