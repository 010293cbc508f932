// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title A running hash over the contract's own events
/// @notice head' = keccak256(head, count, block.number, block.timestamp, keccak256(topics || data)), cut to 208 bits, for
/// each event in emission order. Who replays the events to the same head has all of them, in order; one storage proof of
/// slot 0 shows it.
/// @dev First in the inheritance list, so that the head is in storage slot 0. An outermost call loads it once, carries it
/// in memory and stores it once; the reentrancy guard of the inheriting contract keeps such calls from nesting.
abstract contract EventHead {
    /// @param hash 208 bits
    /// @param count events so far
    struct Head {
        uint256 hash;
        uint256 count;
    }

    /// @dev count (48 bits) | hash (208 bits)
    uint256 private _packedHead;

    uint256 private constant HASH_BITS = 208;
    uint256 private constant HASH_MASK = type(uint208).max;

    function _loadHead() internal view returns (Head memory head_) {
        uint256 packed = _packedHead;
        head_.hash = packed & HASH_MASK;
        head_.count = packed >> HASH_BITS;
    }

    function _storeHead(Head memory head_) internal {
        _packedHead = head_.count << HASH_BITS | head_.hash;
    }

    /// @dev Invariant 13. Emits an event and advances the head, both from the one buffer `topics || data`, so they cannot differ.
    /// @param topics how many words of the buffer are topics, 2 to 4, the event's selector first
    function _record(Head memory head_, uint256 topics, bytes memory encoded) internal {
        bytes32 eventHash;
        assembly ("memory-safe") {
            let start := add(encoded, 0x20)
            let size := mload(encoded)
            eventHash := keccak256(start, size)

            let data := add(start, shl(5, topics))
            let dataSize := sub(size, shl(5, topics))
            switch topics
            case 2 { log2(data, dataSize, mload(start), mload(add(start, 0x20))) }
            case 3 { log3(data, dataSize, mload(start), mload(add(start, 0x20)), mload(add(start, 0x40))) }
            default {
                log4(
                    data,
                    dataSize,
                    mload(start),
                    mload(add(start, 0x20)),
                    mload(add(start, 0x40)),
                    mload(add(start, 0x60))
                )
            }
        }
        head_.hash = uint256(_next(head_.hash, head_.count, eventHash)) & HASH_MASK;
        unchecked {
            // 2^48 events take longer than the chain will last.
            ++head_.count;
        }
    }

    /// @dev keccak256(abi.encode(hash, count, block.number, block.timestamp, eventHash)), without keeping the buffer.
    function _next(uint256 hash, uint256 count, bytes32 eventHash) internal view returns (bytes32 next) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, hash)
            mstore(add(buffer, 0x20), count)
            mstore(add(buffer, 0x40), number())
            mstore(add(buffer, 0x60), timestamp())
            mstore(add(buffer, 0x80), eventHash)
            next := keccak256(buffer, 0xa0)
        }
    }
}
