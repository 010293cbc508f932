// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Offer, Order, Skip} from "../../src/interfaces/LedgerTypes.sol";
import {Resources} from "../../src/libraries/Resources.sol";
import {Terms} from "../../src/libraries/Terms.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title Whether an offer serves an order: one test for all terms says what SPEC "Open" says one by one
/// @dev The conditions are joined without jumps; each `&&` would double the paths.
contract TermsProof is Symbolic {
    function check_AMatchHoldsWhenEachTermDoes(Offer memory offer, Order memory order, uint32 minNotice) external pure {
        vm.assume(minNotice != 0 && minNotice <= 30 days);
        vm.assume(_each(offer, order, minNotice));
        assert(Terms.mismatch(offer, order, minNotice) == Skip.None);
    }

    function check_AMatchFailsWhenOneTermDoes(Offer memory offer, Order memory order, uint32 minNotice) external pure {
        vm.assume(minNotice != 0 && minNotice <= 30 days);
        vm.assume(!_each(offer, order, minNotice));
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_LanesShareTheFillsOut(Order memory order, uint8 fill) external pure {
        vm.assume(order.replicas != 0 && order.replicas <= order.maxLeases && order.maxLeases <= 16);
        vm.assume(fill < order.maxLeases);
        uint256 lane = fill % order.replicas;
        uint256 fills = Terms.fillsOfLane(order, fill);
        // The last fill of the lane is an order's fill, and the one after it is not.
        assert(fills != 0);
        assert(lane + (fills - 1) * order.replicas < order.maxLeases);
        assert(lane + fills * order.replicas >= order.maxLeases);
    }

    function _each(Offer memory offer, Order memory order, uint32 minNotice) private pure returns (bool all) {
        all = _and(_sound(order, minNotice), _priced(offer, order, minNotice));
        all = _and(all, Resources.covers(offer.quantities, order.quantities));
        all = _and(all, offer.traits & order.allOf == order.allOf);
        all = _and(all, _or(order.anyOf == 0, offer.traits & order.anyOf != 0));
        all = _and(all, offer.traits & order.noneOf == 0);
        // Zone 0 is undeclared: in no set, distinct from nothing, not attested.
        bool inSet = _and(offer.zone != 0, order.zones >> offer.zone & 1 == 1);
        all = _and(all, _or(order.zones == 0, inSet));
        all = _and(all, _or(offer.zone != 0, _and(!order.distinctZones, order.attested >> 255 == 0)));
    }

    function _sound(Order memory order, uint32 minNotice) private pure returns (bool all) {
        all = order.voucherSigner != address(0);
        all = _and(all, _and(1 <= order.replicas, order.replicas <= order.maxLeases));
        all = _and(all, order.maxLeases <= 16);
        uint256 quorum = order.quorum;
        all = _and(all, _or(quorum == 0, _and(2 * quorum > order.replicas, quorum <= order.replicas)));
        all = _and(all, _or(order.attested == 0, order.auditor != address(0)));
        bool without = _and(order.challengeWindow == 0, quorum == 0);
        bool window = _and(minNotice <= order.challengeWindow, order.challengeWindow <= 30 days);
        bool none = order.arbiter == address(0);
        all = _and(all, _or(_and(none, without), _and(!none, window)));
    }

    function _priced(Offer memory offer, Order memory order, uint32 minNotice) private pure returns (bool all) {
        all = _and(offer.meter == order.meter, offer.meter <= 1);
        all = _and(all, offer.arbiter == order.arbiter);
        all = _and(all, _and(offer.rate != 0, offer.rate <= order.maxRate));
        all = _and(all, _and(offer.minDuration <= order.duration, order.duration <= offer.maxDuration));
        all = _and(all, _and(order.bond <= offer.bond, order.minCharge <= order.bond));
        all = _and(all, offer.minCharge <= order.minCharge);
        all = _and(all, _and(offer.notice <= order.notice, minNotice <= order.notice));
        all = _and(all, order.notice <= 30 days);
    }
}
