"""Celery wakes, the database remembers (threats Q1, Q2): one task is one batch, losing the broker loses a second.

The same task code runs on the embedded folder broker and, by GRIDLEASE_BROKER_URL, on Redis or RabbitMQ.
"""

from functools import cache
from pathlib import Path

import structlog
from celery import Celery
from celery.signals import worker_process_init

from backend import step
from backend.broker import SCHEME
from backend.market import Market
from backend.settings import MarketSettings
from protocol.errors import ChainError, MirrorError

log = structlog.get_logger()

BEAT_SECONDS = 1.0
_TASK_SECONDS = 60


def broker_options(url: str) -> dict[str, object]:
    """How Celery reaches the broker; a folder is polled every 50 ms."""
    if not url.startswith("filesystem://"):
        return {"broker_url": url, "broker_transport_options": {"visibility_timeout": 2 * _TASK_SECONDS}}
    folder = Path(url.removeprefix("filesystem://"))
    queue, control = folder / "queue", folder / "control"
    for path in (queue, control):
        path.mkdir(parents=True, exist_ok=True)
    return {
        "broker_url": f"{SCHEME}://",
        "broker_transport_options": {
            "data_folder_in": str(queue),
            "data_folder_out": str(queue),
            "control_folder": str(control),
            "polling_interval": 0.05,
            "store_processed": False,
        },
    }


def create_worker(settings: MarketSettings) -> Celery:
    """The Celery app; beat runs inside the one embedded worker, or alone at scale."""
    app = Celery("gridlease")
    app.conf.update(
        **broker_options(settings.broker_url),
        task_ignore_result=True,
        task_acks_late=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        task_time_limit=_TASK_SECONDS,
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
        timezone="UTC",
        beat_schedule={
            "market.step": {"task": "market.step", "schedule": BEAT_SECONDS, "options": {"expires": 5 * BEAT_SECONDS}}
        },
    )
    return app


celery_app = create_worker(MarketSettings())


@cache
def _market() -> Market:
    return Market(MarketSettings())


@worker_process_init.connect
def _forget_inherited(**_: object) -> None:
    # A forked child must not share its parent's database connections.
    _market.cache_clear()


@celery_app.task(name="market.step", ignore_result=True)
def step_market() -> None:
    """Runs one step of the market. A node or mirror that is away is a reason to come back, not to crash."""
    try:
        step.run(_market())
    except (ChainError, MirrorError) as error:
        log.warning("step.postponed", code=error.code, reason=str(error)[:200])
