// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Claims} from "./Claims.sol";
import {IComputeLedger} from "./interfaces/IComputeLedger.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";
import {
    Account,
    Delegate,
    EndReason,
    LastVoucher,
    LeaseState,
    Match,
    Offer,
    Order,
    SignedOffer,
    SignedVoucher,
    Skip
} from "./interfaces/LedgerTypes.sol";
import {Accounts} from "./Accounts.sol";
import {AttestedWord} from "./libraries/AttestedWord.sol";
import {LeaseMath} from "./libraries/LeaseMath.sol";
import {LeaseStatus, LeaseStatuses} from "./libraries/LeaseStatus.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Terms} from "./libraries/Terms.sol";

/// @title ComputeLedger
/// @notice The interface is the manual. Here: `open` and the fast path; `Claims` has the slow one.
contract ComputeLedger is Claims {
    /// @dev The offers of a call, each verified once, however many matches point to it.
    /// @param faults why no match with this offer can open, or None
    struct Book {
        Offer[] offers;
        bytes32[] digests;
        Skip[] faults;
    }

    /// @dev What `_check` found out about a match, and `_apply` needs.
    /// @param lease id of the lease to open
    /// @param orderDigest digest of the order
    /// @param offerDigest digest of the offer
    /// @param fill of the match
    /// @param locked base units to lock from the buyer
    /// @param key the delegate that signed, or 0 if the buyer did or the predecessor proves the order
    /// @param charge base units of that delegate's cap
    struct Opening {
        bytes32 lease;
        bytes32 orderDigest;
        bytes32 offerDigest;
        uint8 fill;
        uint256 locked;
        address key;
        uint64 charge;
    }

    /// @inheritdoc IComputeLedger
    address public immutable registry;

    /// @inheritdoc IComputeLedger
    uint32 public immutable minNotice;

    /// @param token_ a standard ERC-20 with 6 decimals
    /// @param registry_ the ProviderRegistry whose attestations count
    /// @param minNotice_ seconds; the shortest notice and challenge window that an order may have here
    constructor(address token_, address registry_, uint32 minNotice_) Accounts(token_) {
        // Check: orders can meet it, and attestations can be read.
        require(minNotice_ != 0 && minNotice_ <= Terms.MAX_NOTICE, ComputeLedger_NoticeOutOfRange(1, Terms.MAX_NOTICE));
        require(registry_.code.length != 0, ComputeLedger_ZeroAddress());
        registry = registry_;
        minNotice = minNotice_;
    }

    /* OPEN */

    /// @inheritdoc IComputeLedger
    function open(SignedOffer[] calldata offers, Match[] calldata matches, bytes32 bookRoot)
        external
        guarded
        returns (uint256 opened)
    {
        Book memory book = _checkOffers(offers);
        Head memory head_ = _loadHead();
        if (bookRoot != 0) {
            _record({head_: head_, topics: 2, encoded: abi.encode(Auction.selector, msg.sender, bookRoot)});
        }

        Order memory order = _orderRoom()[0];
        Opening memory opening;
        for (uint256 i; i < matches.length; ++i) {
            Match calldata match_ = matches[i];
            _copy(match_.order, order);
            opening.key = address(0);
            opening.orderDigest = _hashOrder(match_.order);
            opening.fill = match_.fill;
            opening.lease = leaseId(opening.orderDigest, opening.fill);

            // Check: the item alone; a bad one never sinks its batch. A lease that exists is AlreadyOpen whatever else
            // has changed since, so a repeated call can be told from a refused one.
            Skip skip;
            uint256 at = match_.offer;
            if (_leases[opening.lease].provider != address(0)) skip = Skip.AlreadyOpen;
            else if (at >= book.offers.length) skip = Skip.UnknownOffer;
            else skip = book.faults[at];
            if (skip == Skip.None) skip = _check(book.offers[at], order, match_, opening);
            if (skip != Skip.None) {
                emit Skipped(opening.lease, skip);
                continue;
            }

            // Effect: open the lease.
            opening.offerDigest = book.digests[at];
            _apply(head_, book.offers[at], order, opening);
            unchecked {
                ++opened;
            }
        }
        _storeHead(head_);
    }

    function _checkOffers(SignedOffer[] calldata offers) private view returns (Book memory book) {
        book.offers = _offerRoom(offers.length);
        book.digests = new bytes32[](offers.length);
        book.faults = new Skip[](offers.length);
        for (uint256 i; i < offers.length; ++i) {
            Offer memory offer = book.offers[i];
            _copy(offers[i].offer, offer);
            bytes32 digest = _hashOffer(offers[i].offer);
            book.digests[i] = digest;
            book.faults[i] = _checkOffer(offer, digest, offers[i].signature);
        }
    }

    function _checkOffer(Offer memory offer, bytes32 digest, bytes calldata signature) private view returns (Skip) {
        if (block.timestamp >= offer.expiry) return Skip.OfferExpired;
        if (offer.epoch != _accounts[offer.provider].epoch) return Skip.OfferEpoch;
        if (_cancelled[offer.provider][digest]) return Skip.OfferCancelled;
        return _isSigner(offer.provider, digest, signature) ? Skip.None : Skip.OfferSignature;
    }

    /// @dev Changes nothing but `opening`.
    function _check(Offer memory offer, Order memory order, Match calldata match_, Opening memory opening)
        private
        view
        returns (Skip skip)
    {
        uint8 fill = opening.fill;

        // Check: the terms, which need no storage.
        skip = Terms.mismatch(offer, order, minNotice);
        if (skip != Skip.None) return skip;
        if (fill >= order.maxLeases) return Skip.FillOutOfRange;
        if (
            msg.sender != order.matcher && order.matcher != address(0) && msg.sender != order.deputy
                && block.timestamp < order.matcherUntil
        ) return Skip.Matcher;

        // Check: the order holds now.
        if (block.timestamp >= order.expiry) return Skip.OrderExpired;
        Account storage buyer = _accounts[order.buyer];
        if (order.epoch != buyer.epoch) return Skip.OrderEpoch;
        if (buyer.guarded) return Skip.BuyerGuarded;
        if (_cancelled[order.buyer][opening.orderDigest]) return Skip.OrderCancelled;

        // Check: the fill is next in its lane (invariant 10), and the order is authentic.
        skip = fill < order.replicas
            ? _checkSignature(order, match_.signature, opening)
            : _checkPredecessor(opening.orderDigest, fill - order.replicas);
        if (skip != Skip.None) return skip;

        // Check: the grid is another one, and the auditor's word is there.
        if (order.distinctZones && _isZoneTaken(opening.orderDigest, order, fill, offer.zone)) return Skip.ZoneTaken;
        if (order.attested != 0 && !_isAttested(offer, order)) return Skip.Attestation;

        // Check: there is money and room. Buyer and provider may be one account. Of 48-bit amounts no sum overflows.
        unchecked {
            uint256 locked = LeaseMath.lockUp(offer.rate, order.quantity);
            if (fill >= order.replicas) locked = _withinBudget(opening.orderDigest, order, fill, locked);
            else if (order.budget < locked) locked = order.budget;
            if (locked == 0) return Skip.NothingToLock;
            if (order.minCharge > locked) return Skip.MinCharge;
            uint256 committed = locked + order.fee;
            if (buyer.free < committed) return Skip.BuyerFunds;
            Account storage provider = _accounts[offer.provider];
            uint256 staked = offer.provider == order.buyer ? committed + order.bond : order.bond;
            if (provider.free < staked) return Skip.ProviderFunds;
            if (provider.openLeases >= offer.capacity) return Skip.Capacity;
            opening.locked = locked;
        }
    }

    /// @dev The buyer first, then a live delegate whose cap covers the most that the lane can cost, then the buyer's contract.
    function _checkSignature(Order memory order, bytes calldata signature, Opening memory opening)
        private
        view
        returns (Skip)
    {
        address signer = Signatures.recover(opening.orderDigest, signature);
        if (signer == order.buyer && signer != address(0)) return Skip.None;

        Delegate memory key = _delegates[order.buyer][signer];
        if (block.timestamp >= key.until) {
            bool wallet = Signatures.isValidNow(order.buyer, opening.orderDigest, signature);
            return wallet ? Skip.None : Skip.OrderSignature;
        }
        uint64 charge = uint64(order.budget + order.fee * Terms.fillsOfLane(order, opening.fill));
        if (key.remaining < charge) return Skip.DelegateCap;
        opening.key = signer;
        opening.charge = charge;
        return Skip.None;
    }

    /// @dev A later fill needs no signature: the predecessor's id holds the order's digest, so its signature was checked.
    function _checkPredecessor(bytes32 order, uint8 predecessor) private view returns (Skip) {
        StoredLease storage stored = _leases[leaseId(order, predecessor)];
        LeaseStatus status = stored.status;
        if (LeaseStatus.unwrap(status) == 0) return Skip.NoPredecessor;
        // Past its duration an Open lease is in its notice, and its lane is done.
        if (status.isOpen()) return block.timestamp < stored.deadline ? Skip.PredecessorOpen : Skip.LaneDone;
        return status.done() ? Skip.LaneDone : Skip.None;
    }

    /// @dev Invariant 7: at most what the earlier fills of the lane left of the budget. They used what they paid if Closed,
    /// else their locks. Where the budget has room for them all at the highest rate, none of them needs to be read.
    /// @param locked base units that the fill would lock
    function _withinBudget(bytes32 id, Order memory order, uint256 fill, uint256 locked)
        private
        view
        returns (uint256)
    {
        unchecked {
            uint256 replicas = order.replicas;
            uint256 left = order.budget;
            if (left >= fill / replicas * LeaseMath.lockUp(order.maxRate, order.quantity) + locked) return locked;

            for (uint256 earlier = fill % replicas; earlier < fill; earlier += replicas) {
                // forge-lint: disable-next-line(unsafe-typecast) Below fill, which has 8 bits.
                StoredLease storage stored = _leases[leaseId(id, uint8(earlier))];
                // Every lock was at most what the budget had left, so this cannot pass below 0.
                left -= stored.status.isClosed() ? stored.paid : stored.locked;
            }
            return left < locked ? left : locked;
        }
    }

    /// @dev Whether a fill that is not Closed, or the lane's predecessor, is in `zone`. A lane's fills open in sequence, so
    /// each lane is read up to its first gap, and the fill's own lane up to itself.
    function _isZoneTaken(bytes32 id, Order memory order, uint8 fill, uint8 zone) private view returns (bool) {
        uint256 replicas = order.replicas;
        uint256 end = order.maxLeases;
        for (uint256 lane; lane < replicas; ++lane) {
            for (uint256 other = lane; other < end && other != fill; other += replicas) {
                // forge-lint: disable-next-line(unsafe-typecast) Below maxLeases, which has 8 bits.
                StoredLease storage stored = _leases[leaseId(id, uint8(other))];
                if (LeaseStatus.unwrap(stored.status) == 0) break;
                if (stored.zone != zone) continue;
                if (!stored.status.isClosed() || other + replicas == fill) return true;
            }
        }
        return false;
    }

    /// @dev Until the lease's duration ends, with the time of this block as its beginning.
    function _isAttested(Offer memory offer, Order memory order) private view returns (bool) {
        uint256 attested = order.attested;
        return AttestedWord.covers({
            word: IProviderRegistry(registry).wordOf(order.auditor, offer.provider),
            traits: attested & ~Terms.ZONE_BIT,
            zone: attested & Terms.ZONE_BIT == 0 ? 0 : offer.zone,
            until: block.timestamp + order.duration
        });
    }

    /// @dev Cannot fail after `_check`: the buyer's free balance covers lock and fee, and deposits are bounded so that
    /// credits fit. The accounts may be one and the same, so each is read anew from storage.
    function _apply(Head memory head_, Offer memory offer, Order memory order, Opening memory opening) private {
        uint256 deadline = block.timestamp + order.duration;

        // Effect: the delegate's cap, once per lane and never restored (invariant 8).
        if (opening.key != address(0)) _charge(head_, order.buyer, opening);

        // Effect: the money and the provider's count.
        _debitFree(order.buyer, opening.locked + order.fee);
        if (order.fee != 0) _creditFree(msg.sender, order.fee);
        _lockBond(offer.provider, order.bond);

        // Effect: the lease.
        _create({
            id: opening.lease,
            provider: offer.provider,
            locked: opening.locked,
            voucherSigner: order.voucherSigner,
            deadline: deadline,
            rate: offer.rate,
            zone: offer.zone
        });
        _record({
            head_: head_,
            topics: 4,
            encoded: abi.encode(
                LeaseOpened.selector,
                opening.lease,
                order.buyer,
                offer.provider,
                opening.orderDigest,
                opening.offerDigest,
                order.job,
                order.voucherSigner,
                msg.sender,
                opening.fill,
                offer.meter,
                offer.zone,
                offer.rate,
                opening.locked,
                order.bond,
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
            encoded: abi.encode(
                DelegateCharged.selector, buyer, opening.key, opening.orderDigest, opening.charge, remaining
            )
        });
    }

    /* REDEEM */

    /// @inheritdoc IComputeLedger
    function redeem(SignedVoucher[] calldata vouchers) external guarded returns (uint256 redeemed) {
        Head memory head_ = _loadHead();
        for (uint256 i; i < vouchers.length; ++i) {
            SignedVoucher calldata voucher = vouchers[i];
            StoredLease storage stored = _leases[voucher.lease];

            // Check: the lease takes the voucher, and it adds something.
            (Skip skip, uint48 amount,) = _checkVoucher(stored, voucher);
            if (amount == 0) {
                emit Skipped(voucher.lease, skip == Skip.None ? Skip.VoucherStale : skip);
                continue;
            }

            // Effect: pay.
            _pay({head_: head_, stored: stored, voucher: voucher, amount: amount});
            unchecked {
                ++redeemed;
            }
        }
        _storeHead(head_);
    }

    /* CLOSE */

    /// @inheritdoc IComputeLedger
    function close(Order calldata order_, uint8 fill, EndReason reason) external guarded {
        (Order memory order, bytes32 id, StoredLease memory stored) = _load(order_, fill);

        // Check: the caller is of the buyer's side, and may give this reason.
        bool owner = _ownsOrder(order);
        require(
            owner || msg.sender == order.matcher || msg.sender == order.deputy, ComputeLedger_NotBuyerSide(msg.sender)
        );
        bool cancelled = reason == EndReason.Cancelled;
        bool allowed = reason == EndReason.Unresponsive || reason == EndReason.Faulty || (cancelled && owner);
        require(allowed, ComputeLedger_ReasonNotAllowed(msg.sender, reason));

        _startNoticeAlone(
            id, stored, order, LeaseStatuses.pack(LeaseState.Closing, reason).withEarly().withDone(cancelled)
        );
    }

    /// @inheritdoc IComputeLedger
    function resign(Order calldata order_, uint8 fill) external guarded {
        (Order memory order, bytes32 id, StoredLease memory stored) = _loadServed(order_, fill);
        _startNoticeAlone(id, stored, order, LeaseStatuses.pack(LeaseState.Closing, EndReason.Resigned));
    }

    /// @dev The first close of a lease that has not ended, not even by its duration.
    function _startNoticeAlone(bytes32 id, StoredLease memory stored, Order memory order, LeaseStatus status) private {
        LeaseState state = _stateNow(stored);
        require(state == LeaseState.Open, ComputeLedger_WrongState(id, state));
        Head memory head_ = _loadHead();
        _startNotice({head_: head_, id: id, notice: order.notice, status: status});
        _storeHead(head_);
    }

    /// @inheritdoc IComputeLedger
    function acknowledge(bytes32 id) external guarded {
        StoredLease memory stored = _read(id);
        _checkProvider(stored);

        // Check: a close is there to be answered, in time.
        LeaseState state = stored.status.state();
        require(state == LeaseState.Closing, ComputeLedger_WrongState(id, state));
        _checkBefore(stored.deadline);

        // Effect: it was there.
        _leases[id].status = stored.status.withResponded();
        _recordAlone({topics: 3, encoded: abi.encode(LeaseAcknowledged.selector, id, msg.sender)});
    }

    /// @inheritdoc IComputeLedger
    function closeLast(LastVoucher[] calldata items) external guarded returns (uint256 closed) {
        Head memory head_ = _loadHead();
        Order memory order;
        StoredLease memory stored;
        for (uint256 i; i < items.length; ++i) {
            LastVoucher calldata item = items[i];
            _copy(item.order, order);
            bytes32 id = item.voucher.lease;
            _readInto(stored, id);
            LeaseState state = _stateNow(stored);

            // Check: the item alone; a bad one never sinks its batch.
            (Skip skip, uint48 amount, bool agreed) = _checkLast(stored, state, order, item);
            if (skip != Skip.None) {
                emit Skipped(id, skip);
                continue;
            }

            // Effect: pay, then end. A dispute goes on.
            if (amount != 0) {
                _pay({head_: head_, stored: _leases[id], voucher: item.voucher, amount: amount});
                stored.paid += amount;
            }
            if (agreed) {
                _agree({head_: head_, id: id, stored: stored, state: state, order: order});
                ++closed;
            } else if (state == LeaseState.Open) {
                LeaseStatus status =
                    LeaseStatuses.pack(LeaseState.Closing, EndReason.Completed).withEarly().withDone(true);
                _startNotice({head_: head_, id: id, notice: order.notice, status: status});
            }
        }
        _storeHead(head_);
    }

    /// @return skip why the item is passed over
    /// @return amount base units that the voucher adds
    /// @return agreed whether the lease ends now: the provider sends the voucher, or signed the same digest, and nothing is
    /// in dispute
    function _checkLast(StoredLease memory stored, LeaseState state, Order memory order, LastVoucher calldata item)
        private
        view
        returns (Skip skip, uint48 amount, bool agreed)
    {
        if (!item.voucher.last) return (Skip.NotLast, 0, false);
        bytes32 digest;
        (skip, amount, digest) = _checkVoucher(_leases[item.voucher.lease], item.voucher);
        if (skip != Skip.None) return (skip, 0, false);
        if (item.voucher.lease != leaseId(_hashOrder(item.order), item.fill)) return (Skip.WrongOrder, 0, false);

        agreed = msg.sender == stored.provider;
        if (!agreed && item.providerSignature.length != 0) {
            // A bad signature is not taken for none: who sent it expects the lease to be Closed.
            if (!_isSigner(stored.provider, digest, item.providerSignature)) return (Skip.VoucherSignature, 0, false);
            agreed = true;
        }
        if (state == LeaseState.Disputed) agreed = false;
        if (!agreed && amount == 0 && state != LeaseState.Open) skip = Skip.VoucherStale;
    }

    /// @dev Both sides said that this is all: no minimum charge, no penalty, and the first close keeps its reason.
    function _agree(Head memory head_, bytes32 id, StoredLease memory stored, LeaseState state, Order memory order)
        private
    {
        Ending memory ending;
        (ending.reason,) = _endOf(stored);
        if (state == LeaseState.Open || ending.reason == EndReason.Claimed) ending.reason = EndReason.Completed;
        ending.done = true;
        ending.paid = stored.paid;
        _finish({head_: head_, id: id, stored: stored, order: order, ending: ending});
    }

    /// @inheritdoc IComputeLedger
    function finalise(Order calldata order_, uint8 fill) external guarded {
        (Order memory order, bytes32 id, StoredLease memory stored) = _load(order_, fill);

        // Check: the lease is ending, and its time is over.
        LeaseState state = _stateNow(stored);
        require(state != LeaseState.Open && state != LeaseState.Closed, ComputeLedger_WrongState(id, state));
        uint40 deadline = _deadlineNow(stored, order);
        require(block.timestamp >= deadline, ComputeLedger_DeadlineNotReached(deadline, block.timestamp));

        // Effect: pay a claim that nobody challenged, or give a silent arbiter up; then close.
        Head memory head_ = _loadHead();
        Ending memory ending;
        (ending.reason, ending.done) = _endOf(stored);
        ending.paid = stored.paid;
        if (state == LeaseState.Claimed) {
            ending.paid += _claimDue(id, stored);
        } else if (state == LeaseState.Disputed) {
            _lapse(head_, id);
            // Nobody is slashed, so nobody is taken to have been away either.
            stored.status = stored.status.withResponded();
        }
        _chargeMinimum(stored, order, ending);
        _finish({head_: head_, id: id, stored: stored, order: order, ending: ending});
        _storeHead(head_);
    }
}
