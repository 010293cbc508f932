"""The OpenAPI document with what the framework does not know: refusals, who may call, which answer names what."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from backend.door import WHO_CALLS
from protocol.wire.problems import MEDIA_TYPE, Problem

Operation = dict[str, Any]

_PROBLEM: Final = "Problem"
_BEARER: Final = "bearer"


@dataclass(frozen=True, slots=True)
class Source:
    """An answer that gives an id."""

    operation: str
    status: str
    #: JSON pointer into its body
    pointer: str


SOURCES: Final[dict[str, tuple[Source, ...]]] = {
    "key_id": (Source("create_key", "201", "/id"), Source("list_keys", "200", "/0/id")),
    "cid": (Source("put_file", "201", "/cid"), Source("put_file", "200", "/cid")),
    "digest": (Source("post_offer", "201", "/digest"), Source("list_offers", "200", "/data/0/digest")),
    "job_id": (
        Source("submit_job", "202", "/id"),
        Source("submit_order", "202", "/id"),
        Source("list_jobs", "200", "/data/0/id"),
    ),
    "lease": (Source("provider_leases", "200", "/data/0/lease"),),
    "webhook_id": (Source("create_webhook", "201", "/id"), Source("list_webhooks", "200", "/data/0/id")),
    "message_id": (Source("ping_webhook", "202", "/id"), Source("webhook_messages", "200", "/data/0/id")),
}
"""By the name that paths give the id. What is not here no answer's body gives: an upload's id is in its `Location`."""


def bytes_as(media_type: str) -> dict[str, Any]:
    """The request body of a route that reads it as it comes."""
    return {"required": True, "content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}


def install(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Completes the document for the routes of these; others that the app has describe themselves."""
    made = app.openapi
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    named = {str(route.operation_id): route for route in routes if route.include_in_schema}

    def openapi() -> dict[str, Any]:
        is_new = app.openapi_schema is None
        document = made()
        if is_new:
            _complete(document, named)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any], routes: dict[str, APIRoute]) -> None:
    every = (operation for item in document["paths"].values() for operation in item.values())
    ours = {operation["operationId"]: operation for operation in every if operation.get("operationId") in routes}
    for name, operation in ours.items():
        # Not the framework's own form of a 422: every refusal is a problem.
        operation["responses"].pop("422", None)
        operation["responses"]["default"] = {
            "description": "A refusal; `code` is stable, `remedy` says what to change.",
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{_PROBLEM}"}}},
        }
        if _asks_who_calls(routes[name].dependant):
            operation["security"] = [{_BEARER: []}]
    for parameter, sources in SOURCES.items():
        for source in sources:
            _link(ours, parameter, source)
    for name, operation in ours.items():
        if "page_token" in _parameters(operation, "query"):
            same = {f"path.{path}": f"$request.path.{path}" for path in _parameters(operation, "path")}
            token = {"query.page_token": "$response.body#/next_page_token"}
            _links(operation, "200")["next_page"] = {"operationId": name, "parameters": same | token}
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})[_BEARER] = {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a wallet's session token, which alone makes keys and offers and serves leases.",
    }
    components["schemas"][_PROBLEM] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)


def _asks_who_calls(dependant: Dependant) -> bool:
    return dependant.call in WHO_CALLS or any(_asks_who_calls(inner) for inner in dependant.dependencies)


def _link(ours: dict[str, Operation], parameter: str, source: Source) -> None:
    """To every call whose path takes the id, if the source's own path has whatever else it takes."""
    giver = ours[source.operation]
    known = _parameters(giver, "path")
    for name, operation in ours.items():
        wanted = _parameters(operation, "path")
        if parameter not in wanted or not wanted - {parameter} <= known:
            continue
        values = {f"path.{other}": f"$request.path.{other}" for other in wanted - {parameter}}
        values[f"path.{parameter}"] = f"$response.body#{source.pointer}"
        _links(giver, source.status)[name] = {"operationId": name, "parameters": values}


def _links(operation: Operation, status: str) -> dict[str, Any]:
    links: dict[str, Any] = operation["responses"][status].setdefault("links", {})
    return links


def _parameters(operation: Operation, place: str) -> set[str]:
    return {str(item["name"]) for item in operation.get("parameters", ()) if item["in"] == place}
