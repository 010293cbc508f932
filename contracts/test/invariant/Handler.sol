// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Test.sol";

import {
    EndReason,
    LastVoucher,
    Lease,
    LeaseState,
    Match,
    Offer,
    Order,
    SignedVoucher
} from "../../src/interfaces/LedgerTypes.sol";
import {HeadReplay} from "../support/HeadReplay.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

/// @dev Random but sensible calls by several actors, and what a bystander would have noted of them.
contract Handler is LedgerTest {
    using HeadReplay for HeadReplay.State;

    uint256 private constant MAX_LEASES = 24;

    /// What was noted of a lease.
    struct Noted {
        uint256 order;
        uint8 fill;
        uint48 highestVoucher;
        Lease last;
    }

    Vm.Wallet[] private buyers;
    Vm.Wallet[] private providers;
    Order[] private orders;
    Offer[] private offers;
    address[] private accounts;
    bytes32[] private leases;
    mapping(bytes32 lease => Noted) private noted;
    mapping(uint256 order => uint8) public fills;
    mapping(uint256 order => uint256) public feesOf;
    mapping(uint256 order => bool) public signedByDelegate;
    mapping(address buyer => uint256) public approvedCaps;
    mapping(address buyer => uint256) public remainingCap;
    HeadReplay.State private replayed;

    uint256 public deposited;
    uint256 public withdrawn;

    /// Rules that a call broke, noted at once because the states between two calls are not kept.
    bool public paidFell;
    bool public closedChanged;
    bool public stateWentBack;

    mapping(string action => uint256) public calls;

    constructor() {
        vm.recordLogs();
        super.setUp();
        deposited = 1_000e6;
        buyers.push(buyer);
        buyers.push(vm.createWallet("second buyer"));
        buyers.push(otherProvider);
        providers.push(provider);
        providers.push(otherProvider);
        providers.push(vm.createWallet("third provider"));
        accounts.push(matcher);
        accounts.push(stranger);
        for (uint256 i; i < buyers.length; ++i) {
            accounts.push(buyers[i].addr);
        }
        // The second provider is the third buyer, so it is there already.
        accounts.push(providers[0].addr);
        accounts.push(providers[2].addr);

        for (uint256 i; i < 4; ++i) {
            Offer memory offer = anOffer();
            offer.provider = providers[i % 3].addr;
            offer.rate = uint32(30_000 + 7_001 * i);
            offer.capacity = 3;
            offer.zone = uint8(7 + i % 2);
            offer.expiry = type(uint40).max;
            offer.salt = i;
            offers.push(offer);
        }
        for (uint256 i; i < 12; ++i) {
            Order memory order = anOrder();
            order.buyer = buyers[i % 3].addr;
            order.expiry = type(uint40).max;
            order.matcher = i % 4 == 3 ? address(0) : matcher;
            order.quantity = uint64(1e9 + 333_333 * i);
            order.maxLeases = uint8(1 + i % 4);
            order.duration = uint32(600 + 600 * i);
            order.salt = i;
            orders.push(order);
        }
        for (uint256 i; i < buyers.length; ++i) {
            fund(buyers[i].addr, 400e6);
            deposited += 400e6;
            approve(buyers[i].addr, 170e6);
        }
        note();
    }

    /* ACTIONS */

    function deposit(uint256 who, uint256 amount) external counted("deposit") {
        amount = bound(amount, 1, 300e6);
        fund(accounts[who % accounts.length], amount);
        deposited += amount;
    }

    function withdraw(uint256 who, uint256 amount) external counted("withdraw") {
        address account = accounts[who % accounts.length];
        uint64 free = freeOf(account);
        if (free == 0) return;
        amount = bound(amount, 1, free);
        vm.prank(account);
        ledger.withdraw(account, account, amount);
        withdrawn += amount;
    }

    function approveDelegate(uint256 who, uint64 cap) external counted("approveDelegate") {
        approve(buyers[who % buyers.length].addr, uint64(bound(cap, 0, 200e6)));
    }

    function cancelOrder(uint256 index) external counted("cancelOrder") {
        // Seldom, or soon there would be nothing left to open.
        if (index % 8 != 0) return;
        Order memory order = orders[index / 8 % orders.length];
        bytes32 digest = ledger.hashOrder(order);
        vm.prank(order.buyer);
        ledger.cancel(digest);
    }

    function bumpEpoch(uint256 who) external counted("bumpEpoch") {
        if (who % 16 != 0) return;
        address account = accounts[who / 16 % accounts.length];
        vm.prank(account);
        uint64 epoch = ledger.bumpEpoch();
        // The actors sign anew, except for orders whose digest their leases need.
        for (uint256 i; i < offers.length; ++i) {
            if (offers[i].provider == account) offers[i].epoch = epoch;
        }
        for (uint256 i; i < orders.length; ++i) {
            if (orders[i].buyer == account && fills[i] == 0) orders[i].epoch = epoch;
        }
    }

    function openNext(uint256 orderIndex, uint256 offerIndex, uint256 caller, uint8 signer)
        external
        counted("openNext")
    {
        orderIndex %= orders.length;
        openFill(orderIndex, offerIndex, caller, signer % 3 == 0);
    }

    /// The next fill of an order whose newest lease is over.
    function failOver(uint256 index, uint256 offerIndex) external counted("failOver") {
        if (leases.length == 0) return;
        bytes32 lease = leases[index % leases.length];
        if (ledger.stateOf(lease) == LeaseState.Open) return;
        openFill({orderIndex: noted[lease].order, offerIndex: offerIndex, caller: 0, byDelegate: false});
    }

    /// Any fill of any order, signed by anybody: mostly refused, and never harmful.
    function openAnything(uint256 orderIndex, uint256 offerIndex, uint8 fill, uint256 signer)
        external
        counted("openAnything")
    {
        orderIndex %= orders.length;
        Order memory order = orders[orderIndex];
        fill %= 5;
        if (fill == fills[orderIndex]) return;
        Offer memory offer = offers[offerIndex % offers.length];
        Match memory match_ = matchOf(order, providers[signer % 3], fill);
        assertEq(openAs(matcher, offer, walletOf(offer.provider), match_), 0, "opened out of turn");
    }

    function redeem(uint256 index, uint48 cumulative, bool last) external counted("redeem") {
        if (leases.length == 0) return;
        bytes32 lease = leases[index % leases.length];
        cumulative = uint48(bound(cumulative, 0, 60e6));
        bool open_ = ledger.lease(lease).state != LeaseState.Closed;
        redeem(aVoucher(lease, cumulative, last));
        if (open_) noteVoucher(lease, cumulative);
    }

    function redeemForged(uint256 index, uint48 cumulative, uint256 signer) external counted("redeemForged") {
        if (leases.length == 0) return;
        SignedVoucher memory voucher = aVoucher(leases[index % leases.length], cumulative, false);
        (voucher.r, voucher.vs) = signShort(providers[signer % 3], keccak256(abi.encode(voucher.r, voucher.vs)));
        assertEq(redeem(voucher), 0, "forged voucher paid");
    }

    function close(uint256 index, uint256 who, uint8 reason) external counted("close") {
        if (leases.length == 0) return;
        bytes32 lease = leases[index % leases.length];
        if (ledger.stateOf(lease) != LeaseState.Open) return;
        Order memory order = orders[noted[lease].order];
        address[3] memory side = [order.buyer, order.voucherSigner, order.matcher];
        address caller = side[who % 3] == address(0) ? order.buyer : side[who % 3];
        EndReason reason_ = caller == order.matcher
            ? EndReason(uint8(EndReason.Unresponsive) + reason % 2)
            : EndReason(uint8(EndReason.Cancelled) + reason % 3);
        vm.prank(caller);
        ledger.close(order, noted[lease].fill, reason_);
    }

    function closeLast(uint256 index, uint48 cumulative, uint8 how) external counted("closeLast") {
        if (leases.length == 0) return;
        bytes32 lease = leases[index % leases.length];
        Lease memory stored = ledger.lease(lease);
        cumulative = uint48(bound(cumulative, 0, 60e6));
        Order memory order = orders[noted[lease].order];
        LastVoucher memory item = aLastVoucher(order, noted[lease].fill, cumulative);
        bool agreed = how % 3 != 0;
        if (how % 3 == 1) {
            item.providerSignature =
                sign(walletOf(stored.provider), voucherDigest(lease, cumulative, item.voucher.result, true));
        }
        vm.prank(how % 3 == 2 ? stored.provider : stranger);
        uint256 closed = closeLast(item);
        assertEq(closed, agreed && stored.state != LeaseState.Closed ? 1 : 0, "closed");
        if (stored.state != LeaseState.Closed) noteVoucher(lease, cumulative);
    }

    function finalise(uint256 index) external counted("finalise") {
        if (leases.length == 0) return;
        finaliseIfDue(leases[index % leases.length]);
    }

    function pass(uint256 time) external counted("pass") {
        vm.warp(block.timestamp + bound(time, 1, 900));
        vm.roll(block.number + 1);
    }

    /* EXIT */

    /// Every lease Closed by strangers and time, every account emptied by its owner.
    function exitAll() external {
        vm.warp(block.timestamp + 2 days);
        for (uint256 i; i < leases.length; ++i) {
            finaliseIfDue(leases[i]);
            assertState(leases[i], LeaseState.Closed);
        }
        for (uint256 i; i < accounts.length; ++i) {
            uint64 free = freeOf(accounts[i]);
            if (free == 0) continue;
            vm.prank(accounts[i]);
            ledger.withdraw(accounts[i], accounts[i], free);
        }
    }

    /* WHAT THE INVARIANTS READ */

    function leaseCount() external view returns (uint256) {
        return leases.length;
    }

    function leaseAt(uint256 i) external view returns (bytes32 id, uint256 order, uint8 fill, uint48 highestVoucher) {
        id = leases[i];
        return (id, noted[id].order, noted[id].fill, noted[id].highestVoucher);
    }

    function orderCount() external view returns (uint256) {
        return orders.length;
    }

    function orderAt(uint256 i) external view returns (Order memory) {
        return orders[i];
    }

    function leaseIdOf(uint256 order, uint8 fill) external view returns (bytes32) {
        return leaseOf(orders[order], fill);
    }

    function allAccounts() external view returns (address[] memory) {
        return accounts;
    }

    function buyersAt(uint256 i) external view returns (address) {
        return buyers[i].addr;
    }

    function delegateAddress() external view returns (address) {
        return delegateKey.addr;
    }

    function replayedHead() external view returns (uint208 hash, uint48 count) {
        return (replayed.hash, replayed.count);
    }

    function tokenBalance() external view returns (uint256) {
        return dollar.balanceOf(address(ledger));
    }

    function ledgerAddress() external view returns (address) {
        return address(ledger);
    }

    function openFill(uint256 orderIndex, uint256 offerIndex, uint256 caller, bool byDelegate) private {
        if (leases.length == MAX_LEASES) return;
        Order memory order = orders[orderIndex];
        Offer memory offer = offers[offerIndex % offers.length];
        Match memory match_ = matchOf(order, byDelegate ? delegateKey : walletOf(order.buyer), fills[orderIndex]);
        address opener = order.matcher == address(0) ? accounts[caller % accounts.length] : matcher;
        if (openAs(opener, offer, walletOf(offer.provider), match_) == 0) return;

        bytes32 lease = leaseOf(order, match_.fill);
        leases.push(lease);
        noted[lease].order = orderIndex;
        noted[lease].fill = match_.fill;
        if (match_.fill == 0 && byDelegate) {
            signedByDelegate[orderIndex] = true;
            remainingCap[order.buyer] -= uint256(order.budget) + uint256(order.maxLeases) * order.fee;
        }
        fills[orderIndex] += 1;
        feesOf[orderIndex] += order.fee;
    }

    /// Each approval replaces the one before, so their sum bounds what the key can ever commit.
    function approve(address account, uint64 cap) private {
        approvedCaps[account] += cap;
        remainingCap[account] = cap;
        vm.prank(account);
        ledger.approveDelegate({key: delegateKey.addr, cap: cap, until: type(uint40).max});
    }

    /* NOTES */

    modifier counted(string memory action) {
        calls[action] += 1;
        _;
        note();
    }

    function note() private {
        HeadReplay.State memory state = replayed;
        state.advance(vm.getRecordedLogs(), address(ledger));
        replayed = state;

        for (uint256 i; i < leases.length; ++i) {
            Lease memory before = noted[leases[i]].last;
            Lease memory now_ = ledger.lease(leases[i]);
            if (now_.paid < before.paid) paidFell = true;
            if (uint8(now_.state) < uint8(before.state)) stateWentBack = true;
            if (before.state == LeaseState.Closed && keccak256(abi.encode(before)) != keccak256(abi.encode(now_))) {
                closedChanged = true;
            }
            noted[leases[i]].last = now_;
        }
    }

    function noteVoucher(bytes32 lease, uint48 cumulative) private {
        if (cumulative > noted[lease].highestVoucher) noted[lease].highestVoucher = cumulative;
    }

    function finaliseIfDue(bytes32 lease) private {
        if (ledger.stateOf(lease) != LeaseState.Closing) return;
        Order memory order = orders[noted[lease].order];
        Lease memory stored = ledger.lease(lease);
        uint256 due = stored.deadline + (stored.state == LeaseState.Open ? order.notice : 0);
        if (block.timestamp < due) return;
        vm.prank(stranger);
        ledger.finalise(order, noted[lease].fill);
    }

    function walletOf(address who) private view returns (Vm.Wallet memory) {
        for (uint256 i; i < 3; ++i) {
            if (buyers[i].addr == who) return buyers[i];
            if (providers[i].addr == who) return providers[i];
        }
        revert("no wallet");
    }
}
