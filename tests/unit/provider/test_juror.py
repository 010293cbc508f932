"""What a juror votes: its own run of the segment, or that there is nothing to run."""

from dataclasses import replace
from typing import Any

import pytest

from protocol.court import Case, Outcome, Phase
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, keccak256
from protocol.trace import UNREPLAYABLE, JobEnd, Point, agrees, final_value, segment_value
from provider.juror import find_value
from provider.runtimes.checkpoint import Checkpoint
from provider.runtimes.faults import ProviderFault
from provider.runtimes.model import ResumePoint, RunSpec, Segment
from provider.runtimes.wasi_det import WasiDet
from tests.support.wasm_jobs import COUNTER, result_of, run, spec

RUNTIME = WasiDet(sandboxed=False)
JOB = spec(COUNTER, segments=5)
SEGMENTS = run(JOB)
END = JobEnd.of(result_of(JOB, SEGMENTS))
CLAIMED_END = keccak256(b"a claimed end")


def point(position: int, segments: list[Segment] = SEGMENTS) -> Point:
    if position == 0:
        return Point(state=ZERO_HASH, work=0, position=0)
    leaf = segments[position - 1].leaf
    return Point(state=leaf.state_hash, work=leaf.work, position=position)


def case(lo: Point, *, segments: int = 5, ended: bool = True) -> Case:
    """One segment after `lo` is in dispute; what the provider says of it does not matter to a juror."""
    hi = Point(state=keccak256(b"said"), work=lo.work + 1, position=lo.position + 1)
    return Case(
        provider=ZERO_ADDRESS, challenger=ZERO_ADDRESS, phase=Phase.VOTING, outcome=Outcome.NONE, deadline=0,
        reveal_until=0, seats=3, round_=1, anchor=0, segments=segments, final_value=CLAIMED_END if ended else ZERO_HASH,
        lo=lo, mid=lo, hi=hi,
    )  # fmt: skip


def snapshot(position: int, **changes: Any) -> bytes:
    file = SEGMENTS[position - 1].checkpoint
    assert file is not None
    if not changes:
        return file
    return replace(Checkpoint.decode(file, memory_limit_bytes=2**20), **changes).encode()


@pytest.mark.parametrize("position", range(4))
def test_a_segment_in_the_middle_is_run_from_its_snapshot(position: int) -> None:
    leaf = SEGMENTS[position].leaf
    file = snapshot(position) if position else None
    assert find_value(RUNTIME, JOB, case(point(position)), file) == segment_value(leaf.state_hash, leaf.work)


def test_the_last_segment_of_a_claimed_end_shows_how_the_job_ended() -> None:
    leaf = SEGMENTS[4].leaf
    assert find_value(RUNTIME, JOB, case(point(4)), snapshot(4)) == final_value(leaf.state_hash, leaf.work, END)


@pytest.mark.parametrize(
    ("segments", "ended"),
    [pytest.param(5, False, id="a state was claimed"), pytest.param(9, True, id="the claimed end is later")],
)
def test_an_end_that_was_not_claimed_there_is_voted_as_a_state(segments: int, ended: bool) -> None:
    leaf = SEGMENTS[4].leaf
    disputed = case(point(4), segments=segments, ended=ended)
    assert find_value(RUNTIME, JOB, disputed, snapshot(4)) == segment_value(leaf.state_hash, leaf.work)


def test_a_claimed_end_where_the_job_goes_on_is_voted_as_a_state() -> None:
    leaf = SEGMENTS[2].leaf
    found = find_value(RUNTIME, JOB, case(point(2), segments=3), snapshot(2))
    assert found == segment_value(leaf.state_hash, leaf.work)


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(snapshot(1), id="of another place"),
        pytest.param(snapshot(2, memory=bytes(2**16)), id="of another state"),
        pytest.param(snapshot(2, work=1), id="of other work"),
        pytest.param(snapshot(2, job_hash=keccak256(b"job")), id="of another job"),
    ],
)
def test_without_the_right_snapshot_nothing_can_be_run(file: bytes | None) -> None:
    assert find_value(RUNTIME, JOB, case(point(2)), file) == UNREPLAYABLE


def test_without_the_jobs_files_nothing_can_be_run() -> None:
    assert find_value(RUNTIME, None, case(point(0)), None) == UNREPLAYABLE


def test_a_module_that_no_provider_may_run_proves_nothing() -> None:
    refused = spec('(module (import "env" "f" (func)) (memory (export "memory") 1))')
    assert find_value(RUNTIME, refused, case(point(0)), None) == UNREPLAYABLE


def test_no_segment_follows_the_last() -> None:
    end = point(5)
    faked = snapshot(4, segments=5, work=end.work)
    lo = replace(end, state=Checkpoint.decode(faked, memory_limit_bytes=2**20).state_hash())
    assert find_value(RUNTIME, JOB, case(lo, segments=6), faked) == UNREPLAYABLE


def test_a_machine_that_fails_has_no_value() -> None:
    class Failing(WasiDet):
        def replay(self, spec: RunSpec, resume: ResumePoint | None) -> Segment:
            raise ProviderFault("out of memory", "close something")

    with pytest.raises(ProviderFault):
        find_value(Failing(), JOB, case(point(0)), None)


LEAVES_EARLY = """
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "init") (i64.store (i32.const 0) (i64.const 7)) (call $exit (i32.const 0)))
  (func (export "step") (param i32) (i64.store (i32.const 8) (i64.const 9))))
"""


def test_nothing_follows_an_early_exit() -> None:
    """Whoever goes on from the state of a job that ended in `init` invents segments, which no juror may confirm."""
    job = spec(LEAVES_EARLY, segments=4)
    [only] = run(job)
    assert only.end is not None
    assert (only.end.status, only.leaf.state_hash) == ("succeeded", ZERO_HASH)
    # The state as it is when `init` exits, dressed as a checkpoint.
    left = Checkpoint(
        job_hash=job.manifest.job_hash(), segments=1, work=only.leaf.work, host=_host(), globals=(),
        memory=b"\7" + bytes(2**16 - 1),
    )  # fmt: skip
    told = Point(state=left.state_hash(), work=only.leaf.work, position=1)
    assert not agrees([only.leaf], told)
    # The challenger is led to the first segment, and the jurors find its end there.
    assert find_value(RUNTIME, job, case(point(0), segments=4), None) == segment_value(ZERO_HASH, only.leaf.work)
    # A provider that shows the true first leaf has no snapshot to go on from.
    assert find_value(RUNTIME, job, case(replace(told, state=ZERO_HASH), segments=4), left.encode()) == UNREPLAYABLE


def _host() -> Any:
    return Checkpoint.decode(snapshot(1), memory_limit_bytes=2**20).host
