// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Test.sol";

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {
    Account as LedgerAccount,
    Claim,
    ClaimTerms,
    EndReason,
    LastVoucher,
    Lease,
    LeaseState,
    Match,
    Offer,
    Order,
    StartVoucher,
    UsageReceipt
} from "../../src/interfaces/LedgerTypes.sol";
import {MoneyHandler} from "./MoneyHandler.sol";

/// @dev The slow path over a token that changes its behaviour: bonded leases in lanes, claims, challenges, rulings, and what a
/// bystander would have noted of them. What a call may do alone is checked at once and noted by the name of its rule.
contract DisputeHandler is MoneyHandler {
    uint256 private constant MOST_LEASES = 20;
    uint256 private constant ORDERS = 8;

    uint256 private constant OPEN = 1 << uint8(LeaseState.Open);
    uint256 private constant CLOSING = 1 << uint8(LeaseState.Closing);
    uint256 private constant CLAIMED = 1 << uint8(LeaseState.Claimed);
    uint256 private constant DISPUTED = 1 << uint8(LeaseState.Disputed);
    uint256 private constant ANY = type(uint256).max;

    struct Noted {
        uint256 order;
        uint8 fill;
        uint48 highestVoucher;
        bool claimed;
        bytes32 salt;
        Lease last;
    }

    /// What a ruling moves.
    struct Sums {
        uint48 award;
        uint48 toWinner;
        uint48 toJurors;
    }

    Vm.Wallet[2] private buyers;
    Vm.Wallet[3] private providers;
    Order[] private orders;
    bytes32[] private leases;
    mapping(bytes32 lease => Noted) private noted;
    mapping(uint256 order => uint256) public feesOf;

    constructor() {
        for (uint256 i; i < 2; ++i) {
            buyers[i] = vm.createWallet(string.concat("buyer ", vm.toString(i)));
            accounts.push(buyers[i].addr);
        }
        for (uint256 i; i < 3; ++i) {
            providers[i] = vm.createWallet(string.concat("provider ", vm.toString(i)));
            accounts.push(providers[i].addr);
        }
        accounts.push(voucherSigner.addr);
        accounts.push(arbiter);
        accounts.push(stranger);
        for (uint256 i; i < accounts.length; ++i) {
            pay(accounts[i], 300e6);
        }
        for (uint256 i; i < ORDERS; ++i) {
            Order memory order = anOrder();
            order.buyer = buyers[i % 2].addr;
            order.zones = 0;
            order.distinctZones = i % 2 == 1;
            order.matcher = address(0);
            order.quantity = uint64(1e8 + 1_111_111 * i);
            order.budget = 12e6;
            order.replicas = uint8(1 + i % 3);
            order.maxLeases = uint8(3 + i % 3);
            order.bond = uint48(5e6 * (i % 4));
            order.minCharge = uint48(1e6 * (i % 3));
            if (order.minCharge > order.bond) order.minCharge = order.bond;
            order.arbiter = arbiter;
            order.challengeWindow = WINDOW;
            order.deputy = deputy;
            order.expiry = type(uint40).max;
            order.salt = i;
            orders.push(order);
        }
        note();
    }

    /* ACTIONS */

    function open(uint256 index, uint8 fill, uint256 provider) external acted {
        if (leases.length == MOST_LEASES) return;
        index %= ORDERS;
        Order memory order = orders[index];
        fill %= order.maxLeases;
        provider %= 3;
        bytes32 id = leaseOf(order, fill);
        bool existed = ledger.lease(id).state != LeaseState.None;
        bool shut = fill >= order.replicas && !isReadyAfter(order, fill);
        bool taken = order.distinctZones && isZoneTaken(order, fill, uint8(7 + provider));
        LedgerAccount memory before = ledger.account(providers[provider].addr);

        noteCall("open");
        uint256 opened = openAs(stranger, offerOf(provider), providers[provider], matchBy(order, fill));

        if (opened == 0) return;
        if (existed) broke["opened twice"] = true;
        if (shut) broke["lane shut"] = true;
        if (taken) broke["zone taken"] = true;
        if (ledger.account(providers[provider].addr).bonded != before.bonded + order.bond) broke["bond locked"] = true;
        leases.push(id);
        noted[id].order = index;
        noted[id].fill = fill;
        feesOf[index] += order.fee;
    }

    function redeem(uint256 index, uint48 cumulative) external acted {
        (bytes32 id, bool found) = pick(index, ANY);
        if (!found) return;
        cumulative = uint48(bound(cumulative, 0, 8e6));
        bool running = ledger.lease(id).state != LeaseState.Closed;
        noteCall("redeem");
        redeem(aVoucher(id, cumulative, false));
        if (running && cumulative > noted[id].highestVoucher) noted[id].highestVoucher = cumulative;
    }

    function close(uint256 index, uint8 reason) external acted {
        (bytes32 id, bool found) = pick(index, OPEN);
        if (!found || ledger.stateOf(id) != LeaseState.Open) return;
        Order memory order = orderOf(id);
        noteCall("close");
        vm.prank(order.buyer);
        ledger.close(order, noted[id].fill, EndReason(uint8(EndReason.Cancelled) + reason % 3));
    }

    function resign(uint256 index) external acted {
        (bytes32 id, bool found) = pick(index, OPEN);
        if (!found || ledger.stateOf(id) != LeaseState.Open) return;
        noteCall("resign");
        vm.prank(ledger.lease(id).provider);
        ledger.resign(orderOf(id), noted[id].fill);
    }

    function acknowledge(uint256 index) external acted {
        (bytes32 id, bool found) = pick(index, CLOSING);
        Lease memory stored = ledger.lease(id);
        if (!found || block.timestamp >= stored.deadline) return;
        noteCall("acknowledge");
        vm.prank(stored.provider);
        ledger.acknowledge(id);
    }

    function closeLast(uint256 index, uint48 cumulative, bool agreed) external acted {
        (bytes32 id, bool found) = pick(index, ANY);
        if (!found) return;
        cumulative = uint48(bound(cumulative, 0, 8e6));
        Lease memory stored = ledger.lease(id);
        LastVoucher memory item = aLastVoucher(orderOf(id), noted[id].fill, cumulative);
        noteCall("closeLast");
        vm.prank(agreed ? stored.provider : stranger);
        uint256 closed = closeLast(item);
        bool ends = agreed && stored.state != LeaseState.Closed && stored.state != LeaseState.Disputed;
        if ((closed == 1) != ends) broke["last ends"] = true;
        if (stored.state != LeaseState.Closed && cumulative > noted[id].highestVoucher) {
            noted[id].highestVoucher = cumulative;
        }
    }

    /// Claims at once without replicas, else commits; or claims what was committed when its time has come.
    function claim(uint256 index, uint64 work, bool last) external acted {
        (bytes32 id, bool found) = pick(index, OPEN | CLOSING | CLAIMED);
        if (!found) return;
        Order memory order = orderOf(id);
        Lease memory stored = ledger.lease(id);
        ClaimTerms memory terms =
            ClaimTerms({work: uint64(bound(work, 0, 200e12)), result: keccak256("result"), from: 0, last: last});
        StartVoucher memory start;
        Claim memory made = ledger.claimOf(id);
        bool committed = stored.state == LeaseState.Claimed && made.revealFrom != 0;
        if (committed) {
            if (block.timestamp < made.revealFrom || block.timestamp >= stored.deadline) return;
        } else if (!isClaimable(stored, order)) {
            return;
        }
        if (!committed && noted[id].claimed) broke["claimed twice"] = true;
        bytes32 salt = keccak256(abi.encode(id));
        vm.startPrank(stored.provider);
        if (!committed && order.replicas > 1) {
            noteCall("commitClaim");
            bytes32 commitment = keccak256(abi.encode(id, stored.provider, terms.result, salt));
            ledger.commitClaim(order, noted[id].fill, commitment);
        } else {
            noteCall("claim");
            ledger.claim(order, noted[id].fill, terms, salt, start);
            noted[id].claimed = true;
            uint256 most = uint256(stored.paid) + order.bond;
            uint48 target = ledger.claimOf(id).target;
            if (target > stored.locked || target > most) broke["target"] = true;
        }
        vm.stopPrank();
    }

    function challenge(uint256 index, bool receiptToo, bool bySigner) external acted {
        (bytes32 id, bool found) = pick(index, OPEN | CLOSING | CLAIMED);
        if (!found) return;
        Order memory order = orderOf(id);
        Lease memory stored = ledger.lease(id);
        address challenger = bySigner ? voucherSigner.addr : order.buyer;
        bool readable = stored.state == LeaseState.Claimed && ledger.claimOf(id).revealFrom == 0;
        bool running =
            stored.state == LeaseState.Open || stored.state == LeaseState.Closing || stored.state == LeaseState.Claimed;
        bool inTime = block.timestamp < deadlineOf(stored, order);
        if (!inTime || !(receiptToo ? running : readable) || freeOf(challenger) < order.bond) return;
        UsageReceipt memory receipt;
        bytes memory signature;
        if (receiptToo) {
            receipt = aReceipt(id);
            signature = sign(walletOf(stored.provider), ledger.hashUsageReceipt(receipt));
        }
        noteCall("challenge");
        vm.prank(challenger);
        ledger.challenge(order, noted[id].fill, receipt, signature);
        if (ledger.disputeOf(id).bond != order.bond) broke["challenger's bond"] = true;
    }

    function rule(uint256 index, bool providerWins, Sums memory sums) external acted {
        (bytes32 id, bool found) = pick(index, DISPUTED | CLAIMED);
        Lease memory stored = ledger.lease(id);
        if (!found || block.timestamp >= stored.deadline) return;
        bool disputed = stored.state == LeaseState.Disputed;
        bool agreed = stored.state == LeaseState.Claimed && ledger.claimOf(id).revealFrom == 0;
        if (disputed || agreed) {
            ruleOn(id, stored, agreed || providerWins, boundedSums(id, stored, agreed, providerWins, sums));
        }
    }

    function boundedSums(bytes32 id, Lease memory stored, bool agreed, bool providerWins, Sums memory sums)
        private
        view
        returns (Sums memory)
    {
        uint48 target = ledger.claimOf(id).target;
        uint48 bond = agreed ? 0 : orderOf(id).bond;
        bool due = (agreed || providerWins) && target > stored.paid;
        sums.award = due ? uint48(bound(sums.award, 0, target - stored.paid)) : 0;
        sums.toWinner = uint48(bound(sums.toWinner, 0, bond));
        sums.toJurors = uint48(bound(sums.toJurors, 0, bond - sums.toWinner));
        return sums;
    }

    function ruleOn(bytes32 id, Lease memory stored, bool providerWins, Sums memory sums) private {
        Order memory order = orderOf(id);
        uint256 before = wealth();
        uint256 ofProvider = wealthOf(stored.provider);
        noteCall("rule");
        vm.prank(arbiter);
        ledger.rule(order, noted[id].fill, providerWins, sums.award, sums.toWinner, sums.toJurors);
        if (wealth() != before) broke["ruling conserves"] = true;
        if (wealthOf(stored.provider) + order.bond < ofProvider) broke["slash bound"] = true;
        if (!providerWins && ledger.lease(id).paid != stored.paid) broke["loser is paid"] = true;
    }

    function finalise(uint256 index) external acted {
        (bytes32 id, bool found) = pick(index, ANY);
        if (found) finaliseIfDue(id);
    }

    /// Calls by people who have no business: each must revert.
    function trespass(uint256 index, uint8 what) external acted {
        (bytes32 id, bool found) = pick(index, ANY);
        if (!found) return;
        Order memory order = orderOf(id);
        uint8 fill = noted[id].fill;
        StartVoucher memory start;
        UsageReceipt memory receipt;
        bytes memory call;
        if (what % 8 == 0) call = abi.encodeCall(IComputeLedger.close, (order, fill, EndReason.Faulty));
        if (what % 8 == 1) call = abi.encodeCall(IComputeLedger.resign, (order, fill));
        if (what % 8 == 2) call = abi.encodeCall(IComputeLedger.acknowledge, (id));
        if (what % 8 == 3) call = abi.encodeCall(IComputeLedger.claim, (order, fill, aClaim(1), 0, start));
        if (what % 8 == 4) call = abi.encodeCall(IComputeLedger.commitClaim, (order, fill, id));
        if (what % 8 == 5) call = abi.encodeCall(IComputeLedger.challenge, (order, fill, receipt, ""));
        if (what % 8 == 6) call = abi.encodeCall(IComputeLedger.rule, (order, fill, true, 0, 0, 0));
        if (what % 8 == 7) call = abi.encodeCall(IComputeLedger.withdraw, (order.buyer, stranger, 1));
        noteCall("trespass");
        vm.prank(stranger);
        (bool ok,) = address(ledger).call(call);
        if (ok) broke["trespass"] = true;
    }

    /* EXIT */

    /// Every lease Closed by strangers and time, whatever the token does; then every account asks for all that is free.
    function exitAll() external {
        vm.warp(block.timestamp + 16 days);
        for (uint256 i; i < leases.length; ++i) {
            finaliseIfDue(leases[i]);
            assertState(leases[i], LeaseState.Closed);
        }
        for (uint256 i; i < accounts.length; ++i) {
            assertEq(ledger.account(accounts[i]).bonded, 0, "bonded");
            assertEq(ledger.account(accounts[i]).openLeases, 0, "open leases");
            uint64 free = freeOf(accounts[i]);
            // After a rebase-down the last of them meet the shortfall; nobody else does.
            if (free != 0 && token.balanceOf(address(ledger)) > uint256(free) + shortfall) {
                tryWithdraw(accounts[i], free);
            }
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

    function orderAt(uint256 i) external view returns (Order memory) {
        return orders[i];
    }

    function orderCount() external pure returns (uint256) {
        return ORDERS;
    }

    /* NOTES */

    function note() internal override {
        super.note();
        for (uint256 i; i < leases.length; ++i) {
            Lease memory before = noted[leases[i]].last;
            Lease memory now_ = ledger.lease(leases[i]);
            if (now_.paid < before.paid) broke["paid fell"] = true;
            if (!isEdge(before.state, now_.state)) broke["edge"] = true;
            if (before.state == LeaseState.Closed && keccak256(abi.encode(before)) != keccak256(abi.encode(now_))) {
                broke["closed changed"] = true;
            }
            // A reason that a close gave stays; only both sides' word completes a claim.
            bool fixed_ = before.reason != EndReason.None && before.reason != EndReason.Claimed;
            if (fixed_ && now_.reason != before.reason) broke["reason changed"] = true;
            noted[leases[i]].last = now_;
        }
    }

    /// The edges of SPEC "Leases", and staying where one is.
    function isEdge(LeaseState from, LeaseState to) private pure returns (bool) {
        if (from == to || from == LeaseState.None) return true;
        if (from == LeaseState.Open) return true;
        if (from == LeaseState.Closing) return to != LeaseState.Open;
        if (from == LeaseState.Claimed) return to == LeaseState.Disputed || to == LeaseState.Closed;
        return from == LeaseState.Disputed && to == LeaseState.Closed;
    }

    /* HELP */

    function finaliseIfDue(bytes32 id) private {
        Order memory order = orderOf(id);
        Lease memory stored = ledger.lease(id);
        LeaseState state = ledger.stateOf(id);
        if (state == LeaseState.Open || state == LeaseState.Closed) return;
        if (block.timestamp < deadlineOf(stored, order)) return;
        bool hidden = ledger.claimOf(id).revealFrom != 0;
        uint48 target = ledger.claimOf(id).target;
        uint256 ofProvider = wealthOf(stored.provider);
        uint256 before = wealth();

        noteCall("finalise");
        vm.prank(stranger);
        ledger.finalise(order, noted[id].fill);

        if (wealth() != before) broke["finalise conserves"] = true;
        uint48 paid = ledger.lease(id).paid;
        bool away = stored.early && stored.reason == EndReason.Unresponsive && !stored.responded;
        uint48 due = stored.paid;
        if (state == LeaseState.Claimed && !hidden && target > due) due = target;
        bool forfeits = away && state != LeaseState.Disputed;
        if (stored.early && !forfeits && due < order.minCharge) due = order.minCharge;
        if (paid != due) broke["final pay"] = true;
        uint256 gained = uint256(paid) - stored.paid;
        if (wealthOf(stored.provider) != ofProvider + gained - (forfeits ? order.minCharge : 0)) {
            broke["final bond"] = true;
        }
    }

    /// Free and bonded of everybody and what leases hold: moved by no ruling and no end.
    function wealth() private view returns (uint256 sum) {
        for (uint256 i; i < accounts.length; ++i) {
            sum += wealthOf(accounts[i]);
        }
        for (uint256 i; i < leases.length; ++i) {
            Lease memory lease = ledger.lease(leases[i]);
            if (lease.state != LeaseState.Closed) sum += lease.locked - lease.paid;
        }
    }

    function wealthOf(address who) private view returns (uint256) {
        LedgerAccount memory account = ledger.account(who);
        return uint256(account.free) + account.bonded;
    }

    function deadlineOf(Lease memory stored, Order memory order) private view returns (uint256) {
        bool expired = stored.state == LeaseState.Open && block.timestamp >= stored.deadline;
        return uint256(stored.deadline) + (expired ? order.notice : 0);
    }

    function isClaimable(Lease memory stored, Order memory order) private view returns (bool) {
        return (stored.state == LeaseState.Open || stored.state == LeaseState.Closing)
            && block.timestamp < deadlineOf(stored, order);
    }

    /// Whether the predecessor lets the fill open.
    function isReadyAfter(Order memory order, uint8 fill) private view returns (bool) {
        bytes32 id = leaseOf(order, fill - order.replicas);
        LeaseState state = ledger.stateOf(id);
        Lease memory stored = ledger.lease(id);
        bool expired = stored.state == LeaseState.Open && block.timestamp >= stored.deadline;
        return state != LeaseState.None && state != LeaseState.Open && !stored.done && !expired;
    }

    function isZoneTaken(Order memory order, uint8 fill, uint8 zone) private view returns (bool) {
        for (uint8 other; other < order.maxLeases; ++other) {
            Lease memory stored = ledger.lease(leaseOf(order, other));
            if (stored.state == LeaseState.None || stored.zone != zone) continue;
            if (stored.state != LeaseState.Closed || other + order.replicas == fill) return true;
        }
        return false;
    }

    /// The first lease from `index` on that is in one of `states` (1 << state), so that most calls have somebody to meet.
    function pick(uint256 index, uint256 states) private view returns (bytes32 id, bool found) {
        for (uint256 i; i < leases.length; ++i) {
            id = leases[addmod(index, i, leases.length)];
            if (states >> uint8(ledger.lease(id).state) & 1 == 1) return (id, true);
        }
    }

    function orderOf(bytes32 id) private view returns (Order memory) {
        return orders[noted[id].order];
    }

    function offerOf(uint256 provider) private view returns (Offer memory offer) {
        offer = anOffer();
        offer.provider = providers[provider].addr;
        offer.zone = uint8(7 + provider);
        offer.capacity = 6;
        offer.bond = 20e6;
        offer.arbiter = arbiter;
        offer.expiry = type(uint40).max;
        offer.epoch = 0;
        offer.salt = provider;
    }

    function matchBy(Order memory order, uint8 fill) private view returns (Match memory) {
        Vm.Wallet memory signer = order.buyer == buyers[0].addr ? buyers[0] : buyers[1];
        return matchOf(order, signer, fill);
    }

    function walletOf(address who) private view returns (Vm.Wallet memory) {
        for (uint256 i; i < 3; ++i) {
            if (providers[i].addr == who) return providers[i];
        }
        revert("no wallet");
    }
}
