"""A provider with two leases at once reports both in one call, and they close on chain with nothing more from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import wake
from protocol.events import EndReason, LeaseState
from protocol.hashing import from_hex
from tests.support.anvil import running_anvil
from tests.support.market_life import SEGMENTS, MarketLife
from tests.support.waiting import wait_until

pytestmark = pytest.mark.node


@pytest.fixture
def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MarketLife]:
    """One agent, which joins its reports."""
    monkeypatch.setattr(wake, "market", lambda: None)
    with running_anvil() as node:
        found = MarketLife(tmp_path, node, agents=1)
        yield found
        found.close()


def test_two_leases_end_paid_and_agreed_with_a_call_a_segment(
    life: MarketLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [life.buy(), life.buy()]
    life.step()
    life.mine()
    life.step()
    (agent,) = life.agents
    called, call = list[str](), life.call

    def noted(method: str, path: str, *arguments: Any, **options: Any) -> Any:
        called.append(f"{method} {path}")
        return call(method, path, *arguments, **options)

    begun = agent.leases()
    assert len(begun) == len(jobs)
    with monkeypatch.context() as patch:
        patch.setattr(life, "call", noted)
        for _ in range(SEGMENTS):
            agent.work(agent.leases())
    reports = [one for one in called if one.startswith("POST")]
    assert reports == ["POST /v1/provider/usage-receipts"] * SEGMENTS

    def closed() -> bool:
        life.step()
        life.mine()
        return all(found.state is LeaseState.CLOSED for found in on_chain())

    def on_chain() -> list[Any]:
        return [life.chain.lease(from_hex(lease["lease"], 32)) for lease in begun]

    # Both signed: the notice of ten seconds is not waited for.
    wait_until(closed, 8)
    assert {found.reason for found in on_chain()} == {EndReason.COMPLETED}
    assert [found.paid_base for found in on_chain()] == [agent.held_base[lease["lease"]] for lease in begun]
    assert agent.leases() == []
    life.check_money()
