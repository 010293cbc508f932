"""`/api` and `/v2/api`: reads the question, finds who answers it, and puts the answer into its envelope.

Whatever is asked, the answer is HTTP 200 with an envelope, as the clients of this API expect: a refusal is NOTOK. Only
what the mirror said is stamped with block, level and tag; what the node said is the node's word.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson
import structlog
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from explorer.api.answers import Desk, desk_of, question_in, stamp, tag_of, tell
from explorer.etherscan.actions import FROM_MIRROR, FROM_NODE
from explorer.etherscan.asked import Asked, asked_of
from explorer.etherscan.call import Call, ForNode, NodeCall
from explorer.etherscan.node import Node
from explorer.etherscan.replies import Body, NotOk, RpcError
from explorer.failures import Refused
from explorer.identifiers import Malformed
from explorer.responses import without_body
from explorer.spelling import visible
from indexer.queries import MirrorStatus, TooMuch
from protocol.errors import MirrorError

router = APIRouter(include_in_schema=False)
_log = structlog.get_logger()

#: seconds that a question waits for its turn
_PATIENCE: Final = 5.0
_LOOK_SECONDS: Final = 0.02
#: clients know this by its first words, wait, and ask again
_BUSY: Final = "Max rate limit reached: this server answers {} such questions at a time"


@dataclass(slots=True)
class Turns:
    """How many questions are answered at a time."""

    most: int
    taken: int = 0

    async def __aenter__(self) -> None:
        """Raises `NotOk`."""
        until = time.monotonic() + _PATIENCE
        while self.taken >= self.most:
            if time.monotonic() >= until:
                raise NotOk(_BUSY.format(self.most))
            await asyncio.sleep(_LOOK_SECONDS)
        self.taken += 1

    async def __aexit__(self, *_: object) -> None:
        self.taken -= 1


class Front:
    """What all questions share; in the app's state, one per app."""

    def __init__(self, node: Node, calls: int) -> None:
        self.node = node
        # A slow node must not hold up what the mirror answers.
        self.mirror_turns, self.node_turns = Turns(calls), Turns(calls)


@router.api_route("/api", methods=["GET", "HEAD", "POST"])
async def first_version(request: Request) -> Response:
    """`chainid` may be left out."""
    return await _answer(request, must_name_chain=False)


@router.api_route("/v2/api", methods=["GET", "HEAD", "POST"])
async def second_version(request: Request) -> Response:
    """`chainid` must be ours."""
    return await _answer(request, must_name_chain=True)


async def _answer(request: Request, *, must_name_chain: bool) -> Response:
    front: Front = request.app.state.etherscan
    desk = desk_of(request)
    try:
        asked = await asked_of(request)
        try:
            async with front.mirror_turns:
                response = await run_in_threadpool(_from_mirror, desk, request, asked, must_name_chain)
        except ForNode:
            async with front.node_turns:
                response = await run_in_threadpool(_from_node, desk, front.node, asked)
    except (NotOk, Malformed, Refused, TooMuch, MirrorError) as error:
        response = _said(_refusal(error).body())
    return await without_body(response) if request.method == "HEAD" else response


def _from_mirror(desk: Desk, request: Request, asked: Asked, must_name_chain: bool) -> Response:
    with desk.mirror.snapshot() as now:
        question = question_in(now, None)
        _require_chain(asked, question.status, must_name_chain)
        module, action = _named(asked)
        run = FROM_MIRROR[module].get(action)
        if run is None:
            raise ForNode
        call = Call(asked=asked, desk=desk, question=question)
        if request.method == "POST":
            # A tag would not name what the form says.
            marks = stamp(question.status, question.block)
            return _said(_as_rpc(module, lambda: run(call)), marks)
        tag = tag_of(desk, request, question, question.block)
        return tell(desk, request, question, question.block, tag, lambda: _as_rpc(module, lambda: run(call)))


def _from_node(desk: Desk, node: Node, asked: Asked) -> Response:
    module, action = _named(asked)
    call = NodeCall(asked=asked, status=desk.mirror.status(), node=node)
    return _said(_as_rpc(module, lambda: FROM_NODE[module][action](call)))


def _require_chain(asked: Asked, status: MirrorStatus, must_name_chain: bool) -> None:
    given = asked.find("chainid")
    if given is None and must_name_chain:
        raise NotOk(f"Missing chainid parameter (required for v2 api); this explorer serves chain {status.chain_id}")
    if given is not None and given != str(status.chain_id):
        raise NotOk(f"Missing or unsupported chainid parameter: this explorer serves chain {status.chain_id} only")


def _named(asked: Asked) -> tuple[str, str]:
    """Module and action, one of which is ours, as we spell them; raises `NotOk`."""
    module, action = (asked.find("module") or "").lower(), (asked.find("action") or "").lower()
    if module not in FROM_MIRROR:
        raise NotOk(f"Error! Missing Or invalid Module name; known are {', '.join(FROM_MIRROR)}")
    known = {name.lower(): name for name in (*FROM_MIRROR[module], *FROM_NODE.get(module, {}))}
    if action not in known:
        raise NotOk(f"Error! Missing Or invalid Action name; {module} has {', '.join(known.values())}")
    return module, known[action]


def _as_rpc(module: str, run: Callable[[], Body]) -> Body:
    """What goes wrong in `module=proxy` is a JSON-RPC error, what a node says elsewhere is NOTOK."""
    try:
        return run()
    except (NotOk, Malformed) as error:
        refusal = _refusal(error)
        is_rpc = isinstance(refusal, RpcError)
        if module == "proxy":
            raise refusal if is_rpc else RpcError(refusal.says) from error
        raise NotOk(f"Error! {refusal.says}") if is_rpc else refusal from error


def _refusal(error: Exception) -> NotOk:
    """What to tell the reader."""
    match error:
        case NotOk():
            return error
        case Malformed():
            return NotOk(f"Error! Invalid {error.field.replace('_', ' ')}: {visible(error.fact, 200)}; {error.remedy}")
        case Refused():
            return NotOk(f"Error! {error.failure.detail}; {error.failure.remedy}")
        case TooMuch():
            return NotOk("Error! The rows are too large for one answer: ask for fewer by offset, or for fewer blocks")
    # The error's own words name files of the machine: they are for the log, not for the reader.
    _log.warning("explorer.unavailable", path="/api", error=str(error))
    return NotOk("Error! The mirror is not ready: it has not read the ledger's first block yet; try again")


def _said(body: Body, marks: dict[str, str] | None = None) -> Response:
    headers = {**(marks or {}), "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(orjson.dumps(body), media_type="application/json", headers=headers)
