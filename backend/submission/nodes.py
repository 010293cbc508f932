"""Several nodes behind one market (threat R6): the first that is well is asked, and what is final is put to the vote.

A node rests when it does not answer, or not with JSON-RPC, or says that it is busy. What it says of a nonce or of a fee
is an answer, and never a reason to leave it: that mistake has stopped relayers for good.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from backend.operations.metrics import NODE_FAILURES
from backend.submission.node import Node
from backend.submission.refusals import Answer, meaning
from protocol.deployment import Deployment
from protocol.errors import ChainError, DeploymentMissing, NodeUnavailable, RpcRefused, WrongChain

T = TypeVar("T")

log = structlog.get_logger()

_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 0.5, 8.0
#: one that serves another chain is not asked again soon
_STRANGER_REST_SECONDS: Final = 30.0
#: blocks that a node may be behind another before it is left for it
_BEHIND: Final = 2


@dataclass(slots=True)
class Health:
    """What is known of one node."""

    failures: int = 0
    last_error: str = ""
    #: it serves our chain, as far as it was asked since it last failed
    admitted: bool = False
    #: monotonic; not asked before
    rests_until: float = 0.0


class Nodes:
    """In the order of preference."""

    def __init__(
        self, nodes: Sequence[Node], deployment: Deployment, now: Callable[[], float] = time.monotonic
    ) -> None:
        if not nodes:
            raise ValueError("submission needs a node")
        self._nodes = list(nodes)
        self._deployment = deployment
        self._now = now
        self._highest = 0
        self.health = [Health() for _ in nodes]

    def ask(self, question: Callable[[Node], T]) -> T:
        """The answer of the first node that is well; raises the last one's `ChainError` if none is.

        `RpcRefused` is an answer: another node would say the same of the same transaction.
        """
        last: ChainError | None = None
        for index in self._well():
            try:
                self._admit(index)
                found = question(self._nodes[index])
            except RpcRefused as error:
                if meaning(error.rpc_code, error.rpc_message) is not Answer.BUSY:
                    raise
                last = error
                self._rest(index, error)
            except (NodeUnavailable, WrongChain, DeploymentMissing) as error:
                last = error
                self._rest(index, error)
            else:
                self._count(index, 0)
                return found
        raise last or NodeUnavailable(self._nodes[0].url, f"it rests after: {self.health[0].last_error}")

    def require_head(self, node: Node, number: int) -> None:
        """Raises `NodeUnavailable` for a node that is behind what another has shown, if there is another to ask."""
        if number + _BEHIND >= self._highest:
            self._highest = max(self._highest, number)
        elif len(self._well()) > 1:
            raise NodeUnavailable(node.url, f"its head {number} is behind {self._highest}")
        else:
            self._highest = number

    def agree(self, asked: Node, number: int, block_hash: str, final_number: Callable[[Node], int]) -> bool:
        """More than half of all nodes have the block at that height and call that height final; `asked` is one."""
        agreeing = 1
        for index in self._well():
            node = self._nodes[index]
            if node is asked:
                continue
            try:
                self._admit(index)
                has_it = node.block_hashes([number]).get(number) == block_hash
                agreeing += has_it and number <= final_number(node)
            except ChainError as error:
                self._rest(index, error)
        return 2 * agreeing > len(self._nodes)

    def close(self) -> None:
        for node in self._nodes:
            node.close()

    def _well(self) -> list[int]:
        return [index for index, health in enumerate(self.health) if self._now() >= health.rests_until]

    def _admit(self, index: int) -> None:
        """After each failure again: what answers at an address can change."""
        health = self.health[index]
        if not health.admitted:
            deployment = self._deployment
            self._nodes[index].require(deployment.chain_id, deployment.genesis_hash, deployment.ledger)
            health.admitted = True

    def _count(self, index: int, failures: int) -> None:
        self.health[index].failures = failures
        NODE_FAILURES.labels(node=index).set(failures)

    def _rest(self, index: int, error: ChainError) -> None:
        health = self.health[index]
        self._count(index, health.failures + 1)
        health.admitted = False
        health.last_error = str(error)
        seconds = min(_LONGEST_REST_SECONDS, _FIRST_REST_SECONDS * 2 ** min(health.failures - 1, 10))
        if isinstance(error, WrongChain | DeploymentMissing) and len(self._nodes) > 1:
            seconds = _STRANGER_REST_SECONDS
        health.rests_until = self._now() + seconds
        log.warning("node.rests", node=index, seconds=seconds, code=error.code, reason=str(error)[:200])
