"""A home of its own for each test of a command, and a market that answers as the real one does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from client import http as client_http
from tests.support.served_market import ServedMarket, served_market


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "KEY", "KEYSTORE", "PASSWORD_FILE", "PRIVATE_KEY_FILE"):
        monkeypatch.delenv(f"GRIDLEASE_{name}", raising=False)
    monkeypatch.setenv("GRIDLEASE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr(client_http, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedMarket]:
    (tmp_path / "served").mkdir()
    with served_market(tmp_path / "served") as made:
        yield made
