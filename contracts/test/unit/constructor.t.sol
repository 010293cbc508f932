// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract ConstructorTest is LedgerTest {
    function test_RevertWhen_TokenZero() public {
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAddress.selector);
        deployLedger(address(0), MIN_NOTICE);
    }

    function test_RevertWhen_RegistryHasNoCode() public {
        registry = IProviderRegistry(stranger);
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAddress.selector);
        deployLedger(address(dollar), MIN_NOTICE);
    }

    function test_RevertWhen_NoticeOutOfRange() public {
        bytes memory expected =
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_NoticeOutOfRange.selector, 1, 30 days);
        vm.expectRevert(expected);
        deployLedger(address(dollar), 0);
        vm.expectRevert(expected);
        deployLedger(address(dollar), 30 days + 1);
    }

    function test_TermsAreFixed() public {
        ledger = deployLedger(address(dollar), 30 days);
        assertEq(ledger.token(), address(dollar), "token");
        assertEq(ledger.registry(), address(registry), "registry");
        assertEq(ledger.minNotice(), 30 days, "min notice");
        (uint208 hash, uint48 count) = ledger.head();
        assertEq(hash, 0, "head");
        assertEq(count, 0, "count");
    }
}
