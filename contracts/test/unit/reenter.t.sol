// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Guard} from "../../src/Guard.sol";
import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {
    ClaimTerms,
    EndReason,
    LastVoucher,
    Match,
    Order,
    SignedOffer,
    SignedVoucher,
    StartVoucher,
    UsageReceipt
} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";
import {OddToken} from "../support/OddToken.sol";

contract ReenterTest is LedgerTest {
    OddToken private odd;

    function setUp() public override {
        super.setUp();
        odd = new OddToken();
        ledger = deployLedger(address(odd), MIN_NOTICE);
        odd.mint(stranger, 1_000);
        vm.startPrank(stranger);
        odd.approve(address(ledger), 1_000);
        ledger.deposit(stranger, 1_000);
        vm.stopPrank();
    }

    function test_NoCallEntersAnother() public {
        bytes[] memory calls = everyCall();
        for (uint256 i; i < calls.length; ++i) {
            odd.callBack(address(ledger), calls[i]);
            vm.prank(stranger);
            ledger.withdraw(stranger, stranger, 1);
            assertFalse(odd.callbackSucceeded(), vm.toString(i));
            assertEq(odd.callbackAnswer(), abi.encodeWithSelector(Guard.Guard_Reentered.selector), vm.toString(i));
            assertEq(freeOf(stranger), 999 - i, "only the withdrawal");
        }
        // A deposit each, and the withdrawals.
        (, uint48 count) = ledger.head();
        assertEq(count, 1 + calls.length, "events");
    }

    function test_OneCallAfterAnotherGoesOn() public {
        vm.startPrank(stranger);
        ledger.withdraw(stranger, stranger, 1);
        ledger.cancel("digest");
        ledger.withdraw(stranger, stranger, 1);
        assertEq(freeOf(stranger), 998, "free");
    }

    function everyCall() private view returns (bytes[] memory calls) {
        Order memory order = anOrder();
        UsageReceipt memory receipt;
        ClaimTerms memory terms;
        StartVoucher memory start;
        calls = new bytes[](19);
        calls[0] = abi.encodeCall(IComputeLedger.deposit, (stranger, 1));
        calls[1] = abi.encodeCall(IComputeLedger.depositWithPermit, (1, 1, 27, "r", "s"));
        calls[2] = abi.encodeCall(
            IComputeLedger.depositWithAuthorization, (stranger, 1, 0, type(uint256).max, "nonce", 27, "r", "s")
        );
        calls[3] = abi.encodeCall(IComputeLedger.withdraw, (address(odd), stranger, 1));
        calls[4] = abi.encodeCall(IComputeLedger.setBeneficiary, (address(odd), stranger));
        calls[5] = abi.encodeCall(IComputeLedger.approveDelegate, (stranger, 1, 1));
        calls[6] = abi.encodeCall(IComputeLedger.cancel, ("digest"));
        calls[7] = abi.encodeCall(IComputeLedger.bumpEpoch, ());
        calls[8] = abi.encodeCall(IComputeLedger.open, (new SignedOffer[](0), new Match[](0), "root"));
        calls[9] = abi.encodeCall(IComputeLedger.redeem, (new SignedVoucher[](0)));
        calls[10] = abi.encodeCall(IComputeLedger.closeLast, (new LastVoucher[](0)));
        calls[11] = abi.encodeCall(IComputeLedger.close, (order, 0, EndReason.Faulty));
        calls[12] = abi.encodeCall(IComputeLedger.resign, (order, 0));
        calls[13] = abi.encodeCall(IComputeLedger.acknowledge, ("lease"));
        calls[14] = abi.encodeCall(IComputeLedger.finalise, (order, 0));
        calls[15] = abi.encodeCall(IComputeLedger.claim, (order, 0, terms, 0, start));
        calls[16] = abi.encodeCall(IComputeLedger.commitClaim, (order, 0, "commitment"));
        calls[17] = abi.encodeCall(IComputeLedger.challenge, (order, 0, receipt, ""));
        calls[18] = abi.encodeCall(IComputeLedger.rule, (order, 0, true, 0, 0, 0));
    }
}
