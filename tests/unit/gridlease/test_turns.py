"""Requests begin in the order they came, and between two of them the loop looks who else has asked."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from gridlease.turns import Turns, buys


async def _nothing() -> Message:
    return {"type": "http.request"}


async def _nowhere(_: Message) -> None:
    return None


def test_one_request_begins_in_a_turn_of_the_loop_and_in_order() -> None:
    begun: list[tuple[int, int]] = []
    turn = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append((scope["index"], turn))

    async def go() -> None:
        def tick() -> None:
            nonlocal turn
            turn += 1
            loop.call_soon(tick)

        loop, turns = asyncio.get_running_loop(), Turns(app)
        tick()
        await asyncio.gather(*(turns({"type": "http", "index": index}, _nothing, _nowhere) for index in range(5)))

    asyncio.run(go())
    assert [index for index, _ in begun] == [0, 1, 2, 3, 4]
    assert len({at for _, at in begun}) == 5


def test_a_request_that_waits_for_something_holds_nobody_up() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/stream":
            await asyncio.Event().wait()
        ended.append(scope["path"])

    async def go() -> None:
        turns = Turns(app)
        stream = asyncio.create_task(turns({"type": "http", "path": "/stream"}, _nothing, _nowhere))
        await asyncio.wait_for(turns({"type": "http", "path": "/page"}, _nothing, _nowhere), 5)
        stream.cancel()

    asyncio.run(go())
    assert ended == ["/page"]


def test_who_only_stands_in_line_waits_as_long_as_a_request_that_came_then() -> None:
    begun: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])

    async def go() -> None:
        turns = Turns(app)

        async def stand() -> None:
            await turns.stand_in_line()
            begun.append("-")

        requests = [turns({"type": "http", "path": path}, _nothing, _nowhere) for path in "abc"]
        await asyncio.gather(*requests[:2], stand(), requests[2])

    asyncio.run(go())
    assert begun == ["a", "b", "-", "c"]


def test_whoever_goes_away_while_waiting_leaves_the_turn_to_the_next() -> None:
    begun: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["index"])

    async def go() -> None:
        turns = Turns(app)
        tasks = [asyncio.create_task(turns({"type": "http", "index": index}, _nothing, _nowhere)) for index in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(go())
    assert begun == [0, 2, 3]


def test_three_of_four_that_begin_are_first_however_many_others_wait() -> None:
    begun: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])

    async def go() -> None:
        turns = Turns(app, buys)
        reports = [{"type": "http", "method": "POST", "path": f"/report/{index}"} for index in range(6)]
        jobs = [{"type": "http", "method": "POST", "path": "/v1/jobs"} for _ in range(5)]
        await asyncio.gather(*(turns(scope, _nothing, _nowhere) for scope in (*reports, *jobs)))

    asyncio.run(go())
    # The first report came to an idle loop.
    assert begun[:5] == ["/report/0", "/v1/jobs", "/v1/jobs", "/v1/jobs", "/report/1"]
    assert begun[5:] == ["/v1/jobs", "/v1/jobs", "/report/2", "/report/3", "/report/4", "/report/5"]


def test_a_turn_that_was_given_to_one_who_left_goes_to_the_next() -> None:
    begun: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["index"])

    async def go() -> None:
        turns = Turns(app)
        tasks = [asyncio.create_task(turns({"type": "http", "index": index}, _nothing, _nowhere)) for index in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # The first has begun and the second was told, but has not run yet.
        tasks[1].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)

    asyncio.run(go())
    assert begun == [0, 2]
