"""API keys do what their scopes say, up to their caps, until they are rotated, over or revoked; for nobody else."""

from threading import Barrier, Thread
from typing import Any

import pytest
from sqlmodel import col, update

from backend.accounts import caps
from backend.accounts.tables import ApiKeyRow
from backend.errors import OverCap
from protocol.clock import now_time
from tests.support.accounts_market import MODULE, MarketWorld, Somebody, job_body
from tests.unit.backend.test_sign_in import refused


@pytest.fixture
def buyer(world: MarketWorld) -> Somebody:
    """Somebody with a key, money, and an offer to buy from."""
    world.somebody("provider").offer()
    return _funded(world)


def _funded(world: MarketWorld, **terms: Any) -> Somebody:
    somebody = world.somebody("buyer")
    somebody.make_key(**terms)
    somebody.fund()
    return somebody


class TestSecret:
    def test_is_shown_once_and_kept_as_a_hash(self, world: MarketWorld) -> None:
        somebody = world.somebody("buyer")
        made = somebody.make_key()
        shown = somebody.call("GET", "/v1/keys").json()
        assert made["key"] not in str(shown)
        assert made["key"].startswith(shown[0]["prefix"])
        assert len(shown[0]["prefix"]) < len(made["key"]) / 3
        assert not any(made["key"] in row for rows in world.rows().values() for row in rows)

    def test_that_was_rotated_works_for_the_overlap_and_the_one_before_no_more(self, world: MarketWorld) -> None:
        somebody = world.somebody("buyer")
        first = dict(somebody.make_key())
        path = f"/v1/keys/{first['id']}/rotate"
        second = somebody.call("POST", path, json={"overlap_seconds": 3600}).json()
        assert second["delegate"] == first["delegate"]
        assert second["previous_until"]
        for made in (first, second):
            assert Somebody(world, somebody.key, "", made).call("GET", "/v1/account", by_key=True).status_code == 200
        third = somebody.call("POST", path, json={"overlap_seconds": 0}).json()
        for made, status in ((first, 401), (second, 401), (third, 200)):
            answer = Somebody(world, somebody.key, "", made).call("GET", "/v1/account", by_key=True)
            assert answer.status_code == status

    def test_before_a_rotation_is_over_after_the_overlap(self, world: MarketWorld) -> None:
        somebody = world.somebody("buyer")
        first = somebody.make_key()
        somebody.call("POST", f"/v1/keys/{first['id']}/rotate", json={"overlap_seconds": 3600})
        with world.market.db.write() as session:
            session.exec(update(ApiKeyRow).values(previous_until_time=now_time()))
        assert "rotated" in refused(somebody.call("GET", "/v1/account", by_key=True), 401, "not_signed_in")["detail"]

    def test_is_over_after_its_expiry_and_when_revoked(self, world: MarketWorld) -> None:
        somebody = world.somebody("buyer")
        made = somebody.make_key(expires_time=now_time() + 3600)
        assert somebody.call("GET", "/v1/account", by_key=True).status_code == 200
        with world.market.db.write() as session:
            session.exec(update(ApiKeyRow).values(expires_time=now_time()))
        assert "expired" in refused(somebody.call("GET", "/v1/account", by_key=True), 401, "not_signed_in")["detail"]
        changed = somebody.call("PATCH", f"/v1/keys/{made['id']}", json={"expires_time": None})
        assert changed.json()["expires_at"] is None
        assert somebody.call("GET", "/v1/account", by_key=True).status_code == 200
        assert somebody.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
        refused(somebody.call("GET", "/v1/account", by_key=True), 401, "not_signed_in")
        assert somebody.call("GET", "/v1/keys").json() == []


class TestScope:
    CALLS = (
        ("jobs:read", "GET", "/v1/jobs"),
        ("jobs:write", "POST", "/v1/jobs/job_x/cancel"),
        ("files", "GET", "/v1/files/x"),
        ("account:read", "GET", "/v1/account"),
        ("account:read", "GET", "/v1/keys"),
    )

    @pytest.mark.parametrize("scope", ["jobs:read", "jobs:write", "files", "account:read"])
    def test_opens_its_routes_and_no_others(self, world: MarketWorld, scope: str) -> None:
        somebody = world.somebody("buyer")
        somebody.make_key(scopes=[scope])
        for needed, method, path in self.CALLS:
            answer = somebody.call(method, path, by_key=True)
            if needed == scope:
                assert answer.status_code != 403, (path, answer.text)
            else:
                problem = refused(answer, 403, "scope_missing")
                assert f"add {needed}" in problem["remedy"]

    def test_never_makes_keys_offers_or_vouchers(self, world: MarketWorld) -> None:
        somebody = world.somebody("buyer")
        key_id = somebody.make_key()["id"]
        for method, path, body in (
            ("POST", "/v1/keys", {"name": "x"}),
            ("PATCH", f"/v1/keys/{key_id}", {"cap_base": None}),
            ("POST", f"/v1/keys/{key_id}/rotate", {}),
            ("DELETE", f"/v1/keys/{key_id}", None),
            ("DELETE", "/v1/auth/session", None),
            ("POST", "/v1/offers", {"offer": {}, "signature": "0x" + "00" * 65}),
            ("GET", "/v1/provider/leases", None),
        ):
            refused(somebody.call(method, path, by_key=True, json=body), 403, "not_allowed")

    def test_can_be_taken_away_and_given_back(self, world: MarketWorld) -> None:
        somebody = world.somebody("buyer")
        path = f"/v1/keys/{somebody.make_key()['id']}"
        somebody.call("PATCH", path, json={"scopes": ["files"]})
        refused(somebody.call("GET", "/v1/account", by_key=True), 403, "scope_missing")
        changed = somebody.call("PATCH", path, json={"scopes": ["files", "account:read"]}).json()
        assert (changed["scopes"], changed["name"]) == (["files", "account:read"], "program")
        assert somebody.call("GET", "/v1/account", by_key=True).status_code == 200


class TestCap:
    def test_counts_whole_orders_and_names_itself_when_it_is_reached(self, world: MarketWorld, buyer: Somebody) -> None:
        assert buyer.job(name="a").status_code == 202
        cost = int(buyer.call("GET", "/v1/keys").json()[0]["committed_base"])
        assert cost > 0
        path = f"/v1/keys/{buyer.made['id']}"
        for cap in ("cap_base", "daily_cap_base"):
            buyer.call("PATCH", path, json={cap: str(2 * cost - 1)})
            problem = refused(buyer.job(name="b"), 402, "over_cap")
            assert (problem["cap"], problem["remaining_base"]) == (cap.removesuffix("_base"), str(cost - 1))
            assert f"raise {cap} by PATCH" in problem["remedy"]
            buyer.call("PATCH", path, json={cap: None})
        buyer.call("PATCH", path, json={"cap_base": str(2 * cost)})
        assert buyer.job(name="b").status_code == 202
        left = buyer.call("GET", "/v1/account", by_key=True).json()["key"]
        assert (left["left_base"], left["committed_base"]) == ("0", str(2 * cost))

    def test_of_a_day_begins_anew_the_next_day_and_the_whole_one_does_not(
        self, world: MarketWorld, buyer: Somebody
    ) -> None:
        buyer.job(name="a")
        cost = int(buyer.call("GET", "/v1/keys").json()[0]["committed_base"])
        buyer.call("PATCH", f"/v1/keys/{buyer.made['id']}", json={"daily_cap_base": str(cost)})
        refused(buyer.job(name="b"), 402, "over_cap")
        with world.market.db.write() as session:
            session.exec(update(ApiKeyRow).values(day=col(ApiKeyRow.day) - 1))
        assert buyer.job(name="b").status_code == 202
        assert buyer.call("GET", "/v1/keys").json()[0]["committed_base"] == str(2 * cost)

    def test_is_not_charged_for_a_refused_or_replayed_or_quoted_order(
        self, world: MarketWorld, buyer: Somebody
    ) -> None:
        buyer.job(name="a")
        before = buyer.call("GET", "/v1/keys").json()[0]["committed_base"]
        assert buyer.job(name="a").headers["idempotent-replayed"] == "true"
        refused(buyer.job(name="b", max_price="4999999"), 402, "not_funded")
        body = job_body(buyer.put(MODULE))
        assert buyer.call("POST", "/v1/jobs?dry_run=1", by_key=True, json=body).status_code == 200
        assert buyer.call("GET", "/v1/keys").json()[0]["committed_base"] == before

    def test_of_the_delegate_on_chain_is_shown_and_comes_first(self, world: MarketWorld) -> None:
        world.somebody("provider").offer()
        buyer = world.somebody("buyer")
        buyer.make_key()
        problem = refused(buyer.job(), 402, "not_funded")
        assert "gridlease account delegate" in problem["remedy"]
        buyer.fund(7_000_000)
        assert buyer.call("GET", "/v1/keys").json()[0]["allowance"]["remaining_base"] == "7000000"
        assert buyer.job().status_code == 202


def test_two_orders_at_once_cannot_share_what_is_left_of_a_cap(any_world: MarketWorld) -> None:
    somebody = any_world.somebody("buyer")
    key_id = somebody.make_key(cap_base="100")["id"]
    market, start = any_world.market, Barrier(8)
    outcomes: list[str] = []

    def buy() -> None:
        start.wait()
        try:
            with market.db.write() as session:
                caps.commit(session, session.get_one(ApiKeyRow, key_id), 30, now_time())
        except OverCap:
            outcomes.append("refused")
        else:
            outcomes.append("bought")

    threads = [Thread(target=buy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["bought"] * 3 + ["refused"] * 5
    assert somebody.call("GET", "/v1/keys").json()[0]["committed_base"] == "90"
