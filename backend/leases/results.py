"""Is the reported result what the usage receipt's hash commits to, and are its files here?"""

import json
from functools import lru_cache

from backend.errors import UsageRefused
from backend.jobs.tables import JobRow
from backend.market import Market
from protocol.hashing import from_hex, sha256_of_cid, to_hex
from protocol.manifest import Limits, Manifest
from protocol.results import JobResult, Output, TraceLeaf
from protocol.terms import UsageReceipt
from protocol.wire.jobs import ResultInfo, TraceStep
from protocol.wire.leases import ResultReport, UsageReport


def checked_result(
    market: Market, job: JobRow, trace: list[TraceStep], receipt: UsageReceipt, report: UsageReport
) -> ResultInfo:
    """The result to show and to accept; raises `UsageRefused`."""
    result = report.result
    if result is None:
        raise UsageRefused("no result was sent")
    if result.trace != [*trace, report.step]:
        raise UsageRefused("the trace is not the segments reported before and this one")
    if result.work != report.step.work:
        raise UsageRefused(f"work of the result must be {report.step.work}, found {result.work}")
    result_hash = job_result(job.job_hash, result).result_hash()
    if result_hash != receipt.result:
        raise UsageRefused(
            f"the result hashes to {to_hex(result_hash)}, the usage receipt says {to_hex(receipt.result)}"
        )
    _require_outputs(market, job, result)
    return ResultInfo(
        result_hash=to_hex(result_hash),
        status=result.status,
        exit_code=result.exit_code,
        work=result.work,
        outputs=sorted(result.outputs, key=lambda output: output.path),
    )


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


def _require_outputs(market: Market, job: JobRow, result: ResultReport) -> None:
    limits = limits_of(job.manifest)
    if sum(output.size for output in result.outputs) > limits.output_bytes:
        raise UsageRefused(f"the outputs are over {limits.output_bytes} bytes")
    if len({output.path for output in result.outputs}) != len(result.outputs):
        raise UsageRefused("an output is named twice")
    for output in result.outputs:
        if market.files.size(output.cid) != output.size:
            raise UsageRefused(f"output {output.path[:128]!r} is not here", remedy="PUT it to /v1/files/{cid} first")
