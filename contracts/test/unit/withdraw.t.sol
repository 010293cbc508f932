// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {LedgerTest} from "../support/LedgerTest.sol";
import {OddToken} from "../support/OddToken.sol";

contract WithdrawTest is LedgerTest {
    function test_RevertWhen_NotController() public {
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotController.selector, buyer.addr, stranger)
        );
        vm.prank(stranger);
        ledger.withdraw(buyer.addr, stranger, 1);
    }

    function test_BeneficiaryWithdrawsAndNobodyElse() public {
        vm.prank(buyer.addr);
        ledger.setBeneficiary(buyer.addr, stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotController.selector, stranger, buyer.addr)
        );
        vm.prank(buyer.addr);
        ledger.withdraw(buyer.addr, buyer.addr, 1);

        vm.expectEmit(address(ledger));
        emit IComputeLedger.Withdrawn(buyer.addr, matcher, 7e6);
        vm.prank(stranger);
        ledger.withdraw(buyer.addr, matcher, 7e6);
        assertEq(dollar.balanceOf(matcher), 7e6, "received");
        assertEq(freeOf(buyer.addr), 993e6, "free");
    }

    function test_RevertWhen_ReceiverZero() public {
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAddress.selector);
        vm.prank(buyer.addr);
        ledger.withdraw(buyer.addr, address(0), 1);
    }

    function test_RevertWhen_AmountZero() public {
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAmount.selector);
        vm.prank(buyer.addr);
        ledger.withdraw(buyer.addr, buyer.addr, 0);
    }

    function test_RevertWhen_MoreThanFree() public {
        open(anOrder(), 0);
        uint64 free = 1_000e6 - LOCK - FEE;
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_InsufficientFree.selector, free, uint256(free) + 1)
        );
        vm.prank(buyer.addr);
        ledger.withdraw(buyer.addr, buyer.addr, uint256(free) + 1);
    }

    function test_RevertWhen_TheRestIsBonded() public {
        openBonded(aBondedOrder());
        vm.expectRevert(
            abi.encodeWithSelector(
                IComputeLedger.ComputeLedger_InsufficientFree.selector, 9 * BOND, uint256(9 * BOND) + 1
            )
        );
        vm.prank(provider.addr);
        ledger.withdraw(provider.addr, provider.addr, 9 * BOND + 1);
        vm.prank(provider.addr);
        ledger.withdraw(provider.addr, provider.addr, 9 * BOND);
        assertMoney(provider.addr, 0, BOND);
    }

    function test_RevertWhen_TokenRefuses() public {
        (OddToken odd, IComputeLedger oddLedger) = oddDeposit();
        odd.behave(OddToken.Behaviour.ReturnsFalse);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_TransferFailed.selector, address(odd)));
        vm.prank(stranger);
        oddLedger.withdraw(stranger, stranger, 5);
        assertEq(oddLedger.account(stranger).free, 10, "free");
    }

    function test_TokenCannotCallBack() public {
        (OddToken odd, IComputeLedger oddLedger) = oddDeposit();
        odd.callBack(address(oddLedger), abi.encodeCall(IComputeLedger.bumpEpoch, ()));
        vm.prank(stranger);
        oddLedger.withdraw(stranger, stranger, 5);
        assertFalse(odd.callbackSucceeded(), "callback");
        assertEq(oddLedger.account(stranger).free, 5, "free");
    }

    function test_SendsToTheReceiver() public {
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Withdrawn(buyer.addr, stranger, 400e6);
        vm.prank(buyer.addr);
        ledger.withdraw(buyer.addr, stranger, 400e6);
        assertEq(dollar.balanceOf(stranger), 400e6, "received");
        assertEq(freeOf(buyer.addr), 600e6, "free");
    }

    function oddDeposit() private returns (OddToken odd, IComputeLedger oddLedger) {
        odd = new OddToken();
        oddLedger = deployLedger(address(odd), MIN_NOTICE);
        odd.mint(stranger, 10);
        vm.startPrank(stranger);
        odd.approve(address(oddLedger), 10);
        oddLedger.deposit(stranger, 10);
        vm.stopPrank();
    }
}
