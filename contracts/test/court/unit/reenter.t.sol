// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Guard} from "../../../src/Guard.sol";
import {TraceOpening} from "../../../src/interfaces/CourtTypes.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {StartVoucher, UsageReceipt} from "../../../src/interfaces/LedgerTypes.sol";
import {CourtTest} from "../support/CourtTest.sol";
import {MoodyToken} from "../support/MoodyToken.sol";

contract CourtReenterTest is CourtTest {
    address private juror = makeAddr("juror");
    MoodyToken private token;

    function setUp() public override {
        super.setUp();
        token = new MoodyToken();
        address other = deployCode("ComputeLedger.sol:ComputeLedger", abi.encode(token, registry, uint32(10)));
        court = deployCourt(other, SEAT_BOND, SEAT_FEE, MOVE_TIME, COMMIT_TIME, REVEAL_TIME);
        token.mint(juror, 100 * SEAT_BOND);
        vm.prank(juror);
        token.approve(address(court), 100 * SEAT_BOND);
    }

    function test_NoCallEntersAnother() public {
        bytes[] memory calls = everyCall();
        for (uint256 i; i < calls.length; ++i) {
            token.setHook(address(court), calls[i]);
            vm.prank(juror);
            court.join(1);
            assertEq(token.hookError(), abi.encodeWithSelector(Guard.Guard_Reentered.selector), vm.toString(i));
            // No function: fails without words, so that the next answer is seen to be new.
            token.setHook(address(court), "");
            vm.prank(juror);
            court.leave(juror);
        }
        // Nothing but the juror's own comings and goings.
        (, uint48 count) = court.head();
        assertEq(count, 2 * calls.length, "events");
    }

    function everyCall() private view returns (bytes[] memory calls) {
        UsageReceipt memory receipt;
        TraceOpening memory opening;
        StartVoucher memory start;
        calls = new bytes[](13);
        calls[0] = abi.encodeCall(IReexecutionCourt.join, (1));
        calls[1] = abi.encodeCall(IReexecutionCourt.leave, (juror));
        calls[2] = abi.encodeCall(IReexecutionCourt.collect, (juror));
        calls[3] = abi.encodeCall(IReexecutionCourt.bring, (order, 0));
        calls[4] = abi.encodeCall(IReexecutionCourt.openTrace, (order, 0, receipt, opening, start));
        calls[5] = abi.encodeCall(IReexecutionCourt.postMiddle, ("lease", "state", 1, new bytes32[](0)));
        calls[6] = abi.encodeCall(IReexecutionCourt.answer, ("lease", true));
        calls[7] = abi.encodeCall(IReexecutionCourt.timeout, (order, 0));
        calls[8] = abi.encodeCall(IReexecutionCourt.draw, (order, 0));
        calls[9] = abi.encodeCall(IReexecutionCourt.commit, ("lease", "commitment"));
        calls[10] = abi.encodeCall(IReexecutionCourt.reveal, ("lease", "value", "salt"));
        calls[11] = abi.encodeCall(IReexecutionCourt.tally, (order, 0));
        calls[12] = abi.encodeCall(IReexecutionCourt.agree, (order, new uint8[](0)));
    }
}
