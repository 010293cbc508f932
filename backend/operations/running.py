"""One run of a work: timed, noted, and never the end of its process."""

import time

import structlog
from sqlalchemy.exc import DBAPIError
from structlog.contextvars import bound_contextvars

from backend.market import Market
from backend.operations import metrics, ticks
from backend.works import Work
from protocol.errors import ChainError, MirrorError
from protocol.ids import new_id

log = structlog.get_logger()


def run_work(market: Market, work: Work) -> bool:
    """True if it was done now. A node, mirror or database that is away is a reason to come back, not to crash."""
    begun = time.monotonic()
    with bound_contextvars(work=work.name, run=new_id("run")):
        try:
            if work.run(market) is False:
                return False
            took = time.monotonic() - begun
            ticks.note_done(market.db, work.name, round(took * 1000))
        except (ChainError, MirrorError) as error:
            return _postponed(work, error.code, error)
        except DBAPIError as error:
            return _postponed(work, "database_away", error.orig or error)
    metrics.WORK_SECONDS.labels(work=work.name).observe(took)
    return True


def _postponed(work: Work, code: str, error: BaseException) -> bool:
    metrics.POSTPONED.labels(work=work.name, code=code).inc()
    log.warning("work.postponed", code=code, reason=str(error)[:200])
    return False
