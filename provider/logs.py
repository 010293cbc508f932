"""The agent's log: one event a line, JSON where no person watches, and never a key, token, password or signature."""

import logging
import sys
from typing import Any, Final

import structlog

_SECRET_NAMES: Final = ("password", "token", "secret", "signature", "authorization", "private")


def redact(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replaces the values of fields that are named like secrets."""
    for name in event:
        if any(word in name.lower() for word in _SECRET_NAMES):
            event[name] = "redacted"
    return event


def configure_logs() -> None:
    """Writes to standard error; called once, by a command."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
