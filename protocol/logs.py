"""Logs of every process: one event a line, JSON where no person watches, and never a key, token, password or signature.

What libraries say by the standard library's logging takes the same way, so that one line is one event.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO, cast

import structlog

from protocol.settings import RoomSettings

_SECRET_NAMES: Final = ("password", "token", "secret", "signature", "authorization", "private")
#: user and password in a URL; API keys and session tokens; what may be a private key
_SECRET_VALUES: Final = (
    (re.compile(r"(://)[^/\s@]+@"), r"\1redacted@"),
    (re.compile(r"\bgl[ks]_\w{8,}"), "redacted"),
    (re.compile(r"(?i)\bbearer\s+\S+"), "Bearer redacted"),
)


class _StandardError:
    """What standard error is at the time of a line: who captures it, as a test does, takes another one each time."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class LogSettings(RoomSettings):
    """How a process of this system logs."""

    #: console · json; unset: console where a person watches, JSON elsewhere
    log_format: Literal["console", "json"] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def level(self) -> int:
        return logging.getLevelNamesMapping()[self.log_level.upper()]

    @property
    def is_json(self) -> bool:
        return not sys.stderr.isatty() if self.log_format is None else self.log_format == "json"


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces what is named like a secret, and what looks like one in any text."""
    for name, value in event.items():
        if any(word in name.lower() for word in _SECRET_NAMES):
            event[name] = "redacted"
        elif isinstance(value, str):
            event[name] = redacted(value)
    return event


def redacted(text: str) -> str:
    """A text without passwords of URLs, API keys and session tokens."""
    for pattern, instead in _SECRET_VALUES:
        text = pattern.sub(instead, text)
    return text


def configure_logs(settings: LogSettings | None = None) -> None:
    """Writes to standard error; called once, by a command."""
    settings = settings or LogSettings()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Before secrets are looked for: a traceback may quote one.
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.is_json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_StandardError())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries tell of each request and each migration; only what went wrong is news.
    root.setLevel(max(settings.level, logging.WARNING) if settings.level > logging.DEBUG else logging.INFO)
