"""Small jobs for tests: modules as WebAssembly text, the committed digits jobs, and a run to the end."""

import json
from pathlib import Path
from typing import Any

import wasmtime

from protocol.hashing import cid_of, sha256
from protocol.manifest import Limits, Manifest
from protocol.results import JobResult
from provider.runtimes.model import ResumePoint, RunSpec, Segment, job_result
from provider.runtimes.wasi_det import WasiDet

DIGITS = Path(__file__).parents[2] / "jobs" / "digits"
VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "jobs.json").read_text())

COUNTER = """
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $total (export "total") (mut i64) (i64.const 0))
  (func (export "init") (drop (call $random (i32.const 0) (i32.const 8))))
  (func (export "step") (param $i i32)
    (local $n i32)
    (loop $again
      (global.set $total (i64.add (global.get $total) (i64.load (i32.const 0))))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
    (i64.store (i32.add (i32.const 64) (i32.mul (local.get $i) (i32.const 8))) (global.get $total))))
"""
"""A segmented job whose state lies in memory, in a global and in the host's random stream."""


def spec(
    text: str,
    *,
    segments: int = 0,
    inputs: dict[str, bytes] | None = None,
    work: int = 10**9,
    memory_bytes: int = 2**20,
    output_bytes: int = 4096,
    wall_seconds: int = 30,
    **more: Any,
) -> RunSpec:
    """A job of a module in text form."""
    module = bytes(wasmtime.wat2wasm(text))
    files = inputs or {}
    limits = Limits(memory_bytes=memory_bytes, work=work, wall_seconds=wall_seconds, output_bytes=output_bytes)
    manifest = Manifest(
        runtime="wasi-det/1",
        module=cid_of(sha256(module)),
        inputs={name: cid_of(sha256(data)) for name, data in files.items()},
        limits=limits,
        segments=segments,
        **more,
    )
    return RunSpec(manifest=manifest, module=module, inputs=files)


def digits_spec(name: str, **inputs: bytes) -> RunSpec:
    """`train` or `classify`, as their committed manifests say."""
    manifest = Manifest.parse(json.loads((DIGITS / f"{name}.json").read_text()))
    data = (DIGITS / "data" / "digits.csv").read_bytes()
    files = {"digits.csv": data} | {key.replace("_", "."): value for key, value in inputs.items()}
    return RunSpec(manifest=manifest, module=(DIGITS / f"{name}.wasm").read_bytes(), inputs=files)


def run(job: RunSpec, resume: ResumePoint | None = None, runtime: WasiDet | None = None) -> list[Segment]:
    """All segments to the end; in this process unless a runtime says otherwise."""
    segments: list[Segment] = []
    with (runtime or WasiDet(sandboxed=False)).start(job, resume) as execution:
        while not segments or segments[-1].end is None:
            segments.append(execution.advance())
    return segments


def result_of(job: RunSpec, segments: list[Segment]) -> JobResult:
    """The result of a run from the beginning."""
    end = segments[-1].end
    assert end is not None
    return job_result(job.manifest, tuple(segment.leaf for segment in segments), end)


def point_after(segment: Segment) -> ResumePoint:
    """Where the next segment starts."""
    assert segment.checkpoint is not None
    return ResumePoint(leaf=segment.leaf, checkpoint=segment.checkpoint)
