"""The agent's loop: keep an offer in the book, look for leases, serve them one at a time, stop cleanly."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from protocol.chain import AccountState
from protocol.errors import ChainError, GridleaseError
from protocol.hashing import Address
from protocol.wire.leases import LeaseWork
from provider.errors import MarketRefused, MarketUnavailable
from provider.market import Market
from provider.offers import StandingOffer
from provider.serving import Server
from provider.settings import AgentSettings
from provider.visit import LedgerView

_log = structlog.get_logger()

_OFFER_SECONDS: Final = 30.0
"""The offer is looked after this often."""

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 30.0


class AgentLedger(LedgerView, Protocol):
    """What the loop reads on chain besides leases."""

    def account(self, who: Address) -> AccountState: ...


@dataclass(slots=True)
class _SetAside:
    """A lease that could not be served just now."""

    #: monotonic seconds
    until: float
    pause: float


class Agent:
    """One provider's agent."""

    def __init__(
        self,
        *,
        settings: AgentSettings,
        me: Address,
        ledger: AgentLedger,
        market: Market,
        offer: StandingOffer,
        server: Server,
        stopping: threading.Event | None = None,
    ) -> None:
        self._settings = settings
        self._me = me
        self._ledger = ledger
        self._market = market
        self._offer = offer
        self._server = server
        self._stopping = stopping or threading.Event()
        self._set_aside: dict[str, _SetAside] = {}
        self._offer_due = 0.0

    def run(self) -> None:
        """Serves until it is stopped, or has left and nothing is open any more."""
        _log.info("agent.started", provider=self._me, zone=self._settings.zone, market=self._settings.market_url)
        pause = self._settings.poll_seconds
        while not self._stopping.wait(pause):
            try:
                if self.turn():
                    _log.info("agent.left", provider=self._me)
                    return
                pause = self._settings.poll_seconds
            except (MarketUnavailable, MarketRefused, ChainError) as error:
                pause = min(max(2 * pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS / 6)
                _log.warning("agent.waiting", reason=str(error), seconds=pause)

    def turn(self) -> bool:
        """One look at everything; True if the agent has left and has nothing more to do."""
        leaving = self._settings.leaving_mark.exists()
        if leaving:
            self._offer.withdraw()
        elif time.monotonic() >= self._offer_due:
            epoch = self._ledger.account(self._me).epoch
            self._offer.ensure(epoch=epoch, now_time=self._ledger.latest().time)
            self._offer_due = time.monotonic() + _OFFER_SECONDS
        hints = self._market.leases()
        for hint in hints:
            if self._is_due(hint):
                self._serve(hint)
        return leaving and self._ledger.account(self._me).open_leases == 0

    def _is_due(self, hint: LeaseWork) -> bool:
        aside = self._set_aside.get(hint.lease)
        return aside is None or time.monotonic() >= aside.until

    def _serve(self, hint: LeaseWork) -> None:
        try:
            with self._signs_of_life():
                self._server.serve(hint)
        except GridleaseError as error:
            self._put_aside(hint.lease, error)
        else:
            self._set_aside.pop(hint.lease, None)

    def _put_aside(self, lease: str, error: GridleaseError) -> None:
        before = self._set_aside.get(lease)
        pause = min(2 * before.pause, _LONGEST_PAUSE_SECONDS) if before else _FIRST_PAUSE_SECONDS
        self._set_aside[lease] = _SetAside(until=time.monotonic() + pause, pause=pause)
        _log.warning("lease.set_aside", lease=lease, code=error.code, reason=str(error), seconds=pause)

    @contextlib.contextmanager
    def _signs_of_life(self) -> Iterator[None]:
        """Lets the market hear this provider while a long segment runs: silence would cost it the lease."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self._settings.heartbeat_seconds):
                with contextlib.suppress(MarketUnavailable, MarketRefused):
                    self._market.leases()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
