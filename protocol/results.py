"""What a job gave, as one hash (SPEC "Results"): status, outputs, trace and work, never wall time or log text.

Everything is keccak256 over ABI words behind a 32-byte domain tag.
"""

from dataclasses import dataclass
from typing import Final, Literal

from protocol.hashing import keccak256
from protocol.merkle import merkle_root, tag

Status = Literal["succeeded", "failed", "out_of_work", "output_limit", "trapped"]
STATUS_CODES: Final[dict[Status, int]] = {
    "succeeded": 0,
    "failed": 1,
    "out_of_work": 2,
    "output_limit": 3,
    "trapped": 4,
}
"""`failed` is an exit code other than 0. Whatever is the provider's fault is no status."""

_OUTPUT = tag("gridlease/output/1")
TRACE: Final = tag("gridlease/trace/1")
"""Domain of a trace's leaves and nodes."""

_RESULT = tag("gridlease/result/1")


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that the job wrote."""

    #: name below /out
    path: str
    #: SHA-256 of its bytes
    sha256: bytes
    #: bytes
    size: int

    def leaf(self) -> bytes:
        return keccak256(_OUTPUT + keccak256(self.path.encode()) + self.sha256 + _word(self.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLeaf:
    """State and work after one segment: what a dispute is bisected over."""

    #: segment number, from 0
    index: int
    state_hash: bytes
    #: raw, cumulative over the job
    work: int

    def leaf(self) -> bytes:
        return keccak256(TRACE + _word(self.index) + self.state_hash + _word(self.work))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """The result that a `last` voucher accepts."""

    job_hash: bytes
    status: Status
    #: 0..255
    exit_code: int
    outputs: tuple[Output, ...]
    trace: tuple[TraceLeaf, ...]
    #: raw work of the whole job
    work: int

    def result_hash(self) -> bytes:
        """The same on every machine that ran the job; outputs are hashed in the order of their paths."""
        return keccak256(
            _RESULT
            + self.job_hash
            + _word(STATUS_CODES[self.status])
            + _word(self.exit_code)
            + _word(len(self.outputs))
            + self.outputs_root()
            + _word(len(self.trace))
            + merkle_root(TRACE, [leaf.leaf() for leaf in self.trace])
            + _word(self.work)
        )

    def outputs_root(self) -> bytes:
        """Merkle root of the outputs in the order of their paths."""
        outputs = sorted(self.outputs, key=lambda output: output.path.encode())
        return merkle_root(_OUTPUT, [output.leaf() for output in outputs])
