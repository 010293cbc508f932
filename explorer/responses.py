"""Answers of the explorer: pages and JSON, each stamped with the block that it speaks of, each with its safety headers.

Rule X1: nothing inline and nothing foreign runs on a page, so a string from the chain can never become a script.
"""

from typing import Any, Final

import orjson
from fastapi import Request, Response
from fastapi.responses import HTMLResponse

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
