"""Trust in a result: everything that can be recomputed from what the buyer has is recomputed here."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from client.errors import BadAnswer
from client.files import Files
from protocol.hashing import sha256_of_cid, to_hex
from protocol.manifest import Manifest
from protocol.results import JobResult, Output, TraceLeaf
from protocol.wire.jobs import Job, OutputFile, ResultInfo, TraceStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was recomputed, or could not be."""

    name: str
    #: None = not enough was known to check it
    holds: bool | None
    fact: str


def check_job(job: Job, manifest: Manifest | None, trace: list[TraceStep] | None) -> tuple[Check, ...]:
    """Recomputes the job hash from the manifest, and the result hash from result and trace."""
    return _job_hash(job, manifest), _result_hash(job, trace)


def _job_hash(job: Job, manifest: Manifest | None) -> Check:
    if manifest is None:
        return Check(name="job hash", holds=None, fact="the manifest is not at hand")
    found = to_hex(manifest.job_hash())
    holds = found == job.job_hash
    return Check(name="job hash", holds=holds, fact=found if holds else f"expected {found}, found {job.job_hash}")


def _result_hash(job: Job, trace: list[TraceStep] | None) -> Check:
    if job.result is None:
        return Check(name="result hash", holds=None, fact="the job has no result")
    if trace is None:
        return Check(name="result hash", holds=None, fact="the market shows no trace of this job")
    found = to_hex(result_hash(job.job_hash, job.result, trace))
    holds = found == job.result.result_hash
    fact = found if holds else f"expected {found}, found {job.result.result_hash}"
    return Check(name="result hash", holds=holds, fact=fact)


def result_hash(job_hash: str, result: ResultInfo, trace: list[TraceStep]) -> bytes:
    """The hash that the `last` voucher accepts, 32 bytes."""
    return JobResult(
        job_hash=bytes.fromhex(job_hash[2:]),
        status=result.status,
        exit_code=result.exit_code,
        outputs=tuple(
            Output(path=output.path, sha256=sha256_of_cid(output.cid), size=output.size) for output in result.outputs
        ),
        trace=tuple(
            TraceLeaf(index=index, state_hash=bytes.fromhex(step.state_hash[2:]), work=step.work)
            for index, step in enumerate(trace)
        ),
        work=result.work,
    ).result_hash()


def download(files: Files, outputs: list[OutputFile], folder: Path) -> dict[str, Path]:
    """Fetches outputs below `folder`, each checked against its CID; raises `FileMismatch`, `BadAnswer`."""
    targets = {output.path: _below(folder, output.path) for output in outputs}
    return {output.path: files.get(output.cid, targets[output.path], size=output.size) for output in outputs}


def _below(folder: Path, name: str) -> Path:
    """Where an output goes. The name comes from a stranger's machine: it must not lead out of the folder."""
    parts = PurePosixPath(name).parts
    plain = name == "/".join(parts) and all(part not in ("", ".", "..") for part in parts)
    if not plain or name.startswith("/") or "\\" in name or not name.isprintable():
        raise BadAnswer("the job's outputs", f"output name {name[:80]!r} leads out of the folder")
    target = folder.joinpath(*parts)
    if not target.resolve().is_relative_to(folder.resolve()):
        raise BadAnswer("the job's outputs", f"output name {name[:80]!r} leads out of the folder by a link")
    return target
