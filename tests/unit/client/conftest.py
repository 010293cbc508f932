"""A market over HTTP and a home of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from client import http as client_http
from client import jobs as client_jobs
from client.sdk import Client
from tests.support.market_server import KEY, MarketServer, running_market


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "KEY", "KEYSTORE", "PASSWORD_FILE", "PRIVATE_KEY_FILE"):
        monkeypatch.delenv(f"GRIDLEASE_{name}", raising=False)
    monkeypatch.setenv("GRIDLEASE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr(client_http, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(client_jobs, "POLL_SECONDS", 0.01)


@pytest.fixture
def market() -> Iterator[MarketServer]:
    with running_market() as server:
        yield server


@pytest.fixture
def client(market: MarketServer) -> Iterator[Client]:
    with Client(market.url, KEY) as made:
        yield made


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """The smallest WASM module."""
    path = tmp_path / "train.wasm"
    path.write_bytes(b"\0asm\1\0\0\0")
    return path
