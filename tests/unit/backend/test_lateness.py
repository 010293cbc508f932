"""What the market does not blame on providers: the time in which it took no calls itself."""

import asyncio
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlmodel import select

from backend.leases.acting import sweep
from backend.leases.tables import LeaseIntention
from backend.offers.tables import ProviderRow
from backend.operations import listening
from backend.operations.lateness import Lateness, Spell, spell_between
from backend.operations.listening import PULSE, Listening
from backend.operations.tables import LateSpellRow, PulseRow
from protocol.clock import now_time
from protocol.hashing import to_hex
from tests.support.paper_market import PROVIDER, PaperMarket, paper_market

NOW = 1_000_000


@pytest.mark.parametrize(
    ("spells", "since", "excused"),
    [
        ([], 100, 0),
        ([(50, 80)], 100, 30),
        ([(50, 80), (20, 25)], 100, 35),
        # Only what lies within counts.
        ([(90, 200)], 100, 10),
        ([(50, 80)], 60, 10),
        ([(-50, -10)], 100, 0),
        ([(500, 600)], 100, 0),
        # A clock that was set back.
        ([(50, 80)], -40, 0),
    ],
)
def test_time_in_which_nobody_listened_is_not_counted(spells: list[tuple[int, int]], since: int, excused: int) -> None:
    """`spells`: seconds ago, from the older end's side."""
    late = Lateness(spells=[Spell(NOW - end, NOW - begin) for begin, end in spells], most_seconds=1000)
    assert late.excused_seconds(NOW - since, NOW) == excused
    assert late.waited_seconds(NOW - since, NOW) == since - excused


def test_a_market_without_a_server_excuses_nobody_for_ever() -> None:
    late = Lateness(spells=[Spell(0, NOW)], most_seconds=600)
    assert late.waited_seconds(NOW - 500, NOW) == 0
    assert late.waited_seconds(NOW - 700, NOW) == 100


def test_calls_that_wait_a_little_are_no_lateness() -> None:
    assert spell_between(NOW - 5, NOW, 5) is None
    assert spell_between(NOW - 6, NOW, 5) == Spell(NOW - 6, NOW)
    assert spell_between(NOW + 60, NOW, 5) is None


class TestListening:
    def _late(self, paper: PaperMarket) -> Lateness:
        """As another process reads it, or this one a moment later."""
        with paper.market.db.read() as session:
            return Listening(paper.market.db, 20, 600).lateness(session)

    def _pulse(self, paper: PaperMarket, monkeypatch: pytest.MonkeyPatch, at_time: int) -> None:
        monkeypatch.setattr(listening, "now_time", lambda: at_time)
        with paper.market.db.write() as session:
            Listening(paper.market.db, 20, 600).note(session)

    def test_pulses_that_follow_one_another_leave_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with paper_market(tmp_path) as paper:
            for second in range(0, 20, 4):
                self._pulse(paper, monkeypatch, NOW + second)
            assert not self._late(paper).spells

    def test_a_server_that_came_late_says_from_when_until_when_and_grants_a_moment_to_call_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with paper_market(tmp_path) as paper:
            for second in (0, 1, 31, 32):
                self._pulse(paper, monkeypatch, NOW + second)
            assert self._late(paper).spells == [Spell(NOW + 1, NOW + 36)]

    def test_one_that_is_late_again_and_again_has_one_spell(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with paper_market(tmp_path) as paper:
            for second in (0, 10, 20, 30):
                self._pulse(paper, monkeypatch, NOW + second)
            assert self._late(paper).spells == [Spell(NOW, NOW + 35)]

    def test_as_long_as_no_server_answers_the_spell_lasts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with paper_market(tmp_path) as paper:
            self._pulse(paper, monkeypatch, NOW)
            monkeypatch.setattr(listening, "now_time", lambda: NOW + 40)
            assert self._late(paper).excused_seconds(NOW - 5, NOW + 40) == 40

    @pytest.mark.parametrize("set_by_seconds", [3600, -3600])
    def test_a_clock_that_was_set_makes_nobody_late(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_by_seconds: int
    ) -> None:
        with paper_market(tmp_path) as paper:
            server = Listening(paper.market.db, 20, 600)
            for at_time in (NOW, NOW + set_by_seconds, NOW + 2):
                monkeypatch.setattr(listening, "now_time", lambda at_time=at_time: at_time)
                with paper.market.db.write() as session:
                    server.note(session)
            assert not self._late(paper).spells

    def test_a_server_that_began_by_a_clock_that_was_ahead_leaves_nothing_for_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with paper_market(tmp_path) as paper:
            for at_time in (NOW, NOW + 3600, NOW + 2):
                self._pulse(paper, monkeypatch, at_time)
            assert not self._late(paper).spells

    def test_a_market_that_never_had_a_server_is_not_late(self, tmp_path: Path) -> None:
        with paper_market(tmp_path) as paper:
            assert not self._late(paper).spells

    def test_what_was_late_a_day_ago_is_forgotten(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with paper_market(tmp_path) as paper:
            for at_time in (NOW, NOW + 60, *range(NOW + 64, NOW + 100, 4), NOW + 2 * 86_400):
                self._pulse(paper, monkeypatch, at_time)
            assert [spell.from_time for spell in self._late(paper).spells] == [NOW + 96]


@pytest.mark.parametrize(("is_jammed", "pulses"), [(False, 1), (True, 0)])
def test_a_server_that_runs_says_so_once_it_gets_through_its_own_queue(
    tmp_path: Path, is_jammed: bool, pulses: int
) -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def serve(app: FastAPI) -> None:
        async with app.router.lifespan_context(app):
            await asyncio.sleep(0.5)

    with paper_market(tmp_path) as paper:
        if is_jammed:
            paper.app.state.stand_in_line = for_ever
        asyncio.run(serve(paper.app))
        with paper.market.db.read() as session:
            assert len(session.exec(select(PulseRow).where(PulseRow.name == PULSE)).all()) == pulses


def _silent_lease(paper: PaperMarket, *, heard_ago: int, served_ago: int) -> str:
    """Running; its provider and any server were heard so many seconds ago."""
    paper.add_job("job_1", state="running")
    lease = to_hex(paper.propose("job_1"))
    paper.stored.grow([[paper.opened("job_1")]])
    with paper.market.db.write() as session:
        row = session.get_one(LeaseIntention, lease)
        row.state, row.progress_time = "running", now_time()
        session.merge(ProviderRow(address=PROVIDER.address, heard_time=now_time() - heard_ago))
        session.merge(PulseRow(name=PULSE, heard_ms=1000 * (now_time() - served_ago)))
    return lease


def _state(paper: PaperMarket, lease: str) -> str:
    with paper.market.db.read() as session:
        return session.get_one(LeaseIntention, lease).state


_MANIFEST = '{"verify":"none","limits":{"wall_seconds":60}}'


@pytest.mark.parametrize(
    ("served_ago", "state"),
    [
        # Somebody listened, and the provider said nothing.
        (0, "ended"),
        # Nobody has listened since just after it was heard.
        (30, "running"),
        # Nobody for so long that it counts no more: the bound is below.
        (200, "ended"),
    ],
)
def test_a_lease_is_given_up_for_silence_only_if_somebody_listened(tmp_path: Path, served_ago: int, state: str) -> None:
    with paper_market(tmp_path, silence_seconds=20, excused_seconds=100) as paper:
        lease = _silent_lease(paper, heard_ago=max(35, served_ago + 5), served_ago=served_ago)
        paper.change_job("job_1", manifest=_MANIFEST)
        sweep(paper.market)
        assert _state(paper, lease) == state


@pytest.mark.parametrize(("late_seconds", "state"), [(0, "ended"), (60, "running")])
def test_a_lease_that_sends_nothing_keeps_it_for_as_long_as_its_reports_waited(
    tmp_path: Path, late_seconds: int, state: str
) -> None:
    with paper_market(tmp_path, silence_seconds=20) as paper:
        lease, now = _silent_lease(paper, heard_ago=0, served_ago=0), now_time()
        paper.change_job("job_1", manifest=_MANIFEST)
        with paper.market.db.write() as session:
            session.get_one(LeaseIntention, lease).progress_time = now - 150
            session.get_one(LeaseIntention, lease).proposed_time = now - 150
            session.add(LateSpellRow(from_time=now - 80 - late_seconds, until_time=now - 80))
        sweep(paper.market)
        assert _state(paper, lease) == state
