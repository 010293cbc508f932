"""A job's event as one line, for people or for programs."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson

from client.cli.console import plain
from client.events import JobEvent


def event_json(event: JobEvent) -> str:
    return orjson.dumps(asdict(event)).decode()


def event_words(event: JobEvent) -> str:
    """Time, number and kind, and what it says; a job's own text cannot steer the terminal."""
    at = datetime.fromtimestamp(event.at_ms / 1000, UTC).strftime("%H:%M:%S")
    said = " ".join(f"{name}={_value(value)}" for name, value in event.data.items() if value is not None)
    return plain(f"{at} {event.number:>4} {event.type} {said}".rstrip()).replace("\n", "⏎")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
