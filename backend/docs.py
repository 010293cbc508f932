"""/docs: the API on one page, made from the OpenAPI document, with no script and nothing from elsewhere."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter()

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Gridlease API</title><link rel="stylesheet" href="/static/site.css"><main class="page"><h1>Gridlease API</h1>
<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. Amounts are decimal strings of base units
(10⁻⁶ dollar). Errors are problem+json with a <code>code</code> and a <code>remedy</code>.</p>"""


@router.get("/docs", include_in_schema=False, response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """Every operation with its parameters and bodies."""
    document: dict[str, Any] = request.app.openapi()
    parts = [_HEAD]
    for path, operations in document["paths"].items():
        parts.extend(_operation(method, path, operation) for method, operation in operations.items())
    return HTMLResponse("".join([*parts, "</main></html>"]))


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<li><code>{escape(item['name'])}</code> ({escape(item['in'])})</li>"
        for item in operation.get("parameters", [])
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = body.get("$ref", "").rpartition("/")[2]
    wants = f"<p>Body: <code>{escape(name)}</code></p>" if name else ""
    text = escape(operation.get("description") or operation.get("summary", ""))
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{text}</p>{wants}"
        f"{'<ul>' + rows + '</ul>' if rows else ''}</section>"
    )
