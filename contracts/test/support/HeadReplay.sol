// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Test.sol";

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";

/// @dev What a mirror does: the head from the logs alone, written without the contract's code.
library HeadReplay {
    struct State {
        uint208 hash;
        uint48 count;
    }

    /// Advances over the logs of `ledger`, all of the current block.
    function advance(State memory state, Vm.Log[] memory logs, address ledger) internal view {
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter != ledger || logs[i].topics[0] == IComputeLedger.Skipped.selector) continue;
            bytes memory event_ = bytes.concat(abi.encodePacked(logs[i].topics), logs[i].data);
            bytes32 next = keccak256(
                abi.encode(uint256(state.hash), uint256(state.count), block.number, block.timestamp, keccak256(event_))
            );
            state.hash = uint208(uint256(next));
            state.count += 1;
        }
    }
}
