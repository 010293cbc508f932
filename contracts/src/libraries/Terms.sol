// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Offer, Order, Skip} from "../interfaces/LedgerTypes.sol";
import {Resources} from "./Resources.sol";

/// @title Whether an offer serves an order
/// @notice The rule that any matcher must meet. Pure: only the two signed messages and the deployment's least notice count.
library Terms {
    /// Seconds; the longest notice or challenge window an order may ask for.
    uint32 internal constant MAX_NOTICE = 30 days;

    /// Most fills of an order.
    uint8 internal constant MAX_LEASES = 16;

    uint8 internal constant METER_WORK = 1;

    /// The bit of `attested` that stands for the zone.
    uint256 internal constant ZONE_BIT = 1 << 255;

    /// @notice The first term that does not hold, or None.
    /// @param minNotice seconds; the deployment's
    function mismatch(Offer memory offer, Order memory order, uint32 minNotice) internal pure returns (Skip) {
        return _fitsAtOnce(offer, order, minNotice) ? Skip.None : _reason(offer, order, minNotice);
    }

    /// @dev All comparisons at once, as for the lanes: with operands below 2^255 a difference has its top bit exactly where it
    /// is negative, so one test tells whether any is. It saves a jump for each. Says the same as `_reason`.
    function _fitsAtOnce(Offer memory offer, Order memory order, uint32 minNotice) private pure returns (bool) {
        unchecked {
            uint256 quorum = order.quorum;
            uint256 replicas = order.replicas;
            uint256 negative = (uint256(uint160(order.voucherSigner)) - 1) | (replicas - 1)
                | (uint256(order.maxLeases) - replicas) | (uint256(MAX_LEASES) - order.maxLeases);
            uint256 different;
            if (order.arbiter == address(0)) {
                different = quorum | order.challengeWindow;
            } else {
                uint256 window = order.challengeWindow;
                negative |= (window - minNotice) | (uint256(MAX_NOTICE) - window);
                if (quorum != 0) negative |= (2 * quorum - replicas - 1) | (replicas - quorum);
            }
            if (order.attested != 0) negative |= uint256(uint160(order.auditor)) - 1;
            negative |= _negative(offer, order, minNotice);
            different |= uint256(offer.meter ^ order.meter) | (uint160(offer.arbiter) ^ uint160(order.arbiter));
            different |= negative >> 255 | order.allOf & ~offer.traits | order.noneOf & offer.traits;
            if (different != 0) return false;
        }
        uint256 anyOf = order.anyOf;
        return (anyOf == 0 || offer.traits & anyOf != 0) && _zoneFits(offer.zone, order)
            && Resources.covers({offered: offer.quantities, needed: order.quantities});
    }

    /// @dev The bounds of offer and order on each other; the top bit is set if one is passed.
    function _negative(Offer memory offer, Order memory order, uint32 minNotice) private pure returns (uint256) {
        unchecked {
            uint256 rate = offer.rate;
            uint256 duration = order.duration;
            uint256 notice = order.notice;
            uint256 bond = order.bond;
            uint256 minCharge = order.minCharge;
            return (rate - 1) | (order.maxRate - rate) | (duration - offer.minDuration) | (offer.maxDuration - duration)
                | (offer.bond - bond) | (bond - minCharge) | (minCharge - offer.minCharge) | (notice - offer.notice)
                | (notice - minNotice) | (uint256(MAX_NOTICE) - notice) | (uint256(METER_WORK) - offer.meter);
        }
    }

    /// @dev Names what `mismatch` found, in the order of SPEC "Open".
    function _reason(Offer memory offer, Order memory order, uint32 minNotice) private pure returns (Skip) {
        if (!_isSound(order, minNotice)) return Skip.Limits;
        if (offer.meter != order.meter || offer.meter > METER_WORK) return Skip.Meter;
        if (offer.arbiter != order.arbiter) return Skip.Arbiter;
        if (offer.rate == 0 || offer.rate > order.maxRate) return Skip.Rate;
        if (order.duration < offer.minDuration || order.duration > offer.maxDuration) return Skip.Duration;
        if (order.bond > offer.bond) return Skip.Bond;
        if (order.notice < offer.notice || order.notice < minNotice || order.notice > MAX_NOTICE) return Skip.Notice;
        if (order.minCharge < offer.minCharge || order.minCharge > order.bond) return Skip.MinCharge;
        if (!Resources.covers({offered: offer.quantities, needed: order.quantities})) return Skip.Quantities;
        if (!_traitsFit(offer.traits, order)) return Skip.Traits;
        return Skip.Zone;
    }

    /// @notice How many fills the lane of `fill` can have.
    function fillsOfLane(Order memory order, uint8 fill) internal pure returns (uint256) {
        uint256 replicas = order.replicas;
        return (order.maxLeases - fill % replicas + replicas - 1) / replicas;
    }

    /// @dev The order alone: a signer, counts that fit each other, and no dispute terms without an arbiter.
    function _isSound(Order memory order, uint32 minNotice) private pure returns (bool) {
        uint256 replicas = order.replicas;
        uint256 quorum = order.quorum;
        uint256 window = order.challengeWindow;
        if (order.voucherSigner == address(0)) return false;
        if (replicas == 0 || replicas > order.maxLeases || order.maxLeases > MAX_LEASES) return false;
        if (quorum != 0 && (2 * quorum <= replicas || quorum > replicas)) return false;
        if (order.attested != 0 && order.auditor == address(0)) return false;
        if (order.arbiter == address(0)) return window | quorum == 0;
        return window >= minNotice && window <= MAX_NOTICE;
    }

    function _traitsFit(uint256 traits, Order memory order) private pure returns (bool) {
        uint256 anyOf = order.anyOf;
        uint256 allOf = order.allOf;
        return traits & allOf == allOf && (anyOf == 0 || traits & anyOf != 0) && traits & order.noneOf == 0;
    }

    /// @dev Zone 0 is undeclared: it is in no set, distinct from nothing, and cannot be attested.
    function _zoneFits(uint8 zone, Order memory order) private pure returns (bool) {
        uint256 zones = order.zones;
        if (zone == 0) return zones == 0 && !order.distinctZones && order.attested & ZONE_BIT == 0;
        return zones == 0 || zones >> zone & 1 != 0;
    }
}
