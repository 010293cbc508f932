"""What a provider's agent and the market say to each other while a lease runs."""

from typing import Any, Final, Literal

from pydantic import Field

from protocol.wire.fields import Big, Cid, Hash32, SignatureHex, Wire, Words
from protocol.wire.jobs import OutputFile, TraceStep
from protocol.wire.problems import Problem

MOST_REPORTS: Final = 32
"""In one call: whoever else asks the market meanwhile waits until all of them are judged."""


class Resume(Wire):
    """The last paid checkpoint: where this or the next provider goes on."""

    #: segments done
    sequence: int
    #: raw work of the job so far
    job_work: Big
    #: raw work metered under this lease so far
    lease_work: Big
    state_hash: Hash32
    checkpoint: Cid
    #: all segments so far
    trace: list[TraceStep]


class LeaseWork(Wire):
    """A lease that the market thinks is this provider's. A hint: the agent checks the chain."""

    lease: Hash32
    fill: int
    #: camelCase Order
    order: dict[str, Any]
    manifest: dict[str, Any]
    resume: Resume | None
    #: open · closing · closed
    state: str
    #: the `last` voucher was signed: countersign it
    last_voucher: "SignedVoucher | None" = None


class LeasePage(Wire):
    data: list[LeaseWork]


class UsageCommitment(Wire):
    """A replica's promise of a usage receipt that the others may not copy (SPEC "Replicas")."""

    #: segment of the job, from 1
    sequence: int = Field(ge=1, le=4096)
    #: `protocol.replicas.usage_commitment`
    commitment: Hash32


class CommitmentAnswer(Wire):
    """Whether to send the usage receipt now; if not, ask again."""

    may_reveal: bool


class ResultReport(Wire):
    """The job's end, with the last segment's usage receipt, whose `result` is the result hash."""

    status: Literal["succeeded", "failed", "out_of_work", "output_limit", "trapped"]
    exit_code: int = Field(ge=0, le=255)
    #: raw work of the whole job
    work: Big
    outputs: list[OutputFile] = Field(max_length=1024)
    trace: list[TraceStep] = Field(max_length=4097)


class UsageReport(Wire):
    """One segment: the signed usage receipt and what it stands on."""

    #: camelCase UsageReceipt
    usage_receipt: dict[str, Any]
    signature: SignatureHex
    #: state after the segment; work cumulative over the job
    step: TraceStep
    #: set with the last segment
    result: ResultReport | None = None
    #: of the commitment, where the order has replicas
    salt: Hash32 | None = None
    #: what the job printed in this segment
    log_text: Words = Field(default="", max_length=65_536)
    #: with the last segment: of the digest of the `last` voucher that it gives, as the provider computes it; where the
    #: market's voucher is another, it is not used, and asked for by `last_voucher`
    countersignature: SignatureHex | None = None


class Waiting(Wire):
    """No voucher yet: send the same usage receipt again."""

    sequence: int
    #: what for
    waiting_for: Literal["replicas", "check"]


class SignedVoucher(Wire):
    """camelCase Voucher with the voucher signer's signature."""

    voucher: dict[str, Any]
    signature: SignatureHex


class UsageReports(Wire):
    """Segments of several leases, each named by its usage receipt."""

    reports: list[UsageReport] = Field(min_length=1, max_length=MOST_REPORTS)


class UsageAnswer(Wire):
    """What one of them came to: exactly one of these."""

    voucher: SignedVoucher | None = None
    #: no voucher yet
    waiting: Waiting | None = None
    #: as it would have been refused by itself
    problem: Problem | None = None


class UsageAnswers(Wire):
    """In the order of the reports."""

    data: list[UsageAnswer]


class Countersignature(Wire):
    """The provider's signature of the `last` voucher's digest."""

    signature: SignatureHex


class FailureReport(Wire):
    """The provider cannot finish: its own fault, never a result."""

    reason: Words = Field(min_length=1, max_length=500)


LeaseWork.model_rebuild()
