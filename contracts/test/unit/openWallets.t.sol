// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {
    EndReason,
    LastVoucher,
    LeaseState,
    Match,
    Offer,
    Order,
    SignedOffer,
    SignedVoucher,
    Skip,
    UsageReceipt
} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";
import {Answer, Wallet} from "../support/Wallets.sol";

/// @dev Each wallet is owned by the key whose place it takes, so the signatures are those of the other tests.
contract OpenWalletsTest is LedgerTest {
    Wallet private buyerWallet;
    Wallet private providerWallet;

    function setUp() public override {
        super.setUp();
        buyerWallet = new Wallet(buyer.addr);
        buyerWallet.aim(address(ledger));
        providerWallet = new Wallet(provider.addr);
        providerWallet.aim(address(ledger));
        fund(address(buyerWallet), 500e6);
    }

    /* BUYER */

    function test_BuyerWalletSaysYes() public {
        Order memory order = walletOrder();
        open(order, 0);
        assertEq(freeOf(address(buyerWallet)), 500e6 - LOCK - FEE, "the wallet pays");
        assertEq(freeOf(buyer.addr), 1_000e6, "its owner does not");
    }

    function test_SkipWhen_BuyerWalletDoesNotSayYes() public {
        for (uint8 i = 1; i <= uint8(Answer.CallsBack); ++i) {
            buyerWallet.become(Answer(i));
            expectSkipped(anOffer(), walletOrder(), Skip.OrderSignature);
        }
    }

    function test_SkipWhen_AnotherKeySigned() public {
        expectSkipped(anOffer(), provider, matchOf(walletOrder(), provider, 0), Skip.OrderSignature);
    }

    function test_BadWalletDoesNotSinkTheBatch() public {
        for (uint8 i = 1; i <= uint8(Answer.CallsBack); ++i) {
            buyerWallet.become(Answer(i));
            SignedOffer[] memory offers = new SignedOffer[](1);
            offers[0] = signed(anOffer(), provider);
            offers[0].offer.capacity = 4;
            Match[] memory matches = new Match[](2);
            matches[0] = matchOf(walletOrder(), buyer, 0);
            Order memory good = anOrder();
            good.salt = i;
            good.quantity = 1;
            good.budget = 1;
            matches[1] = matchOf(good, buyer, 0);
            vm.prank(matcher);
            uint256 before = gasleft();
            uint256 opened = ledger.open(offers, matches, 0);
            assertLt(before - gasleft(), 800_000, "gas");
            assertEq(opened, 1, "opened");
            assertState(leaseOf(good, 0), LeaseState.Open);
            closeLastAgreed(good);
        }
    }

    /// C4: a wallet's later change neither voids nor forges.
    function test_WalletThatChangesItsMindIsNotAskedAgain() public {
        Order memory order = walletOrder();
        bytes32 lease = open(order, 0);
        buyerWallet.become(Answer.No);
        redeem(aVoucher(lease, 20e6, false));
        assertEq(freeOf(provider.addr), 20e6, "voucher");
        closeAs(matcher, order, EndReason.Faulty);
        Match memory match_ = matchOf(order, buyer, 1);
        match_.signature = "";
        assertEq(openAs(matcher, anOffer(), provider, match_), 1, "later fill");
    }

    function test_DelegateOfAWallet() public {
        vm.prank(address(buyerWallet));
        ledger.approveDelegate({key: delegateKey.addr, cap: 100e6, until: uint40(block.timestamp + 1)});
        buyerWallet.become(Answer.Reverts);
        assertEq(openAs(matcher, anOffer(), provider, matchOf(walletOrder(), delegateKey, 0)), 1, "opened");
        assertEq(ledger.delegate(address(buyerWallet), delegateKey.addr).remaining, 100e6 - BUDGET - 3 * FEE, "charged");
    }

    function test_KeyThatIsNoLongerADelegateIsTheWalletsToJudge() public {
        vm.prank(address(buyerWallet));
        ledger.approveDelegate({key: buyer.addr, cap: 100e6, until: uint40(block.timestamp)});
        open(walletOrder(), 0);
        assertEq(ledger.delegate(address(buyerWallet), buyer.addr).remaining, 100e6, "not charged");
    }

    function test_WalletAsVoucherSignerPaysNothing() public {
        Order memory order = anOrder();
        order.voucherSigner = address(new Wallet(voucherSigner.addr));
        bytes32 lease = open(order, 0);
        SignedVoucher memory voucher = aVoucher(lease, 20e6, false);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(lease, Skip.VoucherSignature);
        assertEq(redeem(voucher), 0, "redeemed");
    }

    /* PROVIDER */

    function test_ProviderWalletSaysYes() public {
        bytes32 lease = openWith(walletOffer(), provider, anOrder(), 0);
        assertEq(ledger.lease(lease).provider, address(providerWallet), "provider");
        assertEq(ledger.account(address(providerWallet)).openLeases, 1, "open leases");
    }

    function test_SkipWhen_ProviderWalletDoesNotSayYes() public {
        for (uint8 i = 1; i <= uint8(Answer.CallsBack); ++i) {
            providerWallet.become(Answer(i));
            expectSkipped(walletOffer(), anOrder(), Skip.OfferSignature);
        }
    }

    function test_ProviderWalletAgreesToALastVoucher() public {
        Order memory order = anOrder();
        bytes32 lease = openWith(walletOffer(), provider, order, 0);
        LastVoucher memory item = countersigned(order);
        for (uint8 i = 1; i <= uint8(Answer.CallsBack); ++i) {
            providerWallet.become(Answer(i));
            vm.expectEmit(address(ledger));
            emit IComputeLedger.Skipped(lease, Skip.VoucherSignature);
            assertEq(closeLast(item), 0, "closed");
        }
        providerWallet.become(Answer.OwnersKey);
        assertEq(closeLast(item), 1, "closed");
        assertEq(freeOf(address(providerWallet)), 1e6, "paid");
    }

    function test_ProviderWalletSignsUsageReceipts() public {
        Offer memory offer = aBondedOffer();
        offer.provider = address(providerWallet);
        fund(address(providerWallet), BOND);
        Order memory order = aBondedOrder();
        bytes32 lease = openWith(offer, provider, order, 0);
        UsageReceipt memory receipt = aReceipt(lease);
        bytes32 digest = ledger.hashUsageReceipt(receipt);
        bytes memory signature = sign(provider, digest);

        providerWallet.become(Answer.No);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_ReceiptSignature.selector, digest));
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, signature);
        providerWallet.become(Answer.OwnersKey);
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, receipt, signature);
        assertState(lease, LeaseState.Disputed);
    }

    /* CASES */

    function walletOrder() private view returns (Order memory order) {
        order = anOrder();
        order.buyer = address(buyerWallet);
    }

    function walletOffer() private view returns (Offer memory offer) {
        offer = anOffer();
        offer.provider = address(providerWallet);
    }

    function countersigned(Order memory order) private view returns (LastVoucher memory item) {
        item = aLastVoucher(order, 0, 1e6);
        item.providerSignature = sign(provider, voucherDigest(item.voucher.lease, 1e6, item.voucher.result, true));
    }

    function closeLastAgreed(Order memory order) private {
        assertEq(closeLast(countersigned(order)), 1, "closed");
    }
}
