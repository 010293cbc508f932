// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test, Vm} from "forge-std/Test.sol";

import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {TestDollar} from "../../src/dev/TestDollar.sol";
import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {
    Attestation,
    ClaimTerms,
    EndReason,
    LastVoucher,
    Lease,
    LeaseState,
    Match,
    Offer,
    Order,
    SignedOffer,
    SignedVoucher,
    Skip,
    StartVoucher,
    UsageReceipt,
    Voucher
} from "../../src/interfaces/LedgerTypes.sol";

/// @dev The actors, builders of messages that fit each other, and their signatures. A test changes only what it is about.
abstract contract LedgerTest is Test {
    uint32 internal constant MIN_NOTICE = 10;
    uint32 internal constant NOTICE = 60;
    uint32 internal constant DURATION = 1 hours;
    uint48 internal constant FEE = 1_000;

    /// 50,000 pico-dollars x 10^9 metered units = 50 dollars.
    uint32 internal constant RATE = 50_000;
    uint64 internal constant QUANTITY = 1e9;
    uint48 internal constant LOCK = 50e6;
    uint48 internal constant BUDGET = 80e6;

    /// Of the orders for the slow path.
    uint48 internal constant BOND = 20e6;
    uint48 internal constant MIN_CHARGE = 5e6;
    uint32 internal constant WINDOW = 100;
    uint32 internal constant ARBITER_TIME = 14 days;

    TestDollar internal dollar;
    IProviderRegistry internal registry;
    IComputeLedger internal ledger;

    Vm.Wallet internal buyer;
    Vm.Wallet internal provider;
    Vm.Wallet internal otherProvider;
    Vm.Wallet internal voucherSigner;
    Vm.Wallet internal delegateKey;
    Vm.Wallet internal auditor;
    address internal matcher = makeAddr("matcher");
    address internal deputy = makeAddr("deputy");
    address internal arbiter = makeAddr("arbiter");
    address internal stranger = makeAddr("stranger");

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        buyer = vm.createWallet("buyer");
        provider = vm.createWallet("provider");
        otherProvider = vm.createWallet("other provider");
        voucherSigner = vm.createWallet("voucher signer");
        delegateKey = vm.createWallet("delegate");
        auditor = vm.createWallet("auditor");
        dollar = new TestDollar();
        registry = new ProviderRegistry();
        ledger = deployLedger(address(dollar), MIN_NOTICE);
        fund(buyer.addr, 1_000e6);
    }

    /// By name, so that the tests need not be compiled the slow way that the ledger is.
    function deployLedger(address token, uint32 minNotice) internal returns (IComputeLedger) {
        return IComputeLedger(deployCode("ComputeLedger.sol:ComputeLedger", abi.encode(token, registry, minNotice)));
    }

    /* MONEY */

    function fund(address who, uint256 amount) internal {
        dollar.mint(who, amount);
        vm.startPrank(who);
        dollar.approve(address(ledger), amount);
        ledger.deposit(who, amount);
        vm.stopPrank();
    }

    function freeOf(address who) internal view returns (uint64) {
        return ledger.account(who).free;
    }

    /* MESSAGES */

    function anOffer() internal view returns (Offer memory offer) {
        offer.provider = provider.addr;
        offer.quantities = 0x0020_0040_0100;
        offer.traits = 0x0f;
        offer.zone = 7;
        offer.meter = 1;
        offer.rate = RATE;
        offer.capacity = 4;
        offer.minDuration = 60;
        offer.maxDuration = 1 days;
        offer.notice = NOTICE;
        offer.expiry = uint40(block.timestamp + 30 days);
        offer.epoch = ledger.account(provider.addr).epoch;
        offer.salt = uint256(keccak256("offer"));
    }

    function anOrder() internal view returns (Order memory order) {
        order.buyer = buyer.addr;
        order.voucherSigner = voucherSigner.addr;
        order.job = keccak256("job");
        order.quantities = 0x0010_0040_0080;
        order.allOf = 0x03;
        order.anyOf = 0x0c;
        order.noneOf = 0xf0;
        order.zones = 1 << 7 | 1 << 8;
        order.meter = 1;
        order.maxRate = 60_000;
        order.quantity = QUANTITY;
        order.duration = DURATION;
        order.budget = BUDGET;
        order.replicas = 1;
        order.maxLeases = 3;
        order.notice = NOTICE;
        order.matcher = matcher;
        order.matcherUntil = uint40(block.timestamp + 7 days);
        order.fee = FEE;
        order.expiry = uint40(block.timestamp + 14 days);
        order.epoch = ledger.account(buyer.addr).epoch;
        order.salt = uint256(keccak256("order"));
    }

    /// An offer with everything that the slow path needs: bond, arbiter, minimum charge.
    function aBondedOffer() internal view returns (Offer memory offer) {
        offer = anOffer();
        offer.bond = BOND;
        offer.minCharge = MIN_CHARGE;
        offer.arbiter = arbiter;
    }

    /// Its order.
    function aBondedOrder() internal view returns (Order memory order) {
        order = anOrder();
        order.bond = BOND;
        order.minCharge = MIN_CHARGE;
        order.arbiter = arbiter;
        order.challengeWindow = WINDOW;
        order.deputy = deputy;
    }

    function anAttestation() internal view returns (Attestation memory) {
        return Attestation({
            auditor: auditor.addr,
            provider: provider.addr,
            traits: 0x07,
            zone: 7,
            validUntil: uint40(block.timestamp + DURATION),
            evidence: keccak256("evidence")
        });
    }

    function attest(Attestation memory attestation) internal {
        registry.attest(attestation, sign(auditor, registry.hashAttestation(attestation)));
    }

    function sign(Vm.Wallet memory signer, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer.privateKey, digest);
        return abi.encodePacked(r, s, v);
    }

    /// The form of EIP-2098, which vouchers have.
    function signShort(Vm.Wallet memory signer, bytes32 digest) internal pure returns (bytes32 r, bytes32 vs) {
        (uint8 v, bytes32 r_, bytes32 s) = vm.sign(signer.privateKey, digest);
        return (r_, bytes32(uint256(s) | uint256(v - 27) << 255));
    }

    function signed(Offer memory offer, Vm.Wallet memory signer) internal view returns (SignedOffer memory) {
        return SignedOffer({offer: offer, signature: sign(signer, ledger.hashOffer(offer))});
    }

    function matchOf(Order memory order, Vm.Wallet memory signer, uint8 fill) internal view returns (Match memory) {
        return Match({order: order, signature: sign(signer, ledger.hashOrder(order)), fill: fill, offer: 0});
    }

    function matchWith(Order memory order, bytes memory signature) internal pure returns (Match memory) {
        return Match({order: order, signature: signature, fill: 0, offer: 0});
    }

    function leaseOf(Order memory order, uint8 fill) internal view returns (bytes32) {
        return ledger.leaseId(ledger.hashOrder(order), fill);
    }

    function voucherDigest(bytes32 lease, uint48 cumulative, bytes32 result, bool last)
        internal
        view
        returns (bytes32)
    {
        return ledger.hashVoucher(
            Voucher({
                lease: lease, provider: ledger.lease(lease).provider, cumulative: cumulative, result: result, last: last
            })
        );
    }

    function aVoucher(bytes32 lease, uint48 cumulative, bool last) internal view returns (SignedVoucher memory) {
        return aVoucher({lease: lease, cumulative: cumulative, result: keccak256("result"), last: last});
    }

    function aVoucher(bytes32 lease, uint48 cumulative, bytes32 result, bool last)
        internal
        view
        returns (SignedVoucher memory voucher)
    {
        voucher = SignedVoucher({lease: lease, cumulative: cumulative, result: result, last: last, r: 0, vs: 0});
        (voucher.r, voucher.vs) = signShort(voucherSigner, voucherDigest(lease, cumulative, result, last));
    }

    function aLastVoucher(Order memory order, uint8 fill, uint48 cumulative)
        internal
        view
        returns (LastVoucher memory)
    {
        return LastVoucher({
            order: order, fill: fill, voucher: aVoucher(leaseOf(order, fill), cumulative, true), providerSignature: ""
        });
    }

    /* CALLS */

    /// Opens as `opener`; returns how many leases were opened.
    function openAs(address opener, Offer memory offer, Vm.Wallet memory offerSigner, Match memory match_)
        internal
        returns (uint256)
    {
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = signed(offer, offerSigner);
        Match[] memory matches = new Match[](1);
        matches[0] = match_;
        vm.prank(opener);
        return ledger.open(offers, matches, 0);
    }

    /// Opens `fill` of the order with the standard offer, as the matcher.
    function open(Order memory order, uint8 fill) internal returns (bytes32 lease) {
        assertEq(openAs(matcher, anOffer(), provider, matchOf(order, buyer, fill)), 1, "opened");
        return leaseOf(order, fill);
    }

    /// Opens `fill` of the order with the offer, which `offerSigner` signs, as the matcher.
    function openWith(Offer memory offer, Vm.Wallet memory offerSigner, Order memory order, uint8 fill)
        internal
        returns (bytes32 lease)
    {
        assertEq(openAs(matcher, offer, offerSigner, matchOf(order, buyer, fill)), 1, "opened");
        return leaseOf(order, fill);
    }

    /// Opens fill 0 of a bonded order for a provider that has ten bonds; the provider's free balance is 180 dollars then.
    function openBonded(Order memory order) internal returns (bytes32 lease) {
        if (freeOf(provider.addr) == 0) fund(provider.addr, 10 * BOND);
        return openWith(aBondedOffer(), provider, order, 0);
    }

    /// What the provider claims without replicas: the whole job is done.
    function aClaim(uint64 work) internal pure returns (ClaimTerms memory) {
        return ClaimTerms({work: work, result: keccak256("result"), from: 0, last: true});
    }

    function claimAs(Vm.Wallet memory who, Order memory order, uint8 fill, ClaimTerms memory terms) internal {
        StartVoucher memory start;
        vm.prank(who.addr);
        ledger.claim(order, fill, terms, 0, start);
    }

    /// Disputes the claim.
    function challengeAs(address who, Order memory order, uint8 fill) internal {
        UsageReceipt memory receipt;
        vm.prank(who);
        ledger.challenge(order, fill, receipt, "");
    }

    function aReceipt(bytes32 lease) internal view returns (UsageReceipt memory) {
        return UsageReceipt({
            lease: lease,
            sequence: 3,
            meteredUntil: uint64(block.timestamp * 1000),
            work: 400e12,
            result: keccak256("state"),
            checkpoint: keccak256("checkpoint")
        });
    }

    /// Disputes the usage receipt, which `signer` signed.
    function challengeReceiptAs(
        address who,
        Order memory order,
        uint8 fill,
        UsageReceipt memory receipt,
        Vm.Wallet memory signer
    ) internal {
        bytes memory signature = sign(signer, ledger.hashUsageReceipt(receipt));
        vm.prank(who);
        ledger.challenge(order, fill, receipt, signature);
    }

    /// Expects that the match is skipped for `reason` and that nothing else happens.
    function expectSkipped(Offer memory offer, Order memory order, Skip reason) internal {
        expectSkipped(offer, provider, matchOf(order, buyer, 0), reason);
    }

    function expectSkipped(Offer memory offer, Vm.Wallet memory offerSigner, Match memory match_, Skip reason)
        internal
    {
        bytes32 id = leaseOf(match_.order, match_.fill);
        (uint208 hash, uint48 count) = ledger.head();
        uint64 free = freeOf(match_.order.buyer);

        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0] = signed(offer, offerSigner);
        Match[] memory matches = new Match[](1);
        matches[0] = match_;
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Skipped(id, reason);
        vm.prank(matcher);
        assertEq(ledger.open(offers, matches, 0), 0, "opened");

        (uint208 hashAfter, uint48 countAfter) = ledger.head();
        assertEq(hashAfter, hash, "head");
        assertEq(countAfter, count, "count");
        assertEq(freeOf(match_.order.buyer), free, "free");
    }

    function redeem(SignedVoucher memory voucher) internal returns (uint256) {
        SignedVoucher[] memory vouchers = new SignedVoucher[](1);
        vouchers[0] = voucher;
        return ledger.redeem(vouchers);
    }

    function closeLast(LastVoucher memory item) internal returns (uint256) {
        LastVoucher[] memory items = new LastVoucher[](1);
        items[0] = item;
        return ledger.closeLast(items);
    }

    /// Sends a commitment to the standard result with `salt`.
    function commitAs(Vm.Wallet memory who, Order memory order, uint8 fill, bytes32 salt) internal {
        bytes32 commitment = commitmentOf(leaseOf(order, fill), who.addr, salt);
        vm.prank(who.addr);
        ledger.commitClaim(order, fill, commitment);
    }

    function commitmentOf(bytes32 lease, address who, bytes32 salt) internal pure returns (bytes32) {
        return keccak256(abi.encode(lease, who, keccak256("result"), salt));
    }

    function revealAs(Vm.Wallet memory who, Order memory order, uint8 fill, ClaimTerms memory terms, bytes32 salt)
        internal
    {
        StartVoucher memory start;
        vm.prank(who.addr);
        ledger.claim(order, fill, terms, salt, start);
    }

    function closeAs(address who, Order memory order, EndReason reason) internal {
        vm.prank(who);
        ledger.close(order, 0, reason);
    }

    function ruleAs(address who, Order memory order, bool providerWins, uint48[3] memory sums) internal {
        vm.prank(who);
        ledger.rule(order, 0, providerWins, sums[0], sums[1], sums[2]);
    }

    /// A hash of all that the ledger keeps of the lease and the accounts, to see that a call changed nothing.
    function stateHash(bytes32 lease, address[] memory accounts) internal view returns (bytes32 hash) {
        (uint208 head, uint48 count) = ledger.head();
        hash = keccak256(abi.encode(head, count, ledger.lease(lease), ledger.claimOf(lease), ledger.disputeOf(lease)));
        for (uint256 i; i < accounts.length; ++i) {
            hash = keccak256(abi.encode(hash, ledger.account(accounts[i])));
        }
    }

    function expectWrongState(bytes32 lease, LeaseState state) internal {
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongState.selector, lease, state));
    }

    function expectDeadlineNotReached(uint256 deadline) internal {
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_DeadlineNotReached.selector, deadline, block.timestamp)
        );
    }

    function expectDeadlinePassed(uint256 deadline) internal {
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_DeadlinePassed.selector, deadline, block.timestamp)
        );
    }

    function assertLease(bytes32 lease, LeaseState state, EndReason reason, bool done, uint48 paid) internal view {
        Lease memory stored = ledger.lease(lease);
        assertEq(uint8(stored.state), uint8(state), "state");
        assertEq(uint8(stored.reason), uint8(reason), "reason");
        assertEq(stored.done, done, "done");
        assertEq(stored.paid, paid, "paid");
    }

    function assertMoney(address who, uint256 free, uint256 bonded) internal view {
        assertEq(ledger.account(who).free, free, string.concat("free of ", vm.getLabel(who)));
        assertEq(ledger.account(who).bonded, bonded, string.concat("bonded of ", vm.getLabel(who)));
    }

    function assertState(bytes32 lease, LeaseState state) internal view {
        assertEq(uint8(ledger.stateOf(lease)), uint8(state), "state");
    }
}
