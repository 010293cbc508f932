// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Account} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerHarness} from "./support/LedgerHarness.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title Money in and out, and the additions to a packed account
contract AccountsProof is Symbolic {
    LedgerHarness private ledger;
    TokenStub private token;

    function setUp() public {
        token = new TokenStub();
        ledger = LedgerHarness(_deploy("LedgerHarness", abi.encode(address(token), address(this))));
    }

    function check_ACreditMovesFreeAlone(Account calldata a, Account calldata b, uint48 amount) external {
        (address who, address other) = _put(a, b);
        vm.assume(uint256(a.free) + amount <= type(uint64).max);
        ledger.creditFree(who, amount);
        Account memory expected = a;
        expected.free += amount;
        _assertEqual(ledger.account(who), expected);
        _assertEqual(ledger.account(other), b);
    }

    function check_ADebitMovesFreeAlone(Account calldata a, Account calldata b, uint64 amount) external {
        (address who, address other) = _put(a, b);
        vm.assume(a.free >= amount);
        ledger.debitFree(who, amount);
        Account memory expected = a;
        expected.free -= amount;
        _assertEqual(ledger.account(who), expected);
        _assertEqual(ledger.account(other), b);
    }

    function check_ABondMovesFromFreeToBondedAlone(Account calldata a, Account calldata b, uint48 bond) external {
        (address who, address other) = _put(a, b);
        vm.assume(a.free >= bond && uint256(a.bonded) + bond <= type(uint64).max);
        vm.assume(a.openLeases < type(uint32).max);
        ledger.lockBond(who, bond);
        Account memory expected = a;
        expected.free -= bond;
        expected.bonded += bond;
        expected.openLeases += 1;
        _assertEqual(ledger.account(who), expected);
        _assertEqual(ledger.account(other), b);
    }

    function check_ADepositCreditsWhatArrived(
        Account calldata a,
        Account calldata b,
        uint256 held,
        uint256 arrives,
        uint256 amount
    ) external {
        (address who, address other) = _put(a, b);
        token.set(held, arrives, true);
        ledger.deposit(who, amount);
        Account memory expected = a;
        assert(arrives != 0 && held + arrives >= held && held + arrives <= type(uint64).max);
        expected.free = uint64(a.free + arrives);
        assert(expected.free == a.free + arrives);
        _assertEqual(ledger.account(who), expected);
        _assertEqual(ledger.account(other), b);
    }

    function check_AWithdrawalTakesExactlyItsAmount(Account calldata a, Account calldata b, uint256 amount, bool pays)
        external
    {
        (address who, address other) = _put(a, b);
        token.set(0, 0, pays);
        vm.prank(who);
        ledger.withdraw(who, other, amount);
        assert(pays && amount != 0 && amount <= a.free);
        assert(token.sentTo() == other && token.sent() == amount);
        Account memory expected = a;
        expected.free = uint64(a.free - amount);
        _assertEqual(ledger.account(who), expected);
        _assertEqual(ledger.account(other), b);
    }

    function check_OnlyTheControllerWithdraws(Account calldata a, address beneficiary, address caller, uint256 amount)
        external
    {
        (address who,) = _put(a, a);
        token.set(0, 0, true);
        vm.prank(who);
        ledger.setBeneficiary(who, beneficiary);
        assert(ledger.account(who).guarded == (beneficiary != address(0)));
        vm.prank(caller);
        ledger.withdraw(who, caller, amount);
        assert(caller == (beneficiary == address(0) ? who : beneficiary));
    }

    function check_AFreeBalanceCanAlwaysBeWithdrawn(Account calldata a, address to, uint64 amount) external {
        (address who,) = _put(a, a);
        vm.assume(to != address(0) && amount != 0 && amount <= a.free);
        token.set(0, 0, true);
        vm.prank(who);
        (bool done,) = address(ledger).call(abi.encodeCall(ledger.withdraw, (who, to, amount)));
        assert(done);
    }

    function _put(Account calldata a, Account calldata b) private returns (address who, address other) {
        (who, other) = (address(0x1001), address(0x1002));
        ledger.setAccount(who, a);
        ledger.setAccount(other, b);
    }

    function _assertEqual(Account memory a, Account memory b) private pure {
        assert(a.free == b.free && a.bonded == b.bonded && a.openLeases == b.openLeases);
        assert(a.epoch == b.epoch && a.guarded == b.guarded);
    }
}

/// @dev A token of which any amount may arrive.
contract TokenStub {
    uint256 private _held;
    uint256 private _arrives;
    bool private _pays;
    address public sentTo;
    uint256 public sent;

    function set(uint256 held, uint256 arrives, bool pays) external {
        _held = held;
        _arrives = arrives;
        _pays = pays;
    }

    function balanceOf(address) external view returns (uint256) {
        return _held;
    }

    function transferFrom(address, address, uint256) external returns (bool) {
        unchecked {
            _held += _arrives;
        }
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        sentTo = to;
        sent = amount;
        return _pays;
    }
}
