"""What provider, challenger and jurors bring to the re-execution court, as the court checks it.

A position counts segments done: position p is trace leaf p - 1, position 0 the job's start. Work is raw and cumulative
over the job. Pure; the contract's manual is IReexecutionCourt.sol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.hashing import ZERO_HASH, Address, from_hex, keccak256
from protocol.merkle import merkle_proof, merkle_root
from protocol.results import STATUS_CODES, TRACE, JobResult, TraceLeaf

MAX_SEGMENTS: Final = 1 << 16
"""Leaves of a trace that the court bisects, at most."""

UNREPLAYABLE: Final = ZERO_HASH
"""The value of a segment that does not exist, or whose job or snapshot the provider does not serve."""

Trace = Sequence[TraceLeaf]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The job after `position` segments; at the job's start the state is zero and the work 0."""

    state: bytes
    work: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How a job ended: the rest of a result hash's preimage."""

    #: as `STATUS_CODES` numbers it
    status: int
    #: 0..255
    exit_code: int
    #: how many files
    outputs: int
    outputs_root: bytes

    @classmethod
    def of(cls, result: JobResult) -> "JobEnd":
        return cls(
            status=STATUS_CODES[result.status],
            exit_code=result.exit_code,
            outputs=len(result.outputs),
            outputs_root=result.outputs_root(),
        )


_NO_END: Final = JobEnd(status=0, exit_code=0, outputs=0, outputs_root=ZERO_HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOpening:
    """The provider's first move; the fields of the contract's struct, in its order."""

    root: bytes
    #: leaves, 1..MAX_SEGMENTS
    segments: int
    state: bytes
    work: int
    proof: tuple[bytes, ...]
    #: the result in dispute is a result hash
    ended: bool
    end: JobEnd
    #: segments done where the lease started; 0 = the job's start
    start_position: int
    start_work: int
    start_proof: tuple[bytes, ...]


def trace_root(trace: Trace) -> bytes:
    """Merkle root of the leaves; zero for none."""
    return merkle_root(TRACE, [leaf.leaf() for leaf in trace])


def leaf_proof(trace: Trace, position: int) -> tuple[bytes, ...]:
    """The siblings of the leaf at `position`, from the bottom up. Raises `IndexError`."""
    return tuple(merkle_proof(TRACE, [leaf.leaf() for leaf in trace], position - 1))


def open_trace(trace: Trace, *, end: JobEnd | None, start_position: int = 0) -> TraceOpening:
    """What opens a case about the whole of `trace`. Raises `IndexError` for a start outside it.

    `end` is None where the result in dispute is the last leaf's state. A lease that went on from a checkpoint started
    at `start_position`.
    """
    last = trace[-1]
    start = trace[start_position - 1] if start_position else None
    return TraceOpening(
        root=trace_root(trace),
        segments=len(trace),
        state=last.state_hash,
        work=last.work,
        proof=leaf_proof(trace, len(trace)),
        ended=end is not None,
        end=end or _NO_END,
        start_position=start_position,
        start_work=start.work if start else 0,
        start_proof=leaf_proof(trace, start_position) if start else (),
    )


def middle(lo: int, hi: int) -> int:
    """The position that the provider posts next, rounded down."""
    return (lo + hi) // 2


def agrees(mine: Trace, posted: Point) -> bool:
    """The challenger's answer to a middle: whether its own run has the same there. `mine` begins with the job.

    Wrong either way loses the case, so `mine` is a run of the challenger's own, never what another told it.
    """
    if not 0 < posted.position <= len(mine):
        return False
    leaf = mine[posted.position - 1]
    return (leaf.state_hash, leaf.work) == (posted.state, posted.work)


def segment_value(state_hash: bytes, work: int) -> bytes:
    """What a juror reveals about a segment after which the job goes on, or that no claimed result ends."""
    return keccak256(state_hash + _word(work))


def final_value(state_hash: bytes, work: int, end: JobEnd) -> bytes:
    """What a juror reveals about the last segment of a claimed result."""
    counts = _word(end.status) + _word(end.exit_code) + _word(end.outputs)
    return keccak256(state_hash + _word(work) + counts + end.outputs_root)


def vote_commitment(*, lease: bytes, round_: int, juror: Address, value: bytes, salt: bytes) -> bytes:
    """What a juror commits to. `salt` is 32 random bytes, used once and kept until the value is revealed."""
    return keccak256(lease + _word(round_) + bytes(12) + from_hex(juror, 20) + value + salt)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
