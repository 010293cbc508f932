"""What machines ask a server about itself: is it alive, should it be asked, what is it, what does it count."""

import asyncio
import secrets
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from backend import problems
from backend.door import TheMarket
from backend.errors import NotSignedIn
from backend.market import Market
from backend.operations.gauges import DatabaseGauges
from backend.operations.health import Doctor
from backend.operations.metrics import REGISTRY

router = APIRouter(tags=["health"])


def install(app: FastAPI, market: Market) -> None:
    """The routes, and what answers while the database is away."""
    app.state.doctor = Doctor(market)
    app.state.gauges = DatabaseGauges(market)
    app.include_router(router)
    for error in (OperationalError, PoolExhausted):
        app.add_exception_handler(error, _database_away)


async def _database_away(_request: Request, error: Exception) -> Response:
    """Whether a request that was cut off was carried out, only its repetition tells."""
    kind = type(error.orig if isinstance(error, DBAPIError) else error).__name__
    return problems.problem(
        503,
        "database_away",
        f"the market's database does not answer ({kind})",
        "send it again in a moment, with the same Idempotency-Key: what was done is not done twice",
    )


@router.get("/livez", operation_id="livez")
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", operation_id="readyz")
async def readyz(request: Request, market: TheMarket) -> Response:
    """Whether to send requests here. 503 names what is missing; `degraded` names what an operator should look at."""
    if market.draining.is_set():
        return problems.problem(503, "unready", "this server is stopping", "ask another one")
    health = await asyncio.to_thread(request.app.state.doctor.look)
    if health.state == "unready":
        facts = {"faults": health.faults}
        return problems.problem(503, "unready", "; ".join(health.faults.values()), "see `faults`", **facts)
    status = market.mirror.status()
    return JSONResponse(
        {
            "status": health.state,
            "block_number": status.block_number,
            "proved_number": status.proved_number,
            "faults": health.faults,
        }
    )


@router.get("/version", operation_id="version")
async def version_of(market: TheMarket) -> dict[str, object]:
    """What runs here, and which ledger it serves."""
    return {
        "version": _version(),
        "chain_id": market.deployment.chain_id,
        "ledger": market.deployment.ledger,
        "schema": market.db.revision(),
    }


def _version() -> str:
    try:
        return version("gridlease")
    except PackageNotFoundError:
        return "unknown"


@router.get("/metrics", operation_id="metrics", include_in_schema=False)
async def metrics(request: Request, market: TheMarket) -> Response:
    """Prometheus' text format; with GRIDLEASE_METRICS_TOKEN only for whoever sends it."""
    token = market.operations.metrics_token
    if token is not None:
        asked = request.headers.get("authorization", "")
        if not secrets.compare_digest(asked.encode(), f"Bearer {token.get_secret_value()}".encode()):
            raise NotSignedIn("/metrics wants its own token", remedy="send `Authorization: Bearer` and the token")
    return Response(await asyncio.to_thread(_text, request.app.state.gauges), media_type=CONTENT_TYPE_LATEST)


def _text(gauges: DatabaseGauges) -> bytes:
    return generate_latest(REGISTRY) + generate_latest(gauges)
