// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {LeaseMath} from "../../src/libraries/LeaseMath.sol";

contract LeaseMathTest is Test {
    function testFuzz_LockIsTheLeastWholeUnitThatCoversThePrice(uint32 rate, uint64 quantity) public pure {
        uint256 locked = LeaseMath.lockUp(rate, quantity);
        uint256 price = uint256(rate) * quantity;
        assertGe(locked * 1e6, price, "covers");
        if (locked != 0) assertLt((locked - 1) * 1e6, price, "least");
    }

    function testFuzz_EarnedNeverExceedsThePriceNorTheLock(uint32 rate, uint64 quantity, uint64 metered) public pure {
        metered = uint64(bound(metered, 0, quantity));
        uint256 earned = LeaseMath.earnedByTimeDown(rate, metered);
        assertLe(earned * 1e6, uint256(rate) * metered, "rounded down");
        assertGt((earned + 1) * 1e6, uint256(rate) * metered, "by less than a unit");
        assertLe(earned, LeaseMath.lockUp(rate, quantity), "within the lock");
    }

    function testFuzz_WorkOfAMeteredUnitIsAMillionUnits(uint32 rate, uint32 metered) public pure {
        uint64 work = uint64(metered) * 1e6;
        assertEq(LeaseMath.earnedByWorkDown(rate, work), LeaseMath.earnedByTimeDown(rate, metered), "same price");
    }

    /// Work is raw and cumulative, so reporting it in segments loses nothing: only the last figure counts.
    function testFuzz_EarnedIsMonotone(uint32 rate, uint64 work, uint64 more) public pure {
        more = uint64(bound(more, work, type(uint64).max));
        assertLe(LeaseMath.earnedByWorkDown(rate, work), LeaseMath.earnedByWorkDown(rate, more), "work");
        assertLe(LeaseMath.earnedByTimeDown(rate, work), LeaseMath.earnedByTimeDown(rate, more), "time");
    }

    function testFuzz_DueNeverLiftsPaidAboveTheLock(uint48 cumulative, uint48 locked, uint48 paid) public pure {
        paid = uint48(bound(paid, 0, locked));
        uint48 due = LeaseMath.dueOf(cumulative, locked, paid);
        assertLe(uint256(paid) + due, locked, "within the lock");
        if (cumulative <= paid) assertEq(due, 0, "never lowers");
        else assertEq(paid + due, cumulative < locked ? cumulative : locked, "reaches the voucher");
    }
}
