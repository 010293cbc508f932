// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {Delegate} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract AuthorityTest is LedgerTest {
    function test_RevertWhen_DelegateZero() public {
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAddress.selector);
        ledger.approveDelegate({key: address(0), cap: 1, until: type(uint40).max});
    }

    function test_ApprovalReplacesCapAndTime() public {
        vm.startPrank(buyer.addr);
        ledger.approveDelegate({key: delegateKey.addr, cap: 5, until: 9});
        vm.expectEmit(address(ledger));
        emit IComputeLedger.DelegateApproved(buyer.addr, delegateKey.addr, 7, 8);
        ledger.approveDelegate({key: delegateKey.addr, cap: 7, until: 8});
        vm.stopPrank();

        Delegate memory key = ledger.delegate(buyer.addr, delegateKey.addr);
        assertEq(key.remaining, 7, "remaining");
        assertEq(key.until, 8, "until");
    }

    function test_CancelVoidsForTheCallerAlone() public {
        vm.startPrank(buyer.addr);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.MessageCancelled(buyer.addr, "digest");
        ledger.cancel("digest");
        ledger.cancel("digest");
        vm.stopPrank();
        assertTrue(ledger.isCancelled(buyer.addr, "digest"), "buyer");
        assertFalse(ledger.isCancelled(provider.addr, "digest"), "provider");
    }

    function test_EpochJumpsForward() public {
        vm.startPrank(buyer.addr);
        uint64 first = ledger.bumpEpoch();
        vm.expectEmit(true, false, false, false, address(ledger));
        emit IComputeLedger.EpochBumped(buyer.addr, 0);
        uint64 second = ledger.bumpEpoch();
        vm.stopPrank();
        assertGt(first, 0, "first");
        assertGt(second, first, "second");
        assertNotEq(second - first, first, "same step twice");
        assertEq(ledger.account(buyer.addr).epoch, second, "stored");
        assertEq(ledger.account(buyer.addr).free, 1_000e6, "money");
        assertEq(ledger.account(provider.addr).epoch, 0, "provider");
    }
}
