"""Rings the worker's bell. A lost ring costs a second: beat rings too, and the database remembers (threat Q1)."""

import structlog
from kombu.exceptions import ChannelError, OperationalError

log = structlog.get_logger()


def market() -> None:
    """Asks for one run of the market's step, now."""
    from backend.worker import step_market

    try:
        step_market.apply_async(ignore_result=True, retry=False, expires=10)
    except (OperationalError, ChannelError, OSError) as error:
        log.warning("wake.lost", error=str(error)[:200])
