// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Offer, Order, Skip} from "../../src/interfaces/LedgerTypes.sol";
import {Terms} from "../../src/libraries/Terms.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title Whether an offer serves an order: the one test for all terms refuses for each of them, whatever the others are
/// @dev The conditions are joined without jumps; each `&&` would double the paths.
contract TermsProof is Symbolic {
    function check_NoMatchWithoutAVoucherSigner(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(order.voucherSigner == address(0));
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenReplicasAndFillsDoNotFit(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(_or(order.replicas == 0, _or(order.replicas > order.maxLeases, order.maxLeases > 16)));
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenTheQuorumIsNoMajority(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(_and(order.quorum != 0, 2 * uint256(order.quorum) <= order.replicas));
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenNobodyIsNamedToAttest(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(_and(order.attested != 0, order.auditor == address(0)));
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenDisputeTermsHaveNoArbiter(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(_and(order.arbiter == address(0), _or(order.challengeWindow != 0, order.quorum != 0)));
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenTheWindowIsTooShort(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(_and(order.arbiter != address(0), order.challengeWindow < minNotice));
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenMetersDiffer(Offer memory offer, Order memory order, uint32 minNotice) external pure {
        vm.assume(_or(offer.meter != order.meter, offer.meter > 1));
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenArbitersDiffer(Offer memory offer, Order memory order, uint32 minNotice) external pure {
        vm.assume(offer.arbiter != order.arbiter);
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenThePriceIsTooHigh(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(offer.rate > order.maxRate);
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenTheDurationIsTooLong(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(order.duration > offer.maxDuration);
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenTheBondIsTooHigh(Offer memory offer, Order memory order, uint32 minNotice) external pure {
        vm.assume(order.bond > offer.bond);
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenTheNoticeIsTooShort(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(order.notice < offer.notice);
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenATraitIsMissing(Offer memory offer, Order memory order, uint32 minNotice) external pure {
        vm.assume(order.allOf & ~offer.traits != 0);
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenATraitIsUnwanted(Offer memory offer, Order memory order, uint32 minNotice) external pure {
        vm.assume(order.noneOf & offer.traits != 0);
        assert(Terms.mismatch(offer, order, minNotice) != Skip.None);
    }

    function check_NoMatchWhenAnUndeclaredZoneMustBeDistinct(Offer memory offer, Order memory order, uint32 minNotice)
        external
        pure
    {
        vm.assume(_and(offer.zone == 0, order.distinctZones));
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
}
