"""The drill: a backup of a market that is being written to, restored elsewhere, goes on from there."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import Session, func, select

from backend import step
from backend.jobs.tables import JobRow
from backend.market import Market
from backend.operations.backup import BackupRefused, back_up, restore
from backend.settings import MarketSettings
from backend.submission.tables import IntentRow
from tests.support.followed import Followed
from tests.support.ledger_world import LedgerWorld
from tests.support.postgres import Postgres, client_programs
from tests.support.small_market import SmallMarket, small_market

pytestmark = [pytest.mark.node, pytest.mark.database]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_under_load_is_whole_and_the_restored_market_goes_on(
    kind: str,
    request: pytest.FixtureRequest,
    world: LedgerWorld,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server: Postgres | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    monkeypatch.setenv("PATH", f"{client_programs()}:{os.environ['PATH']}")
    url = server.new_database() if server else f"sqlite:///{tmp_path}/market.db"
    with small_market(tmp_path, world, url, f"filesystem://{tmp_path}/broker") as made:
        accepted = _under_load(made, lambda: back_up(made.market.settings, tmp_path / "copy", files=True, secrets=True))
    there = tmp_path / "elsewhere"
    settings = _elsewhere(made.market.settings, there, server.new_database() if server else f"sqlite:///{there}/m.db")
    restore(settings, tmp_path / "copy")
    market = Market(settings)
    followed = Followed(there / "mirror", world.deployment, world.rpc)
    try:
        followed.catch_up()
        with market.db.read() as session:
            jobs = session.exec(select(JobRow)).all()
            assert 0 < len(jobs) <= accepted, "as of one instant of the load"
        assert all(market.files.size(cid) for job in jobs for cid in _files(job)), "each row finds its files"
        assert market.submission_key.address == world.matcher.address
        # What was pending in the copy is done by the copy: what the ledger has already it skips.
        for _ in range(3):
            assert step.run(market)
            followed.catch_up()
        with market.db.read() as session:
            assert _count(session, "pending") == 0
            assert all(job.state in ("matched", "running") for job in session.exec(select(JobRow)).all())
    finally:
        market.db.close()
        market.mirror.close()
        followed.close()
    with pytest.raises(BackupRefused):
        restore(settings, tmp_path / "copy")


def _under_load(made: SmallMarket, act: Callable[[], object]) -> int:
    """Runs `act` while jobs are posted; returns how many were accepted in all."""
    stop, accepted = threading.Event(), 0

    def load() -> None:
        nonlocal accepted
        while not stop.is_set() and accepted < 40:
            made.post()
            accepted += 1

    made.post()
    thread = threading.Thread(target=load)
    thread.start()
    try:
        act()
    finally:
        stop.set()
        thread.join()
    return accepted + 1


def _files(job: JobRow) -> list[str]:
    manifest = json.loads(job.manifest)
    return [manifest["module"], *manifest["inputs"].values()]


def _count(session: Session, state: str) -> int:
    return session.exec(select(func.count()).select_from(IntentRow).where(IntentRow.state == state)).one()


def _elsewhere(settings: MarketSettings, folder: Path, market_url: str) -> MarketSettings:
    changes = {
        "market_url": market_url,
        "mirror_url": f"sqlite:///{folder}/mirror/mirror.db",
        "files_dir": folder / "files",
        "seed_file": folder / "market.seed",
        "submission_key_file": folder / "submission.key",
    }
    return settings.model_copy(update=changes)
