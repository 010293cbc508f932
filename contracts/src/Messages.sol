// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IComputeLedger, Offer, Order, SignedVoucher, Voucher} from "./interfaces/IComputeLedger.sol";

/// @title The signed messages: EIP-712 digests and who signed them
/// @dev All members are static, so a struct hash is keccak256 of the type hash and the ABI encoding of the struct.
abstract contract Messages is IComputeLedger, EIP712 {
    bytes32 internal constant OFFER_TYPEHASH = keccak256(
        "Offer(address provider,uint256 quantities,uint256 traits,uint8 zone,uint8 meter,uint32 rate,uint32 capacity,"
        "uint32 minDuration,uint32 maxDuration,uint32 notice,uint48 minCharge,uint48 bond,address arbiter,uint40 expiry,"
        "uint64 epoch,uint256 salt)"
    );

    bytes32 internal constant ORDER_TYPEHASH = keccak256(
        "Order(address buyer,address voucherSigner,bytes32 job,uint256 quantities,uint256 allOf,uint256 anyOf,"
        "uint256 noneOf,uint256 zones,bool distinctZones,address auditor,uint256 attested,uint8 meter,uint32 maxRate,"
        "uint64 quantity,uint32 duration,uint48 budget,uint8 replicas,uint8 quorum,uint8 maxLeases,uint48 bond,"
        "uint32 notice,uint48 minCharge,address arbiter,uint32 challengeWindow,address matcher,address deputy,"
        "uint40 matcherUntil,uint48 fee,uint40 expiry,uint64 epoch,uint256 salt)"
    );

    bytes32 internal constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 lease,address provider,uint48 cumulative,bytes32 result,bool last)");

    /// @dev Bytes of the ABI encodings.
    uint256 private constant OFFER_SIZE = 16 * 32;
    uint256 private constant ORDER_SIZE = 31 * 32;

    constructor() EIP712("Gridlease", "1") {}

    /// @inheritdoc IComputeLedger
    function hashOffer(Offer calldata offer) public view returns (bytes32) {
        uint256 position;
        assembly ("memory-safe") {
            position := offer
        }
        return _hashTypedDataV4(_hashStruct({typeHash: OFFER_TYPEHASH, position: position, size: OFFER_SIZE}));
    }

    /// @inheritdoc IComputeLedger
    function hashOrder(Order calldata order) public view returns (bytes32) {
        uint256 position;
        assembly ("memory-safe") {
            position := order
        }
        return _hashTypedDataV4(_hashStruct({typeHash: ORDER_TYPEHASH, position: position, size: ORDER_SIZE}));
    }

    /// @inheritdoc IComputeLedger
    function hashVoucher(Voucher calldata voucher) external view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(VOUCHER_TYPEHASH, voucher)));
    }

    /// @inheritdoc IComputeLedger
    function leaseId(bytes32 orderDigest, uint8 fill) public pure returns (bytes32) {
        return keccak256(abi.encode(orderDigest, uint256(fill)));
    }

    /// @dev keccak256(abi.encode(typeHash, message)), straight from calldata at `position`. A member with dirty upper bits
    /// gives a digest that nobody signed, and reading that member reverts.
    function _hashStruct(bytes32 typeHash, uint256 position, uint256 size) private pure returns (bytes32 structHash) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, typeHash)
            calldatacopy(add(buffer, 0x20), position, size)
            structHash := keccak256(buffer, add(size, 0x20))
        }
    }

    /// @param provider the lease's, from storage: a voucher cannot be turned to another account
    function _hashVoucher(SignedVoucher calldata voucher, address provider) internal view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(VOUCHER_TYPEHASH, voucher.lease, provider, voucher.cumulative, voucher.result, voucher.last)
            )
        );
    }

    /// @dev 0 for anything but a 65-byte signature with low s, and 0 is never an accepted signer.
    function _signerOf(bytes32 digest, bytes calldata signature) internal pure returns (address signer) {
        (signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
    }
}
