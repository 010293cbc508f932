// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title Signatures of keys and of contract wallets (ERC-1271)
/// @notice The wallet's address is inside every signed message, so a signature for one wallet never serves another of the
/// same owner (the case of ERC-7739).
/// @dev OpenZeppelin's ECDSA is the oracle of the tests; here without its error values, which nobody reads and each voucher
/// would pay for (docs/decisions/0005).
library Signatures {
    /// @dev Half the order of secp256k1: of the two `s` of a signature the lower counts.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice Who signed: 0 for anything but a signature with low `s` and `v` 27 or 28. 0 is never an accepted signer.
    function recover(bytes32 digest, uint256 v, bytes32 r, bytes32 s) internal view returns (address signer) {
        if (uint256(s) > HALF_ORDER) return address(0);
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, digest)
            mstore(add(buffer, 0x20), v)
            mstore(add(buffer, 0x40), r)
            mstore(add(buffer, 0x60), s)
            mstore(0, 0)
            // The precompile returns nothing for what it cannot recover; then the 0 stays.
            pop(staticcall(gas(), 1, buffer, 0x80, 0, 0x20))
            signer := mload(0)
        }
    }

    /// @notice Like above for 65 bytes, r || s || v; 0 for any other length.
    function recover(bytes32 digest, bytes calldata signature) internal view returns (address) {
        if (signature.length != 65) return address(0);
        return
            recover({
                digest: digest, v: uint8(signature[64]), r: bytes32(signature[0:32]), s: bytes32(signature[32:64])
            });
    }

    /// @dev Enough for a passkey checked in Solidity, little enough that a wallet cannot burn a batch.
    uint256 internal constant GAS_CAP = 400_000;

    /// @notice Whether `wallet` has code and says that `signature` is its own. A static call with a gas cap, of whose answer
    /// one word is read: a wallet can change nothing, and nothing it returns costs more than that word.
    function isValidNow(address wallet, bytes32 digest, bytes calldata signature) internal view returns (bool valid) {
        if (wallet.code.length == 0) return false;
        bytes memory query = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bytes32 magic = bytes32(IERC1271.isValidSignature.selector);
        uint256 cap = GAS_CAP;
        assembly ("memory-safe") {
            valid := staticcall(cap, wallet, add(query, 0x20), mload(query), 0, 0x20)
            valid := and(and(valid, gt(returndatasize(), 0x1f)), eq(mload(0), magic))
        }
    }
}
