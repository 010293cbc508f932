"""A real job, what honest and dishonest providers say of it, and the snapshots that they serve.

The job is the committed training of the digit reader: 32 segments, one output. Each cheat is made from real runs of it.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from protocol.hashing import keccak256
from protocol.results import JobResult, TraceLeaf
from protocol.trace import JobEnd
from provider.runtimes.checkpoint import Checkpoint
from provider.runtimes.model import ResumePoint, RunSpec, Segment
from tests.support.wasm_jobs import digits_spec, result_of, run

JOB: Final[RunSpec] = digits_spec("train")
JOB_HASH: Final = JOB.manifest.job_hash()
SEGMENTS: Final = JOB.manifest.segments


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a provider says that the job gave."""

    result: JobResult
    #: position → checkpoint file
    snapshots: dict[int, bytes]
    #: whether it serves them, and the job's files, to jurors
    serves: bool = True

    @property
    def trace(self) -> tuple[TraceLeaf, ...]:
        return self.result.trace

    @property
    def end(self) -> JobEnd:
        return JobEnd.of(self.result)

    def work(self, position: int) -> int:
        """Raw work of the job after `position` segments."""
        return self.trace[position - 1].work if position else 0


def _told(segments: list[Segment]) -> Told:
    kept = {item.leaf.index + 1: item.checkpoint for item in segments if item.checkpoint is not None}
    return Told(result=result_of(JOB, segments), snapshots=kept)


@cache
def _segments() -> tuple[Segment, ...]:
    return tuple(run(JOB))


def honest() -> Told:
    """A whole run."""
    return _told(list(_segments()))


def run_again() -> Told:
    """Another machine's whole run."""
    return _told(run(JOB))


def skipping(number: int) -> Told:
    """It does not run the segment `number` (from 1) and bills it like the one before, then goes on honestly."""
    before, skipped = _segments()[number - 2], _segments()[number - 1]
    assert before.checkpoint is not None
    kept = Checkpoint.decode(before.checkpoint, memory_limit_bytes=JOB.manifest.limits.memory_bytes)
    billed = 2 * before.leaf.work - (_segments()[number - 3].leaf.work if number > 2 else 0)
    renamed = replace(kept, segments=number, work=billed)
    file = renamed.encode()
    invented = Segment(
        leaf=TraceLeaf(index=number - 1, state_hash=renamed.state_hash(), work=billed),
        log=skipped.log,
        checkpoint=file,
        end=None,
    )
    rest = run(JOB, ResumePoint(leaf=invented.leaf, checkpoint=file))
    return _told([*_segments()[: number - 1], invented, *rest])


def inflating(number: int, units: int) -> Told:
    """Right states and outputs, but `units` of work too many from the segment `number` on."""
    told = honest()
    trace = tuple(leaf if leaf.index + 1 < number else replace(leaf, work=leaf.work + units) for leaf in told.trace)
    return replace(told, result=replace(told.result, trace=trace, work=trace[-1].work))


def forging_the_output() -> Told:
    """Right states and work, but another file than the job wrote: only the end of the job shows it."""
    told = honest()
    forged = replace(told.result.outputs[0], sha256=keccak256(b"a file that the job never wrote"))
    return replace(told, result=replace(told.result, outputs=(forged, *told.result.outputs[1:])))


def misplacing(true: int, said: int) -> Told:
    """A successor that got the checkpoint after `true` segments says that it lies after `said`, fewer, and runs the
    segments between once more: more work to bill, and another result."""
    base, place = honest(), _segments()[said - 1].leaf
    kept = Checkpoint.decode(base.snapshots[true], memory_limit_bytes=JOB.manifest.limits.memory_bytes)
    moved = replace(kept, segments=said, work=place.work)
    start = replace(place, state_hash=moved.state_hash())
    rest = run(JOB, ResumePoint(leaf=start, checkpoint=moved.encode()))
    # What it was paid to start from is the true state; only the checkpoint file that it serves is its own.
    named = replace(place, state_hash=base.trace[true - 1].state_hash)
    told = _told([*_segments()[: said - 1], replace(_segments()[said - 1], leaf=named), *rest])
    return replace(told, snapshots=told.snapshots | {said: moved.encode()})


def going_on() -> Told:
    """One more segment than the job has, from a snapshot of its end that the job never leaves."""
    told = honest()
    last = told.trace[-1]
    more = TraceLeaf(index=SEGMENTS, state_hash=keccak256(b"a state after the end"), work=last.work + 40_000_000)
    kept = Checkpoint.decode(told.snapshots[SEGMENTS - 1], memory_limit_bytes=JOB.manifest.limits.memory_bytes)
    fake = replace(kept, segments=SEGMENTS, work=last.work).encode()
    return replace(
        told,
        result=replace(told.result, trace=(*told.trace, more), work=more.work),
        snapshots=told.snapshots | {SEGMENTS: fake},
    )
