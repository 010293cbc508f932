"""What a job gave, as its provider reports it, and what its manifest allows."""

import json
from functools import lru_cache

from protocol.hashing import from_hex, sha256_of_cid
from protocol.manifest import Limits, Manifest
from protocol.results import JobResult, Output, TraceLeaf
from protocol.wire.leases import ResultReport


def job_result(job_hash: str, result: ResultReport) -> JobResult:
    return JobResult(
        job_hash=from_hex(job_hash, 32),
        status=result.status,
        exit_code=result.exit_code,
        outputs=tuple(
            Output(path=output.path, sha256=sha256_of_cid(output.cid), size=output.size) for output in result.outputs
        ),
        trace=tuple(
            TraceLeaf(index=index, state_hash=from_hex(step.state_hash, 32), work=step.work)
            for index, step in enumerate(result.trace)
        ),
        work=result.work,
    )


# It was checked when the job came in, and is asked for with every segment.
@lru_cache(4096)
def limits_of(manifest: str) -> Limits:
    """Of a manifest as it is stored."""
    return Manifest.parse(json.loads(manifest)).limits
