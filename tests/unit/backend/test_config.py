"""Settings say where they come from, never what they hide, and a mistyped one is named."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from backend.operations.config import masked
from backend.settings import MarketSettings
from gridlease.operating import _rooms, market
from protocol.settings import SettingsFolderMissing
from provider.settings import _PREFIX as AGENTS


def _shown(*arguments: str) -> dict[str, dict[str, str]]:
    answer = CliRunner().invoke(market, ["config", "show", "--json", *arguments])
    assert answer.exit_code == 0, answer.output
    return {item["name"]: item for item in json.loads(answer.stdout)["settings"]}


def test_each_value_has_its_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gridlease_market_url").write_text("postgresql+psycopg://market:hidden@db/market\n")
    (tmp_path / "gridlease_port").write_text("9999")
    monkeypatch.setenv("GRIDLEASE_SETTINGS_DIR", str(tmp_path))
    monkeypatch.setenv("GRIDLEASE_PORT", "8701")
    found = _shown()
    assert found["GRIDLEASE_PORT"] == {"name": "GRIDLEASE_PORT", "value": "8701", "origin": "environment"}
    assert found["GRIDLEASE_MARKET_URL"]["origin"] == "file"
    assert found["GRIDLEASE_MARKET_URL"]["value"] == "postgresql+psycopg://market:***@db/market"
    assert found["GRIDLEASE_HOST"]["origin"] == "default"
    assert MarketSettings().market_url == "postgresql+psycopg://market:hidden@db/market"
    assert MarketSettings().port == 8701, "the environment wins over a file"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (SecretStr("hidden"), "***"),
        ("https://node.example/v3/hidden", "https://node.example/***"),
        ("https://node.example?key=hidden", "https://node.example?***"),
        ("https://user:hidden@node.example", "https://user:***@node.example"),
        ("http://127.0.0.1:8545,https://b.example/hidden", "http://127.0.0.1:8545,https://b.example/***"),
        ("redis://:hidden@redis:6379/0", "redis://:***@redis:6379/0"),
        ("amqp://guest:hidden@mq//", "amqp://guest:***@mq//"),
        ("sqlite:///.gridlease/market.db", "sqlite:///.gridlease/market.db"),
        (8700, "8700"),
        (None, None),
    ],
)
def test_nothing_secret_is_shown(value: object, shown: str | None) -> None:
    assert masked(value) == shown


def test_a_mistyped_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLEASE_BROKER_URI", "redis://here")
    monkeypatch.setenv("GRIDLEASE_PROVIDER_RATE", "1")
    answer = CliRunner().invoke(market, ["config", "show", "--json"])
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["unknown"] == ["GRIDLEASE_BROKER_URI"]
    assert "GRIDLEASE_BROKER_URI" in answer.stderr


def test_a_folder_of_settings_that_is_not_there_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLEASE_SETTINGS_DIR", "/no/such/folder")
    with pytest.raises(SettingsFolderMissing, match="mount it"):
        MarketSettings()


def test_no_setting_of_a_market_is_taken_for_its_own_by_an_agent_in_the_same_environment() -> None:
    variables = [f"GRIDLEASE_{field}".upper() for room in _rooms() for field in room.model_fields]
    assert [name for name in variables if name.startswith(AGENTS)] == []
