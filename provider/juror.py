"""What a juror does for its fee: runs the one segment in dispute again (SPEC "Court")."""

from protocol.court import Case
from protocol.results import TraceLeaf
from protocol.trace import UNREPLAYABLE, JobEnd
from provider.runtimes.faults import CheckpointRefused, ModuleRefused
from provider.runtimes.model import ResumePoint, RunSpec, Runtime, job_result


def find_value(runtime: Runtime, job: RunSpec | None, case: Case, snapshot: bytes | None) -> bytes:
    """The value to commit to, found by nothing but one's own run.

    `job` is None where the provider does not serve manifest, module and inputs, `snapshot` where it does not serve the
    checkpoint at `case.lo`. One that is not that state, or lies past the job's end, is as good as none. Raises
    `ProviderFault` if this machine fails, which says nothing about the segment: then do not vote.
    """
    if job is None or (case.lo.position and snapshot is None):
        return UNREPLAYABLE
    resume = None
    if case.lo.position and snapshot is not None:
        lo = TraceLeaf(index=case.lo.position - 1, state_hash=case.lo.state, work=case.lo.work)
        resume = ResumePoint(leaf=lo, checkpoint=snapshot)
    try:
        found = runtime.replay(job, resume)
    except (CheckpointRefused, ModuleRefused):
        return UNREPLAYABLE
    end = JobEnd.of(job_result(job.manifest, (found.leaf,), found.end)) if found.end else None
    return case.value_of(found.leaf, end)
