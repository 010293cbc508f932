// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {Account as LedgerAccount, EndReason, Order, Skip, UsageReceipt} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract SetBeneficiaryTest is LedgerTest {
    address private safe = makeAddr("safe");
    address private otherSafe = makeAddr("other safe");

    function test_RevertWhen_NotController() public {
        expectNotController({controller: buyer.addr, caller: stranger});
        ledger.setBeneficiary(buyer.addr, stranger);

        vm.prank(buyer.addr);
        ledger.setBeneficiary(buyer.addr, safe);
        expectNotController({controller: safe, caller: buyer.addr});
        ledger.setBeneficiary(buyer.addr, address(0));

        vm.prank(safe);
        ledger.setBeneficiary(buyer.addr, otherSafe);
        expectNotController({controller: otherSafe, caller: safe});
        ledger.setBeneficiary(buyer.addr, safe);
    }

    function test_StoresItAndNothingElse() public {
        openBonded(aBondedOrder());
        LedgerAccount memory before = ledger.account(provider.addr);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.BeneficiarySet(provider.addr, safe);
        vm.prank(provider.addr);
        ledger.setBeneficiary(provider.addr, safe);

        assertEq(ledger.beneficiary(provider.addr), safe, "beneficiary");
        before.guarded = true;
        assertEq(abi.encode(ledger.account(provider.addr)), abi.encode(before), "account");
    }

    function test_ZeroGivesTheAccountBack() public {
        vm.prank(buyer.addr);
        ledger.setBeneficiary(buyer.addr, safe);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.BeneficiarySet(buyer.addr, address(0));
        vm.prank(safe);
        ledger.setBeneficiary(buyer.addr, address(0));
        assertFalse(ledger.account(buyer.addr).guarded, "guarded");
        assertEq(ledger.beneficiary(buyer.addr), address(0), "beneficiary");

        expectNotController({controller: buyer.addr, caller: safe});
        ledger.withdraw(buyer.addr, safe, 1);
        vm.prank(buyer.addr);
        ledger.withdraw(buyer.addr, buyer.addr, 1);
        open(anOrder(), 0);
    }

    function test_GuardedAccountDoesNotBuy() public {
        Order memory order = anOrder();
        open(order, 0);
        closeAs(matcher, order, EndReason.Unresponsive);
        vm.prank(buyer.addr);
        ledger.setBeneficiary(buyer.addr, safe);

        expectSkipped(anOffer(), provider, matchOf(order, buyer, 1), Skip.BuyerGuarded);
        order.salt += 1;
        expectSkipped(anOffer(), order, Skip.BuyerGuarded);
        vm.prank(buyer.addr);
        ledger.approveDelegate({key: delegateKey.addr, cap: 500e6, until: type(uint40).max});
        expectSkipped(anOffer(), provider, matchOf(order, delegateKey, 0), Skip.BuyerGuarded);
    }

    function test_GuardedAccountDoesNotChallenge() public {
        Order memory order = aBondedOrder();
        openBonded(order);
        claimAs(provider, order, 0, aClaim(400e12));
        vm.prank(buyer.addr);
        ledger.setBeneficiary(buyer.addr, safe);
        UsageReceipt memory none;
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_Guarded.selector, buyer.addr));
        vm.prank(buyer.addr);
        ledger.challenge(order, 0, none, "");
    }

    function test_GuardedAccountServesAndItsBeneficiaryIsPaid() public {
        fund(provider.addr, 10 * BOND);
        vm.prank(provider.addr);
        ledger.setBeneficiary(provider.addr, safe);
        Order memory order = aBondedOrder();
        bytes32 lease = openBonded(order);
        assertMoney(provider.addr, 9 * BOND, BOND);
        redeem(aVoucher(lease, 20e6, false));
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        vm.warp(block.timestamp + NOTICE);
        ledger.finalise(order, 0);

        assertMoney(provider.addr, 10 * BOND + 20e6, 0);
        vm.prank(safe);
        ledger.withdraw(provider.addr, safe, 10 * BOND + 20e6);
        assertEq(dollar.balanceOf(safe), 10 * BOND + 20e6, "received");
        assertTrue(ledger.account(provider.addr).guarded, "still guarded");
    }

    function expectNotController(address controller, address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotController.selector, controller, caller));
        vm.prank(caller);
    }
}
