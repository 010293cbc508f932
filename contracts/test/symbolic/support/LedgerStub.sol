// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Claim, Dispute, Lease, LeaseState, Order} from "../../../src/interfaces/LedgerTypes.sol";

/// @title What the court reads of the ledger, as the check set it, and the ruling that it was told
contract LedgerStub {
    Lease private _lease;
    Claim private _claim;
    Dispute private _dispute;

    bool public ruled;
    bool public providerWins;
    uint48 public award;
    uint48 public toWinner;
    uint48 public toJurors;

    function set(uint48 locked, uint48 paid, uint32 rate, uint48 target, uint48 bond, uint40 deadline) external {
        _lease.provider = address(0x1001);
        _lease.locked = locked;
        _lease.paid = paid;
        _lease.rate = rate;
        _lease.deadline = deadline;
        _lease.state = LeaseState.Disputed;
        _claim.target = target;
        _dispute.bond = bond;
        _dispute.challenger = address(0x1002);
    }

    function token() external view returns (address) {
        return address(this);
    }

    function registry() external view returns (address) {
        return address(this);
    }

    function hashOrder(Order calldata) external pure returns (bytes32) {
        return bytes32(uint256(1));
    }

    function leaseId(bytes32 digest, uint8) external pure returns (bytes32) {
        return digest;
    }

    function lease(bytes32) external view returns (Lease memory) {
        return _lease;
    }

    function claimOf(bytes32) external view returns (Claim memory) {
        return _claim;
    }

    function disputeOf(bytes32) external view returns (Dispute memory) {
        return _dispute;
    }

    function rule(Order calldata, uint8, bool providerWins_, uint48 award_, uint48 toWinner_, uint48 toJurors_)
        external
    {
        ruled = true;
        providerWins = providerWins_;
        award = award_;
        toWinner = toWinner_;
        toJurors = toJurors_;
    }
}
