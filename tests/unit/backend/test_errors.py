"""Every refusal of the market has a status, a stable code and a remedy or a fact that says it."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError

from backend import errors, problems
from backend.errors import STATUSES, RequestRefused, status_of
from protocol.errors import BadManifest, BadSignature, NodeUnavailable, TermOutOfRange


def _below(kind: type[RequestRefused]) -> Iterator[type[RequestRefused]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _below(child)


def test_every_class_of_refusal_is_in_the_table_and_has_a_code_of_its_own() -> None:
    kinds = list(_below(RequestRefused))
    assert [kind.__name__ for kind in kinds if kind not in STATUSES] == []
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))


def test_errors_of_other_rooms_get_the_status_of_their_nearest_class() -> None:
    assert status_of(BadManifest("runtime", "unknown", "use another")) == 422
    assert status_of(BadSignature("by somebody else")) == 422
    assert status_of(NodeUnavailable("http://x", "down")) == 503
    assert status_of(errors.NotFunded("no money")) == 402


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/here", 405)])
def test_what_the_framework_refuses_has_a_remedy_too(method: str, path: str, status: int) -> None:
    app = FastAPI()
    app.add_api_route("/here", lambda: "here")
    problems.install(app)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://market") as client:
            return await client.request(method, path)

    answer = asyncio.run(ask())
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "/docs" in answer.json()["remedy"]
    assert ("allow" in answer.headers) == (status == 405)


def test_a_refusal_that_says_again_what_utf_8_cannot_write_is_still_a_refusal() -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    def _refuse() -> None:
        raise TermOutOfRange("bond", "decimal digits", "\ud800")

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://market.test") as http:
            return await http.get("/")

    answer = asyncio.run(ask())
    assert answer.status_code == 422
    assert answer.json()["detail"] == "bond: expected decimal digits, found ?"


def test_a_database_that_is_away_or_full_is_a_reason_to_come_back_and_tells_nothing_of_itself() -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    def _ask() -> None:
        raise OperationalError("SELECT secret", None, RuntimeError("connection to server at db.internal failed"))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://market.test") as http:
            return await http.get("/")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
    assert "secret" not in answer.text
    assert "db.internal" not in answer.text
