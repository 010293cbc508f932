"""A checkpoint is one state's only spelling; anything else is refused."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.hashing import keccak256
from provider.runtimes.checkpoint import Checkpoint
from provider.runtimes.faults import CheckpointRefused
from provider.runtimes.wasi import HostState
from provider.runtimes.wasi_det import WasiDet
from tests.support.wasm_jobs import COUNTER, point_after, run, spec

JOB = spec(COUNTER, segments=4)
SEGMENTS = run(JOB)
LIMIT = 2**20


def _state() -> Checkpoint:
    assert SEGMENTS[1].checkpoint is not None
    return Checkpoint.decode(SEGMENTS[1].checkpoint, memory_limit_bytes=LIMIT)


def test_decoding_gives_back_what_was_encoded() -> None:
    assert _state().encode() == SEGMENTS[1].checkpoint


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_flipped_bit_is_refused(data: st.DataObject) -> None:
    point = point_after(SEGMENTS[1])
    at = data.draw(st.integers(0, len(point.checkpoint) - 1))
    flipped = bytearray(point.checkpoint)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CheckpointRefused):
        WasiDet(sandboxed=False).start(JOB, replace(point, checkpoint=bytes(flipped)))


@pytest.mark.parametrize("cut", [0, 10, 60, -1])
def test_a_checkpoint_that_is_cut_short_is_refused(cut: int) -> None:
    point = point_after(SEGMENTS[1])
    with pytest.raises(CheckpointRefused):
        WasiDet(sandboxed=False).start(JOB, replace(point, checkpoint=point.checkpoint[:cut]))


def test_bytes_behind_the_end_are_refused() -> None:
    point = point_after(SEGMENTS[1])
    with pytest.raises(CheckpointRefused):
        WasiDet(sandboxed=False).start(JOB, replace(point, checkpoint=point.checkpoint + b"\0"))


def test_the_checkpoint_of_another_segment_is_refused() -> None:
    point = replace(point_after(SEGMENTS[1]), leaf=SEGMENTS[0].leaf)
    with pytest.raises(CheckpointRefused):
        WasiDet(sandboxed=False).start(JOB, point)


def test_the_checkpoint_of_another_job_is_refused() -> None:
    other = spec(COUNTER, segments=4, arguments=("other",))
    with pytest.raises(CheckpointRefused, match="another job"):
        WasiDet(sandboxed=False).start(other, point_after(SEGMENTS[1]))


def test_a_checkpoint_over_the_memory_limit_is_refused() -> None:
    with pytest.raises(CheckpointRefused):
        Checkpoint.decode(_state().encode(), memory_limit_bytes=0)


def test_the_state_hash_covers_memory_globals_host_place_and_work() -> None:
    state = _state()
    changed = (
        replace(state, memory=b"\1" + state.memory[1:]),
        replace(state, globals=(("i64", 7),)),
        replace(state, host=HostState(clock_calls=1, random_bytes=8)),
        replace(state, job_hash=keccak256(b"other")),
        replace(state, segments=state.segments + 1),
        replace(state, work=state.work + 1),
    )
    assert len({state.state_hash(), *(other.state_hash() for other in changed)}) == len(changed) + 1
