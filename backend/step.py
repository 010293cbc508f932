"""One step of the market: everything that is due, in order. Idempotent; whoever runs it, runs it alone."""

import structlog

from backend import crash_points
from backend.events import chain
from backend.leases import checks, settlement
from backend.leases.acting import sweep
from backend.lock import alone
from backend.market import Market
from backend.matching import auction
from backend.submission import outcomes, senders

log = structlog.get_logger()


def run(market: Market) -> bool:
    """One step; False if another process is at it."""
    with alone(market.db, "market.step") as mine:
        if not mine:
            return False
        senders.follow(market)
        outcomes.settle(market)
        checks.collect(market)
        # Each reads first and writes for as short as it can: whoever buys meanwhile waits for the write.
        for work in (chain.tell, sweep, settlement.ask, auction.hold):
            work(market)
        crash_points.reach("proposals.committed")
        senders.send_pending(market)
        checks.begin(market)
        return True
