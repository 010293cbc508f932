// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Outcome, Phase, Point, TraceOpening} from "../../../src/interfaces/CourtTypes.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {
    ClaimTerms,
    LeaseState,
    Order,
    SignedVoucher,
    StartVoucher,
    UsageReceipt
} from "../../../src/interfaces/LedgerTypes.sol";
import {CourtTest} from "../support/CourtTest.sol";

contract CourtBisectionTest is CourtTest {
    /* OPEN */

    function test_Open_RevertWhen_NotOpening() public {
        openLease();
        TraceOpening memory opening = anOpening(true);
        expectWrongPhase(Phase.None);
        openTrace(opening);
        claim(true);
        challenge();
        court.bring(order, fill);
        openTrace(opening);
        expectWrongPhase(Phase.Posting);
        openTrace(opening);
    }

    function test_Open_RevertWhen_NotProvider() public {
        bringClaim();
        UsageReceipt memory receipt;
        StartVoucher memory start;
        TraceOpening memory opening = anOpening(true);
        expectNotParty(provider.addr, buyer.addr);
        vm.prank(buyer.addr);
        court.openTrace(order, fill, receipt, opening, start);
    }

    function test_Open_RevertWhen_TooLate() public {
        bringClaim();
        uint40 deadline = court.caseOf(lease).deadline;
        TraceOpening memory opening = anOpening(true);
        vm.warp(deadline);
        expectDeadlinePassed(deadline);
        openTrace(opening);
        vm.warp(deadline - 1);
        openTrace(opening);
    }

    function test_Open_RevertWhen_SegmentsOutOfRange() public {
        bringClaim();
        TraceOpening memory opening = anOpening(true);
        opening.segments = 0;
        expectSegments(1 << 16, 0);
        openTrace(opening);
        opening.segments = (1 << 16) + 1;
        expectSegments(1 << 16, (1 << 16) + 1);
        openTrace(opening);
    }

    function test_Open_RevertWhen_LeafIsNotInTheTrace() public {
        openLease();
        claim(false);
        challenge();
        court.bring(order, fill);
        TraceOpening memory opening = anOpening(false);
        opening.proof[0] = keccak256("other");
        expectWrongProof(SEGMENTS - 1);
        openTrace(opening);
        opening = anOpening(false);
        opening.root = keccak256("other");
        expectWrongProof(SEGMENTS - 1);
        openTrace(opening);
        // A proof has one spelling: none spare, none missing.
        opening = anOpening(false);
        bytes32[] memory proof = new bytes32[](opening.proof.length + 1);
        bytes32[] memory shorter = new bytes32[](opening.proof.length - 1);
        for (uint256 i; i < opening.proof.length; ++i) {
            proof[i] = opening.proof[i];
            if (i < shorter.length) shorter[i] = opening.proof[i];
        }
        opening.proof = proof;
        expectWrongProof(SEGMENTS - 1);
        openTrace(opening);
        opening.proof = shorter;
        expectWrongProof(SEGMENTS - 1);
        openTrace(opening);
    }

    function test_Open_RevertWhen_AnotherKindOfEnd() public {
        bringClaim();
        TraceOpening memory opening = anOpening(false);
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_WrongEnd.selector, true));
        openTrace(opening);

        openLeaseAgain();
        claim(false);
        challenge();
        court.bring(order, fill);
        opening = anOpening(true);
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_WrongEnd.selector, false));
        openTrace(opening);
    }

    function test_Open_RevertWhen_AnotherPreimage() public {
        bringClaim();
        for (uint256 member; member < 6; ++member) {
            TraceOpening memory opening = anOpening(true);
            if (member == 0) opening.end.status = 1;
            if (member == 1) opening.end.exitCode = 1;
            if (member == 2) opening.end.outputs = 1;
            if (member == 3) opening.end.outputsRoot = 0;
            if (member == 4) opening.root = 0;
            if (member == 5) opening.work -= 1;
            expectAnyWrongResult(opening, order.job);
            openTrace(opening);
        }
        // The job is the order's.
        openLeaseAgain();
        order.job = keccak256("another job");
        lease = openLease(order, 0, provider, ZONE);
        StartVoucher memory start;
        claim(ClaimTerms({work: WORK, result: resultOf(told, toldEnd, keccak256("job")), from: 0, last: true}), start);
        challenge();
        court.bring(order, fill);
        TraceOpening memory same = anOpening(true);
        expectAnyWrongResult(same, order.job);
        openTrace(same);
    }

    function test_Open_RevertWhen_AnotherState() public {
        openLease();
        claim(false);
        challenge();
        court.bring(order, fill);
        TraceOpening memory opening = anOpening(false);
        bytes32 claimed = opening.state;
        opening.state = keccak256("other");
        expectWrongResult(claimed, opening.state);
        openTrace(opening);
    }

    function test_Open_RevertWhen_AnotherWork() public {
        openLease();
        StartVoucher memory start;
        claim(ClaimTerms({work: WORK - 1, result: told[SEGMENTS].state, from: 0, last: false}), start);
        challenge();
        court.bring(order, fill);
        vm.expectRevert(
            abi.encodeWithSelector(
                IReexecutionCourt.ReexecutionCourt_WrongWork.selector, uint256(WORK - 1), uint256(WORK)
            )
        );
        openTrace(anOpening(false));
    }

    function test_Open_RevertWhen_AnotherStart() public {
        bringClaim();
        TraceOpening memory opening = anOpening(true);
        opening.startPosition = 1;
        expectWrongStart(0, 1);
        openTrace(opening);
    }

    function test_Open_FromACheckpoint() public {
        claimFromCheckpoint();
        TraceOpening memory opening = anOpening(true);
        expectWrongStart(told[3].state, 0);
        openTrace(opening);

        opening.startPosition = SEGMENTS;
        expectWrongStart(told[3].state, SEGMENTS);
        openTrace(opening);

        // Its place in the trace must be proved.
        opening.startPosition = 3;
        opening.startWork = told[3].work;
        opening.startProof = proofOf(told, 4);
        expectWrongProof(2);
        openTrace(opening);
        opening.startProof = proofOf(told, 3);
        opening.startWork += 1;
        expectWrongProof(2);
        openTrace(opening);

        opening.startWork = told[3].work;
        openTrace(opening);
        Case memory case_ = court.caseOf(lease);
        assertEq(case_.lo.position, 3, "lo");
        assertEq(case_.lo.state, told[3].state, "state");
        assertEq(case_.lo.work, told[3].work, "work");
        assertEq(case_.startWork, told[3].work, "start work");
        assertEq(case_.hi.position, SEGMENTS, "hi");
    }

    function test_Open_FromACheckpoint_RevertWhen_WorkIsNotCountedFromThere() public {
        openFromCheckpoint();
        claim(
            ClaimTerms({work: WORK, result: resultOf(told, toldEnd, order.job), from: told[3].state, last: true}),
            aStart(0)
        );
        challenge();
        court.bring(order, fill);
        TraceOpening memory opening = anOpening(true);
        opening.startPosition = 3;
        opening.startWork = told[3].work;
        opening.startProof = proofOf(told, 3);
        vm.expectRevert(
            abi.encodeWithSelector(
                IReexecutionCourt.ReexecutionCourt_WrongWork.selector, uint256(WORK) + told[3].work, uint256(WORK)
            )
        );
        openTrace(opening);
    }

    function test_Open_OfAReceipt() public {
        openLease();
        UsageReceipt memory receipt = aReceipt();
        bringReceipt(receipt);
        openReceipt(receipt, anOpening(false), noStart());
        assertPhase(Phase.Posting);
        assertEq(court.caseOf(lease).finalValue, 0, "no end");
        bisect();
        assertEq(court.claimedValue(lease), segmentValue(told[SEGMENTS]), "the last segment as any other");
    }

    function test_Open_OfAReceipt_RevertWhen_AnotherReceipt() public {
        openLease();
        UsageReceipt memory receipt = aReceipt();
        bringReceipt(receipt);
        bytes32 digest = ledger.hashUsageReceipt(receipt);
        receipt.work += 1;
        bytes32 other = ledger.hashUsageReceipt(receipt);
        TraceOpening memory opening = anOpening(false);
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_WrongReceipt.selector, digest, other));
        openReceipt(receipt, opening, noStart());
    }

    function test_Open_OfAReceipt_RevertWhen_SegmentsAreNotItsSequence() public {
        openLease();
        UsageReceipt memory receipt = aReceipt();
        receipt.sequence -= 1;
        bringReceipt(receipt);
        TraceOpening memory opening = anOpening(false);
        expectSegments(SEGMENTS - 1, SEGMENTS);
        openReceipt(receipt, opening, noStart());
    }

    function test_Open_OfAReceiptForTheEnd() public {
        openLease();
        UsageReceipt memory receipt = aReceipt();
        receipt.result = resultOf(told, toldEnd, order.job);
        bringReceipt(receipt);
        TraceOpening memory opening = anOpening(false);
        expectWrongResult(receipt.result, opening.state);
        openReceipt(receipt, opening, noStart());
        openReceipt(receipt, anOpening(true), noStart());
        assertEq(court.caseOf(lease).finalValue, finalValue(told[SEGMENTS], toldEnd), "the end");
    }

    function test_Open_OfAReceiptFromACheckpoint() public {
        openFromCheckpoint();
        UsageReceipt memory receipt = aReceipt();
        receipt.work = WORK - told[3].work;
        bringReceipt(receipt);
        TraceOpening memory opening = anOpeningAt(3);

        // Not of this fill, not of another lease, not by another signer, not a later one.
        StartVoucher memory start = aStart(0);
        start.fill = 1;
        expectWrongStart(told[3].state, 1);
        openReceipt(receipt, opening, start);
        start = aStart(0);
        start.voucher.lease = lease;
        expectWrongStart(told[3].state, 0);
        openReceipt(receipt, opening, start);
        start = aStart(0);
        start.voucher = aVoucher(ledger.leaseId(ledger.hashOrder(order), 0), 1, told[3].state, false, provider);
        expectWrongStart(told[3].state, 0);
        openReceipt(receipt, opening, start);
        start = aStart(0);
        start.voucher.cumulative += 1;
        expectWrongStart(told[3].state, 0);
        openReceipt(receipt, opening, start);

        openReceipt(receipt, opening, aStart(0));
        assertEq(court.caseOf(lease).lo.position, 3, "lo");
        assertEq(court.caseOf(lease).lo.state, told[3].state, "state");
    }

    function test_Open_OfAReceiptFromACheckpoint_RevertWhen_AnotherLane() public {
        order = anOrder();
        order.replicas = 2;
        openLease(order, 0, provider, ZONE);
        fill = 1;
        lease = openLease(order, 1, provider, ZONE);
        UsageReceipt memory receipt = aReceipt();
        receipt.work = WORK - told[3].work;
        bringReceipt(receipt);
        TraceOpening memory opening = anOpeningAt(3);
        StartVoucher memory start = aStart(0);
        expectWrongStart(told[3].state, 0);
        openReceipt(receipt, opening, start);
    }

    function test_Open_OneSegment() public {
        makeJob(1);
        bringClaim();
        TraceOpening memory opening = anOpening(true);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.DrawAnchored(lease, 1, 3, uint64(block.number + 1), 0);
        openTrace(opening);
        assertPhase(Phase.Drawing);
        assertEq(court.caseOf(lease).lo.position, 0, "lo");
        assertEq(court.claimedValue(lease), finalValue(told[1], toldEnd), "the end");
    }

    function test_Open_DisputesTheWholeTrace() public {
        bringClaim();
        vm.expectEmit(address(court));
        emit IReexecutionCourt.TraceOpened(
            lease, rootOf(told), SEGMENTS, 0, 0, SEGMENTS, WORK, finalValue(told[SEGMENTS], toldEnd)
        );
        openTrace(anOpening(true));
        Case memory case_ = court.caseOf(lease);
        assertPhase(Phase.Posting);
        assertEq(case_.root, rootOf(told), "root");
        assertEq(case_.segments, SEGMENTS, "segments");
        assertEq(case_.startWork, 0, "start");
        assertEq(case_.lo.position, 0, "lo");
        assertEq(case_.lo.state, 0, "no state");
        assertEq(case_.hi.position, SEGMENTS, "hi");
        assertEq(case_.hi.state, told[SEGMENTS].state, "state");
        assertEq(case_.hi.work, WORK, "work");
        assertEq(case_.deadline, block.timestamp + MOVE_TIME, "deadline");
    }

    /* POST */

    function test_Post_RevertWhen_NotPosting() public {
        bringClaim();
        expectWrongPhase(Phase.Opening);
        vm.prank(provider.addr);
        court.postMiddle(lease, told[4].state, told[4].work, proofOf(told, 4));
        openTrace(anOpening(true));
        post();
        expectWrongPhase(Phase.Answering);
        vm.prank(provider.addr);
        court.postMiddle(lease, told[4].state, told[4].work, proofOf(told, 4));
    }

    function test_Post_RevertWhen_NotProvider() public {
        bringOpened();
        bytes32[] memory proof = proofOf(told, 4);
        expectNotParty(provider.addr, buyer.addr);
        vm.prank(buyer.addr);
        court.postMiddle(lease, told[4].state, told[4].work, proof);
    }

    function test_Post_RevertWhen_TooLate() public {
        bringOpened();
        uint40 deadline = court.caseOf(lease).deadline;
        bytes32[] memory proof = proofOf(told, 4);
        vm.warp(deadline);
        expectDeadlinePassed(deadline);
        vm.prank(provider.addr);
        court.postMiddle(lease, told[4].state, told[4].work, proof);
        vm.warp(deadline - 1);
        post();
    }

    function test_Post_RevertWhen_WorkIsOutOfOrder() public {
        // A trace in which work rises above its end, and one in which it falls below what was agreed.
        told[4].work = WORK + 1;
        bringOpened();
        expectOutOfOrder(0, WORK, WORK + 1);
        postPosition(4);

        makeJob(SEGMENTS);
        told[6].work = told[4].work - 1;
        openLeaseAgain();
        claim(true);
        challenge();
        court.bring(order, fill);
        openTrace(anOpening(true));
        post();
        answer(true);
        expectOutOfOrder(told[4].work, WORK, told[6].work);
        postPosition(6);
    }

    function test_Post_TakesASegmentWithoutWork() public {
        told[4].work = WORK;
        told[6].work = WORK;
        bringOpened();
        post();
        answer(true);
        post();
        assertEq(court.caseOf(lease).mid.work, WORK, "equal to both");
    }

    function test_Post_RevertWhen_LeafIsNotInTheTrace() public {
        bringOpened();
        vm.startPrank(provider.addr);
        bytes32[] memory proof = proofOf(told, 4);
        expectWrongProof(3);
        court.postMiddle(lease, told[5].state, told[4].work, proof);
        expectWrongProof(3);
        court.postMiddle(lease, told[4].state, told[4].work + 1, proof);
        proof = proofOf(told, 5);
        expectWrongProof(3);
        court.postMiddle(lease, told[5].state, told[5].work, proof);
        vm.stopPrank();
    }

    function test_Post_GivesTheChallengerTime() public {
        bringOpened();
        vm.warp(block.timestamp + 5);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.MiddlePosted(lease, 4, told[4].state, told[4].work, uint40(block.timestamp + MOVE_TIME));
        post();
        Case memory case_ = court.caseOf(lease);
        assertPhase(Phase.Answering);
        assertEq(case_.mid.position, 4, "position");
        assertEq(case_.mid.state, told[4].state, "state");
        assertEq(case_.mid.work, told[4].work, "work");
        assertEq(case_.deadline, block.timestamp + MOVE_TIME, "deadline");
    }

    /* ANSWER */

    function test_Answer_RevertWhen_NotAnswering() public {
        bringOpened();
        expectWrongPhase(Phase.Posting);
        vm.prank(buyer.addr);
        court.answer(lease, true);
    }

    function test_Answer_RevertWhen_NotChallenger() public {
        bringOpened();
        post();
        expectNotParty(buyer.addr, voucherSigner.addr);
        vm.prank(voucherSigner.addr);
        court.answer(lease, true);
    }

    function test_Answer_RevertWhen_TooLate() public {
        bringOpened();
        post();
        uint40 deadline = court.caseOf(lease).deadline;
        vm.warp(deadline);
        expectDeadlinePassed(deadline);
        vm.prank(buyer.addr);
        court.answer(lease, true);
        vm.warp(deadline - 1);
        answer(true);
    }

    function test_Answer_LeavesHalf() public {
        bringOpened();
        post();
        vm.expectEmit(address(court));
        emit IReexecutionCourt.MiddleAnswered(lease, true, 4, SEGMENTS);
        answer(true);
        Case memory case_ = court.caseOf(lease);
        assertEq(case_.lo.state, told[4].state, "agreed");
        assertEq(case_.lo.work, told[4].work, "agreed work");
        assertEq(case_.hi.position, SEGMENTS, "hi stays");
        assertPhase(Phase.Posting);
        assertEq(case_.deadline, block.timestamp + MOVE_TIME, "deadline");

        post();
        vm.expectEmit(address(court));
        emit IReexecutionCourt.MiddleAnswered(lease, false, 4, 6);
        answer(false);
        case_ = court.caseOf(lease);
        assertEq(case_.lo.position, 4, "lo stays");
        assertEq(case_.hi.position, 6, "hi");
        assertEq(case_.hi.state, told[6].state, "hi state");
        assertPhase(Phase.Posting);

        post();
        vm.expectEmit(address(court));
        emit IReexecutionCourt.DrawAnchored(lease, 1, 3, uint64(block.number + 1), 0);
        answer(true);
        case_ = court.caseOf(lease);
        assertEq(case_.lo.position, 5, "lo");
        assertEq(case_.hi.position, 6, "hi");
        assertPhase(Phase.Drawing);
        assertEq(court.claimedValue(lease), segmentValue(told[6]), "claimed value");
    }

    /// Whoever errs first, the segment that is left is the first that is false; at most 16 halvings.
    function testFuzz_FindsTheFirstFalseSegment(uint32 segments, uint32 from) public {
        segments = uint32(bound(segments, 1, 70));
        from = uint32(bound(from, 1, segments));
        makeJob(segments);
        lieFrom(from);
        bringToDraw();
        Case memory case_ = court.caseOf(lease);
        assertEq(case_.hi.position, from, "hi");
        assertEq(case_.lo.position, from - 1, "lo");
        assertEq(case_.lo.state, truth[from - 1].state, "agreed state");
    }

    /* TIMEOUT */

    function test_Timeout_RevertWhen_NobodyHasToMove() public {
        openLease();
        expectWrongPhase(Phase.None);
        court.timeout(order, fill);
        claim(true);
        challenge();
        court.bring(order, fill);
        openTrace(anOpening(true));
        bisect();
        vm.warp(block.timestamp + MOVE_TIME);
        expectWrongPhase(Phase.Drawing);
        court.timeout(order, fill);
    }

    function test_Timeout_RevertWhen_InTime() public {
        bringClaim();
        uint40 deadline = court.caseOf(lease).deadline;
        vm.warp(deadline - 1);
        expectDeadlineNotReached(deadline);
        court.timeout(order, fill);
        vm.warp(deadline);
        court.timeout(order, fill);
        expectWrongPhase(Phase.Ended);
        court.timeout(order, fill);
    }

    function test_Timeout_TooLateForTheLedger() public {
        bringClaim();
        vm.warp(ledger.lease(lease).deadline);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.CaseEnded(lease, Outcome.Default, 0, 0, 0, 0);
        court.timeout(order, fill);
        assertEnded(Outcome.Default);
        assertLease(LeaseState.Disputed);
        ledger.finalise(order, fill);
    }

    /// However long ago it was.
    function test_Timeout_LongAfterTheLedgerWaited() public {
        bringClaim();
        vm.warp(ledger.lease(lease).deadline + 1 days);
        court.timeout(order, fill);
        assertEnded(Outcome.Default);
    }

    function test_Timeout_AfterFinalise() public {
        bringClaim();
        vm.warp(ledger.lease(lease).deadline);
        ledger.finalise(order, fill);
        court.timeout(order, fill);
        assertEnded(Outcome.Default);
    }

    function test_Timeout_ProviderDidNotPost() public {
        bringOpened();
        redeem(5e6);
        vm.warp(court.caseOf(lease).deadline);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.CaseEnded(lease, Outcome.BuyerWins, 0, 0, BOND, 0);
        court.timeout(order, fill);
        assertEnded(Outcome.BuyerWins);
        assertEq(ledger.lease(lease).paid, 5e6, "vouchers stay paid");
    }

    function test_Timeout_ChallengerDidNotAnswer() public {
        bringOpened();
        post();
        redeem(5e6);
        vm.warp(court.caseOf(lease).deadline);
        vm.expectEmit(address(court));
        emit IReexecutionCourt.CaseEnded(lease, Outcome.ProviderWins, 0, 15e6, BOND, 0);
        court.timeout(order, fill);
        assertEnded(Outcome.ProviderWins);
        assertEq(ledger.lease(lease).paid, 20e6, "the whole target");
    }

    /* SUPPORT */

    function bringOpened() private {
        bringClaim();
        openTrace(anOpening(true));
    }

    /// Another order of the same buyer.
    function openLeaseAgain() private {
        order = anOrder();
        order.salt = 8;
        lease = openLease(order, 0, provider, ZONE);
    }

    function postPosition(uint32 position) private {
        bytes32[] memory proof = proofOf(told, position);
        vm.prank(provider.addr);
        court.postMiddle(lease, told[position].state, told[position].work, proof);
    }

    /// Fill 1 of an order whose fill 0 got to position 3 and resigned.
    function openFromCheckpoint() private {
        openLease();
        vm.prank(provider.addr);
        ledger.resign(order, 0);
        fill = 1;
        lease = openLease(order, 1, provider, ZONE);
    }

    /// The buyer's side accepted position 3 of fill `earlier`.
    function aStart(uint8 earlier) private view returns (StartVoucher memory start) {
        start.fill = earlier;
        bytes32 id = ledger.leaseId(ledger.hashOrder(order), earlier);
        start.voucher = aVoucher(id, 1, told[3].state, false, voucherSigner);
    }

    function claimFromCheckpoint() private {
        openFromCheckpoint();
        claim(
            ClaimTerms({
                work: WORK - told[3].work, result: resultOf(told, toldEnd, order.job), from: told[3].state, last: true
            }),
            aStart(0)
        );
        challenge();
        court.bring(order, fill);
    }

    function bringReceipt(UsageReceipt memory receipt) private {
        challengeReceipt(receipt);
        court.bring(order, fill);
    }

    function noStart() private pure returns (StartVoucher memory start) {}

    function openReceipt(UsageReceipt memory receipt, TraceOpening memory opening, StartVoucher memory start) private {
        vm.prank(provider.addr);
        court.openTrace(order, fill, receipt, opening, start);
    }

    function expectNotParty(address expected, address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_NotParty.selector, expected, caller));
    }

    function expectSegments(uint32 expected, uint32 segments) private {
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_SegmentsOutOfRange.selector, expected, segments)
        );
    }

    function expectWrongProof(uint256 index) private {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_WrongProof.selector, index));
    }

    function expectWrongStart(bytes32 from, uint32 position) private {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_WrongStart.selector, from, position));
    }

    function expectWrongResult(bytes32 expected, bytes32 result) private {
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_WrongResult.selector, expected, result)
        );
    }

    function expectAnyWrongResult(TraceOpening memory opening, bytes32 job) private {
        bytes32 shown = keccak256(
            bytes.concat(
                abi.encode(
                    keccak256("gridlease/result/1"), job, uint256(opening.end.status), uint256(opening.end.exitCode)
                ),
                abi.encode(
                    uint256(opening.end.outputs),
                    opening.end.outputsRoot,
                    uint256(opening.segments),
                    opening.root,
                    uint256(opening.work)
                )
            )
        );
        expectWrongResult(ledger.claimOf(lease).result, shown);
    }

    function expectOutOfOrder(uint64 lo, uint64 hi, uint64 work) private {
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_WorkOutOfOrder.selector, lo, hi, work)
        );
    }
}
