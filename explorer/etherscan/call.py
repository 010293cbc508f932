"""What an action is given: the question with the snapshot that answers it, or the question with a node."""

from dataclasses import dataclass

from explorer.api.answers import Desk, Question
from explorer.etherscan.asked import Asked
from explorer.etherscan.node import Node
from indexer.queries import MirrorStatus, Reads


class ForNode(Exception):
    """The mirror does not hold this: the node is to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A question to the mirror."""

    asked: Asked
    desk: Desk
    question: Question

    @property
    def now(self) -> Reads:
        return self.question.now

    @property
    def status(self) -> MirrorStatus:
        return self.question.status


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCall:
    """A question to the node."""

    asked: Asked
    status: MirrorStatus
    node: Node
