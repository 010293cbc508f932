"""What goes into a runtime and what comes out, segment by segment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from protocol.errors import BadManifest
from protocol.hashing import cid_of, sha256
from protocol.manifest import Manifest
from protocol.results import JobResult, Output, Status, TraceLeaf


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """A job with all its bytes, each of which its manifest names by hash."""

    manifest: Manifest
    module: bytes
    #: name below /in → content
    inputs: Mapping[str, bytes]

    def __post_init__(self) -> None:
        """Raises `BadManifest` if any of the bytes is not what the manifest names."""
        if cid_of(sha256(self.module)) != self.manifest.module:
            raise BadManifest("module", "the bytes have another hash", "fetch the module again by its CID")
        if {name: cid_of(sha256(data)) for name, data in self.inputs.items()} != self.manifest.inputs:
            raise BadManifest("inputs", "the files are not those it names", "fetch each input again by its CID")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePoint:
    """Where a run goes on: after a segment whose state and work are known."""

    #: the segment that was done last
    leaf: TraceLeaf
    #: the checkpoint file after it
    checkpoint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the job ended."""

    status: Status
    #: 0..255
    exit_code: int
    #: name below /out → content; empty unless the job ended by itself
    outputs: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment that was run."""

    #: place, state and cumulative work of the job; the state is zero if the segment did not complete
    leaf: TraceLeaf
    #: what the job printed in it
    log: bytes
    #: the state as a file, for every segment but the last
    checkpoint: bytes | None
    #: set with the last segment
    end: End | None


def job_result(manifest: Manifest, trace: tuple[TraceLeaf, ...], end: End) -> JobResult:
    """The result that all segments together give."""
    return JobResult(
        job_hash=manifest.job_hash(),
        status=end.status,
        exit_code=end.exit_code,
        outputs=tuple(
            Output(path=name, sha256=sha256(data), size=len(data)) for name, data in sorted(end.outputs.items())
        ),
        trace=trace,
        work=trace[-1].work,
    )


class Execution(Protocol):
    """A run that goes forward one segment at a time, and no further than it is told."""

    def advance(self) -> Segment:
        """Runs the next segment; raises `ProviderFault` where the machine fails."""
        ...

    def close(self) -> None:
        """Stops it, at any moment."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Runtime(Protocol):
    """What runs jobs of one runtime id."""

    #: as a manifest names it
    id: str
    #: results can be checked bit for bit by running again
    verifiable: bool

    def check(self, spec: RunSpec) -> None:
        """Raises `ModuleRefused` if the job breaks a rule of the runtime; starts nothing."""
        ...

    def start(self, spec: RunSpec, resume: ResumePoint | None = None) -> Execution:
        """A run from the beginning or from a checkpoint.

        Raises `ModuleRefused`, `CheckpointRefused`, `ProviderFault`.
        """
        ...

    def replay(self, spec: RunSpec, resume: ResumePoint | None) -> Segment:
        """Runs the one segment after `resume`, or the first: what a juror does."""
        ...
