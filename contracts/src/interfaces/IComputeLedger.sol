// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/* SIGNED MESSAGES: EIP-712, domain { name "Gridlease", version "1", chainId, verifyingContract } */

/// @notice A provider's standing price and capacity, signed by `provider`. A filter: it is checked once, at `open`.
/// @param provider the account that serves and is paid
/// @param quantities 16 lanes of 15 bits, the top bit of each a guard that must be 0 (SPEC "Resources")
/// @param traits bitset of runtimes, energy sources, site kinds, GPU families; bit 255 is reserved
/// @param zone number in the published table of grid zones; 0 = undeclared
/// @param meter what a metered unit is: 0 = a millisecond of the machine, 1 = 10^6 units of verified work
/// @param rate price of a metered unit in pico-dollars (10^-6 of the token's base unit)
/// @param capacity leases that `provider` serves at once, over all its offers
/// @param minDuration shortest lease in seconds
/// @param maxDuration longest lease in seconds
/// @param notice seconds that the provider keeps to redeem and to object after a close
/// @param minCharge base units the provider wants at least when the buyer's side ends the lease early
/// @param bond base units the provider is ready to lock for one lease, at most
/// @param arbiter who may rule on a dispute; 0 = vouchers only
/// @param expiry unix seconds; the offer holds while block.timestamp < expiry
/// @param epoch the provider's epoch at signing; a jump voids the offer
/// @param salt makes two equal offers differ
struct Offer {
    address provider;
    uint256 quantities;
    uint256 traits;
    uint8 zone;
    uint8 meter;
    uint32 rate;
    uint32 capacity;
    uint32 minDuration;
    uint32 maxDuration;
    uint32 notice;
    uint48 minCharge;
    uint48 bond;
    address arbiter;
    uint40 expiry;
    uint64 epoch;
    uint256 salt;
}

/// @notice A buyer's request with its limits, signed by `buyer` or by a live delegate of it. After `open` only its terms count.
/// @param buyer the account that pays
/// @param voucherSigner the key whose vouchers pay the provider; it can spend at most the locks of this order
/// @param job SHA-256 of the job manifest's RFC 8785 form
/// @param quantities lanes needed, same layout as the offer's
/// @param allOf traits that must all be offered
/// @param anyOf traits of which one must be offered; 0 = any
/// @param noneOf traits that must not be offered
/// @param zones 256-bit set of accepted zones (bit n = zone n); 0 = any
/// @param distinctZones refuse a zone in which another fill of this order is not Closed
/// @param auditor whose attestations count
/// @param attested traits that must be attested by `auditor`; bit 255 asks it for the zone
/// @param meter as in the offer; must be equal
/// @param maxRate highest accepted rate, pico-dollars per metered unit
/// @param quantity most metered units that one lease pays for
/// @param duration wall-clock seconds from open
/// @param budget base units that one lane (a lease and its successors) may cost
/// @param replicas leases that run side by side
/// @param quorum equal attested results that settle a claim at once; 0 = none
/// @param maxLeases fills in all, 1..16
/// @param bond base units locked from the provider for one lease
/// @param notice seconds between the end of a lease and its finalisation
/// @param minCharge base units that the provider gets at least when the buyer's side ends the lease early
/// @param arbiter must equal the offer's
/// @param challengeWindow seconds in which a claim can be challenged
/// @param matcher who alone may open before `matcherUntil`; 0 = anyone at any time
/// @param deputy a second address that may open and close like the matcher
/// @param matcherUntil unix seconds; from then on anyone may open
/// @param fee base units paid to the opener at each open
/// @param expiry unix seconds; fills open while block.timestamp < expiry
/// @param epoch the buyer's epoch at signing
/// @param salt makes two equal orders differ
struct Order {
    address buyer;
    address voucherSigner;
    bytes32 job;
    uint256 quantities;
    uint256 allOf;
    uint256 anyOf;
    uint256 noneOf;
    uint256 zones;
    bool distinctZones;
    address auditor;
    uint256 attested;
    uint8 meter;
    uint32 maxRate;
    uint64 quantity;
    uint32 duration;
    uint48 budget;
    uint8 replicas;
    uint8 quorum;
    uint8 maxLeases;
    uint48 bond;
    uint32 notice;
    uint48 minCharge;
    address arbiter;
    uint32 challengeWindow;
    address matcher;
    address deputy;
    uint40 matcherUntil;
    uint48 fee;
    uint40 expiry;
    uint64 epoch;
    uint256 salt;
}

/// @notice What the buyer's side owes so far, signed by the order's `voucherSigner`. A higher one replaces a lower.
/// @dev The ledger takes `provider` from storage when it rebuilds the digest, so a voucher never pays another account.
/// @param cumulative base units in all, not since the voucher before
/// @param result checkpoint hash, or the result hash when `last`
/// @param last the buyer's side accepts the result: nothing more will be owed
struct Voucher {
    bytes32 lease;
    address provider;
    uint48 cumulative;
    bytes32 result;
    bool last;
}

/// @notice What the provider says that it did, signed by `provider`; evidence, not consent.
/// @param sequence number of the segment, from 1
/// @param meteredUntil unix milliseconds
/// @param work units of work, raw and cumulative for this lease
/// @param result state hash after the segment, or the result hash of the last
/// @param checkpoint SHA-256 of the checkpoint file
struct UsageReceipt {
    bytes32 lease;
    uint32 sequence;
    uint64 meteredUntil;
    uint64 work;
    bytes32 result;
    bytes32 checkpoint;
}

/// @notice An auditor's word about a provider, until `validUntil`.
struct Attestation {
    address auditor;
    address provider;
    uint256 traits;
    uint8 zone;
    uint40 validUntil;
    bytes32 evidence;
}

/// @notice The matcher's promise that it holds an offer or an order; stays off chain.
struct BookReceipt {
    address matcher;
    bytes32 hash;
    uint64 sequence;
    uint40 receivedAt;
}

/* ARGUMENTS */

struct SignedOffer {
    Offer offer;
    bytes signature;
}

/// @notice An order with the offer that it is matched to. No authority by itself.
/// @param signature the buyer's or a delegate's; not read for a later fill, whose predecessor proves it
/// @param fill which lease of the order this is, 0..maxLeases-1
/// @param offer index into the offers of the same call
struct Match {
    Order order;
    bytes signature;
    uint8 fill;
    uint256 offer;
}

/// @notice A voucher as it is redeemed: its provider is in storage.
struct SignedVoucher {
    bytes32 lease;
    uint48 cumulative;
    bytes32 result;
    bool last;
    bytes signature;
}

/// @notice One lease to end with its `last` voucher.
/// @param order the lease's order; authenticated by lease = keccak256(order digest, fill)
/// @param providerSignature the provider's signature of the same voucher digest; empty if the provider sends it or has not signed
struct LastVoucher {
    Order order;
    uint8 fill;
    SignedVoucher voucher;
    bytes providerSignature;
}

/* STATE */

/// @param free base units that can be withdrawn or locked
/// @param bonded base units locked as bonds of open leases
/// @param openLeases leases that this account serves as provider and that are not Closed
/// @param epoch signed messages of another epoch are void
struct Account {
    uint64 free;
    uint64 bonded;
    uint32 openLeases;
    uint64 epoch;
}

/// @param remaining base units that the key may still commit in the buyer's name
/// @param until unix seconds; the key is live while block.timestamp < until
struct Delegate {
    uint64 remaining;
    uint40 until;
}

enum LeaseState {
    None,
    Open,
    Closing,
    Claimed,
    Disputed,
    Closed
}

/// @notice Why a lease ended. `Expired` is its duration; the buyer's side gives Cancelled, Unresponsive, Faulty.
enum EndReason {
    None,
    Completed,
    Cancelled,
    Unresponsive,
    Faulty,
    Resigned,
    Expired
}

/// @param provider who is paid
/// @param locked base units held for this lease
/// @param paid base units already paid of them
/// @param voucherSigner whose vouchers pay
/// @param deadline unix seconds; of the duration while Open, of the notice while Closing
/// @param rate pico-dollars per metered unit: the offer's
/// @param zone grid zone of the offer
/// @param state as stored: an Open lease past its deadline is Closing without a transaction
/// @param reason why it ended, None while it runs
/// @param done the lane has its result or was cancelled: no later fill opens
struct Lease {
    address provider;
    uint48 locked;
    uint48 paid;
    address voucherSigner;
    uint40 deadline;
    uint32 rate;
    uint8 zone;
    LeaseState state;
    EndReason reason;
    bool done;
}

/// @notice Why an item of a batch was passed over. Nothing of such an item changes anything.
enum Skip {
    None,
    NotYetSupported,
    UnknownOffer,
    OfferSignature,
    OfferExpired,
    OfferCancelled,
    OfferEpoch,
    OrderSignature,
    OrderExpired,
    OrderCancelled,
    OrderEpoch,
    Limits,
    Meter,
    Rate,
    Duration,
    Notice,
    Quantities,
    Traits,
    Zone,
    Matcher,
    Capacity,
    FillOutOfRange,
    AlreadyOpen,
    NoPredecessor,
    PredecessorOpen,
    LaneDone,
    DelegateCap,
    NothingToLock,
    BuyerFunds,
    UnknownLease,
    LeaseClosed,
    VoucherSignature,
    VoucherStale,
    NotLast,
    WrongOrder
}

/// @title The ledger of compute leases: who owes whom, and nothing else
/// @notice Immutable, without owner, proxy, pause or oracle. One deployment serves one 6-decimals stablecoin, in whose base
/// units (10^-6) all amounts are. Every state has a deadline after which anyone can move it on.
/// @dev Warning: the token must be standard (no rebase, no hook that re-enters); deposits credit what arrived.
interface IComputeLedger {
    /* EVENTS: each enters the ledger head, in emission order, but for Skipped */

    /// @notice `amount` base units arrived from `from` and were credited to `account`.
    event Deposited(address indexed account, address indexed from, uint256 amount);

    /// @notice `amount` base units left the free balance of `account` for `to`.
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice `key` may sign orders for `buyer` that commit at most `cap` base units, until `until`. Replaces what was.
    event DelegateApproved(address indexed buyer, address indexed key, uint64 cap, uint40 until);

    /// @notice The first fill of a lane took `amount` base units of the key's cap; `remaining` are left.
    event DelegateCharged(
        address indexed buyer, address indexed key, bytes32 indexed order, uint64 amount, uint64 remaining
    );

    /// @notice `account` voided the offer or order with this digest.
    event MessageCancelled(address indexed account, bytes32 indexed digest);

    /// @notice `account` voided all that it signed before.
    event EpochBumped(address indexed account, uint64 epoch);

    /// @notice A lease was agreed: `locked` base units of the buyer are held for it, `fee` went to `opener`.
    /// @param order digest of the order
    /// @param offer digest of the offer
    /// @param job hash of the job manifest
    /// @param deadline unix seconds at which its duration ends
    /// @param notice seconds
    event LeaseOpened(
        bytes32 indexed lease,
        address indexed buyer,
        address indexed provider,
        bytes32 order,
        bytes32 offer,
        bytes32 job,
        address voucherSigner,
        address opener,
        uint8 fill,
        uint8 meter,
        uint8 zone,
        uint32 rate,
        uint48 locked,
        uint48 fee,
        uint40 deadline,
        uint32 notice
    );

    /// @notice A voucher moved `amount` base units to the provider, who now has `paid` of this lease.
    event VoucherRedeemed(
        bytes32 indexed lease, address indexed provider, uint48 amount, uint48 paid, bytes32 result, bool last
    );

    /// @notice The lease entered its notice, which ends at `deadline`.
    event LeaseClosing(bytes32 indexed lease, address indexed by, EndReason reason, uint40 deadline, bool done);

    /// @notice The lease ended: the provider has `paid`, `refunded` went back to the buyer, `locked` = the sum of both.
    event LeaseClosed(
        bytes32 indexed lease, address indexed buyer, EndReason reason, uint48 paid, uint48 refunded, bool done
    );

    /// @notice An item of a batch was passed over; nothing changed. Not part of the ledger head.
    /// @param id lease of the item
    event Skipped(bytes32 indexed id, Skip reason);

    /* ERRORS: expected first, then actual */

    error ComputeLedger_ZeroAddress();
    error ComputeLedger_ZeroAmount();
    error ComputeLedger_NoticeOutOfRange(uint32 minimum, uint32 maximum);
    error ComputeLedger_TransferFailed(address token);
    error ComputeLedger_AmountTooLarge(uint256 maximum, uint256 amount);
    error ComputeLedger_InsufficientFree(uint64 free, uint256 amount);
    error ComputeLedger_WrongOrder(bytes32 lease);
    error ComputeLedger_NotBuyerSide(address caller);
    error ComputeLedger_ReasonNotAllowed(address caller, EndReason reason);
    error ComputeLedger_LeaseNotOpen(bytes32 lease, LeaseState state);
    error ComputeLedger_LeaseNotClosing(bytes32 lease, LeaseState state);
    error ComputeLedger_DeadlineNotReached(uint40 deadline, uint256 time);

    /* MONEY IN AND OUT */

    /// @notice Pulls `amount` base units from the caller and credits what arrived to `account`.
    function deposit(address account, uint256 amount) external;

    /// @notice Like `deposit` to the caller's own account, with an EIP-2612 permit.
    /// @dev A permit that somebody sent first does not matter: what counts is the allowance after it.
    function depositWithPermit(uint256 amount, uint256 permitDeadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Sends `amount` base units of the caller's free balance to `to`. Never paused.
    function withdraw(address to, uint256 amount) external;

    /* AUTHORITY */

    /// @notice Lets `key` sign orders in the caller's name that commit at most `cap` base units, while time < `until`.
    /// cap 0 revokes. The cap is charged with budget + fees at the first fill of a lane and never restored.
    /// @dev Warning: a stolen key can misspend the cap; it can neither withdraw nor approve.
    function approveDelegate(address key, uint64 cap, uint40 until) external;

    /// @notice Voids the caller's offer or order with this digest. Leases that are open stay.
    function cancel(bytes32 digest) external;

    /// @notice Voids all that the caller signed, by an unpredictable jump of its epoch.
    function bumpEpoch() external returns (uint64 epoch);

    /* LEASES */

    /// @notice Opens a lease for each match whose terms hold, skips the others. Price = the offer's rate.
    /// The order's fee goes to the caller's account at each open.
    /// @param bookRoot commitment to the auction's book; must be 0 for now, else every item is skipped
    /// @return opened how many leases were opened
    function open(SignedOffer[] calldata offers, Match[] calldata matches, bytes32 bookRoot)
        external
        returns (uint256 opened);

    /// @notice Pays min(cumulative, locked) - paid for each voucher; never closes, whatever `last` says. Anyone may call.
    /// @return redeemed how many vouchers paid
    function redeem(SignedVoucher[] calldata vouchers) external returns (uint256 redeemed);

    /// @notice The buyer's side ends an Open lease: its notice starts. Cancelled is for buyer and voucherSigner only.
    /// @dev On a lease past its duration it changes nothing (and reverts with LeaseNotOpen).
    function close(Order calldata order, uint8 fill, EndReason reason) external;

    /// @notice Pays `last` vouchers and ends their leases: at once if the provider sends it or signed the same digest,
    /// else the notice of an Open lease starts. Anyone may call; items are isolated.
    /// @return closed how many leases are Closed by it
    function closeLast(LastVoucher[] calldata items) external returns (uint256 closed);

    /// @notice Closes a lease whose notice is over: the rest of the lock goes back to the buyer. Anyone may call.
    function finalise(Order calldata order, uint8 fill) external;

    /* VIEWS */

    function token() external view returns (address);
    function minNotice() external view returns (uint32);
    function account(address who) external view returns (Account memory);
    function delegate(address buyer, address key) external view returns (Delegate memory);
    function isCancelled(address who, bytes32 digest) external view returns (bool);
    function lease(bytes32 id) external view returns (Lease memory);

    /// @notice The state that counts now: an Open lease past its deadline is Closing.
    function stateOf(bytes32 id) external view returns (LeaseState);

    /// @notice hash of all events so far (208 bits) and their count.
    function head() external view returns (uint208 hash, uint48 count);

    function hashOffer(Offer calldata offer) external view returns (bytes32);
    function hashOrder(Order calldata order) external view returns (bytes32);
    function hashVoucher(Voucher calldata voucher) external view returns (bytes32);
    function leaseId(bytes32 orderDigest, uint8 fill) external pure returns (bytes32);
}
