"""What machines ask a server: is it of use, what should an operator see, what did it count, which request was it."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from backend import problems
from backend.market import Market
from backend.operations import endpoints, ticks
from backend.operations.health import Doctor
from backend.operations.requests import Requests
from indexer.queries import MirrorMissing
from protocol.keys import LocalKey
from tests.support.anvil import MATCHER, Anvil, running_anvil
from tests.support.market_double import a_market


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with running_anvil() as found:
        yield found


class Mirror:
    """Says what the test says."""

    def __init__(self) -> None:
        self.halted: str | None = None
        self.number = 0
        self.missing = False

    def status(self) -> Any:
        if self.missing:
            raise MirrorMissing("there is none")
        return SimpleNamespace(block_number=self.number, proved_number=None, halted=self.halted)


@pytest.fixture
def market(tmp_path: Path, node: Anvil) -> Iterator[Market]:
    """A market in which all is well: a step was just done, a worker just heard."""
    made = cast(Any, a_market(tmp_path, mirror=Mirror()))
    made.settings = SimpleNamespace(rpc_url=node.url)
    made.deployment = SimpleNamespace(chain_id=31337, ledger="0x1")
    made.submission_key = MATCHER
    made.draining = SimpleNamespace(is_set=lambda: False)
    ticks.note_done(made.db, "market.step", 5)
    ticks.note_pulse(made.db, "worker")
    yield made
    made.db.close()


def test_all_is_well(market: Market) -> None:
    health = Doctor(market).look()
    assert (health.state, health.faults) == ("ok", {})


@pytest.mark.node
@pytest.mark.parametrize(
    ("break_it", "state", "check"),
    [
        (lambda market: setattr(market.mirror, "missing", True), "unready", "mirror"),
        (lambda market: setattr(market.mirror, "halted", "a reorg"), "unready", "mirror"),
        (lambda market: setattr(market.mirror, "number", -11), "unready", "mirror"),
        (lambda market: setattr(market.deployment, "chain_id", 1), "unready", "node"),
        (lambda market: setattr(market.settings, "rpc_url", "http://127.0.0.1:1"), "degraded", "node"),
        (lambda market: setattr(market, "submission_key", LocalKey.derive(bytes(32), "poor")), "degraded", "gas"),
    ],
)
def test_each_fault_is_named_and_only_what_makes_it_useless_turns_it_away(
    market: Market, break_it: Any, state: str, check: str
) -> None:
    break_it(market)
    health = Doctor(market).look()
    assert health.state == state
    assert set(health.faults) == {check}


def test_a_silent_worker_and_a_step_never_done_are_alarms_not_refusals(tmp_path: Path, market: Market) -> None:
    silent = cast(Any, a_market(tmp_path / "new", mirror=Mirror()))
    silent.settings, silent.deployment, silent.submission_key = market.settings, market.deployment, MATCHER
    health = Doctor(silent).look()
    assert health.state == "degraded"
    assert set(health.faults) == {"step", "worker"}
    silent.db.close()


def test_however_often_it_is_asked_it_looks_seldom(market: Market) -> None:
    now = [0.0]
    doctor = Doctor(market, now=lambda: now[0])
    first = doctor.look()
    assert doctor.look() is first
    now[0] = 3
    assert doctor.look() is not first


class Caller:
    """Asks an app without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def request(self, method: str, path: str, headers: dict[str, Any] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://market") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(ask())

    def get(self, path: str, headers: dict[str, Any] | None = None) -> httpx.Response:
        return self.request("GET", path, headers)


@pytest.fixture
def client(market: Market) -> Caller:
    """The operator's routes, and one that may fail."""
    app = FastAPI()
    app.state.market = market
    problems.install(app)
    app.add_middleware(Requests)
    endpoints.install(app, market)

    @app.get("/v1/things/{name}")
    async def thing(name: str) -> str:
        if name == "away":
            raise OperationalError("SELECT 1", {}, Exception("password=hidden"))
        return name

    return Caller(app)


def test_ready_is_a_problem_with_its_faults_or_an_answer_with_the_block(client: Caller, market: Market) -> None:
    assert client.get("/readyz").json() == {"status": "ok", "block_number": 0, "proved_number": None, "faults": {}}
    cast(Any, market).draining = SimpleNamespace(is_set=lambda: True)
    stopping = client.get("/readyz")
    assert (stopping.status_code, stopping.json()["code"]) == (503, "unready")
    assert client.get("/livez").status_code == 200


def test_version_names_what_runs(client: Caller) -> None:
    found = client.get("/version").json()
    assert (found["chain_id"], found["ledger"]) == (31337, "0x1")
    assert found["version"]
    assert found["schema"]


def test_every_answer_has_an_id_and_a_sane_one_of_the_callers_is_kept(client: Caller) -> None:
    assert client.get("/v1/things/a").headers["x-request-id"].startswith("req_")
    assert client.get("/livez", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    for hostile in ("a b", "x" * 65, '"}{', "a\u00e9"):
        answer = client.get("/livez", headers={"X-Request-Id": hostile.encode("latin-1")})
        assert answer.headers["x-request-id"].startswith("req_")
    refused = client.get("/nothing", headers={"X-Request-Id": "mine-2"})
    assert refused.json()["request_id"] == refused.headers["x-request-id"] == "mine-2"


def test_a_database_that_is_away_is_503_with_a_remedy_and_no_internals(client: Caller) -> None:
    answer = client.get("/v1/things/away")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
    assert "Idempotency-Key" in answer.json()["remedy"]
    assert "hidden" not in answer.text


def test_requests_are_counted_by_route_never_by_what_callers_invent(client: Caller) -> None:
    for path in ("/v1/things/one", "/v1/things/two", "/invented-1", "/invented-2"):
        client.get(path)
    client.request("BREW", "/v1/things/one")
    lines = client.get("/metrics").text.splitlines()
    (counted,) = [line for line in lines if 'route="/v1/things/{name}",status="200"' in line]
    assert float(counted.rpartition(" ")[2]) >= 2
    assert not re.search(r"invented|BREW", "\n".join(lines))


def test_metrics_may_be_kept_for_who_has_the_token(client: Caller, market: Market) -> None:
    cast(Any, market).operations = market.operations.model_copy(update={"metrics_token": SecretStr("right")})
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer right"}).status_code == 200
