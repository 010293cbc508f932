"""Signing in: a nonce works once, for this site and chain, within its time, and for nobody but the signer."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import col, update

from backend.accounts.tables import SessionRow, SignInNonce
from protocol.clock import now_at, now_time
from protocol.hashing import to_hex
from protocol.keys import LocalKey
from protocol.signin import sign_text
from tests.support.accounts_market import MarketWorld, market_world

KEY = LocalKey.derive(bytes(32), "wallet")


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert problem["remedy"]
    return problem


class TestNonce:
    def test_works_once(self, any_world: MarketWorld) -> None:
        message = any_world.message(KEY)
        assert any_world.sign_in(KEY, message).status_code == 200
        assert "nonce" in refused(any_world.sign_in(KEY, message), 401, "sign_in_refused")["detail"]

    def test_of_two_requests_side_by_side_signs_one_in(self, any_world: MarketWorld) -> None:
        message = any_world.message(KEY)
        body = {"message": message, "signature": to_hex(sign_text(KEY, message))}
        answers = any_world.together(*(any_world.ask("POST", "/v1/auth/verify", json=body) for _ in range(2)))
        assert sorted(answer.status_code for answer in answers) == [200, 401]

    def test_is_over_after_its_time(self, world: MarketWorld) -> None:
        message = world.message(KEY)
        with world.market.db.write() as session:
            session.exec(update(SignInNonce).values(expires_time=now_time()))
        refused(world.sign_in(KEY, message), 401, "sign_in_refused")

    def test_of_another_market_is_unknown(self, world: MarketWorld) -> None:
        refused(world.sign_in(KEY, world.message(KEY, nonce="abcdefgh12345678")), 401, "sign_in_refused")


class TestMessage:
    @pytest.mark.parametrize(
        "changes",
        [
            {"domain": "evil.test"},
            {"domain": "market.test.evil.test"},
            {"uri": "http://market.test/other"},
            {"uri": "https://market.test"},
            {"chain_id": 2},
            {"expires_at": timedelta(seconds=-1)},
            {"issued_at": timedelta(seconds=75)},
            {"issued_at": timedelta(seconds=-75)},
        ],
        ids=str,
    )
    def test_for_another_site_chain_or_time_is_refused(self, world: MarketWorld, changes: dict[str, Any]) -> None:
        said = {name: now_at() + value if isinstance(value, timedelta) else value for name, value in changes.items()}
        refused(world.sign_in(KEY, world.message(KEY, **said)), 401, "sign_in_refused")

    def test_takes_its_domain_from_the_settings_and_not_from_the_request(self, world: MarketWorld) -> None:
        message = world.message(KEY, domain="evil.test", uri="http://evil.test")
        body = {"message": message, "signature": to_hex(sign_text(KEY, message))}
        headers = {"host": "evil.test", "x-forwarded-host": "evil.test", "origin": "http://evil.test"}
        refused(world.call("POST", "/v1/auth/verify", json=body, headers=headers), 401, "sign_in_refused")

    def test_may_be_as_old_as_its_nonce_because_hardware_wallets_are_slow(self, world: MarketWorld) -> None:
        message = world.message(KEY, issued_at=now_at() - timedelta(seconds=200))
        with world.market.db.write() as session:
            session.exec(update(SignInNonce).values(expires_time=col(SignInNonce.expires_time) - 200))
        assert world.sign_in(KEY, message).status_code == 200

    def test_without_an_expiry_is_refused(self, world: MarketWorld) -> None:
        message = world.message(KEY).partition("\nExpiration Time:")[0]
        assert "Expiration" in refused(world.sign_in(KEY, message), 401, "sign_in_refused")["detail"]

    def test_that_is_not_valid_yet_is_refused(self, world: MarketWorld) -> None:
        later = (now_at() + timedelta(minutes=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = world.message(KEY) + f"\nNot Before: {later}"
        assert "NotYetValid" in refused(world.sign_in(KEY, message), 401, "sign_in_refused")["detail"]

    @pytest.mark.parametrize("tail", ["\nResources:" + "\n- a:" * 2000, "\0", "\n\nNonce: abcdefgh", "\ud7ff" * 9])
    def test_that_is_no_message_is_refused_at_once(self, world: MarketWorld, tail: str) -> None:
        refused(world.sign_in(KEY, (world.message(KEY) + tail)[:4000]), 401, "sign_in_refused")


class TestSession:
    def test_ends_when_its_owner_says_so(self, world: MarketWorld) -> None:
        first, second = world.somebody("one"), world.somebody("one")
        assert first.call("DELETE", "/v1/auth/session").status_code == 204
        refused(first.call("GET", "/v1/account"), 401, "not_signed_in")
        assert second.call("GET", "/v1/account").status_code == 200

    def test_all_of_a_wallet_end_at_once_and_none_of_another(self, world: MarketWorld) -> None:
        mine, lost, other = world.somebody("one"), world.somebody("one"), world.somebody("two")
        assert mine.call("DELETE", "/v1/auth/session?all=true").status_code == 204
        for ended in (mine, lost):
            refused(ended.call("GET", "/v1/account"), 401, "not_signed_in")
        assert other.call("GET", "/v1/account").status_code == 200

    def test_is_kept_as_a_hash_and_is_over_after_its_time(self, world: MarketWorld) -> None:
        somebody = world.somebody("one")
        assert not any(somebody.token in row for rows in world.rows().values() for row in rows)
        with world.market.db.write() as session:
            session.exec(update(SessionRow).values(expires_time=now_time()))
        refused(somebody.call("GET", "/v1/account"), 401, "not_signed_in")


@pytest.fixture
def silent_node() -> Iterator[str]:
    """The URL of a node that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/secret-login"


def test_a_node_that_does_not_answer_holds_up_nobody_and_is_not_named(tmp_path: Path, silent_node: str) -> None:
    with market_world(tmp_path, rpc_url=silent_node, contract_wallet_seconds=1) as world:
        _race(world)


def _race(world: MarketWorld) -> None:
    message = world.message(KEY)
    body = {"message": message, "signature": "0x" + "00" * 70}

    ended = []

    async def ask(name: str, method: str, path: str, **options: Any) -> httpx.Response:
        answer = await world.ask(method, path, **options)
        ended.append(name)
        return answer

    asked = (ask("sign-in", "POST", "/v1/auth/verify", json=body), ask("chain", "GET", "/v1/chain"))
    refused_sign_in, chain = world.together(*asked)
    assert ended == ["chain", "sign-in"]
    assert chain.status_code == 200
    assert "secret-login" not in str(refused(refused_sign_in, 503, "node_unavailable"))
