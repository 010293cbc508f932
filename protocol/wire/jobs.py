"""Jobs: one call buys one."""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from protocol.resources import CARBON_CEILING
from protocol.wire.auctions import SignedBookReceipt
from protocol.wire.fields import Account, Base, Big, Cid, Hash32, Wire

JobState = Literal["queued", "matched", "running", "verifying", "succeeded", "failed", "canceled", "expired"]
SettlementState = Literal["unfunded", "escrowed", "released", "refunded"]
Level = Literal["proved", "consistent", "unverified"]
Finality = Literal["head", "confirmed", "finalised"]
ENDED: frozenset[str] = frozenset({"succeeded", "failed", "canceled", "expired"})


class Attested(Wire):
    """What an auditor must attest of the machine until the lease ends."""

    #: the auditor
    by: Account
    traits: list[str] = Field(default_factory=list, max_length=64)
    #: whether the zone must be attested too
    zone: bool = False


class Needs(Wire):
    """What the machine must have. Lanes as in protocol.resources, by name."""

    quantities: dict[str, int] = Field(default_factory=dict)
    #: all of these traits
    all_of: list[str] = Field(default_factory=list, max_length=64)
    #: one of these traits
    any_of: list[str] = Field(default_factory=list, max_length=64)
    #: none of these traits
    none_of: list[str] = Field(default_factory=list, max_length=64)
    #: zone ids, such as `DE`; empty = any
    zones_in: list[str] = Field(default_factory=list, max_length=255)
    zones_out: list[str] = Field(default_factory=list, max_length=255)
    #: no two leases of the order at once in one zone, and no successor in its predecessor's
    distinct_zones: bool = False
    #: grams of CO2 equivalent a kWh at most, as the offer says; an offer that says nothing does not do
    max_gco2e_per_kwh: int | None = Field(default=None, ge=0, lt=CARBON_CEILING)
    #: one of these, such as `solar`
    energy_sources: list[str] = Field(default_factory=list, max_length=16)
    attested: Attested | None = None


class JobRequest(Wire):
    """A job with its limits. Only the manifest is needed; the rest has defaults."""

    manifest: dict[str, Any]
    needs: Needs = Field(default_factory=Needs)
    #: dollars for the whole job at most, such as "0.05"; None = what max_rate and the work limit give
    max_price: str | None = Field(default=None, max_length=32)
    #: pico-dollars per 10⁶ work at most; None = no cap but max_price
    max_rate: int | None = Field(default=None, ge=1, le=2**32 - 1)
    #: seconds from the lease's opening
    duration_seconds: int = Field(default=900, ge=10, le=86_400)
    #: leases in all, when providers fail; None = four for each replica, 16 at most
    max_leases: int | None = Field(default=None, ge=1, le=16)
    #: the same said otherwise: leases after those that are opened first
    retries: int | None = Field(default=None, ge=0, le=15)
    #: providers that run the job side by side; each is paid
    replicas: int = Field(default=1, ge=1, le=16)
    #: replicas that must agree about each segment; None = more than half
    quorum: int | None = Field(default=None, ge=1, le=16)
    #: unix seconds by which the last lease has ended; None = as long as the leases take
    deadline_time: int | None = Field(default=None, ge=0, lt=2**40)
    metadata: dict[str, str] = Field(default_factory=dict, max_length=32)

    @model_validator(mode="before")
    @classmethod
    def _count_retries(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("retries"), int):
            return data
        first = data.get("replicas", 1)
        leases = data["retries"] + (first if isinstance(first, int) else 1)
        if data.get("max_leases", leases) != leases:
            raise ValueError(f"{data['retries']} retries are {leases} leases in all; give retries or max_leases")
        return data | {"max_leases": leases}


class Relaxation(Wire):
    """One word of the request that would have to say something else."""

    #: such as `max_rate` or `needs.zones_in`
    word: str
    #: what it would have to say; None = nothing
    to: bool | int | str | list[str] | None
    text: str


class Refusal(Wire):
    """A class of live offers that do not meet the order, all for the same first reason."""

    #: reason word, as the ledger's Skip, such as `rate` or `quantities`
    reason: str
    #: offers refused for it
    offers: int
    why: str
    #: all that must change for the nearest of them to fit, in the order of the ledger's checks; empty = nothing helps
    relaxations: list[Relaxation]
    #: the nearest of them
    offer: Hash32
    provider: Account
    zone: str | None
    #: the relaxations as one sentence
    remedy: str


class Quote(Wire):
    """What `dry_run` answers: nothing is signed, stored or charged."""

    job_hash: Hash32
    would_match: bool
    offer: Hash32 | None
    provider: Account | None
    zone: str | None
    #: pico-dollars per 10⁶ work
    rate: int | None
    #: the rate in dollars per 10⁹ work
    rate_dollars: str | None
    #: pico-dollars per 10⁶ work that the order takes at most
    max_rate: int
    max_rate_dollars: str
    #: base units that would be held for the first lease
    lock_base: Base | None
    lock_dollars: str | None
    #: base units per opened lease
    fee_base: Base
    fee_dollars: str
    #: base units that the whole order can cost at most, whatever fails
    most_base: Base
    most_dollars: str
    #: live offers
    offers: int
    #: of them those that meet the order
    fitting: int
    #: one for each reason
    refusals: list[Refusal]


class OutputFile(Wire):
    """A file that the job wrote."""

    path: str = Field(max_length=128)
    cid: Cid
    #: bytes
    size: int = Field(ge=0)


class TraceStep(Wire):
    """State and work after one segment; work is cumulative over the job."""

    state_hash: Hash32
    work: Big


class Trace(Wire):
    """State and work after each segment of a job: with it, anybody recomputes the result hash."""

    data: list[TraceStep]


class ResultInfo(Wire):
    """What the job gave."""

    result_hash: Hash32
    status: Literal["succeeded", "failed", "out_of_work", "output_limit", "trapped"]
    exit_code: int
    work: Big
    outputs: list[OutputFile]


class JobLease(Wire):
    """One lease of the job's order."""

    lease: Hash32
    fill: int
    provider: Account
    zone: str | None
    state: str
    #: pico-dollars per metered unit
    rate: int
    locked_base: Base
    paid_base: Base
    #: of the lock, back with the buyer since the lease closed
    refunded_base: Base
    #: of the provider's bond, to the buyer
    penalty_base: Base
    tx_hashes: list[Hash32]
    #: block of its opening, or of its closing once it is closed
    block_number: int
    #: how far the mirror's word of that block was checked: `proved`, `consistent` or `unverified`
    level: Level
    #: whether that block can still be undone: `head`, `confirmed` or `finalised`
    finality: Finality


class Check(Wire):
    """A segment that the market ran itself."""

    sequence: int
    #: `tie`: the replicas did not agree · `spot`: drawn before the last voucher
    purpose: Literal["tie", "spot"]
    #: `due`, `running`, `found` (a result to compare with), `failed` (it could not be run here), `spared` (drawn, and
    #: not to be run), `spent` (what it was about was struck)
    state: Literal["due", "running", "found", "failed", "spared", "spent"]


class Verification(Wire):
    """What stands behind the job's result."""

    #: of the manifest
    verify: Literal["exact", "none"]
    replicas: int
    #: replicas that must agree about each segment
    quorum: int
    #: how often one segment is run again before the last voucher, in 1/10,000 of such jobs
    check_rate_bps: int
    checks: list[Check]


class Segments(Wire):
    done: int
    total: int


class Job(Wire):
    """A job as its buyer sees it. `state` is about the work, `settlement` about the money."""

    id: str
    object: Literal["job"] = "job"
    job_hash: Hash32
    order: Hash32
    state: JobState
    settlement: SettlementState
    segments: Segments
    work: Big
    #: base units paid to providers so far, by vouchers signed
    cost_base: Base
    #: base units of fees
    fee_base: Base
    #: base units that leases still hold
    held_base: Base
    #: base units that came back from leases that closed
    refunded_base: Base
    leases: list[JobLease]
    result: ResultInfo | None
    #: why it failed, in words
    failure: str | None
    verification: Verification | None = None
    #: what happened to its leases, in words, oldest first
    notes: list[str] = Field(default_factory=list)
    metadata: dict[str, str]
    created_at: datetime
    ended_at: datetime | None
    #: when the last of its leases was seen closed, or the job ended without one
    settled_at: datetime | None
    links: dict[str, str]
    #: in the answer to POST
    book_receipt: SignedBookReceipt | None = None


class JobsAsked(Wire):
    """Which of the account's jobs a page shows."""

    limit: int = Field(default=20, ge=1, le=100)
    #: `next_page_token` of the page before, with the same filters
    page_token: str | None = Field(default=None, max_length=64)
    #: any of these
    state: list[JobState] = Field(default_factory=list, max_length=8)
    #: made at this time or later
    created_after: AwareDatetime | None = None
    #: made before this time
    created_before: AwareDatetime | None = None


class Page(Wire):
    """Jobs, newest first."""

    data: list[Job]
    has_more: bool
    next_page_token: str | None
