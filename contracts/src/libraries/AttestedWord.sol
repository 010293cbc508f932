// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title An auditor's word about a provider in one storage slot, so that `open` reads one
/// @dev traits (bits 0..207) | zone (208..215) | validUntil (216..255). 0 = no word.
library AttestedWord {
    /// The traits that can be attested.
    uint256 internal constant TRAITS = type(uint208).max;

    uint256 private constant ZONE_SHIFT = 208;
    uint256 private constant UNTIL_SHIFT = 216;

    function pack(uint256 traits, uint8 zone, uint40 validUntil) internal pure returns (uint256) {
        return uint256(validUntil) << UNTIL_SHIFT | uint256(zone) << ZONE_SHIFT | traits & TRAITS;
    }

    function unpack(uint256 word) internal pure returns (uint256 traits, uint8 zone, uint40 validUntil) {
        return (word & TRAITS, uint8(word >> ZONE_SHIFT), uint40(word >> UNTIL_SHIFT));
    }

    /// @param zone the zone that must be attested, or 0
    /// @param until unix seconds; the word must hold while time < until
    function covers(uint256 word, uint256 traits, uint8 zone, uint256 until) internal pure returns (bool) {
        return until <= word >> UNTIL_SHIFT && traits & ~(word & TRAITS) == 0
            && (zone == 0 || zone == uint8(word >> ZONE_SHIFT));
    }
}
