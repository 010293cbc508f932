"""Three replicas in three zones, one lies and one dies: the right result, the liar unpaid, and sums that are exact."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlmodel import select

from backend import wake
from backend.leases.tables import LeaseIntention
from client.sdk import Client
from protocol.events import EndReason, LeaseState
from protocol.hashing import from_hex, to_hex
from protocol.units import earned_down
from protocol.wire.jobs import ENDED, Job, JobRequest, Needs
from protocol.wire.offers import OfferPage
from protocol.zones import zone_by_id
from provider.runtimes.model import Execution, ResumePoint, RunSpec, Segment
from provider.runtimes.wasi_det import WasiDet
from tests.support.ledger_world import DOLLAR
from tests.support.market_world import MarketWorld, running_market_world
from tests.support.provider_market import Crash
from tests.support.stories import until
from tests.support.wasm_jobs import COUNTER, result_of, run, spec

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

JOB = spec(COUNTER, segments=5, work=10**8)
RATE = 2 * 10**9


class Faulty(WasiDet):
    """A runtime that does something of its own at one segment of a job."""

    def __init__(self, at: int, *, dies: bool) -> None:
        super().__init__(sandboxed=False)
        self._at = at
        self._dies = dies

    def start(self, spec: RunSpec, resume: ResumePoint | None = None) -> Execution:
        execution = super().start(spec, resume)
        honest = execution.advance

        def advance() -> Segment:
            segment = honest()
            if segment.leaf.index != self._at:
                return segment
            if self._dies:
                raise Crash
            return _lie(segment)

        execution.advance = advance  # type: ignore[method-assign]
        return execution


def _lie(segment: Segment) -> Segment:
    return replace(segment, leaf=replace(segment.leaf, state_hash=bytes(31) + b"\1"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarketWorld]:
    """A market with five providers. The two cheapest are a liar and one that dies in its third segment."""
    settings = {"notice_seconds": 10, "silence_seconds": 4, "countersign_seconds": 2}
    with pytest.MonkeyPatch.context() as patch:
        # The loop of the world is awake anyway.
        patch.setattr(wake, "market", lambda: None)
        with running_market_world(tmp_path_factory.mktemp("market"), redeem_after_seconds=2, **settings) as found:
            found.join("DE", Faulty(0, dies=False), rate=RATE)
            found.join("FR", Faulty(2, dies=True), rate=RATE + 1)
            for number, zone in enumerate(("ES", "PL", "AT")):
                found.join(zone, WasiDet(sandboxed=False), rate=RATE + 10_000_000 * (number + 1))
            with found.buyer() as client:
                until(lambda: len(client.http.get("/v1/offers", OfferPage).data) == 5, 60, "five offers")
            yield found


def _ended(world: MarketWorld, client: Client, request: JobRequest) -> Job:
    """The job once it has succeeded."""
    client.files.put(JOB.module)
    bought = client.jobs.submit(request)
    until(lambda: client.job(bought.id).state in ENDED, 120, "the job to end")
    job = client.job(bought.id)
    assert job.state == "succeeded", (job.failure, job.notes, world.failures)
    return job


def test_one_replica_lies_and_one_dies_and_the_job_ends_right_and_paid_to_the_unit(world: MarketWorld) -> None:
    free_before = world.followed.mirror.account(world.ledger.buyer.address).free_base
    manifest = JOB.manifest.model_dump(mode="json")
    with world.buyer() as client:
        job = _ended(
            world, client, JobRequest(manifest=manifest, replicas=3, needs=Needs(distinct_zones=True), max_leases=9)
        )
        until(lambda: client.job(job.id).settlement == "released", 60, "all leases to close")
    assert job.result is not None
    assert job.result.result_hash == to_hex(result_of(JOB, run(JOB)).result_hash())
    assert job.verification is not None
    assert (job.verification.quorum, job.verification.check_rate_bps) == (2, 10_000)
    assert [(check.purpose, check.state) for check in job.verification.checks] == [("spot", "found")]
    _check_money(world, job, free_before)
    assert any("gave another result for segment 1" in text for text in job.notes), job.notes
    assert any("went silent" in text for text in job.notes), job.notes
    assert world.failures == []


def test_a_provider_that_lies_alone_is_found_by_the_markets_own_run(world: MarketWorld) -> None:
    alone = spec(COUNTER, segments=1, work=10**8)
    with world.buyer(5 * DOLLAR) as client:
        job = _ended(world, client, JobRequest(manifest=alone.manifest.model_dump(mode="json")))
    lied, _ = sorted(job.leases, key=lambda lease: lease.fill)
    assert (lied.zone, lied.paid_base) == ("DE", 0)
    assert job.result is not None
    assert job.result.result_hash == to_hex(result_of(alone, run(alone)).result_hash())
    assert job.cost_base > 0
    assert any("ran segment 1 again and found another state" in text for text in job.notes), job.notes
    assert world.failures == []


def _check_money(world: MarketWorld, job: Job, free_before: int) -> None:
    leases = world.followed.mirror.leases(order=from_hex(job.order, 32))
    by_fill = {lease.fill: lease for lease in leases}
    assert all(lease.state is LeaseState.CLOSED for lease in leases)
    liar = zone_by_id("DE").number
    (lied,) = [lease for lease in leases if lease.zone == liar]
    assert (lied.reason, lied.paid_base) == (EndReason.FAULTY, 0)
    # The grids of the first three differ, and no successor went into one of a lease that ran.
    assert len({by_fill[fill].zone for fill in range(3)}) == 3
    with world.market.db.read() as session:
        for intention in session.exec(select(LeaseIntention)):
            assert intention.state == "ended"
    whole = run(JOB)[-1].leaf.work
    for lane in range(3):
        fills = [lease for fill, lease in sorted(by_fill.items()) if fill % 3 == lane]
        assert fills[-1].done
        # Each segment is paid once a lane, whoever ran it: rounding aside, the lane costs what one lease would.
        earned = sum(lease.paid_base for lease in fills)
        low, high = (earned_down(1, edge(lease.rate for lease in fills), whole) for edge in (min, max))
        assert low - len(fills) <= earned <= high
    paid, fees = sum(lease.paid_base for lease in leases), sum(lease.fee_base for lease in leases)
    assert job.cost_base == paid
    buyer = world.followed.mirror.account(world.ledger.buyer.address)
    assert buyer.free_base == free_before - paid - fees
    providers = {lease.provider for lease in leases}
    assert sum(world.followed.mirror.account(provider).free_base for provider in providers) == paid
