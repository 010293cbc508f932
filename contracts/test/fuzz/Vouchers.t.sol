// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Order, SignedVoucher} from "../../src/interfaces/LedgerTypes.sol";
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
        uint256 member = bound(bit, 0, 4 * 256 + 48);
        if (member < 256) voucher.r ^= bytes32(1 << member);
        else if (member < 512) voucher.vs ^= bytes32(1 << member - 256);
        else if (member < 768) voucher.lease ^= bytes32(1 << member - 512);
        else if (member < 1024) voucher.result ^= bytes32(1 << member - 768);
        else if (member < 1072) voucher.cumulative ^= uint48(1 << member - 1024);
        else voucher.last = true;
        assertEq(redeem(voucher), 0, "redeemed");
        assertEq(ledger.lease(lease).paid, 0, "paid");
    }

    /// The other s of the same signature recovers the same signer, but is not accepted; nor is the short form.
    function testFuzz_MalleableTwinIsRefused(uint256 salt) public {
        Order memory order = anOrder();
        order.salt = salt;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(buyer.privateKey, ledger.hashOrder(order));
        uint256 n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes memory twin = abi.encodePacked(r, n - uint256(s), v == 27 ? uint8(28) : uint8(27));
        assertEq(openSigned(order, twin), 0, "high s");
        assertEq(openSigned(order, abi.encodePacked(r, uint256(s) | uint256(v - 27) << 255)), 0, "EIP-2098: 64 bytes");
        assertEq(openSigned(order, abi.encodePacked(r, s, v - 27)), 0, "v of 0 or 1");
        assertEq(openSigned(order, abi.encodePacked(r, s, v)), 1, "as it was signed");
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
        assertEq(openSigned(order, signature), 0, "opened");
        assertEq(freeOf(buyer.addr), free, "free");
    }

    function redeemRange(SignedVoucher[] memory vouchers, uint256 from, uint256 to) private {
        SignedVoucher[] memory part = new SignedVoucher[](to - from);
        for (uint256 i; i < part.length; ++i) {
            part[i] = vouchers[from + i];
        }
        ledger.redeem(part);
    }

    function openSigned(Order memory order, bytes memory signature) private returns (uint256) {
        return openAs({opener: matcher, offer: anOffer(), offerSigner: provider, match_: matchWith(order, signature)});
    }
}
