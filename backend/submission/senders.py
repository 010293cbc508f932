"""The market's keys, each with what goes from it (threat R8). One that cannot go on holds up no other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from backend.lock import alone
from backend.market import Market
from backend.submission.batches import MATCHER_KINDS, SETTLEMENT_KINDS
from backend.submission.sender import Sender
from protocol.errors import ChainError

T = TypeVar("T")

log = structlog.get_logger()


def senders(market: Market) -> list[Sender]:
    """One for each key: the orders' matcher opens and closes; what anybody may send can go from another."""
    matcher, settlement = market.submission_key, market.settlement_key
    if settlement.address == matcher.address:
        return [Sender(market, matcher, (*MATCHER_KINDS, *SETTLEMENT_KINDS))]
    return [Sender(market, matcher, MATCHER_KINDS), Sender(market, settlement, SETTLEMENT_KINDS)]


def follow(market: Market) -> None:
    """Looks after what is under way."""
    _each(market, Sender.follow)


def send_pending(market: Market) -> int:
    """Sends what is due; returns how many transactions."""
    return sum(_each(market, Sender.send_pending))


def _each(market: Market, work: Callable[[Sender], T]) -> list[T]:
    done = []
    for sender in senders(market):
        with _alone(market, sender) as mine:
            if not mine:
                continue
            try:
                done.append(work(sender))
            except ChainError as error:
                log.warning("sender.postponed", key=sender.address, code=error.code, reason=str(error)[:200])
    return done


@contextmanager
def _alone(market: Market, sender: Sender) -> Iterator[bool]:
    """Two processes with one key would take the same nonces."""
    with alone(market.db, f"key.{sender.address}") as mine:
        if not mine:
            log.warning("sender.busy", key=sender.address)
        yield mine
