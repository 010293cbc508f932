"""A reorg takes a lease that ran: its job goes on, and nothing is counted as paid that no lease can pay."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from backend import wake
from backend.leases.tables import LeaseIntention, UsageRow
from backend.submission import outcomes
from backend.submission.tables import IntentRow
from protocol.hashing import from_hex
from tests.support.anvil import running_anvil
from tests.support.market_life import CAPACITY, Agent, MarketLife
from tests.support.waiting import wait_until

pytestmark = pytest.mark.node


@pytest.fixture
def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MarketLife]:
    """Three agents; the first is the cheapest."""
    monkeypatch.setattr(wake, "market", lambda: None)
    with running_anvil() as node:
        found = MarketLife(tmp_path, node)
        yield found
        found.close()


def _bought(life: MarketLife) -> str:
    """A job whose lease is open with the first agent; the blocks of that are the newest three."""
    job = life.buy()
    assert job is not None
    life.step()
    life.mine()
    life.step()
    assert [lease["provider"] for lease in life.job(job)["leases"]] == [life.agents[0].key.address]
    return job


def _work(agent: Agent) -> None:
    agent.work(agent.leases())


def _until(life: MarketLife, holds: Callable[[], bool]) -> None:
    """The market steps and blocks come; what a reorg took is sent again after two seconds."""

    def look() -> bool:
        life.step()
        life.mine()
        life.step()
        return holds()

    wait_until(look, 30)


def _opens(life: MarketLife) -> list[str]:
    with _session(life) as session:
        return [row.state for row in session.exec(select(IntentRow).where(IntentRow.kind == "open"))]


def _done(life: MarketLife, job: str) -> int:
    return int(life.job(job)["segments"]["done"])


def _session(life: MarketLife) -> Session:
    return Session(life.market.db.engine)


def _ends_well(life: MarketLife, job: str) -> dict[str, Any]:
    life.come_to_rest()
    life.check_money()
    life.check_books()
    found: dict[str, Any] = life.job(job)
    assert found["state"] == "succeeded", found
    return found


def test_a_lease_that_ran_and_is_skipped_after_a_reorg_is_let_to_another_and_the_work_done_again(
    life: MarketLife,
) -> None:
    job = _bought(life)
    _work(life.agents[0])
    assert (life.job(job)["segments"]["done"], int(life.job(job)["cost_base"])) == (1, 200)
    life.reorg(2, taken=life.agents[0])
    # The ledger has no room for it in the blocks that come instead.
    _until(life, lambda: _done(life, job) == 0)
    found = life.job(job)
    assert (found["segments"]["done"], found["work"], found["cost_base"], found["leases"]) == (0, "0", "0", [])
    assert any("a reorg took the lease" in text and "from 1 on run again" in text for text in found["notes"])
    found = _ends_well(life, job)
    assert [lease["provider"] for lease in found["leases"]] == [life.agents[1].key.address]
    assert life.agents[0].held_base
    assert life.chain.account(life.agents[0].key.address).free_base == 0


def test_a_lease_that_comes_back_to_its_provider_goes_on_from_what_it_was_paid_for(life: MarketLife) -> None:
    job = _bought(life)
    _work(life.agents[0])
    for agent in life.agents[1:]:
        life.silence(agent)
    life.reorg(2, taken=life.agents[0])
    _until(life, lambda: _done(life, job) == 0)
    life.rival.leave()
    _until(life, lambda: _done(life, job) == 1)
    found = life.job(job)
    assert (found["segments"]["done"], int(found["cost_base"])) == (1, 200)
    found = _ends_well(life, job)
    assert [lease["paid_base"] for lease in found["leases"]] == ["400"]


def test_a_lease_that_nothing_opens_again_leaves_no_job_running(life: MarketLife) -> None:
    job = _bought(life)
    _work(life.agents[0])
    life.world.rpc.call("evm_setAutomine", True)
    # Whatever the market sends again finds no money.
    life.node.reorg(2)
    life.world.withdraw(life.chain.account(life.world.buyer.address).free_base)
    life.world.rpc.call("evm_setAutomine", False)
    _until(life, lambda: life.job(job)["state"] == "failed")
    found = life.job(job)
    assert found["cost_base"] == "0"
    assert "buyer_funds" in found["failure"]
    life.come_to_rest()
    life.check_money()
    life.check_books()


def test_the_result_of_a_job_that_ended_is_kept_and_its_provider_paid_once_there_is_room(life: MarketLife) -> None:
    job = _bought(life)
    _work(life.agents[0])
    _work(life.agents[0])
    ended = life.job(job)
    assert (ended["state"], ended["cost_base"]) == ("succeeded", "400")
    life.reorg(2, taken=life.agents[0])
    _until(life, lambda: _opens(life) == ["skipped"])
    found = life.job(job)
    assert (found["state"], found["result"], found["leases"]) == ("succeeded", ended["result"], [])
    assert found["cost_base"] == "400"
    found = _ends_well(life, job)
    assert [(lease["provider"], lease["paid_base"]) for lease in found["leases"]] == [
        (life.agents[0].key.address, "400")
    ]


def test_what_cannot_be_paid_any_more_is_not_counted_and_the_buyer_is_told(life: MarketLife) -> None:
    job = _bought(life)
    _work(life.agents[0])
    _work(life.agents[0])
    life.world.rpc.call("evm_setAutomine", True)
    life.node.reorg(2)
    life.world.cancel(from_hex(life.job(job)["order"], 32))
    life.world.rpc.call("evm_setAutomine", False)
    _until(life, lambda: life.job(job)["cost_base"] == "0")
    found = _ends_well(life, job)
    assert (found["cost_base"], found["leases"]) == ("0", [])
    assert found["result"] is not None
    assert any("is not paid 400 base units" in text for text in found["notes"]), found["notes"]


def test_a_lease_that_was_skipped_in_a_block_that_is_gone_is_known_when_it_is_open_after_all(life: MarketLife) -> None:
    for agent in life.agents[1:]:
        life.silence(agent)
    job = life.buy()
    assert job is not None
    life.step()
    life.rival.take(life.agents[0], 2)
    life.mine()
    life.step()
    assert _opens(life) == ["skipped"]
    with _session(life) as session:
        assert session.exec(select(LeaseIntention)).all() == []
    # Without the rival's block there is room again, before the market has proposed anything new.
    life.silence(life.agents[0])
    life.reorg(1)
    _until(life, lambda: _opens(life) == ["assigned"])
    with _session(life) as session:
        assert session.exec(select(LeaseIntention)).one().provider == life.agents[0].key.address
    _ends_well(life, job)


def test_a_lease_that_an_earlier_proposal_opens_after_a_reorg_is_its_providers_and_not_who_worked(
    life: MarketLife,
) -> None:
    first, second = life.agents[:2]
    job = life.buy()
    assert job is not None
    life.step()
    life.rival.take(first, CAPACITY)
    life.mine()
    life.step()
    life.mine()
    life.step()
    assert [lease["provider"] for lease in life.job(job)["leases"]] == [second.key.address]
    _work(second)
    assert _done(life, job) == 1
    # The rival's block is gone for good: the first proposal finds room, and the second finds the lease open.
    life.reorg(3)
    _until(life, lambda: [row["provider"] for row in life.job(job)["leases"]] == [first.key.address])
    assert (_done(life, job), life.job(job)["cost_base"]) == (0, "0")
    assert second.leases() == []
    found = _ends_well(life, job)
    assert [lease["provider"] for lease in found["leases"]] == [first.key.address]
    assert life.chain.account(second.key.address).free_base == 0


def test_a_step_with_nothing_new_writes_no_outcome(life: MarketLife, monkeypatch: pytest.MonkeyPatch) -> None:
    _bought(life)

    def write() -> None:
        raise AssertionError("nothing was to be written")

    monkeypatch.setattr(life.market.db, "write", write)
    asked: list[str] = []
    monkeypatch.setattr(life.market.mirror, "lease", asked.append)
    outcomes.settle(life.market)
    assert asked == []


def test_vouchers_of_a_lease_that_is_gone_stay_stored(life: MarketLife) -> None:
    job = _bought(life)
    _work(life.agents[0])
    life.reorg(2, taken=life.agents[0])
    _until(life, lambda: _done(life, job) == 0)
    with _session(life) as session:
        (row,) = session.exec(select(UsageRow).where(UsageRow.job_id == job)).all()
        assert (row.verdict, row.cumulative_base, row.voucher_message is not None) == ("lapsed", 200, True)
