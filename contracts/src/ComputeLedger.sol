// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Accounts} from "./Accounts.sol";
import {Messages} from "./Messages.sol";
import {
    Account,
    Delegate,
    EndReason,
    IComputeLedger,
    LastVoucher,
    Lease,
    LeaseState,
    Match,
    Offer,
    Order,
    SignedOffer,
    SignedVoucher,
    Skip
} from "./interfaces/IComputeLedger.sol";
import {LeaseMath} from "./libraries/LeaseMath.sol";
import {LeaseStatus, LeaseStatuses} from "./libraries/LeaseStatus.sol";
import {Terms} from "./libraries/Terms.sol";

/// @title ComputeLedger
/// @notice The interface is the manual.
/// @dev After `open` only the order's terms count; the offer is a filter, checked once. So a lease takes two slots and
/// keeps neither message: who needs the order's terms later passes the order again, proved by the lease's id.
contract ComputeLedger is Accounts, Messages {
    /// @dev Two slots. `status` packs what `Lease` shows as state, reason and done.
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

    /// @dev What `_check` found out about a match, and `_apply` needs.
    /// @param lease id of the lease to open
    /// @param order digest of the order
    /// @param offer digest of the offer
    /// @param locked base units to lock from the buyer
    /// @param key the delegate that signed, or 0 if the buyer did or the predecessor proves the order
    /// @param charge base units of that delegate's cap
    struct Opening {
        bytes32 lease;
        bytes32 order;
        bytes32 offer;
        uint48 locked;
        address key;
        uint64 charge;
    }

    /// @inheritdoc IComputeLedger
    uint32 public immutable minNotice;

    mapping(bytes32 id => StoredLease) private _leases;

    /// @param token_ a standard ERC-20 with 6 decimals
    /// @param minNotice_ seconds; the shortest notice that an order may have here
    constructor(address token_, uint32 minNotice_) Accounts(token_) {
        // Check: orders can meet it.
        require(minNotice_ != 0 && minNotice_ <= Terms.MAX_NOTICE, ComputeLedger_NoticeOutOfRange(1, Terms.MAX_NOTICE));
        minNotice = minNotice_;
    }

    /* OPEN */

    /// @inheritdoc IComputeLedger
    function open(SignedOffer[] calldata offers, Match[] calldata matches, bytes32 bookRoot)
        external
        nonReentrant
        returns (uint256 opened)
    {
        (bytes32[] memory offerDigests, Skip[] memory offerFaults) = _checkOffers(offers);
        Head memory head_ = _loadHead();

        for (uint256 i; i < matches.length; ++i) {
            Match calldata match_ = matches[i];
            Opening memory opening;
            opening.order = hashOrder(match_.order);
            opening.lease = leaseId(opening.order, match_.fill);

            // Check: the item alone; a bad one never sinks its batch. A lease that exists is AlreadyOpen whatever else
            // has changed since, so a repeated call can be told from a refused one.
            Skip skip;
            if (bookRoot != 0) skip = Skip.NotYetSupported;
            else if (_leases[opening.lease].status.state() != LeaseState.None) skip = Skip.AlreadyOpen;
            else if (match_.offer >= offers.length) skip = Skip.UnknownOffer;
            else skip = offerFaults[match_.offer];
            if (skip == Skip.None) skip = _check(offers[match_.offer].offer, match_, opening);
            if (skip != Skip.None) {
                emit Skipped(opening.lease, skip);
                continue;
            }

            // Effect: open the lease.
            opening.offer = offerDigests[match_.offer];
            _apply({head_: head_, offer: offers[match_.offer].offer, match_: match_, opening: opening});
            ++opened;
        }
        _storeHead(head_);
    }

    /// @dev Each offer is verified once per call, however many matches point to it.
    function _checkOffers(SignedOffer[] calldata offers)
        private
        view
        returns (bytes32[] memory digests, Skip[] memory faults)
    {
        digests = new bytes32[](offers.length);
        faults = new Skip[](offers.length);
        for (uint256 i; i < offers.length; ++i) {
            Offer calldata offer = offers[i].offer;
            bytes32 digest = hashOffer(offer);
            digests[i] = digest;
            if (!Terms.isSupported(offer)) faults[i] = Skip.NotYetSupported;
            else if (block.timestamp >= offer.expiry) faults[i] = Skip.OfferExpired;
            else if (offer.epoch != _accounts[offer.provider].epoch) faults[i] = Skip.OfferEpoch;
            else if (_cancelled[offer.provider][digest]) faults[i] = Skip.OfferCancelled;
            else if (!_isSigner(offer.provider, digest, offers[i].signature)) faults[i] = Skip.OfferSignature;
        }
    }

    /// @dev Changes nothing but `opening`.
    function _check(Offer calldata offer, Match calldata match_, Opening memory opening)
        private
        view
        returns (Skip skip)
    {
        Order calldata order = match_.order;

        // Check: the terms, which need no storage.
        if (!Terms.isSupported(order)) return Skip.NotYetSupported;
        skip = Terms.mismatch(offer, order, minNotice);
        if (skip != Skip.None) return skip;
        if (match_.fill >= order.maxLeases) return Skip.FillOutOfRange;
        if (order.matcher != address(0) && msg.sender != order.matcher && block.timestamp < order.matcherUntil) {
            return Skip.Matcher;
        }

        // Check: the order holds now.
        if (block.timestamp >= order.expiry) return Skip.OrderExpired;
        Account memory buyer = _accounts[order.buyer];
        if (order.epoch != buyer.epoch) return Skip.OrderEpoch;
        if (_cancelled[order.buyer][opening.order]) return Skip.OrderCancelled;

        // Check: the fill is next in its lane, and the order is authentic.
        skip = match_.fill == 0 ? _checkSignature(match_, opening) : _checkPredecessor(opening.order, match_.fill);
        if (skip != Skip.None) return skip;

        // Check: there is money and room.
        uint256 locked = LeaseMath.lockUp(offer.rate, order.quantity);
        uint256 left = order.budget - _used({order: opening.order, fill: match_.fill, budget: order.budget});
        if (left < locked) locked = left;
        if (locked == 0) return Skip.NothingToLock;
        if (buyer.free < locked + order.fee) return Skip.BuyerFunds;
        if (_accounts[offer.provider].openLeases >= offer.capacity) return Skip.Capacity;
        // forge-lint: disable-next-line(unsafe-typecast) At most what is left of the budget, which has 48 bits.
        opening.locked = uint48(locked);
    }

    /// @dev The buyer first, then a live delegate whose cap covers the most that the lane can cost.
    function _checkSignature(Match calldata match_, Opening memory opening) private view returns (Skip) {
        Order calldata order = match_.order;
        address signer = _signerOf(opening.order, match_.signature);
        if (signer == address(0)) return Skip.OrderSignature;
        if (signer == order.buyer) return Skip.None;

        Delegate memory key = _delegates[order.buyer][signer];
        if (block.timestamp >= key.until) return Skip.OrderSignature;
        uint64 charge = uint64(order.budget) + uint64(order.fee) * order.maxLeases;
        if (key.remaining < charge) return Skip.DelegateCap;
        opening.key = signer;
        opening.charge = charge;
        return Skip.None;
    }

    /// @dev A later fill needs no signature: the predecessor's id holds the order's digest, so its signature was checked.
    function _checkPredecessor(bytes32 order, uint8 fill) private view returns (Skip) {
        StoredLease memory predecessor = _leases[leaseId(order, fill - 1)];
        LeaseState state = _stateNow(predecessor);
        if (state == LeaseState.None) return Skip.NoPredecessor;
        if (state == LeaseState.Open) return Skip.PredecessorOpen;
        return _doneNow(predecessor) ? Skip.LaneDone : Skip.None;
    }

    /// @dev Base units that the earlier fills of the lane took: what they paid if Closed, else their locks.
    function _used(bytes32 order, uint8 fill, uint48 budget) private view returns (uint256 used) {
        for (uint8 earlier; earlier < fill; ++earlier) {
            StoredLease memory stored = _leases[leaseId(order, earlier)];
            used += stored.status.state() == LeaseState.Closed ? stored.paid : stored.locked;
        }
        // Every lock was at most what the budget had left, so the sum cannot pass it.
        assert(used <= budget);
    }

    /// @dev Cannot fail after `_check`: the buyer's free balance covers lock and fee, and deposits are bounded so that
    /// credits fit. The accounts may be one and the same, so each is read anew from storage.
    function _apply(Head memory head_, Offer calldata offer, Match calldata match_, Opening memory opening) private {
        Order calldata order = match_.order;
        uint40 deadline = uint40(block.timestamp + order.duration);

        // Effect: the delegate's cap, once per lane and never restored.
        if (opening.key != address(0)) _charge(head_, order.buyer, opening);

        // Effect: the money and the provider's count.
        _accounts[order.buyer].free -= opening.locked + order.fee;
        _accounts[msg.sender].free += order.fee;
        _accounts[offer.provider].openLeases += 1;

        // Effect: the lease.
        _leases[opening.lease] = StoredLease({
            provider: offer.provider,
            locked: opening.locked,
            paid: 0,
            voucherSigner: order.voucherSigner,
            deadline: deadline,
            rate: offer.rate,
            zone: offer.zone,
            status: LeaseStatuses.pack({state_: LeaseState.Open, reason_: EndReason.None, done_: false})
        });
        _record({
            head_: head_,
            topics: 4,
            encoded: abi.encode(
                LeaseOpened.selector,
                opening.lease,
                order.buyer,
                offer.provider,
                opening.order,
                opening.offer,
                order.job,
                order.voucherSigner,
                msg.sender,
                match_.fill,
                offer.meter,
                offer.zone,
                offer.rate,
                opening.locked,
                order.fee,
                deadline,
                order.notice
            )
        });
    }

    function _charge(Head memory head_, address buyer, Opening memory opening) private {
        Delegate storage key = _delegates[buyer][opening.key];
        uint64 remaining = key.remaining - opening.charge;
        key.remaining = remaining;
        _record({
            head_: head_,
            topics: 4,
            encoded: abi.encode(DelegateCharged.selector, buyer, opening.key, opening.order, opening.charge, remaining)
        });
    }

    /* REDEEM */

    /// @inheritdoc IComputeLedger
    function redeem(SignedVoucher[] calldata vouchers) external nonReentrant returns (uint256 redeemed) {
        Head memory head_ = _loadHead();
        for (uint256 i; i < vouchers.length; ++i) {
            SignedVoucher calldata voucher = vouchers[i];
            StoredLease memory stored = _leases[voucher.lease];

            // Check: the lease takes the voucher, and it adds something.
            (Skip skip, uint48 amount,) = _checkVoucher(stored, voucher);
            if (skip == Skip.None && amount == 0) skip = Skip.VoucherStale;
            if (skip != Skip.None) {
                emit Skipped(voucher.lease, skip);
                continue;
            }

            // Effect: pay.
            _pay({head_: head_, stored: stored, voucher: voucher, amount: amount});
            ++redeemed;
        }
        _storeHead(head_);
    }

    function _checkVoucher(StoredLease memory stored, SignedVoucher calldata voucher)
        private
        view
        returns (Skip skip, uint48 amount, bytes32 digest)
    {
        LeaseState state = stored.status.state();
        if (state == LeaseState.None) return (Skip.UnknownLease, 0, 0);
        if (state == LeaseState.Closed) return (Skip.LeaseClosed, 0, 0);
        digest = _hashVoucher(voucher, stored.provider);
        if (!_isSigner(stored.voucherSigner, digest, voucher.signature)) return (Skip.VoucherSignature, 0, 0);
        amount = LeaseMath.dueOf({cumulative: voucher.cumulative, locked: stored.locked, paid: stored.paid});
    }

    function _pay(Head memory head_, StoredLease memory stored, SignedVoucher calldata voucher, uint48 amount) private {
        uint48 paid = stored.paid + amount;
        stored.paid = paid;
        _leases[voucher.lease].paid = paid;
        _accounts[stored.provider].free += amount;
        _record({
            head_: head_,
            topics: 3,
            encoded: abi.encode(
                VoucherRedeemed.selector, voucher.lease, stored.provider, amount, paid, voucher.result, voucher.last
            )
        });
    }

    /* CLOSE */

    /// @inheritdoc IComputeLedger
    function close(Order calldata order, uint8 fill, EndReason reason) external nonReentrant {
        bytes32 id = leaseId(hashOrder(order), fill);
        StoredLease memory stored = _leases[id];

        // Check: the order is the lease's.
        require(stored.status.state() != LeaseState.None, ComputeLedger_WrongOrder(id));

        // Check: the caller is of the buyer's side, and may give this reason.
        bool owner = msg.sender == order.buyer || msg.sender == order.voucherSigner;
        require(
            owner || msg.sender == order.matcher || msg.sender == order.deputy, ComputeLedger_NotBuyerSide(msg.sender)
        );
        bool allowed =
            reason == EndReason.Unresponsive || reason == EndReason.Faulty || (reason == EndReason.Cancelled && owner);
        require(allowed, ComputeLedger_ReasonNotAllowed(msg.sender, reason));

        // Check: it has not ended.
        LeaseState state = _stateNow(stored);
        require(state == LeaseState.Open, ComputeLedger_LeaseNotOpen(id, state));

        // Effect: its notice starts.
        Head memory head_ = _loadHead();
        _startNotice({head_: head_, id: id, notice: order.notice, reason: reason, done: reason == EndReason.Cancelled});
        _storeHead(head_);
    }

    /// @inheritdoc IComputeLedger
    function closeLast(LastVoucher[] calldata items) external nonReentrant returns (uint256 closed) {
        Head memory head_ = _loadHead();
        for (uint256 i; i < items.length; ++i) {
            LastVoucher calldata item = items[i];
            StoredLease memory stored = _leases[item.voucher.lease];

            // Check: the item alone; a bad one never sinks its batch.
            (Skip skip, uint48 amount, bool agreed) = _checkLast(stored, item);
            if (skip != Skip.None) {
                emit Skipped(item.voucher.lease, skip);
                continue;
            }

            // Effect: pay, then end.
            if (amount != 0) _pay({head_: head_, stored: stored, voucher: item.voucher, amount: amount});
            if (agreed) {
                bool open_ = _stateNow(stored) == LeaseState.Open;
                (EndReason reason,) = _endOf(stored);
                _finish({
                    head_: head_,
                    id: item.voucher.lease,
                    stored: stored,
                    buyer: item.order.buyer,
                    reason: open_ ? EndReason.Completed : reason,
                    done: true
                });
                ++closed;
            } else if (_stateNow(stored) == LeaseState.Open) {
                _startNotice({
                    head_: head_,
                    id: item.voucher.lease,
                    notice: item.order.notice,
                    reason: EndReason.Completed,
                    done: true
                });
            }
        }
        _storeHead(head_);
    }

    /// @return skip why the item is passed over
    /// @return amount base units that the voucher adds
    /// @return agreed whether the provider is for it too: it sends the voucher, or signed the same digest
    function _checkLast(StoredLease memory stored, LastVoucher calldata item)
        private
        view
        returns (Skip skip, uint48 amount, bool agreed)
    {
        if (!item.voucher.last) return (Skip.NotLast, 0, false);
        bytes32 digest;
        (skip, amount, digest) = _checkVoucher(stored, item.voucher);
        if (skip != Skip.None) return (skip, 0, false);
        if (item.voucher.lease != leaseId(hashOrder(item.order), item.fill)) return (Skip.WrongOrder, 0, false);

        agreed = msg.sender == stored.provider;
        if (!agreed && item.providerSignature.length != 0) {
            // A bad signature is not taken for none: who sent it expects the lease to be Closed.
            if (!_isSigner(stored.provider, digest, item.providerSignature)) return (Skip.VoucherSignature, 0, false);
            agreed = true;
        }
        if (!agreed && amount == 0 && _stateNow(stored) != LeaseState.Open) skip = Skip.VoucherStale;
    }

    /// @inheritdoc IComputeLedger
    function finalise(Order calldata order, uint8 fill) external nonReentrant {
        bytes32 id = leaseId(hashOrder(order), fill);
        StoredLease memory stored = _leases[id];

        // Check: the order is the lease's, and the lease is in its notice.
        require(stored.status.state() != LeaseState.None, ComputeLedger_WrongOrder(id));
        LeaseState state = _stateNow(stored);
        require(state == LeaseState.Closing, ComputeLedger_LeaseNotClosing(id, state));

        // Check: the notice is over. After its duration it starts without a transaction.
        uint40 deadline = stored.deadline;
        if (stored.status.state() == LeaseState.Open) deadline += order.notice;
        require(block.timestamp >= deadline, ComputeLedger_DeadlineNotReached(deadline, block.timestamp));

        // Effect: close.
        Head memory head_ = _loadHead();
        (EndReason reason, bool done) = _endOf(stored);
        _finish({head_: head_, id: id, stored: stored, buyer: order.buyer, reason: reason, done: done});
        _storeHead(head_);
    }

    function _startNotice(Head memory head_, bytes32 id, uint32 notice, EndReason reason, bool done) private {
        uint40 deadline = uint40(block.timestamp + notice);
        StoredLease storage stored = _leases[id];
        stored.deadline = deadline;
        stored.status = LeaseStatuses.pack({state_: LeaseState.Closing, reason_: reason, done_: done});
        _record({
            head_: head_, topics: 3, encoded: abi.encode(LeaseClosing.selector, id, msg.sender, reason, deadline, done)
        });
    }

    /// @dev The rest of the lock returns to the buyer: paid + refunded = locked, by subtraction.
    function _finish(
        Head memory head_,
        bytes32 id,
        StoredLease memory stored,
        address buyer,
        EndReason reason,
        bool done
    ) private {
        uint48 refunded = stored.locked - stored.paid;
        _leases[id].status = LeaseStatuses.pack({state_: LeaseState.Closed, reason_: reason, done_: done});
        _accounts[buyer].free += refunded;
        _accounts[stored.provider].openLeases -= 1;
        _record({
            head_: head_,
            topics: 3,
            encoded: abi.encode(LeaseClosed.selector, id, buyer, reason, stored.paid, refunded, done)
        });
    }

    /* VIEWS */

    /// @inheritdoc IComputeLedger
    function lease(bytes32 id) external view returns (Lease memory) {
        StoredLease memory stored = _leases[id];
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
            done: stored.status.done()
        });
    }

    /// @inheritdoc IComputeLedger
    function stateOf(bytes32 id) external view returns (LeaseState) {
        return _stateNow(_leases[id]);
    }

    function _stateNow(StoredLease memory stored) private view returns (LeaseState state) {
        state = stored.status.state();
        if (state == LeaseState.Open && block.timestamp >= stored.deadline) state = LeaseState.Closing;
    }

    /// @dev Why a lease ended and whether its lane is done. A lease that is stored as Open has ended by its duration.
    function _endOf(StoredLease memory stored) private pure returns (EndReason reason, bool done) {
        if (stored.status.state() == LeaseState.Open) return (EndReason.Expired, true);
        return (stored.status.reason(), stored.status.done());
    }

    function _doneNow(StoredLease memory stored) private pure returns (bool done) {
        (, done) = _endOf(stored);
    }

    function _isSigner(address expected, bytes32 digest, bytes calldata signature) private pure returns (bool) {
        return expected != address(0) && _signerOf(digest, signature) == expected;
    }
}
