// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test, Vm} from "forge-std/Test.sol";

import {Signatures} from "../../src/libraries/Signatures.sol";

contract SignaturesTest is Test {
    bytes32 private constant DIGEST = keccak256("digest");

    function test_WhatCannotBeRecovered_IsNobody() public {
        Vm.Wallet memory key = vm.createWallet("key");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key.privateKey, DIGEST);
        assertEq(recoverOver(key.addr, v, r, s), key.addr, "as it was signed");
        assertEq(recoverOver(key.addr, v + 2, r, s), address(0), "v");
        assertEq(recoverOver(key.addr, v, 0, s), address(0), "r");
        assertEq(recoverOver(key.addr, v, r, 0), address(0), "s");
    }

    /// The precompile says nothing then; what lay in scratch space before must not be taken for its answer.
    function recoverOver(address left, uint256 v, bytes32 r, bytes32 s) private view returns (address) {
        assembly ("memory-safe") {
            mstore(0, left)
        }
        return Signatures.recover(DIGEST, v, r, s);
    }
}
