"""What the market does by itself, again and again. Each work is idempotent and does all that is due by the database."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backend import step
from backend.market import Market
from backend.operations import prune
from backend.webhooks.delivery import deliver_due


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One of them, and how often a clock rings for it."""

    #: also the Celery task's
    name: str
    run: Callable[[Market], object]
    every_ms: int
    #: on a thread of its own: it may wait for strangers, and money does not wait for them
    is_apart: bool = False


STEP: Final = Work(name="market.step", run=step.run, every_ms=1_000)
PRUNE: Final = Work(name="market.prune", run=prune.run, every_ms=3_600_000, is_apart=True)
WEBHOOKS: Final = Work(name="market.webhooks", run=deliver_due, every_ms=1_000, is_apart=True)

WORKS: Final = (STEP, WEBHOOKS, PRUNE)
