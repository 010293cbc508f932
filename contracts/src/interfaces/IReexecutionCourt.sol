// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Juror, Outcome, Phase, Seat, TraceOpening} from "./CourtTypes.sol";
import {LeaseState, Order, StartVoucher, UsageReceipt} from "./LedgerTypes.sol";

/// @title The court that settles disputes about deterministic jobs by running one segment again
/// @notice An order that names it as `arbiter` is judged by it. Immutable, without owner, pause or oracle. It learns
/// everything from the ledger's views and acts by `rule` alone; the ledger never calls it. Amounts are base units of the
/// ledger's token (10^-6 $), times unix seconds, work raw units.
///
/// A case: anyone brings a Disputed lease. The provider opens its trace. While the stretch in dispute is longer than one
/// segment, the provider posts the state in its middle, and the challenger agrees (the second half is in dispute) or does
/// not (the first half). Each move has `moveTime`; who misses one has lost, and anyone says so by `timeout`. Jurors then run
/// the one segment again, commit, and reveal a value (below). More than half of the seats on one value decide: the
/// provider's value, and the provider has won; any other, and the buyer has. A jury of 3 that does not decide is followed by
/// one of 9, and a jury of 9 that does not decide by none: the court stays silent, and when the arbiter's 14 days are over
/// the ledger returns both bonds and what was in dispute to the buyer.
///
/// The value of a segment that ends at `hi`: keccak256(abi.encode(state hash, work)), where work is the work at `lo` plus
/// what the segment took. Of the last segment of a claimed result (`finalValue` is not 0, `hi` is the last position):
/// keccak256(abi.encode(state hash, work, status, exit code, number of outputs, outputs root)); a juror that finds that the
/// job goes on after it votes the first form. 0: it cannot be replayed (no such segment, or the provider does not serve
/// manifest, module, inputs and the snapshot with the state hash of `lo`).
///
/// Money: a seat costs `feePerSeat`, paid by the loser's bond to the seats on the winning value. Of the provider's bond the
/// buyer is made whole first: what vouchers paid beyond what was earned up to `lo`. The rest goes to the winner. A juror that
/// does not reveal loses a tenth of its seat bond, one that revealed another value than the decision all of it. Those slashes
/// are burned: nobody ever gets them. So no dispute makes buyer and provider together richer.
///
/// Every phase has a deadline after which anyone moves it on: Opening, Posting and Answering by `timeout`, Voting by `tally`;
/// Drawing by `draw`, which ends the case as Default when no verdict can come in time.
/// @dev The start of a lease that went on from a checkpoint is proved by a voucher of the buyer's side. Its state hash covers
/// its place in the job and the work so far (SPEC "Jobs"), so a juror that replays from another place finds another value.
/// @dev Warning: vouchers that are redeemed during a case count as harm, so a buyer can leave the jurors without fees.
/// @dev Warning: who proposes blocks can bias a draw. Whoever holds more than half of the listed seat bonds decides cases.
interface IReexecutionCourt {
    /* EVENTS: each enters the court's own head, in storage slot 0, in emission order */

    /// @notice `juror` can be drawn; `stake` base units are the seat bond.
    event JurorJoined(address indexed juror, uint8 zone, uint64 stake);

    /// @notice `juror` took its stake of `amount` base units to `to`.
    event JurorLeft(address indexed juror, address indexed to, uint64 amount);

    /// @notice `amount` base units of the juror's stake are burned, `stake` are left; it is not listed any more.
    event JurorSlashed(address indexed juror, bytes32 indexed lease, uint64 amount, uint64 stake);

    /// @notice `amount` base units of fees left the court's ledger account for `to`.
    event FeesCollected(address indexed juror, address indexed to, uint64 amount);

    /// @notice A dispute of the ledger is before the court; the provider opens its trace until `deadline`.
    /// @param value base units that the verdict moves
    /// @param seats of the first jury
    event CaseBrought(
        bytes32 indexed lease,
        address indexed provider,
        address indexed challenger,
        uint256 value,
        uint8 seats,
        uint40 deadline
    );

    /// @notice The provider opened its trace; the positions `lo` to `hi` are in dispute.
    event TraceOpened(
        bytes32 indexed lease,
        bytes32 root,
        uint32 segments,
        uint32 lo,
        uint64 loWork,
        uint32 hi,
        uint64 hiWork,
        bytes32 finalValue
    );

    /// @notice The provider says that after `position` segments the job has this state and work.
    event MiddlePosted(bytes32 indexed lease, uint32 position, bytes32 state, uint64 work, uint40 deadline);

    /// @notice The challenger agrees with it or not; the positions `lo` to `hi` are in dispute.
    event MiddleAnswered(bytes32 indexed lease, bool agreed, uint32 lo, uint32 hi);

    /// @notice Jurors are drawn by the hash of the block `anchor`, which is yet to come.
    event DrawAnchored(bytes32 indexed lease, uint8 round, uint8 seats, uint64 anchor, uint32 places);

    /// @notice `juror` sits in the case.
    event JurorSeated(bytes32 indexed lease, address indexed juror, uint8 round, uint8 seat);

    /// @notice Commitments are taken until `commitUntil`, then values until `revealUntil`. Again when all committed early.
    event VotingStarted(bytes32 indexed lease, uint8 round, uint40 commitUntil, uint40 revealUntil);

    event VoteCommitted(bytes32 indexed lease, address indexed juror, bytes32 commitment);

    event VoteRevealed(bytes32 indexed lease, address indexed juror, bytes32 value);

    /// @notice The case is over; with ProviderWins and BuyerWins the ledger was told.
    /// @param value the decision of the jury; 0 also if there was none
    /// @param award base units of the lock for the provider
    /// @param toWinner base units of the loser's bond
    /// @param toJurors base units of the loser's bond
    event CaseEnded(
        bytes32 indexed lease, Outcome outcome, bytes32 value, uint48 award, uint48 toWinner, uint48 toJurors
    );

    /// @notice `count` lanes of one order claimed the same result and were paid.
    event ResultAgreed(bytes32 indexed order, bytes32 indexed result, uint64 work, uint256 count);

    /* ERRORS: expected first, then actual */

    error ReexecutionCourt_ZeroAddress();
    error ReexecutionCourt_TimesOutOfRange(uint256 maximum, uint256 total);
    error ReexecutionCourt_SeatBondOutOfRange(uint48 minimum, uint48 seatBond);
    error ReexecutionCourt_ZoneExpected();
    error ReexecutionCourt_AlreadyJuror(address juror);
    error ReexecutionCourt_NotJuror(address caller);
    error ReexecutionCourt_Seated(address juror);
    error ReexecutionCourt_StakeIncomplete(uint256 expected, uint256 received);
    error ReexecutionCourt_TransferFailed(address token);
    error ReexecutionCourt_NothingOwed(address juror);
    error ReexecutionCourt_NotArbiter(address arbiter);
    error ReexecutionCourt_NotDisputed(bytes32 lease, LeaseState state);
    error ReexecutionCourt_TooValuable(uint256 maximum, uint256 value);
    error ReexecutionCourt_BondTooSmall(uint256 minimum, uint256 bond);
    error ReexecutionCourt_WrongPhase(bytes32 lease, Phase phase);
    error ReexecutionCourt_NotParty(address expected, address caller);
    error ReexecutionCourt_DeadlinePassed(uint40 deadline, uint256 time);
    error ReexecutionCourt_DeadlineNotReached(uint40 deadline, uint256 time);
    error ReexecutionCourt_SegmentsOutOfRange(uint32 expected, uint32 segments);
    error ReexecutionCourt_WrongReceipt(bytes32 expected, bytes32 receipt);
    error ReexecutionCourt_WrongEnd(bool expected);
    error ReexecutionCourt_WrongStart(bytes32 from, uint32 startPosition);
    error ReexecutionCourt_WrongResult(bytes32 expected, bytes32 result);
    error ReexecutionCourt_WrongWork(uint256 expected, uint256 work);
    error ReexecutionCourt_WrongProof(uint256 index);
    error ReexecutionCourt_WorkOutOfOrder(uint64 lo, uint64 hi, uint64 work);
    error ReexecutionCourt_AnchorNotReached(uint64 anchor, uint256 number);
    error ReexecutionCourt_NotSeated(bytes32 lease, address caller);
    error ReexecutionCourt_ZeroCommitment();
    error ReexecutionCourt_AlreadyCommitted(address juror);
    error ReexecutionCourt_AlreadyRevealed(address juror);
    error ReexecutionCourt_WrongCommitment(bytes32 commitment, bytes32 revealed);
    error ReexecutionCourt_NoQuorum(uint8 quorum, uint256 count);
    error ReexecutionCourt_NotClaimed(bytes32 lease);
    error ReexecutionCourt_LaneRepeated(uint8 fill);
    error ReexecutionCourt_ProviderRepeated(address provider);
    error ReexecutionCourt_NotAttested(address auditor, address provider);
    error ReexecutionCourt_Disagreement(bytes32 lease);

    /* JURORS */

    /// @notice Pulls what is missing of the seat bond from the caller and lists it as a juror. A draw that is anchored
    /// already does not find it. A juror that was slashed joins again by filling its stake up.
    /// @dev Reverts with StakeIncomplete if less arrives than was pulled (a token with a fee).
    /// @param zone where its machine stands, 1..255; cases of providers of that zone pass it by
    function join(uint8 zone) external;

    /// @notice Sends the caller's stake to `to` and takes it off the list. Not while it sits in a case.
    function leave(address to) external;

    /// @notice Sends the caller's fees, from the court's ledger account, to `to`.
    function collect(address to) external;

    /* A CASE, in its order */

    /// @notice Brings a Disputed lease of an order whose arbiter is the court. Anyone may call, once a lease.
    /// The value is what the verdict moves: what the claim would still pay, and both bonds. Up to half of 3 seat bonds it
    /// gets 3 seats first, up to half of 9 it gets 9, beyond that it is refused (TooValuable); so is an order whose bond does
    /// not cover the fees of 12 seats (BondTooSmall). A refused dispute ends by the ledger's 14 days.
    function bring(Order calldata order, uint8 fill) external;

    /// @notice The provider shows the trace behind what is in dispute: of a claim, its result, work, `from` and `last`; of a
    /// usage receipt, its result, work and sequence (= segments).
    /// @param receipt the usage receipt in dispute; not read if the claim is
    /// @param start proof of a start that is not the job's, for a usage receipt: a voucher of an earlier fill of the lane with
    /// the state at `startPosition`. Not read otherwise: a claim's `from` was proved to the ledger.
    function openTrace(
        Order calldata order,
        uint8 fill,
        UsageReceipt calldata receipt,
        TraceOpening calldata opening,
        StartVoucher calldata start
    ) external;

    /// @notice The provider posts the trace leaf after (lo + hi) / 2 segments, rounded down.
    /// @param work not less than at `lo`, not more than at `hi`: a trace in which it falls cannot be defended
    function postMiddle(bytes32 lease, bytes32 state, uint64 work, bytes32[] calldata proof) external;

    /// @notice The challenger says whether it found the same state and work there.
    /// @dev Warning: to agree with what is wrong, or not with what is right, loses the case.
    function answer(bytes32 lease, bool agreed) external;

    /// @notice A move was missed: the other side wins without a jury. Anyone may call, from the deadline on.
    function timeout(Order calldata order, uint8 fill) external;

    /// @notice Draws jurors by the hash of the anchor block: distinct ones that were listed before that block, are in no
    /// case, are no party and not of the provider's zone. Looks at 64 places a call; anyone calls again until all seats are
    /// taken. 256 blocks after the anchor a new one is set. Ends the case as Default when a jury would come too late.
    function draw(Order calldata order, uint8 fill) external;

    /// @notice A juror of the present jury commits to keccak256(abi.encode(lease, round, juror, value, salt)), once. When all
    /// have, the values can be revealed at once.
    /// @dev Warning: take 32 random bytes as `salt`. Lease, round and juror are in it, so a copied commitment cannot be opened.
    function commit(bytes32 lease, bytes32 commitment) external;

    /// @notice A juror shows what it committed to, after the commitments are closed and before `revealUntil`.
    function reveal(bytes32 lease, bytes32 value, bytes32 salt) external;

    /// @notice Counts when the time is over, or all that committed have revealed. Anyone may call. Rules, or calls the second
    /// jury, or ends the case as Default.
    function tally(Order calldata order, uint8 fill) external;

    /* AGREEMENT */

    /// @notice Rules for the claims of `fills` at once: at least the order's quorum, of distinct lanes and providers, each
    /// with the order's traits and the lease's zone attested to it by the order's auditor now, all claimed (and revealed) as
    /// the end of the job from the same start, with the same result and the same work. Anyone may call; one bad fill reverts.
    function agree(Order calldata order, uint8[] calldata fills) external;

    /* VIEWS */

    function ledger() external view returns (address);

    /// @notice Base units that a juror stakes; the least is 10.
    function seatBond() external view returns (uint48);

    /// @notice Base units for a seat on the winning value.
    function feePerSeat() external view returns (uint48);

    /// @notice Seconds for each move of provider or challenger.
    function moveTime() external view returns (uint32);

    /// @notice Seconds for the commitments of a jury.
    function commitTime() external view returns (uint32);

    /// @notice Seconds for a jury to reveal.
    function revealTime() external view returns (uint32);

    /// @notice Base units of slashes that stay here for ever.
    function burned() external view returns (uint256);

    /// @notice Length of the list of jurors, with the places of those that left.
    function places() external view returns (uint256);

    /// @notice The juror at a place, from 0; 0 if it left.
    function jurorAt(uint256 place) external view returns (address);

    function jurorOf(address who) external view returns (Juror memory);
    function caseOf(bytes32 lease) external view returns (Case memory);

    /// @notice The seats of a case, those of the first jury first.
    function seatsOf(bytes32 lease) external view returns (Seat[] memory);

    /// @notice The value that a juror finds if the provider is right about the segment in dispute.
    function claimedValue(bytes32 lease) external view returns (bytes32);

    /// @notice hash of all events so far (208 bits) and their count.
    function head() external view returns (uint208 hash, uint48 count);
}
