// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Test.sol";

import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {Behaviour, FickleToken} from "../support/FickleToken.sol";
import {HeadReplay} from "../support/HeadReplay.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

/// @dev What accounts do without a lease, over a token that changes its behaviour: deposits of the three kinds, withdrawals,
/// beneficiaries, and the mandates of two savers that buy nothing. What a call may do alone is checked at once and noted by
/// the name of its rule.
abstract contract MoneyHandler is LedgerTest {
    using HeadReplay for HeadReplay.State;

    uint256 private constant DIGESTS = 4;

    FickleToken public token;
    address[] internal accounts;
    /// Who alone may hand their money over, so that no lease waits for a beneficiary.
    address[2] private savers = [makeAddr("saver 0"), makeAddr("saver 1")];
    address private heir = makeAddr("heir");
    mapping(address saver => mapping(uint256 digest => bool)) private cancelled;
    mapping(address saver => uint64) private epochs;
    HeadReplay.State private replayed;
    /// Base units that rebases took from the ledger.
    uint256 public shortfall;
    mapping(string rule => bool) public broke;
    mapping(string action => uint256[10] ofBehaviour) private counts;
    string[] private counted;

    constructor() {
        vm.recordLogs();
        vm.warp(1_800_000_000);
        voucherSigner = vm.createWallet("voucher signer");
        auditor = vm.createWallet("auditor");
        registry = new ProviderRegistry();
        token = new FickleToken();
        token.setHook(address(this));
        ledger = deployLedger(address(token), MIN_NOTICE);
        accounts.push(savers[0]);
        accounts.push(savers[1]);
    }

    /* ACTIONS */

    /// @param seed hashed, because a fuzzer likes small numbers and every behaviour shall have its time
    function become(uint256 seed, uint256 victim) external acted {
        noteCall("become");
        uint256 before = token.balanceOf(address(ledger));
        Behaviour behaviour = Behaviour(uint256(keccak256(abi.encode(seed))) % 10);
        token.become(behaviour, accounts[victim % accounts.length]);
        uint256 now_ = token.balanceOf(address(ledger));
        if (now_ < before) shortfall += before - now_;
    }

    function deposit(uint256 who, uint256 amount) external acted {
        noteCall("deposit");
        address account = accounts[who % accounts.length];
        pay(account, bound(amount, 2, 50e6));
    }

    function withdraw(uint256 who, uint256 amount) external acted {
        address account = accounts[who % accounts.length];
        uint64 free = freeOf(account);
        if (free == 0) return;
        noteCall("withdraw");
        tryWithdraw(account, bound(amount, 1, free));
    }

    function depositWithPermit(uint256 who, uint256 amount) external acted {
        noteCall("depositWithPermit");
        address account = accounts[who % accounts.length];
        amount = bound(amount, 2, 50e6);
        token.mint(account, amount);
        credit(
            account, account, abi.encodeCall(IComputeLedger.depositWithPermit, (amount, type(uint256).max, 27, 0, 0))
        );
    }

    function depositWithAuthorization(uint256 who, uint256 amount) external acted {
        noteCall("depositWithAuthorization");
        address account = accounts[who % accounts.length];
        amount = bound(amount, 2, 50e6);
        token.mint(account, amount);
        credit(
            account,
            stranger,
            abi.encodeCall(
                IComputeLedger.depositWithAuthorization, (account, amount, 0, type(uint256).max, bytes32(0), 27, 0, 0)
            )
        );
    }

    function setBeneficiary(uint256 who, bool back) external acted {
        noteCall("setBeneficiary");
        address saver = savers[who % 2];
        address controller = controllerOf(saver);
        vm.prank(controller);
        ledger.setBeneficiary(saver, back ? address(0) : heir);
        if (controllerOf(saver) != (back ? saver : heir)) broke["controller"] = true;
    }

    function approveDelegate(uint256 who, uint64 cap) external acted {
        noteCall("approveDelegate");
        vm.prank(savers[who % 2]);
        ledger.approveDelegate(deputy, cap, type(uint40).max);
        if (ledger.delegate(savers[who % 2], deputy).remaining != cap) broke["delegate"] = true;
    }

    function cancel(uint256 who, uint256 digest) external acted {
        noteCall("cancel");
        digest %= DIGESTS;
        cancelled[savers[who % 2]][digest] = true;
        vm.prank(savers[who % 2]);
        ledger.cancel(bytes32(digest));
    }

    function bumpEpoch(uint256 who) external acted {
        noteCall("bumpEpoch");
        address saver = savers[who % 2];
        vm.prank(saver);
        uint64 epoch = ledger.bumpEpoch();
        if (epoch <= epochs[saver]) broke["epoch"] = true;
        epochs[saver] = epoch;
    }

    function pass(uint256 time) external acted {
        noteCall("pass");
        vm.warp(block.timestamp + bound(time, 1, 300));
        vm.roll(block.number + 1);
    }

    /// The token's hook: whoever gets control in the middle of a call gets nowhere.
    function onTransfer() external {
        if (msg.sender != address(token)) return;
        bytes[3] memory attempts = [
            abi.encodeCall(IComputeLedger.withdraw, (address(this), stranger, 1)),
            abi.encodeCall(IComputeLedger.bumpEpoch, ()),
            abi.encodeCall(IComputeLedger.cancel, (bytes32(0)))
        ];
        for (uint256 i; i < 3; ++i) {
            (bool ok,) = address(ledger).call(attempts[i]);
            if (ok) broke["reentered"] = true;
        }
    }

    /* WHAT THE INVARIANTS READ */

    function allAccounts() external view returns (address[] memory) {
        return accounts;
    }

    function replayedHead() external view returns (uint208 hash, uint48 count) {
        return (replayed.hash, replayed.count);
    }

    function ledgerAddress() external view returns (address) {
        return address(ledger);
    }

    function tokenBalance() external view returns (uint256) {
        return token.balanceOf(address(ledger));
    }

    /// Epochs and cancellations are as the savers left them.
    function mandatesHold() external view returns (bool) {
        for (uint256 i; i < 2; ++i) {
            if (ledger.account(savers[i]).epoch != epochs[savers[i]]) return false;
            for (uint256 digest; digest < DIGESTS; ++digest) {
                if (ledger.isCancelled(savers[i], bytes32(digest)) != cancelled[savers[i]][digest]) return false;
            }
        }
        return true;
    }

    /// One line an action: its name and how often it was done under each of the ten behaviours.
    function countsAsText() external view returns (string memory text) {
        for (uint256 i; i < counted.length; ++i) {
            text = string.concat(text, counted[i]);
            for (uint256 behaviour; behaviour < 10; ++behaviour) {
                text = string.concat(text, " ", vm.toString(counts[counted[i]][behaviour]));
            }
            text = string.concat(text, "\n");
        }
    }

    /* NOTES */

    modifier acted() {
        _;
        note();
    }

    /// A call of the ledger's function `action`, or an act of its world, under the token's present behaviour.
    function noteCall(string memory action) internal {
        uint256[10] storage ofBehaviour = counts[action];
        uint256 all;
        for (uint256 i; i < 10; ++i) {
            all += ofBehaviour[i];
        }
        if (all == 0) counted.push(action);
        ofBehaviour[uint256(token.behaviour())] += 1;
    }

    function note() internal virtual {
        HeadReplay.State memory state = replayed;
        state.advance(vm.getRecordedLogs(), address(ledger));
        replayed = state;
    }

    /// What a call that reverted had emitted is recorded too, and never happened.
    function dropLogs() private {
        vm.getRecordedLogs();
    }

    /* HELP */

    function controllerOf(address account) private view returns (address) {
        address beneficiary = ledger.beneficiary(account);
        return beneficiary == address(0) ? account : beneficiary;
    }

    function pay(address account, uint256 amount) internal {
        token.mint(account, amount);
        vm.prank(account);
        token.approve(address(ledger), amount);
        credit(account, account, abi.encodeCall(IComputeLedger.deposit, (account, amount)));
    }

    /// Deposits if the token lets it, and checks what was credited.
    function credit(address account, address caller, bytes memory call) private {
        uint64 before = freeOf(account);
        uint256 held = token.balanceOf(address(ledger));
        vm.prank(caller);
        (bool ok,) = address(ledger).call(call);
        if (!ok) dropLogs();
        uint256 arrived = token.balanceOf(address(ledger)) - held;
        if (freeOf(account) - before != arrived) broke["credit"] = true;
    }

    /// Under a token that transfers it succeeds; else only this call fails, and the balance stays.
    function tryWithdraw(address account, uint256 amount) internal {
        uint64 before = freeOf(account);
        uint256 held = token.balanceOf(address(ledger));
        Behaviour now_ = token.behaviour();
        bool stuck = now_ == Behaviour.FalseReturn || now_ == Behaviour.Pause || now_ == Behaviour.RevertBomb
            || (now_ == Behaviour.Blocklist && (token.blocked() == account || token.blocked() == address(ledger)));
        address controller = controllerOf(account);
        if (controller != account) {
            vm.prank(account);
            (bool ok,) = address(ledger).call(abi.encodeCall(IComputeLedger.withdraw, (account, account, amount)));
            if (ok) broke["controller"] = true;
        }
        vm.prank(controller);
        try ledger.withdraw(account, account, amount) {
            if (stuck) broke["withdrawn"] = true;
            if (freeOf(account) + amount != before) broke["withdrawn"] = true;
            // What a rebasing token rounds is its own affair: count it as its shortfall.
            uint256 left = held - token.balanceOf(address(ledger));
            if (left > amount) shortfall += left - amount;
        } catch {
            dropLogs();
            if (!stuck && held >= amount + 2) broke["stuck"] = true;
            if (freeOf(account) != before) broke["balance lost"] = true;
        }
    }
}
