"""An expected failure, before it becomes a page or problem+json."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What both kinds of route tell the reader."""

    status: int
    code: str
    title: str
    detail: str
    remedy: str | None = None
    #: further members of the problem, for programs
    facts: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Carries a failure out of the depth of a request."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.detail)


def too_early(asked: int, indexed: int) -> Refused:
    """A block that the mirror has not read yet."""
    return Refused(
        Failure(
            status=425,
            code="too_early",
            title="Not there yet",
            detail=f"The mirror has read up to block {indexed}, not yet block {asked}",
            remedy="ask again in a moment",
            facts={"indexed_block": indexed},
            headers={"Retry-After": "1"},
        )
    )


def not_reached(asked: int, indexed: int) -> Refused:
    """A block that a mirror which has stopped will not read."""
    return Refused(
        Failure(
            status=404,
            code="beyond_the_mirror",
            title="Beyond the mirror",
            detail=f"The mirror stopped at block {indexed} and does not read block {asked}",
            remedy="see /v1/ledger/status for the reason; ask for an earlier block",
            facts={"indexed_block": indexed},
        )
    )


def before_the_ledger(block: int | str, deploy_block: int, chain_id: int) -> Failure:
    """A block older than the first one that is mirrored."""
    return Failure(
        status=404,
        code="before_the_ledger",
        title="Older than the ledger",
        detail=f"The ledger was deployed in block {deploy_block}, and its mirror begins there",
        remedy=f"ask any node of chain {chain_id} for block {block}",
    )


def forked(fork_block: int, reorg_epoch: int) -> Refused:
    """A page token whose row is in a block that the chain replaced since."""
    return Refused(
        Failure(
            status=409,
            code="history_changed",
            title="The chain replaced this page's blocks",
            detail=f"Blocks from {fork_block} on were replaced after this page token was given out",
            remedy=f"drop the rows that you have from block {fork_block} on, and start again without page_token",
            facts={"fork_block": fork_block, "reorg_epoch": reorg_epoch},
        )
    )


def busy(what: str, most: int) -> Refused:
    """More long answers at a time than the server gives."""
    return Refused(
        Failure(
            status=503,
            code="busy",
            title="Too many at a time",
            detail=f"This server gives {most} {what} at a time",
            remedy="try again in a moment, or close one that you have open",
            headers={"Retry-After": "5"},
        )
    )
