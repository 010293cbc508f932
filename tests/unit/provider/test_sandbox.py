"""The sandbox: whatever happens to the child is the provider's fault, and nothing outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from provider.runtimes.faults import CheckpointRefused, ModuleRefused, ProviderFault
from provider.runtimes.model import ResumePoint
from provider.runtimes.sandbox import SandboxedExecution
from provider.runtimes.wasi_det import WasiDet
from tests.support.wasm_jobs import COUNTER, point_after, run, spec

ENDLESS = '(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))'


def test_a_killed_child_is_a_provider_fault(tmp_path: Path) -> None:
    with SandboxedExecution(spec(COUNTER, segments=3), cache=tmp_path) as execution:
        execution.advance()
        os.kill(execution.pid, signal.SIGKILL)
        with pytest.raises(ProviderFault):
            execution.advance()


def test_a_job_over_its_wall_time_is_killed() -> None:
    started = time.monotonic()
    with (
        SandboxedExecution(spec(ENDLESS, work=10**15, wall_seconds=1)) as execution,
        pytest.raises(ProviderFault, match="wall-clock"),
    ):
        execution.advance()
    assert time.monotonic() - started < 10
    assert not psutil.pid_exists(execution.pid)


def test_too_deep_recursion_is_a_provider_fault_and_no_result() -> None:
    deep = '(module (memory (export "memory") 1) (func $down (export "_start") (call $down)))'
    with SandboxedExecution(spec(deep)) as execution, pytest.raises(ProviderFault, match="stack"):
        execution.advance()


def test_a_job_that_needs_more_memory_than_is_free_is_not_started() -> None:
    with pytest.raises(ProviderFault, match="memory"):
        SandboxedExecution(spec(COUNTER, segments=1, memory_bytes=2**31), free_bytes=2**31)


def test_refusals_come_through_the_pipe_as_they_are(tmp_path: Path) -> None:
    job = spec(COUNTER, segments=3)
    good = point_after(run(job)[0])
    with pytest.raises(CheckpointRefused):
        SandboxedExecution(job, resume=ResumePoint(leaf=good.leaf, checkpoint=good.checkpoint[:-1]))
    threads = '(module (memory (export "memory") 1 1 shared) (func (export "_start")))'
    with pytest.raises(ModuleRefused):
        SandboxedExecution(spec(threads), cache=tmp_path)


def test_a_child_sees_nothing_of_the_agents_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLEASE_PROVIDER_SECRET", "hunter2")
    with SandboxedExecution(spec(COUNTER, segments=1)) as execution:
        assert "GRIDLEASE_PROVIDER_SECRET" not in psutil.Process(execution.pid).environ()


def test_the_child_dies_with_its_parent_in_the_middle_of_a_segment() -> None:
    program = (
        "from tests.support.wasm_jobs import spec\n"
        "from provider.runtimes.sandbox import SandboxedExecution\n"
        f"run = SandboxedExecution(spec({ENDLESS!r}, work=10**15, wall_seconds=60))\n"
        "print(run.pid, flush=True)\n"
        "run.advance()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([child], timeout=5)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_compiled_module_is_kept_and_a_broken_one_is_made_again(tmp_path: Path) -> None:
    job = spec(COUNTER, segments=2)
    fresh = run(job, runtime=WasiDet(tmp_path))
    [kept] = tmp_path.rglob("*.cwasm")
    kept.write_bytes(b"broken")
    assert run(job, runtime=WasiDet(tmp_path)) == fresh
    assert kept.read_bytes() != b"broken"


def test_a_cache_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ProviderFault, match="chmod"):
        WasiDet(tmp_path, sandboxed=False).start(spec(COUNTER, segments=2))
