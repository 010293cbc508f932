// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Offer, Order, SignedVoucher, UsageReceipt, Voucher} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerHarness} from "./support/LedgerHarness.sol";
import {DomainHarness} from "./support/SmallHarnesses.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title One digest, one message: of one type, with one value in each field, for one ledger on one chain
contract MessagesProof is Symbolic {
    LedgerHarness private ledger;
    LedgerHarness private other;

    function setUp() public {
        ledger = LedgerHarness(_deploy("LedgerHarness", abi.encode(address(1), address(this))));
        other = LedgerHarness(_deploy("LedgerHarness", abi.encode(address(1), address(this))));
    }

    function check_AVoucherDigestBindsEachField(Voucher calldata a, Voucher calldata b) external view {
        vm.assume(ledger.hashVoucher(a) == ledger.hashVoucher(b));
        assert(a.lease == b.lease);
        assert(a.provider == b.provider);
        assert(a.cumulative == b.cumulative);
        assert(a.result == b.result);
        assert(a.last == b.last);
    }

    function check_AReceiptDigestBindsEachField(UsageReceipt calldata a, UsageReceipt calldata b) external view {
        vm.assume(ledger.hashUsageReceipt(a) == ledger.hashUsageReceipt(b));
        assert(keccak256(abi.encode(a)) == keccak256(abi.encode(b)));
    }

    function check_AnOfferDigestBindsEachField(Offer calldata a, Offer calldata b) external view {
        vm.assume(ledger.hashOffer(a) == ledger.hashOffer(b));
        assert(keccak256(abi.encode(a)) == keccak256(abi.encode(b)));
    }

    function check_AnOrderDigestBindsEachField(Order calldata a, Order calldata b) external view {
        vm.assume(ledger.hashOrder(a) == ledger.hashOrder(b));
        assert(keccak256(abi.encode(a)) == keccak256(abi.encode(b)));
    }

    function check_NoVoucherIsAnotherMessage(
        Voucher calldata voucher,
        Offer calldata offer,
        Order calldata order,
        UsageReceipt calldata receipt
    ) external view {
        bytes32 digest = ledger.hashVoucher(voucher);
        assert(digest != ledger.hashOffer(offer));
        assert(digest != ledger.hashOrder(order));
        assert(digest != ledger.hashUsageReceipt(receipt));
    }

    function check_NoReceiptIsAnOfferOrOrder(Offer calldata offer, Order calldata order, UsageReceipt calldata receipt)
        external
        view
    {
        assert(ledger.hashOffer(offer) != ledger.hashOrder(order));
        assert(ledger.hashUsageReceipt(receipt) != ledger.hashOffer(offer));
        assert(ledger.hashUsageReceipt(receipt) != ledger.hashOrder(order));
    }

    function check_ARedeemedVoucherIsTheSignedOne(SignedVoucher calldata voucher, address provider) external view {
        Voucher memory whole = Voucher({
            lease: voucher.lease,
            provider: provider,
            cumulative: voucher.cumulative,
            result: voucher.result,
            last: voucher.last
        });
        assert(ledger.hashSignedVoucher(voucher, provider) == ledger.hashVoucher(whole));
    }

    function check_ADigestBindsTheLedger(Voucher calldata a, Voucher calldata b) external view {
        assert(ledger.hashVoucher(a) != other.hashVoucher(b));
    }

    /// Deployed on a chain of any id: of the concrete separator of `setUp` halmos would know nothing but its value.
    function check_ADigestBindsTheChain(Voucher calldata a, Voucher calldata b, uint64 home, uint64 one, uint64 another)
        external
    {
        vm.assume(one != another);
        vm.chainId(home);
        LedgerHarness anywhere = LedgerHarness(_deploy("LedgerHarness", abi.encode(address(1), address(this))));
        vm.chainId(one);
        bytes32 digest = anywhere.hashVoucher(a);
        vm.chainId(another);
        assert(digest != anywhere.hashVoucher(b));
    }

    function check_ADigestComesBackWithItsChain(bytes32 structHash, uint64 home, uint64 fork) external {
        vm.chainId(home);
        DomainHarness domain = new DomainHarness();
        bytes32 digest = domain.digest(structHash);
        vm.chainId(fork);
        assert((domain.digest(structHash) == digest) == (fork == home));
        vm.chainId(home);
        assert(domain.digest(structHash) == digest);
    }

    function check_ALeaseIdBindsOrderAndFill(bytes32 order, uint8 fill, bytes32 order2, uint8 fill2) external view {
        bool same = order == order2 && fill == fill2;
        assert((ledger.leaseId(order, fill) == ledger.leaseId(order2, fill2)) == same);
    }
}
