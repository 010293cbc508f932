"""Answers of the explorer: pages and JSON, each stamped with the block that it speaks of, each with its safety headers.

Rule X1: nothing inline and nothing foreign runs on a page, so a string from the chain can never become a script.
"""

from typing import Any, Final, Protocol, runtime_checkable

import orjson
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from explorer.failures import Failure
from explorer.site import Site
from indexer.queries import MirrorStatus
from protocol.hashing import to_hex
from protocol.wire.problems import MEDIA_TYPE, Problem

SAFETY_HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@runtime_checkable
class Held(Protocol):
    """A long answer, which holds something from before its first byte until it was sent."""

    async def dismiss(self) -> None:
        """It will not be sent."""


async def without_body(response: Response) -> Response:
    """What HEAD gets: the same status and headers, Content-Length included (RFC 9110, 9.3.2)."""
    if isinstance(response, Held):
        await response.dismiss()
    bare = Response(status_code=response.status_code)
    bare.raw_headers = response.raw_headers
    return bare


def stamp(status: MirrorStatus) -> dict[str, str]:
    """Which block an answer speaks of, and how often history was replaced so far."""
    return {
        "X-Indexed-Block": str(status.block_number),
        "X-Indexed-Hash": to_hex(status.block_hash),
        "X-Reorg-Epoch": str(status.reorg_epoch),
        "Cache-Control": "no-cache",
    }


def page(request: Request, site: Site, template: str, status_code: int = 200, **facts: Any) -> HTMLResponse:
    """A rendered page; `facts` are the template's names, next to what every page shows."""
    status: MirrorStatus = facts.pop("status", None) or site.mirror.status()
    text = site.templates.get_template(template).render(
        facts,
        status=status,
        now=max(site.now(), status.block_time),
        static_version=site.static_version,
        path=request.scope["path"],
    )
    return HTMLResponse(text, status_code=status_code, headers=stamp(status) | SAFETY_HEADERS)


def unready(site: Site, failure: Failure) -> HTMLResponse:
    """The one page that needs no mirror; it loads itself again."""
    text = site.templates.get_template("unready.html").render(failure=failure, static_version=site.static_version)
    return HTMLResponse(text, status_code=failure.status, headers={**SAFETY_HEADERS, "Retry-After": "3"})


def problem(status_code: int, code: str, title: str, detail: str, remedy: str | None = None) -> Response:
    """A refused request as RFC 9457 problem+json."""
    return refusal(Failure(status=status_code, code=code, title=title, detail=detail, remedy=remedy))


def refusal(failure: Failure) -> Response:
    """A failure as RFC 9457 problem+json."""
    body = Problem(
        title=failure.title,
        status=failure.status,
        detail=failure.detail,
        code=failure.code,
        remedy=failure.remedy,
        **failure.facts,
    )
    return Response(
        orjson.dumps(body.model_dump(exclude_none=True)),
        status_code=failure.status,
        media_type=MEDIA_TYPE,
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", **failure.headers},
    )


async def refuse(failure: Failure, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends the refusal, where no route is there to make it an answer; HEAD gets its headers."""
    response = refusal(failure)
    bare = await without_body(response) if scope["method"] == "HEAD" else response
    await bare(scope, receive, send)
