"""Work is exact: the same on every run, and a limit stops a job at the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.runtimes.metering import WORK_PER_HOST_CALL, WORK_PER_MODULE_BYTE, fuel_within, with_memory
from tests.support.wasm_jobs import COUNTER, run, spec

SPIN = '(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))'
CLOCK = """
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop $again (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 0))) (br $again))))
"""


@given(st.integers(0, 10**15), st.integers(1, 32_768))
def test_the_fuel_for_a_work_limit_is_the_most_that_fits(work: int, pages: int) -> None:
    fuel = fuel_within(work, pages)
    assert with_memory(fuel, pages) <= work < with_memory(fuel + 1, pages)


@pytest.mark.parametrize("text", [SPIN, CLOCK])
@pytest.mark.parametrize("work", [1_000_000, 1_234_567])
def test_an_endless_job_is_billed_exactly_its_limit(text: str, work: int) -> None:
    [segment] = run(spec(text, work=work))
    assert segment.end is not None
    assert segment.end.status == "out_of_work"
    assert segment.leaf.work == work


def test_a_limit_that_the_module_alone_exceeds_runs_nothing() -> None:
    [segment] = run(spec(SPIN, work=1))
    assert segment.end is not None
    assert segment.end.status == "out_of_work"
    assert segment.leaf.work == 1


def test_a_limit_of_exactly_the_work_lets_the_job_end() -> None:
    needed = run(spec(COUNTER, segments=3))[-1].leaf.work
    enough = run(spec(COUNTER, segments=3, work=needed))
    short = run(spec(COUNTER, segments=3, work=needed - 1))
    assert [part.leaf.work for part in enough][-1] == needed
    assert enough[-1].end is not None
    assert enough[-1].end.status == "succeeded"
    assert short[-1].end is not None
    assert short[-1].end.status == "out_of_work"


def test_host_calls_and_module_bytes_are_charged() -> None:
    job = spec(COUNTER, segments=2)
    first = run(job)[0].leaf.work
    assert first > WORK_PER_MODULE_BYTE * len(job.module) + WORK_PER_HOST_CALL
