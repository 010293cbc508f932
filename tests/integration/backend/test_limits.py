"""Rate limits on a real Redis: all servers count together, and while it is away reads go on and writes wait."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from backend.limits import RateLimits
from backend.settings import MarketSettings
from tests.support.accounts_market import MarketWorld, market_world
from tests.support.brokers import RedisBroker

pytestmark = pytest.mark.broker

READS = 5
WRITES = 3


@pytest.fixture
def redis() -> Iterator[RedisBroker]:
    server = RedisBroker()
    server.start()
    yield server
    server.close()


@pytest.fixture
def world(tmp_path: Path, redis: RedisBroker) -> Iterator[MarketWorld]:
    with _server(tmp_path / "one", redis) as made:
        yield made


def _server(folder: Path, redis: RedisBroker) -> AbstractContextManager[MarketWorld]:
    folder.mkdir()
    return market_world(
        folder,
        limits_url=redis.url,
        address_reads_per_minute=READS,
        address_sign_ins_per_minute=1000,
        credential_writes_per_minute=WRITES,
    )


def test_two_servers_count_together(tmp_path: Path, redis: RedisBroker, world: MarketWorld) -> None:
    with _server(tmp_path / "two", redis) as other:
        answers = [server.call("GET", "/v1/chain") for server in (world, other) * READS][: READS + 1]
    assert [answer.status_code for answer in answers] == [200] * READS + [429]
    assert answers[0].headers["ratelimit"].startswith(f'"address-read";r={READS - 1};')
    assert answers[1].headers["ratelimit"].startswith(f'"address-read";r={READS - 2};'), "the other server's count"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_credential_is_counted_apart_from_its_address(world: MarketWorld) -> None:
    somebody = world.somebody("A")
    statuses = [somebody.call("POST", "/v1/webhooks/none/ping").status_code for _ in range(WRITES + 1)]
    assert statuses == [404] * WRITES + [429]
    assert world.somebody("B").call("POST", "/v1/webhooks/none/ping").status_code == 404


def test_without_redis_reads_go_on_and_are_counted_and_writes_are_refused(
    redis: RedisBroker, world: MarketWorld
) -> None:
    redis.kill()
    reads = [world.call("GET", "/v1/chain").status_code for _ in range(READS + 1)]
    assert reads == [200] * READS + [429], "counted by this server alone"
    refused = world.call("POST", "/v1/auth/nonce")
    assert (refused.status_code, refused.json()["code"]) == (503, "limits_unknown")
    redis.start()
    deadline = time.monotonic() + 10
    while world.call("POST", "/v1/auth/nonce").status_code != 200:
        assert time.monotonic() < deadline, "writes are taken again once it is back"
        time.sleep(0.1)


def test_a_server_starts_without_redis(tmp_path: Path, redis: RedisBroker) -> None:
    redis.kill()
    with _server(tmp_path / "one", redis) as world:
        assert world.call("GET", "/v1/chain").status_code == 200


def test_a_redis_that_hangs_holds_up_nobody_for_long(redis: RedisBroker) -> None:
    limits = RateLimits(MarketSettings(limits_url=redis.url))

    async def many() -> float:
        await limits.take("address", "read", "10.0.0.1")
        begun = time.monotonic()
        await asyncio.gather(*(limits.take("address", "read", "10.0.0.1") for _ in range(500)))
        return time.monotonic() - begun

    with redis.hanging():
        # Each of them alone waits half a second; forty threads would need six for all.
        assert asyncio.run(many()) < 3
