// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Test.sol";

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {
    Attestation,
    EndReason,
    LastVoucher,
    Match,
    Offer,
    Order,
    SignedOffer,
    SignedVoucher
} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

/// @dev Transaction gas of each operation, with 21k base, calldata and refunds: isolation makes each call a transaction.
/// Written to snapshots/ComputeLedger.json. The case: maxLeases 3, one replica, no delegate, every field of the messages
/// non-zero (auditor, attested traits and zone, bond, arbiter, fee, ...), a budget with room for a failover, accounts used and
/// offers filled before. `failover_tight_1` is the same with a budget that has to be summed up.
contract GasTest is LedgerTest {
    uint256 private constant BATCH = 50;
    uint256 private constant OFFERS = 5;

    Vm.Wallet[] private buyers;
    Vm.Wallet[] private providers;

    function setUp() public override {
        super.setUp();
        for (uint256 i; i < OFFERS; ++i) {
            providers.push(vm.createWallet(string.concat("provider ", vm.toString(i))));
        }
        for (uint256 i; i < BATCH; ++i) {
            buyers.push(vm.createWallet(string.concat("buyer ", vm.toString(i))));
            fund(buyers[i].addr, 500e6);
        }
        fund(matcher, 1e6);
        // Every provider has been paid before and serves a lease already.
        for (uint256 i; i < OFFERS; ++i) {
            fund(providers[i].addr, 500e6);
            attestTo(providers[i].addr, 7);
            openBatch(one(providers[i]), ones(buyer, i));
        }
    }

    /// forge-config: default.isolate = true
    function test_snapshot_open_1() public {
        (SignedOffer[] memory offers, Match[] memory matches) = (one(providers[0]), ones(buyers[0], 100));
        vm.prank(matcher);
        ledger.open(offers, matches, 0);
        snapshot("open_1", 1);
        snapshotCalldata("open_1", abi.encodeCall(IComputeLedger.open, (offers, matches, 0)), 1);
    }

    /// forge-config: default.isolate = true
    function test_snapshot_open_per_lease_50() public {
        (SignedOffer[] memory offers, Match[] memory matches) = batch();
        vm.prank(matcher);
        uint256 opened = ledger.open(offers, matches, keccak256("book"));
        snapshot("open_per_lease_50", BATCH);
        bytes memory call = abi.encodeCall(IComputeLedger.open, (offers, matches, keccak256("book")));
        snapshotCalldata("open_per_lease_50", call, BATCH);
        assertEq(opened, BATCH, "opened");
    }

    /// forge-config: default.isolate = true
    function test_snapshot_open_delegate_1() public {
        Order memory order = orderOf(buyers[0], 100);
        vm.prank(buyers[0].addr);
        ledger.approveDelegate(delegateKey.addr, 500e6, uint40(block.timestamp + 1 days));
        Match[] memory matches = new Match[](1);
        matches[0] = matchOf(order, delegateKey, 0);
        SignedOffer[] memory offers = one(providers[0]);
        vm.prank(matcher);
        ledger.open(offers, matches, 0);
        snapshot("open_delegate_1", 1);
    }

    /// forge-config: default.isolate = true
    function test_snapshot_failover_1() public {
        bytes memory call = failOver(200e6);
        snapshot("failover_1", 1);
        snapshotCalldata("failover_1", call, 1);
    }

    /// forge-config: default.isolate = true
    function test_snapshot_failover_tight_1() public {
        failOver(80e6);
        snapshot("failover_tight_1", 1);
    }

    /// forge-config: default.isolate = true
    function test_snapshot_redeem_1() public {
        Match[] memory matches = ones(buyers[0], 100);
        openBatch(one(providers[0]), matches);
        SignedVoucher[] memory vouchers = new SignedVoucher[](1);
        vouchers[0] = aVoucher(leaseOf(matches[0].order, 0), 1e6, true);
        ledger.redeem(vouchers);
        vouchers[0] = aVoucher(leaseOf(matches[0].order, 0), 2e6, true);
        ledger.redeem(vouchers);
        snapshot("redeem_1", 1);
        snapshotCalldata("redeem_1", abi.encodeCall(IComputeLedger.redeem, (vouchers)), 1);
    }

    /// forge-config: default.isolate = true
    function test_snapshot_redeem_per_voucher_50() public {
        (SignedOffer[] memory offers, Match[] memory matches) = batch();
        openBatch(offers, matches);
        SignedVoucher[] memory vouchers = new SignedVoucher[](BATCH);
        for (uint256 i; i < BATCH; ++i) {
            vouchers[i] = aVoucher(leaseOf(matches[i].order, 0), 2e6, true);
        }
        uint256 redeemed = ledger.redeem(vouchers);
        snapshot("redeem_per_voucher_50", BATCH);
        snapshotCalldata("redeem_per_voucher_50", abi.encodeCall(IComputeLedger.redeem, (vouchers)), BATCH);
        assertEq(redeemed, BATCH, "redeemed");
    }

    /// forge-config: default.isolate = true
    function test_snapshot_close_1() public {
        Match[] memory matches = ones(buyers[0], 100);
        openBatch(one(providers[0]), matches);
        vm.prank(matcher);
        ledger.close(matches[0].order, 0, EndReason.Faulty);
        snapshot("close_1", 1);
    }

    /// forge-config: default.isolate = true
    function test_snapshot_close_last_50() public {
        (SignedOffer[] memory offers, Match[] memory matches) = batch();
        openBatch(offers, matches);
        LastVoucher[] memory items = new LastVoucher[](BATCH);
        for (uint256 i; i < BATCH; ++i) {
            items[i] = aLastVoucher(matches[i].order, 0, 2e6);
            bytes32 digest = voucherDigest(items[i].voucher.lease, 2e6, items[i].voucher.result, true);
            items[i].providerSignature = sign(providers[i % OFFERS], digest);
        }
        uint256 closed = ledger.closeLast(items);
        snapshot("close_last_50", BATCH);
        assertEq(closed, BATCH, "closed");
    }

    /// forge-config: default.isolate = true
    function test_snapshot_claim_1() public {
        Match[] memory matches = ones(buyers[0], 100);
        openBatch(one(providers[0]), matches);
        claimAs(providers[0], matches[0].order, 0, aClaim(300e12));
        snapshot("claim_1", 1);
    }

    /// Claim, challenge and ruling together.
    /// forge-config: default.isolate = true
    function test_snapshot_dispute_total() public {
        Match[] memory matches = ones(buyers[0], 100);
        openBatch(one(providers[0]), matches);
        claimAs(providers[0], matches[0].order, 0, aClaim(300e12));
        uint256 total = vm.lastCallGas().gasTotalUsed;
        challengeAs(buyers[0].addr, matches[0].order, 0);
        total += vm.lastCallGas().gasTotalUsed;
        vm.prank(arbiter);
        ledger.rule(matches[0].order, 0, true, 1e6, BOND - 1e6, 1e6);
        total += vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("ComputeLedger", "dispute_total", total);
    }

    /* CASES */

    /// The second fill of an order whose first provider did not respond, in another zone.
    function failOver(uint48 budget) private returns (bytes memory call) {
        Order memory order = orderOf(buyers[0], 100);
        order.budget = budget;
        Match[] memory matches = new Match[](1);
        matches[0] = matchOf(order, buyers[0], 0);
        openBatch(one(providers[0]), matches);
        vm.prank(matcher);
        ledger.close(order, 0, EndReason.Unresponsive);
        matches[0].fill = 1;
        attestTo(providers[1].addr, 8);
        SignedOffer[] memory offers = one(providers[1]);
        offers[0].offer.zone = 8;
        offers[0] = signed(offers[0].offer, providers[1]);
        call = abi.encodeCall(IComputeLedger.open, (offers, matches, 0));
        vm.prank(matcher);
        assertEq(ledger.open(offers, matches, 0), 1, "opened");
    }

    function attestTo(address who, uint8 zone) private {
        Attestation memory attestation = anAttestation();
        attestation.provider = who;
        attestation.zone = zone;
        attestation.validUntil = uint40(block.timestamp + 365 days);
        attest(attestation);
    }

    function snapshot(string memory name, uint256 items) private {
        vm.snapshotValue("ComputeLedger", name, vm.lastCallGas().gasTotalUsed / items);
    }

    /// What the transaction pays for its bytes, for the floors in snapshots/README.md: 16 gas each, 4 if it is zero.
    function snapshotCalldata(string memory name, bytes memory call, uint256 items) private {
        uint256 cost;
        for (uint256 i; i < call.length; ++i) {
            cost += call[i] == 0 ? 4 : 16;
        }
        vm.snapshotValue("Calldata", name, cost / items);
    }

    function offerOf(Vm.Wallet memory who) private view returns (Offer memory offer) {
        offer = anOffer();
        offer.provider = who.addr;
        offer.capacity = 100;
        offer.epoch = ledger.account(who.addr).epoch;
        offer.salt = uint256(keccak256(abi.encode(who.addr)));
        offer.bond = BOND;
        offer.minCharge = MIN_CHARGE;
        offer.arbiter = arbiter;
        offer.quantities = 0x00_0100_0080_0400_0008_0050_0064_03e8_03e8_0708_0032;
    }

    function orderOf(Vm.Wallet memory who, uint256 salt) private view returns (Order memory order) {
        order = anOrder();
        order.buyer = who.addr;
        order.epoch = ledger.account(who.addr).epoch;
        order.distinctZones = true;
        order.auditor = auditor.addr;
        order.attested = 1 << 255 | 0x03;
        order.budget = 200e6;
        order.quorum = 1;
        order.bond = BOND;
        order.minCharge = MIN_CHARGE;
        order.arbiter = arbiter;
        order.challengeWindow = WINDOW;
        order.deputy = deputy;
        order.job = keccak256(abi.encode("job", who.addr, salt));
        order.salt = uint256(keccak256(abi.encode(who.addr, salt)));
        order.quantities = 0x00_0040_0020_0064_0004_0050_0064_0064_0064_05dc_000a;
    }

    function one(Vm.Wallet memory who) private view returns (SignedOffer[] memory offers) {
        offers = new SignedOffer[](1);
        offers[0] = signed(offerOf(who), who);
    }

    function ones(Vm.Wallet memory who, uint256 salt) private view returns (Match[] memory matches) {
        matches = new Match[](1);
        matches[0] = matchOf(orderOf(who, salt), who, 0);
    }

    function batch() internal view returns (SignedOffer[] memory offers, Match[] memory matches) {
        offers = new SignedOffer[](OFFERS);
        for (uint256 i; i < OFFERS; ++i) {
            offers[i] = signed(offerOf(providers[i]), providers[i]);
        }
        matches = new Match[](BATCH);
        for (uint256 i; i < BATCH; ++i) {
            matches[i] = matchOf(orderOf(buyers[i], 100), buyers[i], 0);
            matches[i].offer = i % OFFERS;
        }
    }

    function openBatch(SignedOffer[] memory offers, Match[] memory matches) internal {
        vm.prank(matcher);
        assertEq(ledger.open(offers, matches, 0), matches.length, "opened");
    }
}
