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

/// @notice A voucher as it is redeemed: its provider is in storage, its signature in the one form of EIP-2098.
/// @param r first word of the signature
/// @param vs the signature's low `s`, with the parity of `v` in the top bit
struct SignedVoucher {
    uint48 cumulative;
    bool last;
    bytes32 lease;
    bytes32 result;
    bytes32 r;
    bytes32 vs;
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

/// @notice What a provider states on the slow path (SPEC "Claims").
/// @param work units of work, raw and cumulative for this lease, as in a usage receipt
/// @param result the result hash when `last`, else the state hash of the newest segment
/// @param from checkpoint that the lease started at: 0, or the `result` of a voucher of an earlier fill of the lane
/// @param last the job is done
struct ClaimTerms {
    uint64 work;
    bytes32 result;
    bytes32 from;
    bool last;
}

/// @notice Proof of a claim's `from`: a voucher of an earlier fill of the same lane. Not read when `from` is 0.
struct StartVoucher {
    uint8 fill;
    SignedVoucher voucher;
}

/* STATE */

/// @param free base units that can be withdrawn or locked
/// @param bonded base units locked as bonds: of leases that are not Closed, and of challenges
/// @param openLeases leases that this account serves as provider and that are not Closed
/// @param epoch signed messages of another epoch are void
/// @param guarded a beneficiary is set: the account's own key can neither withdraw nor buy
struct Account {
    uint64 free;
    uint64 bonded;
    uint32 openLeases;
    uint64 epoch;
    bool guarded;
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

/// @notice Why a lease ended. The buyer's side gives Cancelled, Unresponsive or Faulty; `Expired` is its duration; `Claimed`
/// is a claim on a lease that nobody had ended before.
enum EndReason {
    None,
    Completed,
    Cancelled,
    Unresponsive,
    Faulty,
    Resigned,
    Expired,
    Claimed
}

/// @param provider who is paid
/// @param locked base units held for this lease
/// @param paid base units already paid of them
/// @param voucherSigner whose vouchers pay
/// @param deadline unix seconds; of the duration while Open, of the notice while Closing, of the window while Claimed, of the
/// arbiter while Disputed
/// @param rate pico-dollars per metered unit: the offer's
/// @param zone grid zone of the offer
/// @param state as stored: an Open lease past its deadline is Closing without a transaction
/// @param reason why it ended, None while it runs
/// @param done the lane has its result or was cancelled: no later fill opens
/// @param early the buyer's side ended it before its duration: the minimum charge is due (SPEC "Minimum charge")
/// @param responded the provider acknowledged the close, or claimed
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
    bool early;
    bool responded;
}

/// @param result the claimed result, or the commitment while `revealFrom` is not 0
/// @param from checkpoint that the lease started at, or 0
/// @param work raw and cumulative for the lease
/// @param target base units that the provider is to have in all, if the claim stands
/// @param revealFrom unix seconds from which the commitment can be revealed; 0 when there is nothing to reveal
/// @param last whether it claims the end of the job
struct Claim {
    bytes32 result;
    bytes32 from;
    uint64 work;
    uint48 target;
    uint40 revealFrom;
    bool last;
}

/// @param challenger whose bond is at stake against the provider's
/// @param bond base units: the order's
/// @param receipt digest of the usage receipt in dispute; 0 = the claim
struct Dispute {
    address challenger;
    uint48 bond;
    bytes32 receipt;
}

/// @notice Why an item of a batch was passed over. Nothing of such an item changes anything.
enum Skip {
    None,
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
    Arbiter,
    Rate,
    Duration,
    Bond,
    Notice,
    MinCharge,
    Quantities,
    Traits,
    Zone,
    ZoneTaken,
    Attestation,
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
    BuyerGuarded,
    ProviderFunds,
    UnknownLease,
    LeaseClosed,
    VoucherSignature,
    VoucherStale,
    NotLast,
    WrongOrder
}
