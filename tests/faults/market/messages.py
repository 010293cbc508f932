"""Messages of a broker, taken away from its readers and put back: in a folder, in Redis, in RabbitMQ."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import amqp
import redis
from kombu import Connection

from backend.wake import QUEUE


class Messages(Protocol):
    """Of one broker. What they are is its own; where it is away there are none."""

    def take(self) -> Sequence[Any]:
        """All that wait, the oldest first; they are gone."""

    def put(self, messages: Sequence[Any]) -> None:
        """In that order, behind those that wait."""


class FolderMessages:
    """Files of the embedded broker."""

    def __init__(self, folder: Path) -> None:
        self._queue = folder / "queue"
        self._last_ms = 0

    def take(self) -> list[bytes]:
        taken = []
        for path in sorted(self._queue.glob("*.msg")):
            # A worker may be quicker.
            with suppress(OSError):
                body = path.read_bytes()
                path.unlink()
                taken.append(body)
        return taken

    def put(self, messages: Sequence[bytes]) -> None:
        for body in messages:
            # Readers take them in the order of their names.
            self._last_ms = max(self._last_ms + 1, time.monotonic_ns() // 1_000_000)
            draft = self._queue / ".again.draft"
            with suppress(OSError):
                draft.write_bytes(body)
                os.replace(draft, self._queue / f"{self._last_ms}_again.{QUEUE}.msg")


class RedisMessages:
    """Entries of a list."""

    def __init__(self, url: str) -> None:
        self._url = url

    def take(self) -> list[bytes]:
        with suppress(redis.ConnectionError), redis.Redis.from_url(self._url) as client, client.pipeline() as both:
            # What waits longest is at the end.
            waiting, _ = both.lrange(QUEUE, 0, -1).delete(QUEUE).execute()
            return list(reversed(waiting))
        return []

    def put(self, messages: Sequence[bytes]) -> None:
        with suppress(redis.ConnectionError), redis.Redis.from_url(self._url) as client:
            for body in messages:
                client.lpush(QUEUE, body)


class RabbitMessages:
    """Of a queue, with their properties, in which Celery keeps the name of the task."""

    def __init__(self, url: str) -> None:
        self._url = url

    def take(self) -> list[amqp.Message]:
        taken: list[amqp.Message] = []
        # Until a worker has made the queue there is none.
        with suppress(amqp.NotFound, OSError), Connection(self._url) as connection:
            channel: Any = connection.default_channel
            while (message := channel.basic_get(QUEUE, no_ack=True)) is not None:
                taken.append(message)
        return taken

    def put(self, messages: Sequence[amqp.Message]) -> None:
        with suppress(OSError), Connection(self._url) as connection:
            channel: Any = connection.default_channel
            for message in messages:
                channel.basic_publish(amqp.Message(message.body, **message.properties), routing_key=QUEUE)
