// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Resources} from "../../src/libraries/Resources.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title Comparing all lanes in one subtraction, for every two words
contract ResourcesProof is Symbolic {
    function check_CoversExactlyWhenEachLaneDoes(uint256 offered, uint256 needed) external pure {
        bool all = true;
        for (uint256 lane; lane < 16; ++lane) {
            // Without jumps, or there were 2^16 paths.
            all = _and(all, _laneCovers(offered, needed, lane));
        }
        assert(Resources.covers(offered, needed) == all);
    }

    function check_NoLaneBleedsIntoAnother(uint256 offered, uint256 needed, uint8 lane) external pure {
        vm.assume(lane < 16);
        uint256 others = ~(uint256(0xffff) << lane * 16);
        bool rest = Resources.covers(offered & others, needed & others);
        assert(Resources.covers(offered, needed) == _and(rest, _laneCovers(offered, needed, lane)));
    }

    function check_AGuardBitIsRefused(uint256 offered, uint256 needed, uint8 lane) external pure {
        vm.assume(lane < 16);
        uint256 guard = uint256(0x8000) << lane * 16;
        assert(!Resources.covers(offered | guard, needed));
        assert(!Resources.covers(offered, needed | guard));
    }

    function check_AWordCoversItself(uint256 offered) external pure {
        vm.assume(offered & Resources.GUARDS == 0);
        assert(Resources.covers(offered, offered));
    }

    function check_CoveringIsTransitive(uint256 most, uint256 middle, uint256 least) external pure {
        vm.assume(Resources.covers(most, middle) && Resources.covers(middle, least));
        assert(Resources.covers(most, least));
    }

    function check_WordsThatCoverEachOtherAreEqual(uint256 one, uint256 other) external pure {
        vm.assume(Resources.covers(one, other) && Resources.covers(other, one));
        assert(one == other);
    }

    function check_AskingForLessIsCoveredToo(uint256 offered, uint256 needed, uint256 kept) external pure {
        vm.assume(Resources.covers(offered, needed));
        assert(Resources.covers(offered, needed & kept));
    }

    function _laneCovers(uint256 offered, uint256 needed, uint256 lane) private pure returns (bool) {
        uint256 have = offered >> lane * 16 & 0xffff;
        uint256 want = needed >> lane * 16 & 0xffff;
        return _and(_and(have < 0x8000, want < 0x8000), want <= have);
    }
}
