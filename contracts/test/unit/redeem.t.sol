// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {EndReason, LeaseState, Order, SignedVoucher, Skip, Voucher} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract RedeemTest is LedgerTest {
    Order private order;
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        order = anOrder();
        lease = open(order, 0);
    }

    function test_PaysTheDifferenceToTheProvider() public {
        redeem(aVoucher(lease, 10e6, false));
        SignedVoucher memory higher = aVoucher(lease, 25e6, false);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.VoucherRedeemed({
            lease: lease, provider: provider.addr, amount: 15e6, paid: 25e6, result: higher.result, last: false
        });
        vm.prank(stranger);
        assertEq(redeem(higher), 1, "redeemed");
        assertEq(freeOf(provider.addr), 25e6, "provider");
        assertEq(ledger.lease(lease).paid, 25e6, "paid");
        assertEq(ledger.lease(lease).locked, LOCK, "locked");
    }

    function test_NeverCloses() public {
        redeem(aVoucher(lease, 10e6, true));
        assertState(lease, LeaseState.Open);
        assertFalse(ledger.lease(lease).done, "done");
    }

    function test_PaysAtMostTheLock() public {
        redeem(aVoucher(lease, type(uint48).max, false));
        assertEq(freeOf(provider.addr), LOCK, "provider");
        expectStale(type(uint48).max);
    }

    function test_PaysWhileClosingAndUntilFinalised() public {
        vm.prank(buyer.addr);
        ledger.close(order, 0, EndReason.Cancelled);
        redeem(aVoucher(lease, 10e6, false));
        vm.warp(block.timestamp + NOTICE + 1 days);
        redeem(aVoucher(lease, 20e6, false));
        assertEq(freeOf(provider.addr), 20e6, "provider");
    }

    function test_PaysAfterItsDuration() public {
        vm.warp(block.timestamp + DURATION + NOTICE);
        redeem(aVoucher(lease, 20e6, false));
        assertEq(freeOf(provider.addr), 20e6, "provider");
    }

    function test_SkipWhen_UnknownLease() public {
        SignedVoucher memory voucher = aVoucher(lease, 10e6, false);
        voucher.lease = "unknown";
        expectSkipped(voucher, Skip.UnknownLease);
    }

    function test_SkipWhen_LeaseClosed() public {
        vm.warp(block.timestamp + DURATION + NOTICE);
        ledger.finalise(order, 0);
        expectSkipped(aVoucher(lease, 10e6, false), Skip.LeaseClosed);
    }

    function test_SkipWhen_VoucherStale() public {
        expectStale(0);
        redeem(aVoucher(lease, 10e6, false));
        expectStale(10e6);
        expectStale(9e6);
    }

    function test_SkipWhen_SignedByAnother() public {
        SignedVoucher memory voucher = aVoucher(lease, 10e6, false);
        (voucher.r, voucher.vs) = signShort(buyer, voucherDigest(lease, 10e6, voucher.result, false));
        expectSkipped(voucher, Skip.VoucherSignature);
    }

    function test_SkipWhen_AnyFieldDiffersFromWhatWasSigned() public {
        for (uint256 i; i < 5; ++i) {
            SignedVoucher memory voucher = aVoucher(lease, 10e6, false);
            if (i == 0) voucher.cumulative += 1;
            if (i == 1) voucher.result = "other";
            if (i == 2) voucher.last = true;
            // The parity, and nothing, which recovers to address 0.
            if (i == 3) voucher.vs ^= bytes32(uint256(1) << 255);
            if (i == 4) (voucher.r, voucher.vs) = (0, 0);
            expectSkipped(voucher, Skip.VoucherSignature);
        }
    }

    function test_SkipWhen_SignedForAnotherProvider() public {
        SignedVoucher memory voucher = aVoucher(lease, 10e6, false);
        bytes32 digest = ledger.hashVoucher(
            Voucher({lease: lease, provider: stranger, cumulative: 10e6, result: voucher.result, last: false})
        );
        (voucher.r, voucher.vs) = signShort(voucherSigner, digest);
        expectSkipped(voucher, Skip.VoucherSignature);
    }

    function test_SkipWhen_OfAnotherLease() public {
        order.salt += 1;
        bytes32 other = open(order, 0);
        SignedVoucher memory voucher = aVoucher(lease, 10e6, false);
        voucher.lease = other;
        expectSkipped(voucher, Skip.VoucherSignature);
    }

    function test_BadVouchersDoNotSinkTheBatch() public {
        SignedVoucher[] memory vouchers = new SignedVoucher[](4);
        vouchers[0] = aVoucher(lease, 10e6, false);
        vouchers[1] = aVoucher(lease, 10e6, false);
        vouchers[2] = aVoucher(lease, 30e6, false);
        vouchers[3] = aVoucher(lease, 20e6, false);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(lease, Skip.VoucherStale);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(lease, Skip.VoucherStale);
        assertEq(ledger.redeem(vouchers), 2, "redeemed");
        assertEq(freeOf(provider.addr), 30e6, "provider");
    }

    function expectStale(uint48 cumulative) private {
        expectSkipped(aVoucher(lease, cumulative, false), Skip.VoucherStale);
    }

    function expectSkipped(SignedVoucher memory voucher, Skip reason) private {
        (uint208 hash,) = ledger.head();
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(voucher.lease, reason);
        assertEq(redeem(voucher), 0, "redeemed");
        (uint208 after_,) = ledger.head();
        assertEq(after_, hash, "head");
    }
}
