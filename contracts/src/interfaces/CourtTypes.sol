// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/* What the re-execution court keeps and is told. Work is raw and cumulative over the job unless it says otherwise. */

/// @notice Whose move it is.
/// Opening: the provider opens its trace. Posting: the provider posts the middle of the stretch in dispute. Answering: the
/// challenger says whether it agrees with it. Drawing: one segment is left, and anyone draws jurors. Voting: they commit
/// until `deadline`, then reveal until `revealUntil`. Ended: nothing moves it any more.
enum Phase {
    None,
    Opening,
    Posting,
    Answering,
    Drawing,
    Voting,
    Ended
}

/// @notice How a case ended. Default: the court was silent, the ledger's own rule for that holds.
enum Outcome {
    None,
    ProviderWins,
    BuyerWins,
    Default
}

/// @notice The job after `position` segments.
/// @param state state hash; at position 0 there is none, it is 0
/// @param work raw units up to here
/// @param position segments done; the trace leaf of it has the index position - 1
struct Point {
    bytes32 state;
    uint64 work;
    uint32 position;
}

/// @notice A dispute of the ledger that was brought to the court. Its id is the lease's.
/// @param provider of the lease
/// @param deadline unix seconds; of the present move, or of the commitments while Voting; not used while Drawing
/// @param seats of the present jury: 3 or 9
/// @param filled seats of it that are drawn
/// @param round 1 or 2
/// @param challenger of the dispute
/// @param revealUntil unix seconds
/// @param committed jurors of the present jury that committed
/// @param revealed jurors of the present jury that revealed
/// @param anchor number of the block whose hash is the seed of the draw
/// @param places length of the list of jurors when the anchor was set
/// @param probes places that this draw has looked at
/// @param root of the provider's trace
/// @param segments leaves of the provider's trace
/// @param startWork raw units of the job at the place where the lease started
/// @param finalValue what a vote for the provider says about the job's last segment; 0 if it does not claim the job's end
/// @param lo where both sides agree
/// @param mid what the provider posted, while Answering
/// @param hi what the provider claims and the challenger does not accept
struct Case {
    address provider;
    uint40 deadline;
    Phase phase;
    Outcome outcome;
    uint8 seats;
    uint8 filled;
    uint8 round;
    address challenger;
    uint40 revealUntil;
    uint8 committed;
    uint8 revealed;
    uint64 anchor;
    uint32 places;
    uint32 probes;
    uint32 segments;
    uint64 startWork;
    bytes32 root;
    bytes32 finalValue;
    Point lo;
    Point mid;
    Point hi;
}

/// @notice One juror's place in a case.
/// @param commitment keccak256(abi.encode(lease, round, juror, value, salt)); 0 = none yet
/// @param value what it revealed; 0 is a value too (the segment cannot be replayed)
struct Seat {
    address juror;
    uint8 round;
    bool revealed;
    bytes32 commitment;
    bytes32 value;
}

/// @param stake base units; the seat bond, or what slashes left of it
/// @param owed base units of fees that it can collect
/// @param since number of the block in which it joined
/// @param place in the list of jurors, from 1; 0 = not listed, cannot be drawn
/// @param zone grid zone that it declared, 1..255
/// @param seat its index in the case that it sits in
/// @param seated sits in a case: it can neither leave nor be drawn
struct Juror {
    uint64 stake;
    uint64 owed;
    uint40 since;
    uint32 place;
    uint8 zone;
    uint8 seat;
    bool seated;
}

/// @notice How the job ended: the rest of a result hash's preimage.
/// @param status 0 succeeded, 1 failed, 2 out of work, 3 output limit, 4 trapped
/// @param outputs how many files
/// @param outputsRoot Merkle root of them
struct JobEnd {
    uint8 status;
    uint8 exitCode;
    uint32 outputs;
    bytes32 outputsRoot;
}

/// @notice What the provider shows of the trace behind its claim or usage receipt.
/// @param root Merkle root of the whole job's trace, from its first segment
/// @param segments leaves, 1..2^16
/// @param state of the last leaf
/// @param work of the last leaf
/// @param proof of the last leaf
/// @param ended the result is a result hash: `end` holds the rest of its preimage; else it is the last leaf's state
/// @param startPosition segments done where the lease started; 0 if it started the job
/// @param startWork raw units of the job there
/// @param startProof of that leaf
struct TraceOpening {
    bytes32 root;
    uint32 segments;
    bytes32 state;
    uint64 work;
    bytes32[] proof;
    bool ended;
    JobEnd end;
    uint32 startPosition;
    uint64 startWork;
    bytes32[] startProof;
}
