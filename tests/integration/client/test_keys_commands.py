"""`gridlease keys` against the real market: a key does what it may, spends what it may, and ends when it is told to."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner, Result

from backend.accounts.tables import SessionRow
from client.errors import NotFound, NotSignedIn
from client.sdk import Client
from client.settings import load_login
from gridlease.cli import app
from protocol.hashing import to_hex
from tests.support.served_market import BUYER, ServedMarket


@pytest.fixture
def wallet(tmp_path: Path, served: ServedMarket, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The buyer's key as a file; its market is the one that is served."""
    path = tmp_path / "wallet.txt"
    path.write_text(to_hex(BUYER.secret()))
    monkeypatch.setenv("GRIDLEASE_URL", served.url)
    monkeypatch.setenv("GRIDLEASE_KEY", served.made.key)
    return path


def run(wallet: Path, *arguments: str) -> Result:
    if arguments[0] in ("create", "set", "rotate", "revoke"):
        arguments = (*arguments, "--private-key-file", str(wallet))
    return CliRunner().invoke(app, ["keys", *arguments])


def told(wallet: Path, *arguments: str) -> Any:
    result = run(wallet, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_key_may_do_what_it_was_made_for(served: ServedMarket, wallet: Path) -> None:
    made = told(wallet, "create", "dashboard", "--scope", "jobs:read", "--cap", "2.50", "--days", "1")
    assert (made["scopes"], made["cap_base"], made["daily_cap_base"]) == (["jobs:read"], "2500000", None)
    with Client(served.url, made["key"]) as program:
        assert program.list_jobs().data == []
        with pytest.raises(NotSignedIn, match="account:read"):
            program.account()
    shown = told(wallet, "show", made["id"])
    assert "key" not in shown
    assert shown["left_base"] == "2500000"


def test_what_is_not_named_stays_and_what_is_taken_away_goes(wallet: Path) -> None:
    key = told(wallet, "create", "nightly", "--cap", "20", "--daily-cap", "2", "--days", "30")["id"]
    changed = told(wallet, "set", key, "--daily-cap", "5", "--scope", "jobs:read", "--scope", "files")
    assert (changed["cap_base"], changed["daily_cap_base"]) == ("20000000", "5000000")
    assert changed["scopes"] == ["jobs:read", "files"]
    assert changed["expires_at"] is not None
    bare = told(wallet, "set", key, "--no-cap", "--no-expiry")
    assert (bare["cap_base"], bare["daily_cap_base"], bare["expires_at"]) == (None, "5000000", None)
    assert bare["scopes"] == ["jobs:read", "files"]


def test_a_new_secret_works_at_once_and_the_old_one_as_long_as_it_was_given(served: ServedMarket, wallet: Path) -> None:
    made = told(wallet, "create", "rotated")
    first = told(wallet, "rotate", made["id"])
    assert (first["id"], first["delegate"]) == (made["id"], made["delegate"])
    for secret in (made["key"], first["key"]):
        with Client(served.url, secret) as program:
            program.account()
    second = told(wallet, "rotate", made["id"], "--overlap-hours", "0")
    with Client(served.url, second["key"]) as program:
        program.account()
    with Client(served.url, first["key"]) as program, pytest.raises(NotSignedIn):
        program.account()


def test_the_login_follows_the_key_that_it_is_by(served: ServedMarket, wallet: Path) -> None:
    login = ["login", served.url, "--key", served.made.key, "--private-key-file", str(wallet)]
    assert CliRunner().invoke(app, login).exit_code == 0
    made = told(wallet, "rotate", served.made.id, "--overlap-hours", "0")
    stored = load_login()
    assert stored is not None
    assert stored.key.get_secret_value() == made["key"]
    other = told(wallet, "create", "another")
    told(wallet, "rotate", other["id"])
    assert load_login() == stored


def test_a_revoked_key_opens_nothing(served: ServedMarket, wallet: Path) -> None:
    made = told(wallet, "create", "stolen")
    asked = run(wallet, "revoke", made["id"])
    assert asked.exit_code == 2, "without a terminal nothing is asked and nothing is done"
    assert told(wallet, "revoke", made["id"], "--yes") == {"revoked": made["id"], "delegate": made["delegate"]}
    with Client(served.url, made["key"]) as program, pytest.raises(NotSignedIn):
        program.account()
    assert made["id"] not in [key["id"] for key in told(wallet, "list")]
    gone = run(wallet, "show", made["id"])
    assert (gone.exit_code, "keys list" in gone.output) == (1, True)


def test_no_output_shows_a_secret_but_that_of_the_new_key(served: ServedMarket, wallet: Path) -> None:
    made = run(wallet, "create", "shown")
    (secret,) = [word for word in made.output.split() if word.startswith("glk_") and not word.endswith("…")]
    assert len(secret) > 40
    for command in (["list"], ["show", served.made.id]):
        output = run(wallet, *command).output
        assert secret not in output
        assert served.made.key not in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "x", "--scope", "jobs:delete"], "unknown scope 'jobs:delete'"),
        (["set", "key_1"], "nothing to change"),
        (["set", "key_1", "--cap", "1", "--no-cap"], "not both"),
        (["create", "x", "--cap", "lots"], "lots"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_does_nothing(wallet: Path, arguments: list[str], words: str) -> None:
    result = run(wallet, *arguments)
    assert (result.exit_code, words in result.output) == (2, True), result.output


def test_a_session_of_a_command_ends_with_it(served: ServedMarket, wallet: Path) -> None:
    def sessions() -> int:
        with served.market.db.read() as session:
            return len(session.exec(select(SessionRow).where(SessionRow.address == BUYER.address)).all())

    before = sessions()
    told(wallet, "create", "one")
    assert run(wallet, "set", "key_none", "--name", "x").exit_code == 1
    assert sessions() == before


def test_the_sdk_has_the_same(served: ServedMarket) -> None:
    with Client(served.url, served.made.key) as program:
        assert [key.id for key in program.keys.all()] == [served.made.id]
        assert program.keys.get(served.made.id).allowance is not None
        with pytest.raises(NotFound):
            program.keys.get("key_of/../somebody")
        with pytest.raises(NotSignedIn, match="session"):
            program.keys.create("not by a key")
