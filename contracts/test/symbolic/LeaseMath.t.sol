// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LeaseMath} from "../../src/libraries/LeaseMath.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title Money of one lease, for every rate, quantity, work and voucher of the members' widths
contract LeaseMathProof is Symbolic {
    function check_LockIsTheLeastUnitThatCoversThePrice(uint32 rate, uint64 quantity) external pure {
        unchecked {
            uint256 price = uint256(rate) * quantity;
            uint256 locked = LeaseMath.lockUp(rate, quantity);
            assert(locked * 1e6 >= price && locked * 1e6 < price + 1e6);
        }
    }

    function check_EarnedByTimeIsRoundedDown(uint32 rate, uint64 time) external pure {
        unchecked {
            uint256 price = uint256(rate) * time;
            uint256 earned = LeaseMath.earnedByTimeDown(rate, time);
            assert(earned * 1e6 <= price && price < earned * 1e6 + 1e6);
        }
    }

    function check_EarnedByWorkIsRoundedDown(uint32 rate, uint64 work) external pure {
        unchecked {
            uint256 price = uint256(rate) * work;
            uint256 earned = LeaseMath.earnedByWorkDown(rate, work);
            assert(earned * 1e12 <= price && price < earned * 1e12 + 1e12);
        }
    }

    function check_EarnedByTimeIsWithinTheLock(uint32 rate, uint64 quantity, uint64 time) external pure {
        vm.assume(time <= quantity);
        assert(LeaseMath.earnedByTimeDown(rate, time) <= LeaseMath.lockUp(rate, quantity));
    }

    function check_EarnedByWorkIsWithinTheLock(uint32 rate, uint64 quantity, uint64 work) external pure {
        vm.assume(work <= uint256(quantity) * 1e6);
        assert(LeaseMath.earnedByWorkDown(rate, work) <= LeaseMath.lockUp(rate, quantity));
    }

    function check_EarnedNeverFallsWithTime(uint32 rate, uint64 time, uint64 later) external pure {
        vm.assume(time <= later);
        assert(LeaseMath.earnedByTimeDown(rate, time) <= LeaseMath.earnedByTimeDown(rate, later));
    }

    function check_EarnedNeverFallsWithWork(uint32 rate, uint64 work, uint64 more) external pure {
        vm.assume(work <= more);
        assert(LeaseMath.earnedByWorkDown(rate, work) <= LeaseMath.earnedByWorkDown(rate, more));
    }

    function check_EarnedByTimeNeverFallsWithTheRate(uint32 rate, uint32 higher, uint64 time) external pure {
        vm.assume(rate <= higher);
        assert(LeaseMath.earnedByTimeDown(rate, time) <= LeaseMath.earnedByTimeDown(higher, time));
    }

    function check_EarnedByWorkNeverFallsWithTheRate(uint32 rate, uint32 higher, uint64 work) external pure {
        vm.assume(rate <= higher);
        assert(LeaseMath.earnedByWorkDown(rate, work) <= LeaseMath.earnedByWorkDown(higher, work));
    }

    function check_TheLockNeverFallsWithRateOrQuantity(uint32 rate, uint32 higher, uint64 quantity, uint64 more)
        external
        pure
    {
        vm.assume(rate <= higher && quantity <= more);
        assert(LeaseMath.lockUp(rate, quantity) <= LeaseMath.lockUp(higher, quantity));
        assert(LeaseMath.lockUp(rate, quantity) <= LeaseMath.lockUp(rate, more));
    }

    function check_ReportingInPartsNeverEarnsMore(uint32 rate, uint64 first, uint64 second) external pure {
        unchecked {
            vm.assume(first + second >= first);
            (uint256 priceOne, uint256 one) = _earned(rate, first);
            (uint256 priceOther, uint256 other) = _earned(rate, second);
            (uint256 price, uint256 whole) = _earned(rate, first + second);
            assert(priceOne + priceOther == price);
            vm.assume(priceOne + priceOther == price);
            assert(one + other <= whole && whole <= one + other + 1);
        }
    }

    function check_DueNeverLiftsPaidAboveTheLock(uint48 cumulative, uint48 locked, uint48 paid) external pure {
        vm.assume(paid <= locked);
        uint256 after_ = uint256(paid) + LeaseMath.dueOf(cumulative, locked, paid);
        assert(after_ <= locked);
        assert(after_ == paid || after_ <= cumulative);
    }

    function check_DueReachesTheVoucherOrTheLock(uint48 cumulative, uint48 locked, uint48 paid) external pure {
        vm.assume(paid <= locked);
        uint256 after_ = uint256(paid) + LeaseMath.dueOf(cumulative, locked, paid);
        assert(after_ >= cumulative || after_ == locked);
    }

    function check_AVoucherPaysOnce(uint48 cumulative, uint48 lower, uint48 locked, uint48 paid) external pure {
        vm.assume(paid <= locked && lower <= cumulative);
        paid += LeaseMath.dueOf(cumulative, locked, paid);
        assert(LeaseMath.dueOf(cumulative, locked, paid) == 0);
        assert(LeaseMath.dueOf(lower, locked, paid) == 0);
    }

    function check_TheOrderOfVouchersIsIrrelevant(uint48 one, uint48 other, uint48 locked, uint48 paid) external pure {
        vm.assume(paid <= locked);
        assert(_paidAfter(one, other, locked, paid) == _paidAfter(other, one, locked, paid));
    }

    function check_DueTakesWhateverTheVoucherSays(uint256 cumulative, uint48 locked, uint48 paid) external pure {
        // 256 bits: nothing wraps in the cut to 48.
        uint256 due = LeaseMath.dueOf(cumulative, locked, paid);
        uint256 most = cumulative < locked ? cumulative : locked;
        assert(due == (most > paid ? most - paid : 0));
    }

    /// @dev What is asserted here is then given to the solver, which from products and quotients alone finds no end.
    function _earned(uint32 rate, uint64 work) private pure returns (uint256 price, uint256 earned) {
        unchecked {
            price = uint256(rate) * work;
            earned = LeaseMath.earnedByWorkDown(rate, work);
            bool rounded = _and(price <= type(uint96).max, earned <= type(uint96).max);
            rounded = _and(rounded, _and(earned * 1e12 <= price, price < earned * 1e12 + 1e12));
            assert(rounded);
            vm.assume(rounded);
        }
    }

    function _paidAfter(uint48 first, uint48 second, uint48 locked, uint48 paid) private pure returns (uint48) {
        paid += LeaseMath.dueOf(first, locked, paid);
        return paid + LeaseMath.dueOf(second, locked, paid);
    }
}
