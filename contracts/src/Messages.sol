// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Domain} from "./Domain.sol";
import {IComputeLedger} from "./interfaces/IComputeLedger.sol";
import {Offer, Order, SignedVoucher, UsageReceipt, Voucher} from "./interfaces/LedgerTypes.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title The signed messages: EIP-712 digests and who signed them
/// @dev All members are static, so a struct hash is keccak256 of the type hash and the ABI encoding of the struct, which is
/// how it lies in calldata.
abstract contract Messages is IComputeLedger, Domain {
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

    bytes32 internal constant USAGE_RECEIPT_TYPEHASH = keccak256(
        "UsageReceipt(bytes32 lease,uint32 sequence,uint64 meteredUntil,uint64 work,bytes32 result,bytes32 checkpoint)"
    );

    /// @dev Bytes of the ABI encodings.
    uint256 private constant OFFER_SIZE = 16 * 32;
    uint256 private constant ORDER_SIZE = 31 * 32;
    uint256 private constant USAGE_RECEIPT_SIZE = 6 * 32;

    /// @inheritdoc IComputeLedger
    function hashOffer(Offer calldata offer) external view returns (bytes32) {
        return _hashOffer(offer);
    }

    /// @inheritdoc IComputeLedger
    function hashOrder(Order calldata order) external view returns (bytes32) {
        return _hashOrder(order);
    }

    /// @inheritdoc IComputeLedger
    function hashVoucher(Voucher calldata voucher) external view returns (bytes32) {
        return _digest(keccak256(abi.encode(VOUCHER_TYPEHASH, voucher)));
    }

    /// @inheritdoc IComputeLedger
    function hashUsageReceipt(UsageReceipt calldata receipt) external view returns (bytes32) {
        return _hashUsageReceipt(receipt);
    }

    /// @inheritdoc IComputeLedger
    function leaseId(bytes32 orderDigest, uint8 fill) public pure returns (bytes32) {
        return keccak256(abi.encode(orderDigest, uint256(fill)));
    }

    function _hashOffer(Offer calldata offer) internal view returns (bytes32) {
        uint256 position;
        assembly ("memory-safe") {
            position := offer
        }
        return _digestOf({typeHash: OFFER_TYPEHASH, position: position, size: OFFER_SIZE});
    }

    function _hashOrder(Order calldata order) internal view returns (bytes32) {
        uint256 position;
        assembly ("memory-safe") {
            position := order
        }
        return _digestOf({typeHash: ORDER_TYPEHASH, position: position, size: ORDER_SIZE});
    }

    function _hashUsageReceipt(UsageReceipt calldata receipt) internal view returns (bytes32) {
        uint256 position;
        assembly ("memory-safe") {
            position := receipt
        }
        return _digestOf({typeHash: USAGE_RECEIPT_TYPEHASH, position: position, size: USAGE_RECEIPT_SIZE});
    }

    /// @dev Room for one order, not zeroed: declared as a struct it would be, at 30 gas a word, before it is overwritten.
    function _orderRoom() internal pure returns (Order[] memory room) {
        assembly ("memory-safe") {
            room := mload(0x40)
            let order := add(room, 0x40)
            mstore(room, 1)
            mstore(add(room, 0x20), order)
            mstore(0x40, add(order, ORDER_SIZE))
        }
    }

    /// @dev Room for offers, as above.
    function _offerRoom(uint256 count) internal pure returns (Offer[] memory room) {
        assembly ("memory-safe") {
            room := mload(0x40)
            mstore(room, count)
            let place := add(room, 0x20)
            let offer := add(place, shl(5, count))
            for { let end := offer } lt(place, end) { place := add(place, 0x20) } {
                mstore(place, offer)
                offer := add(offer, OFFER_SIZE)
            }
            mstore(0x40, offer)
        }
    }

    /// @dev Overwrites `order` with what lies in calldata, word by word and unchecked. A member with dirty upper bits is cut to
    /// its type wherever it is read; its digest is another message's, which nobody else can have signed.
    function _copy(Order calldata from, Order memory order) internal pure {
        assembly ("memory-safe") {
            calldatacopy(order, from, ORDER_SIZE)
        }
    }

    /// @dev As above.
    function _copy(Offer calldata from, Offer memory offer) internal pure {
        assembly ("memory-safe") {
            calldatacopy(offer, from, OFFER_SIZE)
        }
    }

    /// @dev The EIP-712 digest of the message in calldata at `position`. Every bit of its words is in it.
    function _digestOf(bytes32 typeHash, uint256 position, uint256 size) private view returns (bytes32) {
        bytes32 structHash;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, typeHash)
            calldatacopy(add(buffer, 0x20), position, size)
            structHash := keccak256(buffer, add(size, 0x20))
        }
        return _digest(structHash);
    }

    /// @param provider the lease's, from storage: a voucher cannot be turned to another account
    function _hashSignedVoucher(SignedVoucher calldata voucher, address provider) internal view returns (bytes32) {
        bytes32 structHash;
        bytes32 typeHash = VOUCHER_TYPEHASH;
        assembly ("memory-safe") {
            // keccak256(abi.encode(typeHash, lease, provider, cumulative, result, last)), without keeping the buffer.
            let buffer := mload(0x40)
            mstore(buffer, typeHash)
            mstore(add(buffer, 0x20), calldataload(add(voucher, 0x40)))
            mstore(add(buffer, 0x40), provider)
            mstore(add(buffer, 0x60), calldataload(voucher))
            mstore(add(buffer, 0x80), calldataload(add(voucher, 0x60)))
            mstore(add(buffer, 0xa0), calldataload(add(voucher, 0x20)))
            structHash := keccak256(buffer, 0xc0)
        }
        return _digest(structHash);
    }

    /// @dev A voucher's signer is a key, never a contract, so that no wallet's later change can void or forge one.
    /// @param expected the lease's or order's; `open` refuses 0, which is what an unreadable signature gives
    function _isVoucherSigner(address expected, bytes32 digest, SignedVoucher calldata voucher)
        internal
        view
        returns (bool)
    {
        uint256 vs = uint256(voucher.vs);
        unchecked {
            return expected
                == Signatures.recover({digest: digest, v: (vs >> 255) + 27, r: voucher.r, s: bytes32(vs << 1 >> 1)});
        }
    }

    /// @dev A provider may be a key or a contract (ERC-1271).
    function _isSigner(address expected, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (expected == address(0)) return false;
        return Signatures.recover(digest, signature) == expected || Signatures.isValidNow(expected, digest, signature);
    }
}
