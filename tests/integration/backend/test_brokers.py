"""The tests' own brokers: what is lost is lost, however often it was started; what is put back comes in order."""

from contextlib import closing
from typing import Any

import pytest
import redis
from kombu import Connection

from backend.wake import QUEUE
from tests.faults.market.messages import RabbitMessages
from tests.support.brokers import RabbitBroker, RedisBroker, require_rabbit

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


def test_a_redis_that_was_started_twice_is_gone_once_it_is_killed() -> None:
    with closing(RedisBroker()) as broker:
        broker.start()
        broker.start()
        redis.Redis.from_url(broker.url).ping()
        broker.kill()
        with pytest.raises(redis.ConnectionError):
            redis.Redis.from_url(broker.url).ping()


def test_a_rabbit_that_was_started_twice_is_gone_once_it_is_killed(rabbit: RabbitBroker | None) -> None:
    broker = require_rabbit(rabbit)
    broker.start()
    broker.start()
    Connection(broker.url).connect()
    broker.kill()
    with pytest.raises(OSError, match="refused"):
        Connection(broker.url, connect_timeout=2).connect()


def test_messages_of_a_rabbit_are_taken_and_put_back_with_their_headers(rabbit: RabbitBroker | None) -> None:
    broker = require_rabbit(rabbit)
    broker.start()
    messages = RabbitMessages(broker.direct_url)
    assert messages.take() == []
    with Connection(broker.url) as connection:
        producer = connection.Producer(routing_key=QUEUE)
        channel: Any = connection.default_channel
        channel.queue_declare(QUEUE, durable=True, auto_delete=False)
        for number in range(3):
            producer.publish({"number": number}, headers={"task": f"task {number}"})
    taken = messages.take()
    assert _tasks(taken) == ["task 0", "task 1", "task 2"]
    assert messages.take() == []
    messages.put([taken[2], taken[0]])
    assert _tasks(messages.take()) == ["task 2", "task 0"]
    broker.kill()


def _tasks(messages: list[Any]) -> list[str]:
    return [message.headers["task"] for message in messages]
