"""Runs one segment of a job again, from files to a file: for whoever wants to know whether a segment is so.

The folder holds `segment.json`: `manifest`, paths of `module`, `inputs` and the `start` (index, state hash and work of
the segment before, path of its checkpoint; null for the first), and `seconds` that the run may take. `answer.json` is
written whole or not at all: state hash, work, SHA-256 of the checkpoint and the job's end, or `start_is_wrong`, or why
it `failed`, which says nothing about the segment.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

from protocol.errors import GridleaseError
from protocol.hashing import ZERO_HASH, cid_of, from_hex, sha256, to_hex
from protocol.manifest import Manifest
from protocol.results import TraceLeaf
from provider.runtimes.faults import CheckpointRefused
from provider.runtimes.model import ResumePoint, RunSpec, Segment
from provider.runtimes.wasi_det import WasiDet


def replay(folder: Path) -> None:
    """Writes `answer.json`; the process dies when its seconds are over."""
    asked = json.loads((folder / "segment.json").read_text())
    # The default action ends the process, and with it the sandbox, wherever they are.
    signal.alarm(int(asked["seconds"]))
    answer = _answer(asked)
    draft = folder / "answer.draft"
    draft.write_text(json.dumps(answer))
    os.replace(draft, folder / "answer.json")


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        job = RunSpec(
            manifest=Manifest.parse(asked["manifest"]),
            module=Path(asked["module"]).read_bytes(),
            inputs={name: Path(path).read_bytes() for name, path in asked["inputs"].items()},
        )
        return _spelt(WasiDet().replay(job, _start(asked["start"])))
    except CheckpointRefused:
        return {"start_is_wrong": True}
    except (GridleaseError, OSError) as error:
        return {"failed": str(error)}


def _start(asked: dict[str, Any] | None) -> ResumePoint | None:
    if asked is None:
        return None
    leaf = TraceLeaf(index=asked["index"], state_hash=from_hex(asked["state_hash"], 32), work=asked["work"])
    return ResumePoint(leaf=leaf, checkpoint=Path(asked["checkpoint"]).read_bytes())


def _spelt(found: Segment) -> dict[str, Any]:
    end = None
    if found.end is not None:
        outputs = [
            {"path": name, "cid": cid_of(sha256(data)), "size": len(data)}
            for name, data in sorted(found.end.outputs.items())
        ]
        end = {"status": found.end.status, "exit_code": found.end.exit_code, "outputs": outputs}
    return {
        "state_hash": to_hex(found.leaf.state_hash),
        "work": found.leaf.work,
        "checkpoint": to_hex(sha256(found.checkpoint) if found.checkpoint is not None else ZERO_HASH),
        "end": end,
    }
