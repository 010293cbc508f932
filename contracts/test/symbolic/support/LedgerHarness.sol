// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ComputeLedger} from "../../../src/ComputeLedger.sol";
import {Account, Claim, Dispute, Order, SignedVoucher} from "../../../src/interfaces/LedgerTypes.sol";

/// @title The whole ledger, with its storage open to write and its internal functions open to call
/// @dev No rule is repeated here. A lease, claim or dispute is put in as it would stand in the middle of its life.
contract LedgerHarness is ComputeLedger {
    constructor(address token_, address registry_) ComputeLedger(token_, registry_, 60) {}

    function setAccount(address who, Account calldata account_) external {
        _accounts[who] = account_;
    }

    function setLease(bytes32 id, StoredLease calldata stored) external {
        _leases[id] = stored;
    }

    /// @dev All in one call, since calls are what halmos is slow at.
    function put(
        bytes32 id,
        StoredLease calldata stored,
        Claim calldata claim_,
        Dispute calldata dispute,
        address[4] calldata who,
        Account[4] calldata accounts
    ) external {
        _leases[id] = stored;
        _claims[id] = claim_;
        _disputes[id] = dispute;
        for (uint256 i; i < 4; ++i) {
            _accounts[who[i]] = accounts[i];
        }
    }

    function look(bytes32 id, address[4] calldata who)
        external
        view
        returns (StoredLease memory stored, Account[4] memory accounts)
    {
        stored = _read(id);
        for (uint256 i; i < 4; ++i) {
            accounts[i] = _accounts[who[i]];
        }
    }

    function idOf(Order calldata order, uint8 fill) external view returns (bytes32) {
        return leaseId(_hashOrder(order), fill);
    }

    function readLease(bytes32 id) external view returns (StoredLease memory) {
        return _read(id);
    }

    function create(
        bytes32 id,
        address provider,
        uint48 locked,
        address voucherSigner,
        uint40 deadline,
        uint32 rate,
        uint8 zone
    ) external {
        _create(id, provider, locked, voucherSigner, deadline, rate, zone);
    }

    function creditFree(address who, uint48 amount) external {
        _creditFree(who, amount);
    }

    function debitFree(address who, uint256 amount) external {
        _debitFree(who, amount);
    }

    function lockBond(address who, uint48 bond) external {
        _lockBond(who, bond);
    }

    function chargeMinimum(StoredLease memory stored, Order memory order, Ending memory ending)
        external
        pure
        returns (Ending memory)
    {
        _chargeMinimum(stored, order, ending);
        return ending;
    }

    function hashSignedVoucher(SignedVoucher calldata voucher, address provider) external view returns (bytes32) {
        return _hashSignedVoucher(voucher, provider);
    }

    function isVoucherSigner(address expected, bytes32 digest, SignedVoucher calldata voucher)
        external
        view
        returns (bool)
    {
        return _isVoucherSigner(expected, digest, voucher);
    }

    function isSigner(address expected, bytes32 digest, bytes calldata signature) external view returns (bool) {
        return _isSigner(expected, digest, signature);
    }
}
