"""A login is checked, stored for its owner alone, and sent only where it belongs."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.account import sign_in
from client.errors import BadLogin
from client.http import Http
from client.settings import load_login, login_path, normal_url, resolve
from gridlease.cli import app
from protocol.keys import save_keystore
from protocol.wire.accounts import ChainInfo
from tests.support.market_server import BUYER, DELEGATE, KEY, LEDGER, MarketServer


class TestLogin:
    def test_a_key_is_checked_and_stored_for_its_owner_alone(self, market: MarketServer) -> None:
        result = CliRunner().invoke(app, ["login", market.url, "--key", KEY])
        assert result.exit_code == 0, result.output
        assert KEY not in result.output
        assert stat.S_IMODE(login_path().stat().st_mode) == 0o600
        stored = load_login()
        assert stored is not None
        assert (stored.url, stored.key.get_secret_value(), stored.ledger) == (market.url, KEY, LEDGER)
        assert KEY not in repr(stored)

    def test_a_key_can_come_by_stdin_so_that_no_process_list_shows_it(self, market: MarketServer) -> None:
        assert CliRunner().invoke(app, ["login", market.url, "--key", "-"], input=f"{KEY}\n").exit_code == 0
        stored = load_login()
        assert stored is not None
        assert stored.key.get_secret_value() == KEY

    def test_a_key_that_the_market_refuses_is_not_stored(self, market: MarketServer) -> None:
        market.state.problems["GET", "/v1/account"] = (401, {"code": "not_signed_in", "detail": "unknown key"})
        result = CliRunner().invoke(app, ["login", market.url, "--key", KEY])
        assert result.exit_code == 1
        assert load_login() is None

    def test_a_wallet_signs_in_and_makes_a_key(self, market: MarketServer, tmp_path: Path) -> None:
        keystore, password = tmp_path / "wallet.json", tmp_path / "password"
        save_keystore(keystore, BUYER, "secret")
        password.write_text("secret\n")
        arguments = ["--keystore", str(keystore), "--password-file", str(password), "--name", "laptop"]
        result = CliRunner().invoke(app, ["login", market.url, *arguments])
        assert result.exit_code == 0, result.output
        assert market.state.signed_in == BUYER.address
        assert DELEGATE in result.output
        assert "gridlease account delegate --cap 5" in result.output
        assert KEY not in result.output
        stored = load_login()
        assert stored is not None
        assert stored.wallet.keystore == keystore
        assert "secret" not in login_path().read_text()

    def test_a_market_that_asks_to_sign_for_another_site_gets_no_signature(self, market: MarketServer) -> None:
        other = market.url.replace("127.0.0.1", "localhost")
        chain = Http(market.url).get("/v1/chain", ChainInfo)
        with pytest.raises(BadLogin, match="asks to sign in at"):
            sign_in(Http(other), BUYER, chain)
        assert market.state.signed_in is None


class TestResolve:
    def test_a_stored_key_is_never_sent_to_another_market(
        self, market: MarketServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        CliRunner().invoke(app, ["login", market.url, "--key", KEY])
        assert resolve().key is not None
        assert resolve("http://elsewhere.example").key is None
        monkeypatch.setenv("GRIDLEASE_URL", "http://elsewhere.example/")
        assert resolve().url == "http://elsewhere.example"
        assert resolve().key is None
        monkeypatch.setenv("GRIDLEASE_KEY", "glk_test_env")
        key = resolve().key
        assert key is not None
        assert key.get_secret_value() == "glk_test_env"

    @pytest.mark.parametrize("url", ["market", "ftp://x", "http://", "http://u:p@x", "http://x/?key=1"])
    def test_what_is_no_market_url_is_refused(self, url: str) -> None:
        with pytest.raises(BadLogin):
            normal_url(url)

    def test_a_broken_login_file_is_named_without_its_content(self) -> None:
        login_path().parent.mkdir(parents=True)
        login_path().write_text('{"url": "x", "key": "glk_secret"')
        with pytest.raises(BadLogin) as caught:
            load_login()
        assert "glk_secret" not in str(caught.value)
        assert str(login_path()) in str(caught.value)
