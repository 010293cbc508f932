// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Accounts} from "./Accounts.sol";
import {IComputeLedger} from "./interfaces/IComputeLedger.sol";
import {Delegate} from "./interfaces/LedgerTypes.sol";

/// @title Authority: who may sign for an account, and which of its messages hold no more
abstract contract Authority is Accounts {
    /// @dev Bits of an epoch's jump: nobody can sign today for a later epoch, and 2^24 jumps fit.
    uint256 private constant EPOCH_JUMP_MASK = (1 << 40) - 1;

    mapping(address buyer => mapping(address key => Delegate)) internal _delegates;
    mapping(address who => mapping(bytes32 digest => bool)) internal _cancelled;

    /// @inheritdoc IComputeLedger
    function approveDelegate(address key, uint64 cap, uint40 until) external guarded {
        // Check: an unreadable signature recovers to address 0, which must never be a delegate.
        require(key != address(0), ComputeLedger_ZeroAddress());

        // Effect: replace what was approved before.
        _delegates[msg.sender][key] = Delegate({remaining: cap, until: until});
        _recordAlone({topics: 3, encoded: abi.encode(DelegateApproved.selector, msg.sender, key, cap, until)});
    }

    /// @inheritdoc IComputeLedger
    function cancel(bytes32 digest) external guarded {
        // Effect: void the message for ever.
        _cancelled[msg.sender][digest] = true;
        _recordAlone({topics: 3, encoded: abi.encode(MessageCancelled.selector, msg.sender, digest)});
    }

    /// @inheritdoc IComputeLedger
    function bumpEpoch() external guarded returns (uint64 epoch) {
        uint64 old = _accounts[msg.sender].epoch;
        bytes32 seed = keccak256(abi.encode(blockhash(block.number - 1), block.prevrandao, msg.sender, old));

        // Effect: jump.
        // forge-lint: disable-next-line(unsafe-typecast) The mask leaves 40 bits.
        epoch = old + 1 + uint64(uint256(seed) & EPOCH_JUMP_MASK);
        _accounts[msg.sender].epoch = epoch;
        _recordAlone({topics: 2, encoded: abi.encode(EpochBumped.selector, msg.sender, epoch)});
    }

    /// @inheritdoc IComputeLedger
    function delegate(address buyer, address key) external view returns (Delegate memory) {
        return _delegates[buyer][key];
    }

    /// @inheritdoc IComputeLedger
    function isCancelled(address who, bytes32 digest) external view returns (bool) {
        return _cancelled[who][digest];
    }
}
