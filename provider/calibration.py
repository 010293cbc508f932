"""The self-test: a small job whose result is known, which also says how much work a second this machine does."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import wasmtime

from protocol.hashing import cid_of, sha256, to_hex
from protocol.manifest import Limits, Manifest
from protocol.results import TraceLeaf
from provider.errors import AgentError
from provider.runtimes.engine import engine_id
from provider.runtimes.model import RunSpec, job_result
from provider.runtimes.wasi_det import WasiDet

SEGMENTS: Final = 4
EXPECTED: Final = "0x4442d165901bd8fd3917d775cd5a17c79d04ba5e7b4a15e99553ec2199efe15e"
"""Result hash on every machine that this agent may serve from."""

# Floating-point vectors, integers and memory: what jobs are made of.
_MODULE: Final = """
(module
  (memory (export "memory") 1)
  (func (export "init"))
  (func (export "step") (param $segment i32)
    (local $round i32) (local $state i64) (local $sum v128)
    (local.set $state (i64.add (i64.extend_i32_u (local.get $segment)) (i64.const 88172645463325252)))
    (loop $next
      (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 13))))
      (local.set $state (i64.xor (local.get $state) (i64.shr_u (local.get $state) (i64.const 7))))
      (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 17))))
      (local.set $sum
        (f32x4.add
          (f32x4.mul (local.get $sum) (f32x4.splat (f32.const 0.75)))
          (f32x4.convert_i32x4_s (i64x2.splat (local.get $state)))))
      (v128.store
        (i32.and (i32.mul (local.get $round) (i32.const 16)) (i32.const 0xfff0))
        (f32x4.sqrt (f32x4.abs (local.get $sum))))
      (br_if $next
        (i32.lt_u (local.tee $round (i32.add (local.get $round) (i32.const 1))) (i32.const 5000000)))))
  (func (export "finish")))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What the self-test found."""

    work_per_second: int
    #: seconds
    seconds: float


def calibration_job() -> RunSpec:
    """The job that every agent runs before its first offer."""
    module = bytes(wasmtime.wat2wasm(_MODULE))
    manifest = Manifest(
        runtime="wasi-det/1",
        module=cid_of(sha256(module)),
        limits=Limits(memory_bytes=65536, work=10**10, wall_seconds=120, output_bytes=0),
        segments=SEGMENTS,
    )
    return RunSpec(manifest=manifest, module=module, inputs={})


def calibrate_once(folder: Path) -> Calibration:
    """The self-test of this machine and engine, remembered in the agent's folder: a restart must be quick."""
    note = folder / "calibration.json"
    try:
        known = json.loads(note.read_text())
        if known["engine"] == engine_id():
            return Calibration(work_per_second=int(known["work_per_second"]), seconds=float(known["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        # No note, or none that counts: the test says more than any note.
        note.unlink(missing_ok=True)
    found = calibrate(folder / "modules")
    content = {"engine": engine_id(), "work_per_second": found.work_per_second, "seconds": found.seconds}
    note.write_text(json.dumps(content))
    return found


def calibrate(cache: Path) -> Calibration:
    """Runs the self-test in the sandbox; raises `AgentError` if this machine computes something else."""
    spec = calibration_job()
    trace: list[TraceLeaf] = []
    with WasiDet(cache).start(spec) as run:
        started = time.perf_counter()
        while True:
            segment = run.advance()
            trace.append(segment.leaf)
            if segment.end:
                break
        seconds = time.perf_counter() - started
    found = to_hex(job_result(spec.manifest, tuple(trace), segment.end).result_hash())
    if found != EXPECTED:
        raise AgentError(f"the self-test gave {found}, expected {EXPECTED}", "do not offer this machine; report it")
    return Calibration(work_per_second=int(trace[-1].work / seconds), seconds=seconds)
