"""Errors on their way out: RFC 9457 problem+json with a stable code, a remedy, and no internals."""

import json
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from backend.errors import RequestRefused, status_of
from backend.operations.requests import current_request_id
from protocol.errors import BadManifest, GridleaseError
from protocol.wire.problems import MEDIA_TYPE, Problem

log = structlog.get_logger()


_REMEDIES: Final = {404: "see /docs for the paths", 405: "see /docs for the methods of this path"}
"""For what the framework refuses by itself."""
_OUR_SIDE: Final = "what the market stands on does not answer: its node, or its mirror of the chain"
_DATABASE_AWAY: Final = "the market's database does not answer, or has no room"
_TRY_AGAIN: Final = "try again in a moment; see /readyz"


class _ProblemResponse(JSONResponse):
    """Says again what a stranger sent, which JSON can write and UTF-8 cannot: half a surrogate pair."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def problem(status: int, code: str, detail: str, remedy: str | None, **facts: object) -> JSONResponse:
    """One problem as a response. A fact `retry_after_seconds` is its `Retry-After` too."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        remedy=remedy,
        request_id=current_request_id(),
        **facts,
    )
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if "retry_after_seconds" in facts:
        headers["Retry-After"] = str(facts["retry_after_seconds"])
    return _ProblemResponse(body.model_dump(mode="json", exclude_none=True), status, headers)


def refusal(error: RequestRefused, status: int) -> JSONResponse:
    """A typed refusal as a response."""
    return problem(status, error.code, str(error), error.said_remedy or None, **error.facts)


def install(app: FastAPI) -> None:
    """Every error that leaves the app is a problem."""

    @app.exception_handler(GridleaseError)
    async def _expected(request: Request, error: GridleaseError) -> JSONResponse:
        if isinstance(error, RequestRefused):
            return refusal(error, status_of(error))
        status = status_of(error)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # Its words may name a node's or a database's URL, in which logins stand (threat A8).
            log.warning("request.postponed", path=request.url.path, code=error.code, reason=str(error)[:500])
            return problem(status, error.code, _OUR_SIDE, _TRY_AGAIN)
        remedy = error.remedy if isinstance(error, BadManifest) else None
        return problem(status, error.code, str(error), remedy)

    @app.exception_handler(RequestValidationError)
    async def _malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
        return problem(
            422, "malformed", f"{where}: {first['msg']}", "see /docs for the fields and their types", field=where
        )

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        code = HTTPStatus(error.status_code).name.lower()
        answer = problem(error.status_code, code, str(error.detail), _REMEDIES.get(error.status_code))
        # Such as `Allow`, without which a 405 does not say what would be taken.
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(OperationalError)
    async def _database_away(request: Request, error: OperationalError) -> JSONResponse:
        log.warning("request.postponed", path=request.url.path, code="database_away", reason=str(error.orig)[:500])
        return problem(503, "database_away", _DATABASE_AWAY, _TRY_AGAIN)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.exception("request.failed", path=request.url.path, error=type(error).__name__)
        return problem(500, "internal", "the market failed on its side; nothing was charged", "try again later")
