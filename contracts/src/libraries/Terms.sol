// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Offer, Order, Skip} from "../interfaces/IComputeLedger.sol";
import {Resources} from "./Resources.sol";

/// @title Whether an offer serves an order
/// @notice The rule that any matcher must meet. Pure: only the two signed messages and the deployment's least notice count.
library Terms {
    /// Seconds; the longest notice an order may ask for.
    uint32 internal constant MAX_NOTICE = 30 days;

    /// Most fills of an order.
    uint8 internal constant MAX_LEASES = 16;

    uint8 internal constant METER_WORK = 1;

    /// @notice Whether every field that this version does not enforce is 0.
    function isSupported(Offer calldata offer) internal pure returns (bool) {
        return offer.bond == 0 && offer.minCharge == 0 && offer.arbiter == address(0);
    }

    /// @notice As for offers; one replica only.
    function isSupported(Order calldata order) internal pure returns (bool) {
        return !order.distinctZones && order.auditor == address(0) && order.attested == 0 && order.quorum == 0
            && order.bond == 0 && order.minCharge == 0 && order.arbiter == address(0) && order.challengeWindow == 0
            && order.deputy == address(0) && order.replicas == 1;
    }

    /// @notice The first term that does not hold, or None.
    /// @param minNotice seconds; the deployment's
    function mismatch(Offer calldata offer, Order calldata order, uint32 minNotice) internal pure returns (Skip) {
        if (order.voucherSigner == address(0) || order.maxLeases == 0 || order.maxLeases > MAX_LEASES) {
            return Skip.Limits;
        }
        if (offer.meter != order.meter || offer.meter > METER_WORK) return Skip.Meter;
        if (offer.rate == 0 || offer.rate > order.maxRate) return Skip.Rate;
        if (order.duration < offer.minDuration || order.duration > offer.maxDuration) return Skip.Duration;
        if (order.notice < offer.notice || order.notice < minNotice || order.notice > MAX_NOTICE) return Skip.Notice;
        if (!Resources.covers({offered: offer.quantities, needed: order.quantities})) return Skip.Quantities;
        if (!_traitsFit(offer.traits, order)) return Skip.Traits;
        if (!_zoneFits(offer.zone, order.zones)) return Skip.Zone;
        return Skip.None;
    }

    function _traitsFit(uint256 traits, Order calldata order) private pure returns (bool) {
        return traits & order.allOf == order.allOf && (order.anyOf == 0 || traits & order.anyOf != 0)
            && traits & order.noneOf == 0;
    }

    /// @dev Zone 0 is undeclared and is in no set, not even one with bit 0.
    function _zoneFits(uint8 zone, uint256 zones) private pure returns (bool) {
        return zones == 0 || (zone != 0 && zones >> zone & 1 != 0);
    }
}
