"""Three replicas in three zones, one lies and one dies: the right result, the liar unpaid, and sums that are exact."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import select

from backend import wake
from backend.leases.tables import LeaseIntention
from protocol.events import EndReason, LeaseState
from protocol.hashing import from_hex, to_hex
from protocol.units import earned_down
from protocol.wire.jobs import ENDED, Job, JobRequest
from protocol.wire.offers import OfferPage
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


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MarketWorld]:
    # The loop of the world is awake anyway.
    monkeypatch.setattr(wake, "market", lambda: None)
    with running_market_world(
        tmp_path, notice_seconds=10, provider_silence_seconds=4, countersign_seconds=2, redeem_after_seconds=2
    ) as found:
        yield found


def test_one_replica_lies_and_one_dies_and_the_job_ends_right_and_paid_to_the_unit(world: MarketWorld) -> None:
    liar = world.join("DE", Faulty(0, dies=False), rate=RATE)
    world.join("FR", Faulty(2, dies=True), rate=RATE)
    for number, zone in enumerate(("ES", "PL", "AT")):
        world.join(zone, WasiDet(sandboxed=False), rate=RATE + 10_000_000 * (number + 1))
    ledger = world.ledger
    ledger.rpc.call("evm_setAutomine", False)
    ledger.rpc.call("evm_setIntervalMining", 1)
    with world.buyer() as client:
        until(lambda: len(client.http.get("/v1/offers", OfferPage).data) == 5, 60, "five offers")
        client.files.put(JOB.module)
        manifest = JOB.manifest.model_dump(mode="json")
        bought = client.jobs.submit(JobRequest(manifest=manifest, replicas=3, distinct_zones=True, max_leases=9))
        until(lambda: client.job(bought.id).state in ENDED, 120, "the job to end")
        job = client.job(bought.id)
        assert job.state == "succeeded", (job.failure, job.notes, world.failures)
        assert job.result is not None
        assert job.result.result_hash == to_hex(result_of(JOB, run(JOB)).result_hash())
        until(lambda: client.job(bought.id).settlement == "released", 60, "all leases to close")
        _check_money(world, client.job(bought.id), liar.address)
    assert any("gave another result for segment 1" in text for text in job.notes), job.notes
    assert any("went silent" in text for text in job.notes), job.notes
    assert world.failures == []


def _check_money(world: MarketWorld, job: Job, liar: str) -> None:
    leases = world.followed.mirror.leases(order=from_hex(job.order, 32))
    by_fill = {lease.fill: lease for lease in leases}
    assert all(lease.state is LeaseState.CLOSED for lease in leases)
    (lied,) = [lease for lease in leases if lease.provider == liar]
    assert (lied.reason, lied.paid_base) == (EndReason.FAULTY, 0)
    # The grids of the first three differ, and no successor went into one of a lease that ran.
    assert len({by_fill[fill].zone for fill in range(3)}) == 3
    with world.market.db.read() as session:
        for intention in session.exec(select(LeaseIntention)):
            assert intention.state == "ended"
    trace = run(JOB)
    for lane in range(3):
        fills = [by_fill[fill] for fill in sorted(by_fill) if fill % 3 == lane]
        assert fills[-1].done
    whole = trace[-1].leaf.work
    for lane in range(3):
        fills = [by_fill[fill] for fill in sorted(by_fill) if fill % 3 == lane and by_fill[fill].paid_base]
        if len(fills) == 1:
            assert fills[0].paid_base == earned_down(fills[0].meter, fills[0].rate, whole)
    paid, fees = sum(lease.paid_base for lease in leases), sum(lease.fee_base for lease in leases)
    assert job.cost_base == paid
    buyer = world.followed.mirror.account(world.ledger.buyer.address)
    assert buyer.free_base == 100 * DOLLAR - paid - fees
    assert sum(world.followed.mirror.account(lease.provider).free_base for lease in leases) == paid
