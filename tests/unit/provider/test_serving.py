"""What an agent does with a lease: by the chain and by signatures, and never two unpaid segments."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.events import LeaseState
from protocol.hashing import cid_of, from_hex, sha256, to_hex
from protocol.keys import LocalKey
from protocol.messages import digest, from_json, to_json
from protocol.replicas import usage_commitment
from protocol.terms import UsageReceipt, Voucher
from protocol.wire.leases import LeaseWork, Resume
from provider import visit
from provider.errors import MarketRefused, VoucherRefused
from provider.journal import all_journals
from tests.support.provider_market import DOMAIN, NOW, OPERATOR, Crash, World, make_order, refused, unavailable
from tests.support.wasm_jobs import COUNTER, result_of, run, spec

SEGMENTS = 5
JOB = spec(COUNTER, segments=SEGMENTS)
WHOLE = run(JOB)
RESULT = result_of(JOB, WHOLE).result_hash()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(JOB, tmp_path)


def _assert_completed(world: World) -> None:
    market = world.market
    last = from_json(Voucher, market.vouchers[-1].voucher)
    amounts = [int(voucher.voucher["cumulative"]) for voucher in market.vouchers]
    assert [report.step.work for report in market.reports] == [segment.leaf.work for segment in WHOLE]
    assert (last.last, last.result) == (True, RESULT)
    assert amounts == sorted(set(amounts))
    assert market.countersigned_by == OPERATOR.address
    [(_, progress)] = all_journals(world.folder)
    assert progress.end is not None
    assert progress.end.outcome == "completed"


def test_a_lease_is_served_segment_by_segment_to_its_result(world: World) -> None:
    assert world.serve()
    _assert_completed(world)
    assert dict(world.market.times_reported) == dict.fromkeys(range(1, SEGMENTS + 1), 1)


def test_the_countersignature_comes_with_the_last_segment(world: World) -> None:
    world.serve()
    assert world.market.times_countersigned == 0
    assert [report.countersignature is not None for report in world.market.reports] == [False] * (SEGMENTS - 1) + [True]


def test_a_last_voucher_over_more_than_was_expected_is_countersigned_by_itself(world: World) -> None:
    world.market.alter = lambda voucher: replace(voucher, cumulative=voucher.cumulative + voucher.last)
    world.serve()
    _assert_completed(world)
    assert world.market.times_countersigned == 1


def test_usage_is_timed_by_the_chains_clock(world: World) -> None:
    world.serve()
    assert {report.usage_receipt["meteredUntil"] for report in world.market.reports} == {str(NOW * 1000)}


@pytest.mark.parametrize("sequence", [1, 3, SEGMENTS])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_a_report_loses_nothing_and_pays_nothing_twice(world: World, moment: str, sequence: int) -> None:
    def crash(reported: int) -> None:
        if reported == sequence:
            raise Crash

    setattr(world.market, moment, crash)
    with pytest.raises(Crash):
        world.serve()
    setattr(world.market, moment, lambda _: None)
    world.serve()
    _assert_completed(world)
    assert sum(world.market.times_reported.values()) == SEGMENTS + (moment == "after")


def test_a_torn_last_line_of_the_journal_never_counted(world: World) -> None:
    world.market.before = _crash_at(3)
    with pytest.raises(Crash):
        world.serve()
    [path] = world.folder.glob("*/journal.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    world.market.before = lambda _: None
    world.serve()
    _assert_completed(world)


def test_a_lost_local_checkpoint_is_fetched_from_the_market(world: World) -> None:
    world.market.before = _crash_at(3)
    with pytest.raises(Crash):
        world.serve()
    [path] = world.folder.glob("*/journal.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    # As if the machine had stopped right after the second voucher, and lost its files.
    path.write_bytes(b"".join(lines[:-1]))
    for file in path.parent.glob("bafk*"):
        file.unlink()
    world.market.before = lambda _: None
    world.serve()
    _assert_completed(world)


def test_a_network_that_fails_for_a_while_only_costs_time(world: World) -> None:
    world.market.before = unavailable(5)
    world.serve()
    _assert_completed(world)
    assert world.slept > 0


def test_without_vouchers_no_second_segment_is_served(world: World) -> None:
    world.market.before = unavailable(10**6)
    world.serve()
    [(_, progress)] = all_journals(world.folder)
    assert len(progress.segments) == 1
    assert progress.end is not None
    assert progress.end.outcome == "lapsed"


def test_a_market_that_ended_the_lease_is_obeyed(world: World) -> None:
    world.market.before = refused
    with pytest.raises(MarketRefused):
        world.serve()
    assert world.market.vouchers == []


def _altered(**fields: object) -> Callable[[Voucher], Voucher]:
    return lambda voucher: replace(voucher, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "alter",
    [
        lambda voucher: replace(voucher, cumulative=voucher.cumulative - 1),
        _altered(lease=sha256(b"other")),
        _altered(provider=LocalKey.create().address),
        _altered(result=sha256(b"other")),
        _altered(last=True),
        _altered(cumulative=2**47),
    ],
)
def test_a_voucher_that_would_not_pay_is_refused_and_nothing_more_is_served(
    world: World, alter: Callable[[Voucher], Voucher]
) -> None:
    world.market.alter = alter
    with pytest.raises(VoucherRefused):
        world.serve()
    assert len(world.market.reports) == 1
    assert world.market.countersigned_by is None


def test_a_voucher_by_another_signer_is_refused(world: World) -> None:
    world.market.signer = LocalKey.create()
    with pytest.raises(VoucherRefused, match="signed by"):
        world.serve()


def _with_other_work(hint: LeaseWork) -> LeaseWork:
    manifest = json.loads(json.dumps(hint.manifest))
    manifest["arguments"] = ["another", "job"]
    return hint.model_copy(update={"manifest": manifest})


def _with_other_order(hint: LeaseWork) -> LeaseWork:
    order = replace(make_order(JOB), salt=2)
    return hint.model_copy(update={"order": to_json(order)})


@pytest.mark.parametrize("change", [_with_other_work, _with_other_order])
def test_a_job_that_the_chain_does_not_name_is_refused(world: World, change: Callable[[LeaseWork], LeaseWork]) -> None:
    world.server().serve(change(world.market.hint()))
    assert world.market.reports == []
    assert len(world.market.failures) == 1


@pytest.mark.parametrize(
    "fields", [{"provider": LocalKey.create().address}, {"voucher_signer": LocalKey.create().address}]
)
def test_a_lease_that_is_another_one_on_chain_is_refused(world: World, fields: dict[str, object]) -> None:
    world.ledger.change(**fields)
    world.serve()
    assert world.market.reports == []
    assert len(world.market.failures) == 1


def test_a_job_that_may_use_more_work_than_the_order_pays_is_refused(tmp_path: Path) -> None:
    world = World(JOB, tmp_path, order=replace(make_order(JOB), quantity=1))
    world.serve()
    assert world.market.reports == []


def test_nothing_starts_before_the_lease_is_on_chain(world: World) -> None:
    opened, world.ledger.state = world.ledger.state, None
    assert not world.serve()
    world.ledger.state = opened
    assert world.serve()
    _assert_completed(world)


def test_a_lease_that_a_reorg_takes_is_gone_on_with_when_it_comes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit, "LOOK_SECONDS", 0.0)
    opened = world.ledger.state

    def take(reported: int) -> None:
        world.ledger.state = None if reported == 2 else opened

    world.market.after = take
    with pytest.raises(visit.LeaseGone):
        world.serve()
    assert not world.serve()
    world.ledger.state = opened
    assert world.serve()
    _assert_completed(world)


@pytest.mark.parametrize("fields", [{"state": LeaseState.CLOSING}, {"state": LeaseState.CLOSED}])
def test_nothing_starts_on_a_lease_that_is_over(world: World, fields: dict[str, object]) -> None:
    world.ledger.change(**fields)
    assert not world.serve()
    assert world.market.reports == []


def test_nothing_starts_after_the_deadline_of_the_chains_clock(world: World) -> None:
    assert world.ledger.state is not None
    world.ledger.time = world.ledger.state.deadline_time
    world.serve()
    assert world.market.reports == []


def test_work_stops_where_the_lock_is_used_up(tmp_path: Path) -> None:
    world = World(JOB, tmp_path, locked_base=1)
    world.serve()
    assert len(world.market.reports) == 1
    assert "lock" in world.market.failures[0]


def test_a_successor_goes_on_from_the_paid_checkpoint_and_is_paid_only_for_its_own_work(
    world: World, tmp_path: Path
) -> None:
    world.market.before = _crash_at(3)
    with pytest.raises(Crash):
        world.serve()
    successor = World(JOB, tmp_path / "successor")
    paid = world.market.reports[1]
    successor.market.files |= world.market.files
    successor.market.base = Resume(
        sequence=2,
        job_work=paid.step.work,
        lease_work=0,
        state_hash=paid.step.state_hash,
        checkpoint=_checkpoint_cid(world, 2),
        trace=[report.step for report in world.market.reports[:2]],
    )
    successor.serve()
    last = from_json(Voucher, successor.market.vouchers[-1].voucher)
    assert last.result == RESULT
    assert [int(report.usage_receipt["sequence"]) for report in successor.market.reports] == [3, 4, 5]
    assert int(successor.market.reports[-1].usage_receipt["work"]) == WHOLE[-1].leaf.work - paid.step.work


def test_a_checkpoint_that_is_not_the_paid_state_is_refused(world: World, tmp_path: Path) -> None:
    world.market.before = _crash_at(3)
    with pytest.raises(Crash):
        world.serve()
    successor = World(JOB, tmp_path / "successor")
    successor.market.files |= world.market.files
    steps = [report.step for report in world.market.reports[:2]]
    successor.market.base = Resume(
        sequence=2,
        job_work=steps[-1].work,
        lease_work=0,
        state_hash=steps[-1].state_hash,
        checkpoint=_checkpoint_cid(world, 1),
        trace=steps,
    )
    successor.serve()
    assert successor.market.reports == []
    assert "checkpoint" in successor.market.failures[0]


def test_a_cancelled_job_is_countersigned_if_it_keeps_what_was_vouched_for(world: World) -> None:
    world.market.before = _crash_at(3)
    with pytest.raises(Crash):
        world.serve()
    paid = from_json(Voucher, world.market.vouchers[-1].voucher)
    world.market.cancelled = world.market.signed(replace(paid, last=True))
    world.serve()
    assert world.market.countersigned_by == OPERATOR.address


def test_a_cancelled_job_that_pays_less_than_was_vouched_for_is_not_countersigned(world: World) -> None:
    world.market.before = _crash_at(3)
    with pytest.raises(Crash):
        world.serve()
    paid = from_json(Voucher, world.market.vouchers[-1].voucher)
    world.market.cancelled = world.market.signed(replace(paid, cumulative=paid.cumulative - 1, last=True))
    with pytest.raises(VoucherRefused):
        world.serve()
    assert world.market.countersigned_by is None


def test_a_served_lease_is_not_served_again_but_countersigned_again(world: World) -> None:
    world.serve()
    world.market.countersigned_by = None
    world.market.cancelled = world.market.vouchers[-1]
    assert not world.serve()
    assert world.market.countersigned_by == OPERATOR.address
    assert set(world.market.times_reported.values()) == {1}


def _crash_at(sequence: int) -> Callable[[int], None]:
    def crash(reported: int) -> None:
        if reported == sequence:
            raise Crash

    return crash


def _checkpoint_cid(world: World, sequence: int) -> str:
    return cid_of(from_hex(world.market.reports[sequence - 1].usage_receipt["checkpoint"], 32))


class TestReplicas:
    """An order with replicas: nothing is shown that another could copy."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return World(JOB, tmp_path, order=replace(make_order(JOB), replicas=3, max_leases=9))

    def test_each_segment_is_committed_to_before_it_is_shown_and_opens_the_commitment(self, world: World) -> None:
        world.market.waits = 2
        world.serve()
        _assert_completed(world)
        market = world.market
        # Each was asked about twice: the fake's other replicas are one question later.
        assert [one.sequence for one in market.commitments] == [number for number in range(1, 6) for _ in range(2)]
        for report, committed in zip(market.reports, market.commitments[::2], strict=True):
            receipt = from_json(UsageReceipt, report.usage_receipt)
            assert report.salt is not None
            opened = usage_commitment(OPERATOR.address, digest(DOMAIN, receipt), from_hex(report.salt, 32))
            assert to_hex(opened) == committed.commitment
        assert len({report.salt for report in market.reports}) == SEGMENTS

    def test_a_kill_before_it_is_shown_leads_to_the_same_commitment(self, world: World) -> None:
        def crash(_sequence: int) -> None:
            raise Crash

        world.market.before = crash
        with pytest.raises(Crash):
            world.serve()
        world.market.before = lambda _: None
        world.serve()
        _assert_completed(world)
        assert len({one.commitment for one in world.market.commitments if one.sequence == 1}) == 1

    def test_a_replica_that_waits_for_ever_gives_up_when_its_notice_is_over(self, world: World) -> None:
        world.market.waits = 10**6
        world.serve()
        [(_, progress)] = all_journals(world.folder)
        assert progress.end is not None
        assert progress.end.outcome == "lapsed"
        assert len(progress.segments) == 1
