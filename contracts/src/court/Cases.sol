// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EventHead} from "../EventHead.sol";
import {Guard} from "../Guard.sol";
import {Case, Phase} from "../interfaces/CourtTypes.sol";
import {IComputeLedger} from "../interfaces/IComputeLedger.sol";
import {IReexecutionCourt} from "../interfaces/IReexecutionCourt.sol";
import {Claim, Dispute, Lease, LeaseState, Order} from "../interfaces/LedgerTypes.sol";

/// @title Cases: what is stored of one, and whose move it is
abstract contract Cases is EventHead, Guard, IReexecutionCourt {
    IComputeLedger internal immutable _ledger;

    mapping(bytes32 lease => Case) internal _cases;

    constructor(address ledger_) {
        // Check: there is a ledger to read.
        require(ledger_.code.length != 0, ReexecutionCourt_ZeroAddress());
        _ledger = IComputeLedger(ledger_);
    }

    /// @inheritdoc IReexecutionCourt
    function ledger() external view returns (address) {
        return address(_ledger);
    }

    /// @inheritdoc IReexecutionCourt
    function caseOf(bytes32 lease) external view returns (Case memory) {
        return _cases[lease];
    }

    /// @inheritdoc IReexecutionCourt
    function head() external view returns (uint208 hash, uint48 count) {
        Head memory head_ = _loadHead();
        return (uint208(head_.hash), uint48(head_.count));
    }

    /// @dev The ledger's views, each called from one place of the code, which makes it smaller.
    function _leaseOf(bytes32 lease) internal view returns (Lease memory) {
        return _ledger.lease(lease);
    }

    function _claimOf(bytes32 lease) internal view returns (Claim memory) {
        return _ledger.claimOf(lease);
    }

    function _disputeOf(bytes32 lease) internal view returns (Dispute memory) {
        return _ledger.disputeOf(lease);
    }

    /// @dev The order is authenticated by the id: only a lease of the ledger has a case.
    function _leaseId(Order calldata order, uint8 fill) internal view returns (bytes32) {
        return _ledger.leaseId(_ledger.hashOrder(order), fill);
    }

    /// @dev The case of a lease, if it is in this phase.
    function _caseIn(bytes32 lease, Phase phase) internal view returns (Case storage case_) {
        case_ = _cases[lease];
        require(case_.phase == phase, ReexecutionCourt_WrongPhase(lease, case_.phase));
    }

    /// @dev Seconds that the ledger still waits for a ruling: 0 when it does not wait any more.
    function _timeLeft(bytes32 lease) internal view returns (uint256) {
        Lease memory now_ = _leaseOf(lease);
        bool waits = now_.state == LeaseState.Disputed && block.timestamp < now_.deadline;
        return waits ? now_.deadline - block.timestamp : 0;
    }

    function _checkBefore(uint40 deadline) internal view {
        require(block.timestamp < deadline, ReexecutionCourt_DeadlinePassed(deadline, block.timestamp));
    }

    function _checkReached(uint40 deadline) internal view {
        require(block.timestamp >= deadline, ReexecutionCourt_DeadlineNotReached(deadline, block.timestamp));
    }

    function _emit(uint256 topics, bytes memory encoded) internal {
        Head memory head_ = _loadHead();
        _record({head_: head_, topics: topics, encoded: encoded});
        _storeHead(head_);
    }
}
