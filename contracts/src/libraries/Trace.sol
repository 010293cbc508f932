// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Traces and result hashes, as protocol/merkle.py and protocol/results.py build them
/// @notice keccak256 over ABI words behind a 32-byte domain tag. A leaf is (index, state hash, work) after a segment; a node
/// is never a leaf; an odd node moves up as it is; the number of leaves is the caller's to bind.
library Trace {
    bytes32 internal constant TRACE = keccak256("gridlease/trace/1");
    bytes32 internal constant RESULT = keccak256("gridlease/result/1");

    /// @notice The leaf of the segment with number `index`, from 0.
    /// @param work raw and cumulative over the job
    function leafOf(uint256 index, bytes32 state, uint256 work) internal pure returns (bytes32) {
        return keccak256(abi.encode(TRACE, index, state, work));
    }

    /// @notice Whether `leaf` is the one with number `index` of `count` under `root`.
    /// @param proof the siblings from the leaf up; a level without a sibling has none. One spelling: none spare, none missing.
    function holds(bytes32 root, uint256 count, uint256 index, bytes32 leaf, bytes32[] calldata proof)
        internal
        pure
        returns (bool)
    {
        if (index >= count) return false;
        bytes32 domain = keccak256(abi.encode(TRACE, keccak256("node")));
        uint256 used;
        while (count > 1) {
            bool isRight = index & 1 == 1;
            if (isRight || index + 1 < count) {
                if (used == proof.length) return false;
                bytes32 sibling = proof[used];
                leaf = isRight
                    ? keccak256(abi.encode(domain, sibling, leaf))
                    : keccak256(abi.encode(domain, leaf, sibling));
                unchecked {
                    ++used;
                }
            }
            unchecked {
                index >>= 1;
                count = (count + 1) >> 1;
            }
        }
        return used == proof.length && leaf == root;
    }

    /// @notice The hash that a `last` voucher or claim names.
    /// @param job SHA-256 of the manifest: the order's
    /// @param status 0 succeeded, 1 failed, 2 out of work, 3 output limit, 4 trapped
    /// @param outputs how many files the job wrote
    /// @param segments leaves of the trace
    /// @param work raw, of the whole job
    function resultHash(
        bytes32 job,
        uint256 status,
        uint256 exitCode,
        uint256 outputs,
        bytes32 outputsRoot,
        uint256 segments,
        bytes32 root,
        uint256 work
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(RESULT, job, status, exitCode, outputs, outputsRoot, segments, root, work));
    }
}
