// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, JobEnd, Phase, Point, TraceOpening} from "../interfaces/CourtTypes.sol";
import {IReexecutionCourt} from "../interfaces/IReexecutionCourt.sol";
import {Claim, Dispute, Order, SignedVoucher, StartVoucher, UsageReceipt, Voucher} from "../interfaces/LedgerTypes.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Trace} from "../libraries/Trace.sol";
import {Juries} from "./Juries.sol";

/// @title Bisection: from a whole trace to the one segment on which the sides differ
abstract contract Bisection is Juries {
    /// @inheritdoc IReexecutionCourt
    uint32 public immutable moveTime;

    /// Leaves of a trace, at most.
    uint32 internal constant MAX_SEGMENTS = 1 << 16;

    /// Moves of a case, at most: the opening, then a post and an answer for each halving of the longest trace.
    uint256 internal constant MAX_MOVES = 1 + 2 * 16;

    constructor(uint32 moveTime_) {
        moveTime = moveTime_;
    }

    /// @dev What the provider has said under its signature.
    /// @param work of the lease
    /// @param from state at which the lease started; 0 = the job's start
    struct Statement {
        bytes32 result;
        uint64 work;
        bytes32 from;
    }

    /* OPEN */

    /// @inheritdoc IReexecutionCourt
    function openTrace(
        Order calldata order,
        uint8 fill,
        UsageReceipt calldata receipt,
        TraceOpening calldata opening,
        StartVoucher calldata start
    ) external guarded {
        bytes32 lease = _leaseId(order, fill);
        Case storage case_ = _caseIn(lease, Phase.Opening);
        _checkMove(case_.provider, case_.deadline);

        // Check: the trace gives what the provider said, and the leaves are in it.
        uint32 segments = opening.segments;
        require(segments != 0 && segments <= MAX_SEGMENTS, ReexecutionCourt_SegmentsOutOfRange(MAX_SEGMENTS, segments));
        Statement memory said = _statement(order, fill, lease, receipt, opening, start);
        require(
            (said.from != 0) == (opening.startPosition != 0) && opening.startPosition < segments,
            ReexecutionCourt_WrongStart(said.from, opening.startPosition)
        );
        bytes32 finalValue = _checkResult(order.job, said.result, opening);
        _checkLeaf(opening.root, segments, segments, opening.state, opening.work, opening.proof);
        uint64 startWork;
        if (said.from != 0) {
            startWork = opening.startWork;
            _checkLeaf(opening.root, segments, opening.startPosition, said.from, startWork, opening.startProof);
        }
        uint256 expected = uint256(startWork) + said.work;
        require(opening.work == expected, ReexecutionCourt_WrongWork(expected, opening.work));

        // Effect: the whole stretch of the lease is in dispute.
        case_.root = opening.root;
        case_.segments = segments;
        case_.startWork = startWork;
        case_.finalValue = finalValue;
        case_.lo = Point({state: said.from, work: startWork, position: opening.startPosition});
        case_.hi = Point({state: opening.state, work: opening.work, position: segments});
        _emit({
            topics: 2,
            encoded: abi.encode(
                TraceOpened.selector,
                lease,
                opening.root,
                segments,
                opening.startPosition,
                startWork,
                segments,
                opening.work,
                finalValue
            )
        });
        _narrow(lease, case_);
    }

    function _statement(
        Order calldata order,
        uint8 fill,
        bytes32 lease,
        UsageReceipt calldata receipt,
        TraceOpening calldata opening,
        StartVoucher calldata start
    ) private view returns (Statement memory) {
        Dispute memory dispute = _disputeOf(lease);
        if (dispute.receipt == 0) {
            Claim memory claim = _claimOf(lease);
            require(opening.ended == claim.last, ReexecutionCourt_WrongEnd(claim.last));
            return Statement({result: claim.result, work: claim.work, from: claim.from});
        }

        // Check: it is the receipt in dispute. Its result is a result hash or a state, whichever the provider can show.
        bytes32 digest = _ledger.hashUsageReceipt(receipt);
        require(digest == dispute.receipt, ReexecutionCourt_WrongReceipt(dispute.receipt, digest));
        require(
            opening.segments == receipt.sequence,
            ReexecutionCourt_SegmentsOutOfRange(receipt.sequence, opening.segments)
        );
        bytes32 from = opening.startPosition == 0 ? bytes32(0) : _checkStart(order, fill, start);
        return Statement({result: receipt.result, work: receipt.work, from: from});
    }

    /// @dev The buyer's side itself signed the checkpoint that this lease started at, as the result of an earlier fill.
    function _checkStart(Order calldata order, uint8 fill, StartVoucher calldata start) private view returns (bytes32) {
        SignedVoucher calldata voucher = start.voucher;
        bytes32 id = _leaseId(order, start.fill);
        bool earlier = start.fill < fill && start.fill % order.replicas == fill % order.replicas;
        bytes32 digest = _ledger.hashVoucher(
            Voucher({
                lease: id,
                provider: _leaseOf(id).provider,
                cumulative: voucher.cumulative,
                result: voucher.result,
                last: voucher.last
            })
        );
        uint256 vs = uint256(voucher.vs);
        address signer =
            Signatures.recover({digest: digest, v: (vs >> 255) + 27, r: voucher.r, s: bytes32(vs << 1 >> 1)});
        require(
            earlier && voucher.lease == id && signer == order.voucherSigner,
            ReexecutionCourt_WrongStart(voucher.result, start.fill)
        );
        return voucher.result;
    }

    /// @return finalValue what a juror finds in the last segment if the claimed end of the job is right; 0 without an end
    function _checkResult(bytes32 job, bytes32 result, TraceOpening calldata opening)
        private
        pure
        returns (bytes32 finalValue)
    {
        bytes32 shown = opening.state;
        if (opening.ended) {
            JobEnd calldata end = opening.end;
            shown = Trace.resultHash({
                job: job,
                status: end.status,
                exitCode: end.exitCode,
                outputs: end.outputs,
                outputsRoot: end.outputsRoot,
                segments: opening.segments,
                root: opening.root,
                work: opening.work
            });
            finalValue = keccak256(
                abi.encode(opening.state, opening.work, end.status, end.exitCode, end.outputs, end.outputsRoot)
            );
        }
        require(shown == result, ReexecutionCourt_WrongResult(result, shown));
    }

    /* HALVE */

    /// @inheritdoc IReexecutionCourt
    function postMiddle(bytes32 lease, bytes32 state, uint64 work, bytes32[] calldata proof) external guarded {
        Case storage case_ = _caseIn(lease, Phase.Posting);
        _checkMove(case_.provider, case_.deadline);

        // Check: the leaf is in the trace, and its work between that of the ends.
        uint32 position = (case_.lo.position + case_.hi.position) / 2;
        require(
            case_.lo.work <= work && work <= case_.hi.work,
            ReexecutionCourt_WorkOutOfOrder(case_.lo.work, case_.hi.work, work)
        );
        _checkLeaf(case_.root, case_.segments, position, state, work, proof);

        // Effect: it is the challenger's turn.
        case_.mid = Point({state: state, work: work, position: position});
        uint40 deadline = _startMove(case_, Phase.Answering);
        _emit({topics: 2, encoded: abi.encode(MiddlePosted.selector, lease, position, state, work, deadline)});
    }

    /// @inheritdoc IReexecutionCourt
    function answer(bytes32 lease, bool agreed) external guarded {
        Case storage case_ = _caseIn(lease, Phase.Answering);
        _checkMove(case_.challenger, case_.deadline);

        // Effect: half of the stretch is left.
        if (agreed) case_.lo = case_.mid;
        else case_.hi = case_.mid;
        _emit({
            topics: 2, encoded: abi.encode(MiddleAnswered.selector, lease, agreed, case_.lo.position, case_.hi.position)
        });
        _narrow(lease, case_);
    }

    /// @inheritdoc IReexecutionCourt
    function claimedValue(bytes32 lease) external view returns (bytes32) {
        return _claimedValue(_cases[lease]);
    }

    /* INTERNAL */

    /// @dev The provider's answer to the question that is left.
    function _claimedValue(Case storage case_) internal view returns (bytes32) {
        Point memory hi = case_.hi;
        if (case_.finalValue != 0 && hi.position == case_.segments) return case_.finalValue;
        return keccak256(abi.encode(hi.state, hi.work));
    }

    /// @dev One segment goes to a jury, more to another halving.
    function _narrow(bytes32 lease, Case storage case_) private {
        if (case_.hi.position - case_.lo.position > 1) _startMove(case_, Phase.Posting);
        else _callJury({lease: lease, case_: case_, seats: case_.seats});
    }

    function _startMove(Case storage case_, Phase phase) internal returns (uint40 deadline) {
        deadline = uint40(block.timestamp + moveTime);
        case_.phase = phase;
        case_.deadline = deadline;
    }

    /// @dev Check: it is the caller's turn, and in time.
    function _checkMove(address expected, uint40 deadline) private view {
        require(msg.sender == expected, ReexecutionCourt_NotParty(expected, msg.sender));
        _checkBefore(deadline);
    }

    /// @param position segments done: the leaf's index is one less
    function _checkLeaf(
        bytes32 root,
        uint32 segments,
        uint32 position,
        bytes32 state,
        uint64 work,
        bytes32[] calldata proof
    ) private pure {
        uint256 index = uint256(position) - 1;
        bytes32 leaf = Trace.leafOf({index: index, state: state, work: work});
        require(
            Trace.holds({root: root, count: segments, index: index, leaf: leaf, proof: proof}),
            ReexecutionCourt_WrongProof(index)
        );
    }
}
