// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Authority} from "./Authority.sol";
import {Messages} from "./Messages.sol";
import {IComputeLedger} from "./interfaces/IComputeLedger.sol";
import {Account, EndReason, Lease, LeaseState, Order, SignedVoucher, Skip} from "./interfaces/LedgerTypes.sol";
import {LeaseMath} from "./libraries/LeaseMath.sol";
import {LeaseStatus, LeaseStatuses} from "./libraries/LeaseStatus.sol";

/// @title Leases: what is stored of one, what it pays, how it ends
/// @dev After `open` only the order's terms count; the offer is a filter, checked once. So a lease takes two slots and
/// keeps neither message: who needs the order's terms later passes the order again, proved by the lease's id.
abstract contract Leases is Authority, Messages {
    /// @dev Two slots. `status` packs what `Lease` shows as state, reason and flags.
    struct StoredLease {
        // slot 0
        address provider;
        uint48 locked;
        uint48 paid;
        // slot 1
        address voucherSigner;
        uint40 deadline;
        uint32 rate;
        uint8 zone;
        LeaseStatus status;
    }

    /// @param paid base units that the provider has in the end
    /// @param penalty base units of the provider's bond for the buyer
    /// @param toJurors base units of the provider's bond for the arbiter
    struct Ending {
        EndReason reason;
        bool done;
        uint48 paid;
        uint48 penalty;
        uint48 toJurors;
    }

    mapping(bytes32 id => StoredLease) internal _leases;

    /* VIEWS */

    /// @inheritdoc IComputeLedger
    function lease(bytes32 id) external view returns (Lease memory) {
        StoredLease memory stored = _read(id);
        return Lease({
            provider: stored.provider,
            locked: stored.locked,
            paid: stored.paid,
            voucherSigner: stored.voucherSigner,
            deadline: stored.deadline,
            rate: stored.rate,
            zone: stored.zone,
            state: stored.status.state(),
            reason: stored.status.reason(),
            done: stored.status.done(),
            early: stored.status.early(),
            responded: stored.status.responded()
        });
    }

    /// @inheritdoc IComputeLedger
    function stateOf(bytes32 id) external view returns (LeaseState) {
        return _stateNow(_read(id));
    }

    /* INTERNAL: reading */

    function _read(bytes32 id) internal view returns (StoredLease memory stored) {
        _readInto(stored, id);
    }

    /// @dev For loops, which read many leases into one place in memory.
    function _readInto(StoredLease memory stored, bytes32 id) internal view {
        StoredLease storage from = _leases[id];
        stored.provider = from.provider;
        stored.locked = from.locked;
        stored.paid = from.paid;
        stored.voucherSigner = from.voucherSigner;
        stored.deadline = from.deadline;
        stored.rate = from.rate;
        stored.zone = from.zone;
        stored.status = from.status;
    }

    /// @dev The lease of an order's fill. Its id proves the order.
    function _load(Order calldata order_, uint8 fill)
        internal
        view
        returns (Order memory order, bytes32 id, StoredLease memory stored)
    {
        _copy(order_, order);
        id = leaseId(_hashOrder(order_), fill);
        stored = _read(id);
        require(stored.provider != address(0), ComputeLedger_WrongOrder(id));
    }

    /// @dev Whether the caller is the buyer itself or the key that pays for it.
    function _ownsOrder(Order memory order) internal view returns (bool) {
        return msg.sender == order.buyer || msg.sender == order.voucherSigner;
    }

    function _stateNow(StoredLease memory stored) internal view returns (LeaseState state) {
        state = stored.status.state();
        if (state == LeaseState.Open && block.timestamp >= stored.deadline) state = LeaseState.Closing;
    }

    /// @dev Unix seconds at which the present state ends for good. A lease that is stored as Open, and past its duration, is
    /// in a notice that started without a transaction.
    function _deadlineNow(StoredLease memory stored, Order memory order) internal view returns (uint40 deadline) {
        deadline = stored.deadline;
        if (stored.status.state() == LeaseState.Open && block.timestamp >= deadline) deadline += order.notice;
    }

    /// @dev Why a lease ended and whether its lane is done. A lease that is stored as Open has ended by its duration.
    function _endOf(StoredLease memory stored) internal pure returns (EndReason reason, bool done) {
        if (stored.status.state() == LeaseState.Open) return (EndReason.Expired, true);
        return (stored.status.reason(), stored.status.done());
    }

    /// @dev `amount` is what the voucher adds in base units: 0 if it is skipped, and maybe else.
    function _checkVoucher(StoredLease storage stored, SignedVoucher calldata voucher)
        internal
        view
        returns (Skip skip, uint48 amount, bytes32 digest)
    {
        address provider = stored.provider;
        if (provider == address(0)) return (Skip.UnknownLease, 0, 0);
        if (stored.status.isClosed()) return (Skip.LeaseClosed, 0, 0);
        digest = _hashSignedVoucher(voucher, provider);
        if (!_isVoucherSigner(stored.voucherSigner, digest, voucher)) return (Skip.VoucherSignature, 0, 0);
        amount = LeaseMath.dueOf({cumulative: voucher.cumulative, locked: stored.locked, paid: stored.paid});
    }

    /* INTERNAL: writing */

    /// @dev A new lease, Open, written as two whole slots: by its members it would be twice as many writes.
    /// @param locked base units, below 2^48
    /// @param deadline unix seconds, below 2^40
    function _create(
        bytes32 id,
        address provider,
        uint256 locked,
        address voucherSigner,
        uint256 deadline,
        uint32 rate,
        uint8 zone
    ) internal {
        uint256 status = LeaseStatus.unwrap(LeaseStatuses.pack(LeaseState.Open, EndReason.None));
        uint256 slot0 = locked << 160 | uint160(provider);
        uint256 slot1 =
            status << 240 | uint256(zone) << 232 | uint256(rate) << 200 | deadline << 160 | uint160(voucherSigner);
        StoredLease storage stored = _leases[id];
        assembly ("memory-safe") {
            sstore(stored.slot, slot0)
            sstore(add(stored.slot, 1), slot1)
        }
    }

    /// @param amount what `_checkVoucher` said: paid + amount <= locked
    function _pay(Head memory head_, StoredLease storage stored, SignedVoucher calldata voucher, uint48 amount)
        internal
    {
        address provider = stored.provider;
        uint256 paid;
        unchecked {
            paid = uint256(stored.paid) + amount;
        }
        assembly ("memory-safe") {
            // `paid` is the top member of the slot, and paid + amount <= locked: nothing carries.
            sstore(stored.slot, add(sload(stored.slot), shl(208, amount)))
        }
        _creditFree(provider, amount);
        _record({
            head_: head_,
            topics: 3,
            encoded: abi.encode(
                VoucherRedeemed.selector, voucher.lease, provider, amount, paid, voucher.result, voucher.last
            )
        });
    }

    function _startNotice(Head memory head_, bytes32 id, uint32 notice, LeaseStatus status) internal {
        uint40 deadline = _move(id, status, notice);
        _record({
            head_: head_,
            topics: 3,
            encoded: abi.encode(LeaseClosing.selector, id, msg.sender, status.reason(), deadline, status.done())
        });
    }

    /// @param time seconds that the lease stays in its new state
    function _move(bytes32 id, LeaseStatus status, uint32 time) internal returns (uint40 deadline) {
        deadline = uint40(block.timestamp + time);
        StoredLease storage stored = _leases[id];
        stored.deadline = deadline;
        stored.status = status;
    }

    /// @dev SPEC "Minimum charge": what the provider is topped up to, or what of its bond goes to the buyer instead, when a
    /// lease ends without both sides' word and without a ruling against the provider.
    /// @param ending its `paid` is what vouchers, claim and award gave
    function _chargeMinimum(StoredLease memory stored, Order memory order, Ending memory ending) internal pure {
        if (!stored.status.early()) return;
        if (stored.status.reason() == EndReason.Unresponsive && !stored.status.responded()) {
            ending.penalty = order.minCharge;
        } else if (ending.paid < order.minCharge) {
            ending.paid = order.minCharge;
        }
    }

    /// @dev Invariant 2: paid + refunded = locked and penalty + toJurors + returned = bond, both by subtraction.
    function _finish(Head memory head_, bytes32 id, StoredLease memory stored, Order memory order, Ending memory ending)
        internal
    {
        uint48 refunded = stored.locked - ending.paid;
        uint48 returned = order.bond - ending.penalty - ending.toJurors;

        // Effect: the lease is over.
        if (ending.paid != stored.paid) _leases[id].paid = ending.paid;
        _leases[id].status =
            LeaseStatuses.pack({state_: LeaseState.Closed, reason_: ending.reason}).withDone(ending.done);

        // Effect: the money. Both may be one account, so each is read anew from storage.
        Account storage provider = _accounts[stored.provider];
        provider.free += uint64(ending.paid - stored.paid) + returned;
        provider.bonded -= order.bond;
        provider.openLeases -= 1;
        _accounts[order.buyer].free += uint64(refunded) + ending.penalty;
        _record({
            head_: head_,
            topics: 4,
            encoded: abi.encode(
                LeaseClosed.selector,
                id,
                order.buyer,
                stored.provider,
                ending.reason,
                ending.paid,
                refunded,
                ending.penalty,
                returned,
                ending.done
            )
        });
    }
}
