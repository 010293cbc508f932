// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Resources} from "../../src/libraries/Resources.sol";

contract ResourcesTest is Test {
    function testFuzz_EqualsLaneByLane(uint256 offered, uint256 needed) public pure {
        assertEq(Resources.covers(offered, needed), naive(offered, needed));
    }

    /// Random words nearly always differ in some lane, so here one lane at most is too small, by any margin.
    function testFuzz_OneLaneDecides(uint256 offered, uint256 slack, uint8 lane, uint16 missing) public pure {
        offered &= ~Resources.GUARDS;
        uint256 needed;
        for (uint256 i; i < 16; ++i) {
            needed |= bound(slack >> i * 16 & 0x7fff, 0, offered >> i * 16 & 0x7fff) << i * 16;
        }
        assertTrue(Resources.covers(offered, needed), "all lanes suffice");

        uint256 shift = uint256(lane) % 16 * 16;
        uint256 have = offered >> shift & 0x7fff;
        vm.assume(have < 0x7fff);
        uint256 wanted = bound(missing, have + 1, 0x7fff);
        needed = needed & ~(0xffff << shift) | wanted << shift;
        assertFalse(Resources.covers(offered, needed), "one lane is too small");
        assertFalse(naive(offered, needed), "naive");
    }

    function testFuzz_AGuardBitIsRefused(uint256 offered, uint256 needed, uint8 lane) public pure {
        offered &= ~Resources.GUARDS;
        needed &= ~Resources.GUARDS;
        uint256 guard = 0x8000 << uint256(lane) % 16 * 16;
        assertFalse(Resources.covers(offered | guard, needed), "offered");
        assertFalse(Resources.covers(offered, needed | guard), "needed");
    }

    function testFuzz_CoversItself(uint256 offered) public pure {
        offered &= ~Resources.GUARDS;
        assertTrue(Resources.covers(offered, offered), "itself");
        assertTrue(Resources.covers(offered, 0), "nothing");
    }

    function naive(uint256 offered, uint256 needed) private pure returns (bool) {
        for (uint256 i; i < 16; ++i) {
            uint256 have = offered >> i * 16 & 0xffff;
            uint256 want = needed >> i * 16 & 0xffff;
            if (have > 0x7fff || want > 0x7fff || have < want) return false;
        }
        return true;
    }
}
