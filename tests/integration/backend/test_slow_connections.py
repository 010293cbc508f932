"""Five hundred connections that are hardly alive: everybody else is answered, and each of them is ended in time."""

import asyncio
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.support.accounts_market import Somebody
from tests.support.lone_server import LoneServer, lone_server
from tests.support.slow_lines import slow_lines

pytestmark = [pytest.mark.node, pytest.mark.timeout(200)]

DEADLINE_SECONDS: Final = 8
_SLOWEST_SECONDS: Final = 60
"""Of a machine that does much else meanwhile."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneServer]:
    deadlines = {"head_seconds": DEADLINE_SECONDS, "body_grace_seconds": DEADLINE_SECONDS}
    with lone_server(tmp_path_factory.mktemp("market"), **deadlines, stall_seconds=DEADLINE_SECONDS) as made:
        yield made


@pytest.fixture(scope="module")
def somebody(served: LoneServer) -> Somebody:
    """With a key, money, and an offer to meet."""
    made = served.world.somebody("A")
    made.make_key()
    made.fund()
    made.offer()
    return made


def test_everybody_else_is_answered_and_each_slow_one_is_ended(served: LoneServer, somebody: Somebody) -> None:
    lines = slow_lines(somebody)
    before, most = served.open_files(), 0
    statuses: list[int] = []

    async def others() -> None:
        nonlocal most
        headers = {"authorization": f"Bearer {somebody.made['key']}"}
        async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=10) as http:
            while (now := served.open_files()) > before + 8 or most < before + 100:
                most = max(most, now)
                statuses.append((await http.get("/v1/account")).status_code)
                statuses.append((await http.post("/v1/webhooks", json={"url": "ftp://x"})).status_code)
                await asyncio.sleep(0.05)

    async def both() -> None:
        holding = [asyncio.create_task(line.hold(served.port)) for line in lines]
        async with asyncio.timeout(_SLOWEST_SECONDS):
            await others()
        for task in holding:
            # Readers hold their end; the server's is gone.
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)

    asyncio.run(both())
    assert set(statuses) == {200, 400}
    assert len(statuses) > 20, statuses
    assert most - before > 250, "held at the same time; more are, than are seen"
    for line in lines:
        if line.kind != "reader":
            assert line.seconds is not None
            assert line.seconds > DEADLINE_SECONDS / 2, (line.kind, line.answer)
            assert line.answer.startswith(b"HTTP/1.1 408 "), line.answer
    assert '"request.failed"' not in served.log.read_text()
