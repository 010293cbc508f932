"""A call that is as it should be is answered without the framework, and as the framework would; any other is its."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from starlette.routing import Route

from backend import app as market_app
from backend.plain_calls import PlainCall, install, plain_body
from protocol.wire.jobs import JobRequest
from tests.support.paper_market import PROVIDER, PaperMarket, manifest, paper_market

JSON = {"content-type": "application/json"}
GOOD = json.dumps({"manifest": manifest()})


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[PaperMarket]:
    with paper_market(tmp_path) as made:
        made.post_offer()
        yield made


def _post(app: Any, path: str, content: str | bytes, headers: dict[str, str]) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://market") as http:
            return await http.post(path, content=content, headers=headers)

    return asyncio.run(ask())


def _buy(paper: PaperMarket, content: str | bytes, path: str = "/v1/jobs", **headers: str) -> httpx.Response:
    named = {"authorization": f"Bearer {paper.secret}", "idempotency-key": "k", **JSON}
    return _post(paper.app, path, content, named | {name.replace("_", "-"): word for name, word in headers.items()})


def _by_framework_alone(paper: PaperMarket) -> None:
    routes = paper.app.router.routes
    routes[:] = [route for route in routes if not isinstance(route, PlainCall)]


def _said(answer: httpx.Response) -> tuple[int, Any]:
    body = answer.json()
    body.pop("request_id", None)
    return answer.status_code, body


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", {}),
        (b"{", {}),
        (b'"\xff"', {}),
        (b"[]", {}),
        (b'{"manifest": 7}', {}),
        (b"[" * 100_000, {}),
        (GOOD, {"content_type": "text/plain"}),
        (GOOD, {"content_type": "application/json; charset=utf-8"}),
        (GOOD, {"path": "/v1/jobs?dry_run=maybe"}),
        (GOOD, {"idempotency_key": ""}),
        (GOOD, {"authorization": "Bearer nobody"}),
        (b"{", {"authorization": "Bearer nobody"}),
        (GOOD, {"prefer": "wait=x"}),
    ],
)
def test_whatever_is_wrong_or_unusual_is_answered_as_the_framework_answers_it(
    paper: PaperMarket, content: str | bytes, words: dict[str, str]
) -> None:
    first = _said(_buy(paper, content, **words))
    _by_framework_alone(paper)
    again = _said(_buy(paper, content, **words))
    assert (first[0], first[1].keys()) == (again[0], again[1].keys())
    assert first[1].get("code") == again[1].get("code")
    assert first[1].get("detail") == again[1].get("detail")


REPORTS = "/v1/provider/usage-receipts"


@pytest.mark.parametrize("content", [b"", b"{", b'{"reports": []}', b'{"reports": [{}]}', GOOD])
@pytest.mark.parametrize("token", ["provider", "nobody", "a program"])
def test_reports_that_are_not_as_they_should_be_are_refused_as_the_framework_refuses_them(
    paper: PaperMarket, content: bytes | str, token: str
) -> None:
    tokens = {"provider": paper.session_of(PROVIDER), "nobody": "nobody", "a program": paper.secret}
    asked = {"authorization": f"Bearer {tokens[token]}"}
    first = _said(_buy(paper, content, REPORTS, **asked))
    _by_framework_alone(paper)
    assert first == _said(_buy(paper, content, REPORTS, **asked))


def test_a_provider_that_asks_for_its_leases_is_alive(paper: PaperMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(paper.market.presence, "hear", heard.append)
    token = paper.session_of(PROVIDER)

    async def ask() -> httpx.Response:
        async with paper.http(token) as http:
            return await http.get("/v1/provider/leases")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()) == (200, {"data": []})
    assert heard == [PROVIDER.address]


def test_a_plain_call_is_not_taken_apart_by_the_framework(paper: PaperMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    async def solved(**_: object) -> None:
        raise AssertionError("the framework was asked")

    monkeypatch.setattr("fastapi.routing.solve_dependencies", solved)
    answer = _buy(paper, GOOD)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "queued"


def test_what_is_mounted_later_is_asked_later(paper: PaperMarket) -> None:
    paper.app.router.routes.insert(0, Route("/v1/jobs", lambda _: Response("not this one"), methods=["POST"]))
    market_app.hurry(paper.app)
    assert _buy(paper, GOOD).status_code == 202
    plain = [route.path for route in paper.app.router.routes if isinstance(route, PlainCall)]
    assert sorted(plain) == ["/v1/jobs", "/v1/provider/leases", "/v1/provider/usage-receipts"]


def test_a_call_that_is_given_back_still_has_its_body() -> None:
    app = FastAPI()

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(await request.body())

    async def gives_back(request: Request) -> Response | None:
        return None if await plain_body(request, JobRequest) is None else Response("taken")

    install(app, (PlainCall("POST", "/echo", gives_back),))
    assert _post(app, "/echo", "not JSON", JSON).text == "not JSON"
    assert _post(app, "/echo", GOOD, JSON).text == "taken"
