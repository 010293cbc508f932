// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The EIP-712 domain { name "Gridlease", version "1", chainId, verifyingContract }
/// @dev By hand, because OpenZeppelin's carries names of any length and costs 0.7 kB, which the ledger does not have
/// (docs/decisions/0005).
abstract contract Domain {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME = keccak256("Gridlease");
    bytes32 private constant VERSION = keccak256("1");

    bytes32 private immutable _separator;
    uint256 private immutable _chainId;

    constructor() {
        _separator = _computeSeparator();
        _chainId = block.chainid;
    }

    /// @dev keccak256(0x1901 || domain separator || struct hash). On a fork with another chain id the separator is another.
    function _digest(bytes32 structHash) internal view returns (bytes32 digest) {
        bytes32 separator = block.chainid == _chainId ? _separator : _computeSeparator();
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, hex"1901")
            mstore(add(buffer, 0x02), separator)
            mstore(add(buffer, 0x22), structHash)
            digest := keccak256(buffer, 0x42)
        }
    }

    function _computeSeparator() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, NAME, VERSION, block.chainid, address(this)));
    }
}
