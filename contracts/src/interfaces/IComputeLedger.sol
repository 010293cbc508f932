// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    Account,
    Claim,
    ClaimTerms,
    Delegate,
    Dispute,
    EndReason,
    LastVoucher,
    Lease,
    LeaseState,
    Match,
    Offer,
    Order,
    SignedOffer,
    SignedVoucher,
    Skip,
    StartVoucher,
    UsageReceipt,
    Voucher
} from "./LedgerTypes.sol";

/// @title The ledger of compute leases: who owes whom, and nothing else
/// @notice Immutable, without owner, proxy, pause or oracle. One deployment serves one 6-decimals stablecoin, in whose base
/// units (10^-6) all amounts are. Every state has a deadline after which anyone can move it on, by `finalise`.
///
/// Before a deadline the old rule holds, at and after it the new.
///
/// Batches (`open`, `redeem`, `closeLast`) isolate their items: one that does not hold is `Skipped` with a reason and changes
/// nothing. Single calls revert with an error that says what was expected.
/// @dev Warning: the token must be standard (no rebase, no fee). Deposits credit what arrived; a hook that re-enters meets a
/// guard; a token that blocks an account blocks only that account's own withdrawal.
/// @dev Warning: an arbiter is trusted by those who signed it. The ledger bounds what it can move: `award` by the claim,
/// the rest by one bond. It never calls an arbiter, so an arbiter can delay (14 days at most) but never trap.
interface IComputeLedger {
    /* EVENTS: each enters the ledger head, in emission order, but for Skipped */

    /// @notice `amount` base units arrived from `from` and were credited to `account`.
    event Deposited(address indexed account, address indexed from, uint256 amount);

    /// @notice `amount` base units left the free balance of `account` for `to`.
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice From now on only `beneficiary` withdraws from `account`, or changes this. 0 = the account itself again.
    event BeneficiarySet(address indexed account, address indexed beneficiary);

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

    /// @notice The leases that follow in this transaction come from the book with this root; it speaks only for orders whose
    /// `matcher` is this one.
    event Auction(address indexed matcher, bytes32 bookRoot);

    /// @notice A lease was agreed: `locked` base units of the buyer and `bond` of the provider are held for it, `fee` went to
    /// `opener`.
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
        uint48 bond,
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

    /// @notice The provider answered a close: it is there.
    event LeaseAcknowledged(bytes32 indexed lease, address indexed provider);

    /// @notice The provider committed to a result, to be revealed from `revealFrom` on and before `deadline`.
    event ClaimCommitted(
        bytes32 indexed lease, address indexed provider, bytes32 commitment, uint40 revealFrom, uint40 deadline
    );

    /// @notice The provider claims to have `target` base units in all; unchallenged until `deadline` it gets them.
    event LeaseClaimed(
        bytes32 indexed lease,
        address indexed provider,
        bytes32 result,
        bytes32 from,
        uint64 work,
        uint48 target,
        bool last,
        uint40 deadline
    );

    /// @notice `challenger` put `bond` base units against the provider's; the arbiter has until `deadline`.
    /// @param receipt digest of the usage receipt in dispute; 0 = the claim
    event LeaseDisputed(
        bytes32 indexed lease, address indexed challenger, bytes32 receipt, uint48 bond, uint40 deadline
    );

    /// @notice The arbiter decided; LeaseClosed follows.
    /// @param challenger 0 if nobody challenged (agreement)
    /// @param award base units of the lock that go to the provider
    /// @param toWinner base units of the loser's bond that go to the winner: the provider, or the order's buyer
    /// @param toJurors base units of the loser's bond that go to the arbiter's account
    /// @param returned base units of the challenger's bond that are free again
    event LeaseRuled(
        bytes32 indexed lease,
        address indexed arbiter,
        address indexed challenger,
        bool providerWins,
        uint48 award,
        uint48 toWinner,
        uint48 toJurors,
        uint48 returned
    );

    /// @notice The arbiter was silent: the challenger's `bond` base units are free again; LeaseClosed follows.
    event DisputeLapsed(bytes32 indexed lease, address indexed challenger, uint48 bond);

    /// @notice The lease ended: the provider has `paid`, `refunded` went back to the buyer, `locked` = the sum of both. Of the
    /// provider's bond `penalty` base units went to the buyer and `returned` are free again.
    event LeaseClosed(
        bytes32 indexed lease,
        address indexed buyer,
        address indexed provider,
        EndReason reason,
        uint48 paid,
        uint48 refunded,
        uint48 penalty,
        uint48 returned,
        bool done
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
    error ComputeLedger_NotController(address controller, address caller);
    error ComputeLedger_Guarded(address account);
    error ComputeLedger_WrongOrder(bytes32 lease);
    error ComputeLedger_NotBuyerSide(address caller);
    error ComputeLedger_NotProvider(address provider, address caller);
    error ComputeLedger_NotArbiter(address arbiter, address caller);
    error ComputeLedger_ReasonNotAllowed(address caller, EndReason reason);
    error ComputeLedger_WrongState(bytes32 lease, LeaseState state);
    error ComputeLedger_DeadlineNotReached(uint40 deadline, uint256 time);
    error ComputeLedger_DeadlinePassed(uint40 deadline, uint256 time);
    error ComputeLedger_NotClaimable(bytes32 lease);
    error ComputeLedger_CommitmentExpected(uint8 replicas);
    error ComputeLedger_WrongCommitment(bytes32 commitment, bytes32 revealed);
    error ComputeLedger_WrongStart(bytes32 from);
    error ComputeLedger_ReceiptSignature(bytes32 receipt);
    error ComputeLedger_RulingTooLarge(uint256 maximum, uint256 amount);

    /* MONEY IN AND OUT */

    /// @notice Pulls `amount` base units from the caller and credits what arrived to `account`.
    function deposit(address account, uint256 amount) external;

    /// @notice Like `deposit` to the caller's own account, with an EIP-2612 permit.
    /// @dev A permit that somebody sent first does not matter: what counts is the allowance after it.
    function depositWithPermit(uint256 amount, uint256 permitDeadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Like `deposit` to the account of `from`, with its EIP-3009 authorisation to this contract. Anyone may send it:
    /// whoever does, the money lands in the same account.
    function depositWithAuthorization(
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice Sends `amount` base units of the free balance of `account` to `to`. Never paused. Only for the controller of
    /// the account: its beneficiary if one is set, else the account itself.
    function withdraw(address account, address to, uint256 amount) external;

    /// @notice Hands the money of `account` to `beneficiary`: only the controller withdraws, or calls this again (0 = give it
    /// back). While it is set the account cannot buy or challenge, so that a stolen operator key cannot spend the money.
    /// @dev Warning: the account's key still signs offers, so it can put the free balance at stake as bonds: withdraw often.
    function setBeneficiary(address account, address beneficiary) external;

    /* AUTHORITY */

    /// @notice Lets `key` sign orders in the caller's name that commit at most `cap` base units, while time < `until`.
    /// cap 0 revokes. The cap is charged with budget + fees at the first fill of a lane and never restored.
    /// @dev Warning: a stolen key can misspend the cap; it can neither withdraw nor approve.
    function approveDelegate(address key, uint64 cap, uint40 until) external;

    /// @notice Voids the caller's offer or order with this digest. Leases that are open stay.
    function cancel(bytes32 digest) external;

    /// @notice Voids all that the caller signed, by an unpredictable jump of its epoch.
    function bumpEpoch() external returns (uint64 epoch);

    /* LEASES: the fast path */

    /// @notice Opens a lease for each match whose terms hold, skips the others. Price = the offer's rate.
    /// The order's fee goes to the caller's account at each open.
    /// @param bookRoot commitment to the auction's book, or 0; anybody may state one, it speaks for the caller
    /// @return opened how many leases were opened
    function open(SignedOffer[] calldata offers, Match[] calldata matches, bytes32 bookRoot)
        external
        returns (uint256 opened);

    /// @notice Pays min(cumulative, locked) - paid for each voucher; never closes, whatever `last` says. Anyone may call, in
    /// every state but Closed.
    /// @return redeemed how many vouchers paid
    function redeem(SignedVoucher[] calldata vouchers) external returns (uint256 redeemed);

    /// @notice The buyer's side (buyer, voucherSigner, matcher, deputy) ends an Open lease: its notice starts. Cancelled is for
    /// buyer and voucherSigner only.
    /// @dev On a lease past its duration it changes nothing (and reverts with WrongState).
    function close(Order calldata order, uint8 fill, EndReason reason) external;

    /// @notice Pays `last` vouchers and ends their leases: Open, Closing and Claimed ones at once if the provider sends it or
    /// signed the same digest; else the notice of an Open lease starts. Anyone may call; items are isolated.
    /// @return closed how many leases are Closed by it
    function closeLast(LastVoucher[] calldata items) external returns (uint256 closed);

    /// @notice The provider leaves an Open lease honestly: its notice starts.
    function resign(Order calldata order, uint8 fill) external;

    /// @notice The provider answers a close before its deadline, which saves its bond if the reason was Unresponsive.
    function acknowledge(bytes32 lease) external;

    /// @notice Closes a lease whose deadline has passed, whatever its state. Anyone may call. Closing: the rest of the lock
    /// goes back to the buyer. Claimed: the claim is paid first, a commitment that was not revealed is none. Disputed: the
    /// arbiter was silent, both bonds return, what was in dispute goes back to the buyer.
    function finalise(Order calldata order, uint8 fill) external;

    /* LEASES: the slow path, for orders of meter 1 with an arbiter */

    /// @notice The provider asks for its pay without a voucher, once per lease, from Open or Closing.
    /// target = min(earned(work), locked, paid + order.bond): a slash always covers a lie. A new challenge window starts.
    /// @dev With replicas it first commits (`commitClaim`) and claims in the second half of that window, so that nobody copies.
    /// @param salt of the commitment; not read for an order with one replica
    /// @param start proof of a `from` that is not 0
    function claim(
        Order calldata order,
        uint8 fill,
        ClaimTerms calldata terms,
        bytes32 salt,
        StartVoucher calldata start
    ) external;

    /// @notice Commits to a result: keccak256(abi.encode(lease, provider, result, salt)). The lease is Claimed for one
    /// challenge window; a commitment that is not revealed in its second half was none.
    function commitClaim(Order calldata order, uint8 fill, bytes32 commitment) external;

    /// @notice Buyer or voucherSigner disputes, with a bond equal to the provider's from the caller's own account: a claim
    /// before its deadline, or a usage receipt that the provider signed, from Open, Closing or Claimed; so what was paid by
    /// voucher can be disputed too.
    /// @param receipt the usage receipt; its `lease` is 0 to dispute the claim
    /// @param signature the provider's, of the receipt
    function challenge(Order calldata order, uint8 fill, UsageReceipt calldata receipt, bytes calldata signature)
        external;

    /// @notice The order's arbiter decides a Disputed lease before its deadline; or, without a dispute, a revealed claim
    /// (agreement: `providerWins`, nothing from a bond).
    /// @param award base units of the lock for the provider; at most target - paid of a revealed claim, else 0
    /// @param toWinner base units of the loser's bond for the winner; a winning buyer's go to order.buyer
    /// @param toJurors base units of the loser's bond for the arbiter's account
    function rule(Order calldata order, uint8 fill, bool providerWins, uint48 award, uint48 toWinner, uint48 toJurors)
        external;

    /* VIEWS */

    function token() external view returns (address);
    function registry() external view returns (address);
    function minNotice() external view returns (uint32);
    function account(address who) external view returns (Account memory);
    function beneficiary(address who) external view returns (address);
    function delegate(address buyer, address key) external view returns (Delegate memory);
    function isCancelled(address who, bytes32 digest) external view returns (bool);
    function lease(bytes32 id) external view returns (Lease memory);
    function claimOf(bytes32 id) external view returns (Claim memory);
    function disputeOf(bytes32 id) external view returns (Dispute memory);

    /// @notice The state that counts now: an Open lease past its deadline is Closing.
    function stateOf(bytes32 id) external view returns (LeaseState);

    /// @notice hash of all events so far (208 bits) and their count.
    function head() external view returns (uint208 hash, uint48 count);

    function hashOffer(Offer calldata offer) external view returns (bytes32);
    function hashOrder(Order calldata order) external view returns (bytes32);
    function hashVoucher(Voucher calldata voucher) external view returns (bytes32);
    function hashUsageReceipt(UsageReceipt calldata receipt) external view returns (bytes32);
    function leaseId(bytes32 orderDigest, uint8 fill) external pure returns (bytes32);
}
