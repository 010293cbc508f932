// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Test.sol";

import {IComputeLedger} from "../../../src/interfaces/IComputeLedger.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {Attestation, ClaimTerms, LeaseState, StartVoucher} from "../../../src/interfaces/LedgerTypes.sol";
import {CourtTest} from "../support/CourtTest.sol";

contract CourtAgreeTest is CourtTest {
    uint256 private constant TRAITS = 0x05;

    Vm.Wallet[3] private lanes;
    bytes32[3] private ids;
    bytes32 private result;

    function setUp() public override {
        super.setUp();
        order = anOrder();
        order.replicas = 3;
        order.quorum = 2;
        for (uint8 i; i < 3; ++i) {
            lanes[i] = vm.createWallet(string.concat("lane ", vm.toString(i)));
            fund(lanes[i].addr, 100e6);
            attest(lanes[i].addr, ZONE + i, uint40(block.timestamp + 30 days));
        }
        result = resultOf(told, toldEnd, order.job);
    }

    function test_RevertWhen_NoQuorum() public {
        openAll();
        claimAll();
        expectNoQuorum(2, 1);
        court.agree(order, fills(0));
        expectNoQuorum(2, 0);
        court.agree(order, new uint8[](0));
    }

    function test_RevertWhen_OrderAsksForNone() public {
        order.quorum = 0;
        openAll();
        claimAll();
        expectNoQuorum(0, 2);
        court.agree(order, fills(0, 1));
    }

    function test_RevertWhen_NotClaimed() public {
        openAll();
        commitAs(0, result);
        commitAs(1, result);
        // Committed only.
        expectNotClaimed(ids[0]);
        court.agree(order, fills(0, 1));
        vm.warp(block.timestamp + WINDOW / 2);
        revealAs(0, result, WORK, true);
        expectNotClaimed(ids[1]);
        court.agree(order, fills(0, 1));
        // Open, and not there at all.
        expectNotClaimed(ids[2]);
        court.agree(order, fills(0, 2));
        expectNotClaimed(ledger.leaseId(ledger.hashOrder(order), 3));
        court.agree(order, fills(0, 3));
    }

    function test_RevertWhen_NotTheEnd() public {
        openAll();
        commitAs(0, result);
        commitAs(1, result);
        vm.warp(block.timestamp + WINDOW / 2);
        revealAs(0, result, WORK, false);
        revealAs(1, result, WORK, false);
        expectNotClaimed(ids[0]);
        court.agree(order, fills(0, 1));
    }

    function test_RevertWhen_Disputed() public {
        openAll();
        claimAll();
        lease = ids[1];
        fill = 1;
        challenge();
        expectNotClaimed(ids[1]);
        court.agree(order, fills(0, 1));
        court.agree(order, fills(0, 2));
    }

    function test_RevertWhen_ResultDiffers() public {
        openAll();
        bytes32 other = keccak256("other");
        commitAs(0, result);
        commitAs(1, other);
        vm.warp(block.timestamp + WINDOW / 2);
        revealAs(0, result, WORK, true);
        revealAs(1, other, WORK, true);
        expectDisagreement(ids[1]);
        court.agree(order, fills(0, 1));
        assertEq(ledger.lease(ids[0]).paid, 0, "one bad fill reverts all");
    }

    function test_RevertWhen_WorkDiffers() public {
        openAll();
        commitAs(0, result);
        commitAs(1, result);
        vm.warp(block.timestamp + WINDOW / 2);
        revealAs(0, result, WORK, true);
        revealAs(1, result, WORK + 1, true);
        expectDisagreement(ids[1]);
        court.agree(order, fills(0, 1));
    }

    /// Lane 1 went on from a checkpoint, so equal work is not the same work.
    function test_RevertWhen_StartDiffers() public {
        order.maxLeases = 6;
        openAll();
        vm.prank(lanes[1].addr);
        ledger.resign(order, 1);
        bytes32 successor = openLease(order, 4, lanes[1], ZONE + 1);
        commitAs(0, result);
        vm.prank(lanes[1].addr);
        ledger.commitClaim(order, 4, keccak256(abi.encode(successor, lanes[1].addr, result, bytes32(0))));
        vm.warp(block.timestamp + WINDOW / 2);
        revealAs(0, result, WORK, true);
        StartVoucher memory start;
        start.fill = 1;
        start.voucher = aVoucher(ids[1], 1, told[3].state, false, voucherSigner);
        vm.prank(lanes[1].addr);
        ledger.claim(order, 4, ClaimTerms({work: WORK, result: result, from: told[3].state, last: true}), 0, start);
        expectDisagreement(successor);
        court.agree(order, fills(0, 4));
    }

    function test_RevertWhen_LaneTwice() public {
        openAll();
        claimAll();
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_LaneRepeated.selector, uint8(0)));
        court.agree(order, fills(0, 0));
    }

    function test_RevertWhen_ProviderTwice() public {
        lanes[1] = lanes[0];
        attest(lanes[0].addr, ZONE + 1, uint40(block.timestamp + 30 days));
        openAll();
        claimAll();
        // The provider's one word is for the zone of fill 1, so that fill comes first.
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_ProviderRepeated.selector, lanes[0].addr)
        );
        court.agree(order, fills(1, 0));
    }

    function test_RevertWhen_NotAttested() public {
        openAll();
        claimAll();
        uint256 state = vm.snapshotState();
        // In another zone now.
        attest(lanes[1].addr, ZONE, uint40(block.timestamp + 29 days));
        expectNotAttested(lanes[1].addr);
        court.agree(order, fills(0, 1));
        // Not any more: the word ends in this second.
        vm.revertToState(state);
        attest(lanes[1].addr, ZONE + 1, uint40(block.timestamp + 60));
        vm.warp(block.timestamp + 60);
        expectNotAttested(lanes[1].addr);
        court.agree(order, fills(0, 1));
        // In its last second.
        vm.warp(block.timestamp - 1);
        court.agree(order, fills(0, 1));
    }

    function test_RevertWhen_TraitsAreNotAttested() public {
        order.attested = TRAITS | 1 << 255;
        openAll(TRAITS);
        claimAll();
        uint256 state = vm.snapshotState();
        court.agree(order, fills(0, 1));
        vm.revertToState(state);
        attest(lanes[0].addr, ZONE, uint40(block.timestamp + 29 days), TRAITS ^ 1);
        expectNotAttested(lanes[0].addr);
        court.agree(order, fills(0, 1));
    }

    function test_RevertWhen_ZoneIsUndeclared() public {
        bytes32 declared = openLease(order, 0, lanes[0], ZONE);
        ids[0] = declared;
        ids[1] = openLease(order, 1, lanes[1], 0);
        attest(lanes[1].addr, 0, uint40(block.timestamp + 29 days));
        commitAs(0, result);
        commitAs(1, result);
        vm.warp(block.timestamp + WINDOW / 2);
        revealAs(0, result, WORK, true);
        revealAs(1, result, WORK, true);
        expectNotAttested(lanes[1].addr);
        court.agree(order, fills(0, 1));
    }

    function test_RevertWhen_AnotherArbiter() public {
        openAll();
        claimAll();
        IReexecutionCourt other = deployCourt(SEAT_BOND, SEAT_FEE);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotArbiter.selector, address(court), address(other))
        );
        other.agree(order, fills(0, 1));
    }

    function test_RevertWhen_WindowIsOver() public {
        openAll();
        claimAll();
        uint40 deadline = ledger.lease(ids[0]).deadline;
        vm.warp(deadline);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeLedger.ComputeLedger_DeadlinePassed.selector, deadline, uint256(deadline))
        );
        court.agree(order, fills(0, 1));
    }

    function test_PaysEach() public {
        openAll();
        claimAll();
        lease = ids[1];
        redeem(5e6);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.ResultAgreed(ledger.hashOrder(order), result, WORK, 2);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseRuled(ids[0], address(court), address(0), true, 20e6, 0, 0, 0);
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseRuled(ids[1], address(court), address(0), true, 15e6, 0, 0, 0);
        vm.prank(stranger);
        court.agree(order, fills(0, 1));
        for (uint256 i; i < 2; ++i) {
            assertEq(uint8(ledger.stateOf(ids[i])), uint8(LeaseState.Closed), "closed");
            assertEq(ledger.lease(ids[i]).paid, 20e6, "paid");
            assertEq(ledger.account(lanes[i].addr).bonded, 0, "bond");
            assertTrue(ledger.lease(ids[i]).done, "done");
        }
        assertEq(uint8(ledger.stateOf(ids[2])), uint8(LeaseState.Claimed), "the third is not touched");
    }

    function test_PaysAllThree() public {
        openAll();
        claimAll();
        uint8[] memory all = new uint8[](3);
        (all[0], all[1], all[2]) = (2, 0, 1);
        court.agree(order, all);
        for (uint256 i; i < 3; ++i) {
            assertEq(ledger.lease(ids[i]).paid, 20e6, "paid");
        }
    }

    /* SUPPORT */

    function openAll() private {
        openAll(0);
    }

    function openAll(uint256 traits) private {
        for (uint8 i; i < 3; ++i) {
            if (traits != 0) attest(lanes[i].addr, ZONE + i, uint40(block.timestamp + 31 days), traits);
            ids[i] = openLease(order, i, lanes[i], ZONE + i);
        }
    }

    function claimAll() private {
        for (uint8 i; i < 3; ++i) {
            commitAs(i, result);
        }
        vm.warp(block.timestamp + WINDOW / 2);
        for (uint8 i; i < 3; ++i) {
            revealAs(i, result, WORK, true);
        }
    }

    function commitAs(uint8 lane, bytes32 result_) private {
        bytes32 commitment = keccak256(abi.encode(ids[lane], lanes[lane].addr, result_, bytes32(0)));
        vm.prank(lanes[lane].addr);
        ledger.commitClaim(order, lane, commitment);
    }

    function revealAs(uint8 lane, bytes32 result_, uint64 work, bool last) private {
        StartVoucher memory start;
        vm.prank(lanes[lane].addr);
        ledger.claim(order, lane, ClaimTerms({work: work, result: result_, from: 0, last: last}), 0, start);
    }

    function attest(address who, uint8 zone, uint40 until) private {
        attest(who, zone, until, 0);
    }

    function attest(address who, uint8 zone, uint40 until, uint256 traits) private {
        Attestation memory word = Attestation({
            auditor: auditor.addr, provider: who, traits: traits, zone: zone, validUntil: until, evidence: 0
        });
        registry.attest(word, sign(auditor, registry.hashAttestation(word)));
    }

    function fills(uint8 a) private pure returns (uint8[] memory made) {
        made = new uint8[](1);
        made[0] = a;
    }

    function fills(uint8 a, uint8 b) private pure returns (uint8[] memory made) {
        made = new uint8[](2);
        (made[0], made[1]) = (a, b);
    }

    function expectNoQuorum(uint8 quorum, uint256 count) private {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NoQuorum.selector, quorum, count));
    }

    function expectNotClaimed(bytes32 id) private {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NotClaimed.selector, id));
    }

    function expectDisagreement(bytes32 id) private {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_Disagreement.selector, id));
    }

    function expectNotAttested(address who) private {
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NotAttested.selector, auditor.addr, who)
        );
    }
}
