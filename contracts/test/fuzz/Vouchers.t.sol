// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Order, SignedVoucher} from "../../src/interfaces/IComputeLedger.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract VouchersTest is LedgerTest {
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        lease = open(anOrder(), 0);
    }

    /// The order in which vouchers are redeemed, together or apart, changes nothing in the end.
    function testFuzz_OrderIsIrrelevant(uint48[6] memory amounts, uint256 seed, uint256 cut) public {
        SignedVoucher[] memory vouchers = new SignedVoucher[](amounts.length);
        uint48 highest;
        for (uint256 i; i < amounts.length; ++i) {
            amounts[i] = uint48(bound(amounts[i], 0, 2 * LOCK));
            if (amounts[i] > highest) highest = amounts[i];
            vouchers[i] = aVoucher(lease, amounts[i], false);
        }
        for (uint256 i = vouchers.length - 1; i > 0; --i) {
            uint256 j = uint256(keccak256(abi.encode(seed, i))) % (i + 1);
            (vouchers[i], vouchers[j]) = (vouchers[j], vouchers[i]);
        }

        cut = bound(cut, 0, vouchers.length);
        redeemRange(vouchers, 0, cut);
        redeemRange(vouchers, cut, vouchers.length);
        uint48 expected = highest < LOCK ? highest : LOCK;
        assertEq(ledger.lease(lease).paid, expected, "paid");
        assertEq(freeOf(provider.addr), expected, "provider");
    }

    /// One flipped bit anywhere in the voucher or its signature, and nothing is paid.
    function testFuzz_AnyFlippedBitIsRefused(uint256 bit, uint48 cumulative) public {
        SignedVoucher memory voucher = aVoucher(lease, uint48(bound(cumulative, 1, LOCK)), false);
        bit = bound(bit, 0, 65 * 8 + 256 + 48 + 256);
        if (bit < 65 * 8) {
            voucher.signature[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        } else if (bit < 65 * 8 + 256) {
            voucher.lease ^= bytes32(1 << bit - 65 * 8);
        } else if (bit < 65 * 8 + 256 + 48) {
            voucher.cumulative ^= uint48(1 << bit - 65 * 8 - 256);
        } else if (bit < 65 * 8 + 256 + 48 + 256) {
            voucher.result ^= bytes32(1 << bit - 65 * 8 - 256 - 48);
        } else {
            voucher.last = true;
        }
        assertEq(redeem(voucher), 0, "redeemed");
        assertEq(ledger.lease(lease).paid, 0, "paid");
    }

    /// The other s of the same signature recovers the same signer, but is not accepted.
    function testFuzz_MalleableTwinIsRefused(uint48 cumulative) public {
        SignedVoucher memory voucher = aVoucher(lease, uint48(bound(cumulative, 1, LOCK)), false);
        (bytes32 r, bytes32 s, uint8 v) = split(voucher.signature);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        voucher.signature = abi.encodePacked(r, order - uint256(s), v == 27 ? uint8(28) : uint8(27));
        assertEq(redeem(voucher), 0, "high s");
        // EIP-2098: 64 bytes.
        voucher.signature = abi.encodePacked(r, uint256(s) | uint256(v - 27) << 255);
        assertEq(redeem(voucher), 0, "short");
    }

    /// An order with one changed bit opens nothing; neither does a signature with one.
    function testFuzz_AnyFlippedBitOfAnOrderIsRefused(uint256 bit) public {
        Order memory order = anOrder();
        order.salt += 1;
        bytes memory signature = sign(buyer, ledger.hashOrder(order));
        bit = bound(bit, 0, 65 * 8 + 3 * 256 - 1);
        if (bit < 65 * 8) signature[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        else if (bit < 65 * 8 + 256) order.salt ^= 1 << bit - 65 * 8;
        else if (bit < 65 * 8 + 512) order.job ^= bytes32(1 << bit - 65 * 8 - 256);
        else order.noneOf ^= 1 << bit - 65 * 8 - 512;

        uint64 free = freeOf(buyer.addr);
        uint256 opened =
            openAs({opener: matcher, offer: anOffer(), offerSigner: provider, match_: matchWith(order, signature)});
        assertEq(opened, 0, "opened");
        assertEq(freeOf(buyer.addr), free, "free");
    }

    function redeemRange(SignedVoucher[] memory vouchers, uint256 from, uint256 to) private {
        SignedVoucher[] memory part = new SignedVoucher[](to - from);
        for (uint256 i; i < part.length; ++i) {
            part[i] = vouchers[from + i];
        }
        ledger.redeem(part);
    }

    function split(bytes memory signature) private pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
            v := byte(0, mload(add(signature, 0x60)))
        }
    }
}
