// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {HeadHarness} from "./support/SmallHarnesses.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title The running hash over the events
contract EventHeadProof is Symbolic {
    HeadHarness private head;

    function setUp() public {
        head = new HeadHarness();
    }

    function check_AHeadIsLoadedAsItWasStored(uint208 hash, uint48 count) external {
        (uint256 hash_, uint256 count_) = head.storeAndLoad(hash, count);
        assert(hash_ == hash && count_ == count);
    }

    function check_OneEventCountsOneAndFits(uint208 hash, uint48 count, bytes32[5] calldata words) external {
        (uint256 hash_, uint256 count_) = head.record(hash, count, 3, abi.encode(words));
        assert(count_ == uint256(count) + 1);
        assert(hash_ <= type(uint208).max);
    }

    /// What is left of the hash after the cut is still one-to-one, if keccak is.
    function check_ANextHeadBindsHeadCountAndEvent(
        uint208 hash,
        uint48 count,
        bytes32[4] calldata words,
        uint208 hash2,
        uint48 count2,
        bytes32[4] calldata words2
    ) external {
        (uint256 one,) = head.record(hash, count, 2, abi.encode(words));
        (uint256 another,) = head.record(hash2, count2, 2, abi.encode(words2));
        vm.assume(one == another);
        assert(hash == hash2 && count == count2);
        for (uint256 i; i < 4; ++i) {
            assert(words[i] == words2[i]);
        }
    }

    function check_ANextHeadBindsBlockAndTime(
        uint208 hash,
        uint48 count,
        bytes32 eventHash,
        uint64 number,
        uint64 number2,
        uint64 time,
        uint64 time2
    ) external {
        vm.roll(number);
        vm.warp(time);
        bytes32 one = head.next(hash, count, eventHash);
        vm.roll(number2);
        vm.warp(time2);
        vm.assume(uint208(uint256(one)) == uint208(uint256(head.next(hash, count, eventHash))));
        assert(number == number2 && time == time2);
    }

    function check_EventsOfOtherLengthsGiveOtherHeads(
        uint208 hash,
        uint48 count,
        bytes32[4] calldata words,
        bytes32[5] calldata longer
    ) external {
        (uint256 one,) = head.record(hash, count, 2, abi.encode(words));
        (uint256 another,) = head.record(hash, count, 2, abi.encode(longer));
        assert(one != another);
    }
}
