// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {LedgerTest} from "../support/LedgerTest.sol";
import {OddToken} from "../support/OddToken.sol";

contract DepositTest is LedgerTest {
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    OddToken private odd;
    IComputeLedger private oddLedger;

    function setUp() public override {
        super.setUp();
        odd = new OddToken();
        oddLedger = deployLedger(address(odd), MIN_NOTICE);
        odd.mint(stranger, type(uint128).max);
        vm.prank(stranger);
        odd.approve(address(oddLedger), type(uint256).max);
    }

    function test_RevertWhen_AccountZero() public {
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAddress.selector);
        ledger.deposit(address(0), 1);
    }

    function test_RevertWhen_AmountZero() public {
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAmount.selector);
        ledger.deposit(stranger, 0);
    }

    function test_RevertWhen_NothingArrives() public {
        odd.behave(OddToken.Behaviour.SwallowsAll);
        vm.prank(stranger);
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAmount.selector);
        oddLedger.deposit(stranger, 5);
    }

    function test_RevertWhen_TokenReverts() public {
        // Without an allowance the test dollar reverts.
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_TransferFailed.selector, address(dollar)));
        vm.prank(stranger);
        ledger.deposit(stranger, 5);
    }

    function test_RevertWhen_TokenReturnsFalse() public {
        odd.behave(OddToken.Behaviour.ReturnsFalse);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_TransferFailed.selector, address(odd)));
        vm.prank(stranger);
        oddLedger.deposit(stranger, 5);
    }

    function test_RevertWhen_LedgerWouldHoldMoreThan64Bits() public {
        vm.startPrank(stranger);
        oddLedger.deposit(stranger, type(uint64).max - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IComputeLedger.ComputeLedger_AmountTooLarge.selector, type(uint64).max, uint256(type(uint64).max) + 1
            )
        );
        oddLedger.deposit(buyer.addr, 2);
        oddLedger.deposit(buyer.addr, 1);
        vm.stopPrank();
        assertEq(oddLedger.account(buyer.addr).free, 1, "free");
    }

    function test_RevertWhen_TokenCallsBack() public {
        odd.callBack(address(oddLedger), abi.encodeCall(IComputeLedger.cancel, (keccak256("digest"))));
        vm.prank(stranger);
        oddLedger.deposit(stranger, 5);
        assertFalse(odd.callbackSucceeded(), "callback");
        assertFalse(oddLedger.isCancelled(address(odd), keccak256("digest")), "cancelled");
        assertEq(oddLedger.account(stranger).free, 5, "free");
    }

    function test_FeeOnTransferCreditsWhatArrived() public {
        odd.behave(OddToken.Behaviour.TakesFee);
        vm.prank(stranger);
        oddLedger.deposit(stranger, 1000);
        assertEq(oddLedger.account(stranger).free, 990, "free");
    }

    function test_CreditsTheAccountWhoeverPays() public {
        dollar.mint(stranger, 7e6);
        vm.startPrank(stranger);
        dollar.approve(address(ledger), 7e6);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Deposited(provider.addr, stranger, 7e6);
        ledger.deposit(provider.addr, 7e6);
        vm.stopPrank();
        assertEq(freeOf(provider.addr), 7e6, "provider");
        assertEq(freeOf(stranger), 0, "stranger");
    }

    /* PERMIT */

    function test_PermitNeedsNoApproval() public {
        (uint8 v, bytes32 r, bytes32 s) = permit(3e6);
        vm.prank(buyer.addr);
        ledger.depositWithPermit({amount: 3e6, permitDeadline: block.timestamp, v: v, r: r, s: s});
        assertEq(freeOf(buyer.addr), 1_003e6, "free");
    }

    function test_FrontRunPermitDoesNotMatter() public {
        (uint8 v, bytes32 r, bytes32 s) = permit(3e6);
        vm.prank(stranger);
        dollar.permit({
            owner: buyer.addr, spender: address(ledger), value: 3e6, deadline: block.timestamp, v: v, r: r, s: s
        });
        vm.prank(buyer.addr);
        ledger.depositWithPermit({amount: 3e6, permitDeadline: block.timestamp, v: v, r: r, s: s});
        assertEq(freeOf(buyer.addr), 1_003e6, "free");
    }

    function test_RevertWhen_PermitBad() public {
        (uint8 v, bytes32 r, bytes32 s) = permit(3e6);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_TransferFailed.selector, address(dollar)));
        vm.prank(buyer.addr);
        ledger.depositWithPermit({amount: 4e6, permitDeadline: block.timestamp, v: v, r: r, s: s});
    }

    function permit(uint256 amount) private returns (uint8 v, bytes32 r, bytes32 s) {
        dollar.mint(buyer.addr, 10e6);
        bytes32 structHash = keccak256(
            abi.encode(PERMIT_TYPEHASH, buyer.addr, address(ledger), amount, dollar.nonces(buyer.addr), block.timestamp)
        );
        return vm.sign(buyer.privateKey, keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), structHash)));
    }
}
