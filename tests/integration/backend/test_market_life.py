"""Jobs, matches, submissions, leases, vouchers, reorgs and crashes in any order: money is conserved after each step."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backend import wake
from tests.support.anvil import Anvil, require_anvil
from tests.support.market_life import SEGMENTS, Agent, MarketLife

pytestmark = pytest.mark.node

#: `LIVES=200 pytest tests/integration/backend/test_market_life.py` for a long run
LIVES = int(os.environ.get("LIVES", "3"))
STEPS = int(os.environ.get("LIFE_STEPS", "20"))
_AGENTS = st.integers(0, 2)


class Life(RuleBasedStateMachine):
    """One market from its first job to its rest."""

    life: MarketLife | None = None

    # The plainest life is one whose leases ran, are gone, and find no room again.
    @initialize(
        segments=st.sampled_from([1, 0, SEGMENTS]),
        depth=st.sampled_from([2, 0, 1, 6]),
        taken=st.sampled_from([0, None]),
    )
    def begin(self, segments: int, depth: int, taken: int | None) -> None:
        """A life of twenty events is short: it begins with two leases that have run, and are gone again."""
        self._folder = tempfile.TemporaryDirectory()
        self._node = Anvil().start()
        self.life = MarketLife(Path(self._folder.name), self._node)
        for _ in range(2):
            self.life.buy()
        self.life.step()
        self.life.mine()
        self.life.step()
        for _ in range(segments):
            self.serve_all()
        if depth:
            self.reorg(depth, taken)

    @property
    def now(self) -> MarketLife:
        assert self.life is not None
        return self.life

    def _agent(self, number: int) -> Agent:
        return self.now.agents[number]

    @rule()
    def buy(self) -> None:
        self.now.buy()

    @rule()
    def step(self) -> None:
        self.now.step()

    @rule(blocks=st.integers(1, 3))
    def mine(self, blocks: int) -> None:
        self.now.mine(blocks)

    @rule()
    def serve_all(self) -> None:
        for agent in self.now.agents:
            self.serve(agent.number)

    @rule(number=_AGENTS)
    def serve(self, number: int) -> None:
        agent = self._agent(number)
        if not agent.is_away:
            agent.work(agent.leases())

    @rule(number=_AGENTS)
    def come_and_go(self, number: int) -> None:
        agent = self._agent(number)
        if agent.is_away:
            agent.is_away = False
            agent.leases()
        else:
            self.now.silence(agent)

    @rule(number=_AGENTS)
    def give_up(self, number: int) -> None:
        agent = self._agent(number)
        if not agent.is_away:
            for lease in agent.leases():
                if lease["state"] == "open" and lease["last_voucher"] is None:
                    agent.give_up(lease)

    @precondition(lambda self: self.life is not None and self.life.jobs)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        self.now.cancel(data.draw(st.sampled_from(self.now.jobs)))

    @rule(depth=st.integers(1, 20), taken=st.none() | _AGENTS)
    def reorg(self, depth: int, taken: int | None) -> None:
        self.now.reorg(depth, None if taken is None else self._agent(taken))

    @rule()
    def the_rival_leaves(self) -> None:
        self.now.rival.leave()

    @rule(statements=st.integers(1, 60))
    def crash(self, statements: int) -> None:
        self.now.step_until_killed(statements)

    @invariant()
    def money_is_conserved(self) -> None:
        if self.life is not None:
            self.life.check_money()

    def teardown(self) -> None:
        if self.life is None:
            return
        try:
            self.life.come_to_rest()
            self.life.check_money()
            self.life.check_books()
        finally:
            self.life.close()
            self._node.stop()
            self._folder.cleanup()


def test_whatever_happens_money_is_conserved_and_all_comes_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    require_anvil()
    # The test itself is the worker.
    monkeypatch.setattr(wake, "market", lambda: None)
    quiet = settings(
        max_examples=LIVES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Life, settings=quiet)
