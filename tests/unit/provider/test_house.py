"""The agent's own house: settings, key file, sign-in, logs, self-test, commands."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gridlease.cli import app as front
from protocol.hashing import keccak256
from protocol.keys import LocalKey, save_keystore
from protocol.logs import redact
from provider.calibration import calibrate
from provider.cli import app
from provider.detect import Machine, detect
from provider.errors import AgentError
from provider.settings import AgentSettings, write_settings
from tests.support.provider_market import World, agent_values
from tests.support.wasm_jobs import COUNTER, spec


def _joined(folder: Path, **settings: object) -> AgentSettings:
    write_settings(folder, agent_values(folder) | settings)
    return AgentSettings.load(folder)


def test_settings_come_back_as_they_were_written(tmp_path: Path) -> None:
    settings = _joined(tmp_path)
    assert settings.name == 'a "quoted" näme'
    assert settings.rate == 2_400_000
    assert (tmp_path / "agent.toml").stat().st_mode & 0o077 == 0


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLEASE_PROVIDER_RATE", "7")
    assert _joined(tmp_path).rate == 7


@pytest.mark.parametrize("name", ["GRIDLEASE_PROVIDER_RATES", "GRIDLEASE_PROVIDER_PASSWORD"])
def test_a_mistyped_variable_stops_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "7")
    with pytest.raises(AgentError, match=name):
        _joined(tmp_path)


def test_a_mistyped_setting_stops_the_agent_and_names_it(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="colour"):
        _joined(tmp_path, colour="blue")


def test_a_folder_that_never_joined_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="gridlease provider join"):
        AgentSettings.load(tmp_path)


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = _joined(tmp_path)
    settings.password_file.write_text("secret\n")
    settings.password_file.chmod(0o644)
    with pytest.raises(AgentError, match="chmod 600"):
        settings.password()
    settings.password_file.chmod(0o600)
    assert settings.password() == "secret"


def test_secrets_are_never_logged() -> None:
    event = redact(None, "info", {"event": "x", "password": "a", "api_token": "b", "signature": "c", "lease": "d"})
    assert event == {
        "event": "x",
        "password": "redacted",
        "api_token": "redacted",
        "signature": "redacted",
        "lease": "d",
    }


def test_the_self_test_knows_its_own_result(tmp_path: Path) -> None:
    assert calibrate(tmp_path).work_per_second > 10**7


def test_an_offer_never_promises_more_than_a_lane_holds() -> None:
    huge = Machine(cpus=10**6, memory_bytes=2**60, disk_bytes=2**60, description="huge")
    assert huge.quantities().pack() > 0
    here = detect(Path())
    assert here.quantities().cpu_eighths == 8 * here.cpus


def test_status_tells_what_was_served_and_paid(tmp_path: Path) -> None:
    settings = _joined(tmp_path)
    settings.password_file.write_text("secret")
    settings.password_file.chmod(0o600)
    save_keystore(settings.keystore, LocalKey(keccak256(b"key")), "secret")
    World(spec(COUNTER, segments=2), tmp_path / "leases").serve()
    shown = CliRunner().invoke(app, ["status", "--data-dir", str(tmp_path), "--json"])
    facts = json.loads(shown.stdout)
    assert facts["provider"] == LocalKey(keccak256(b"key")).address
    assert [lease["outcome"] for lease in facts["leases"]] == ["completed"]
    assert int(facts["paid_base"]) > 0
    assert settings.keystore.stat().st_mode & 0o077 == 0


def test_a_command_in_an_empty_folder_fails_with_a_remedy(tmp_path: Path) -> None:
    shown = CliRunner().invoke(front, ["provider", "status", "--data-dir", str(tmp_path)])
    assert shown.exit_code == 1
    assert shown.stderr.startswith("error: ")
    assert "gridlease provider join" in shown.stderr
