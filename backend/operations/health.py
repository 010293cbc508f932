"""Whether this server should be asked, and what else is wrong with the market.

Two things make a server useless: a database that does not answer, and a mirror that is missing, halted, behind, or of
another chain. A worker that is silent, a node that is away or a key without gas are alarms, not reasons to turn buyers
away: what they ask for is kept and done later.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal

from sqlalchemy.exc import SQLAlchemyError

from backend.market import Market
from backend.operations import ticks
from backend.works import STEP
from protocol.errors import ChainError, GridleaseError, MirrorError, WrongChain
from protocol.rpc import Rpc

State = Literal["ok", "degraded", "unready"]

_KEPT_SECONDS: Final = 2.0
"""However often a balancer asks, node and database are asked this seldom."""

_NODE_SECONDS: Final = 2
_WORKER_SILENCE_MS: Final = 30_000
_STEP_AGE_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Check:
    """One look at a neighbour."""

    name: str
    #: None = it is well
    fault: str | None
    #: without it this server is of no use
    is_needed: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """What was found."""

    checks: tuple[Check, ...]

    @property
    def state(self) -> State:
        if any(check.fault and check.is_needed for check in self.checks):
            return "unready"
        return "degraded" if any(check.fault for check in self.checks) else "ok"

    @property
    def faults(self) -> dict[str, str]:
        return {check.name: check.fault for check in self.checks if check.fault}


class Doctor:
    """Looks at the market's neighbours, at most every other second."""

    def __init__(self, market: Market, now: Callable[[], float] = time.monotonic) -> None:
        self._market = market
        self._now = now
        self._turn = Lock()
        self._found: tuple[float, Health] | None = None

    def look(self) -> Health:
        """Blocks for as long as the slowest neighbour may take: call it from a thread."""
        with self._turn:
            if self._found is None or self._now() - self._found[0] > _KEPT_SECONDS:
                health = Health((*self._database(), *self._chain()))
                self._found = (self._now(), health)
            return self._found[1]

    def _database(self) -> tuple[Check, ...]:
        db = self._market.db
        try:
            with db.read() as session:
                step_ms = ticks.age_ms(session, db, STEP.name)
                silence_ms = ticks.silence_ms(session, db, "worker")
        except SQLAlchemyError as error:
            return (Check("database", f"it does not answer ({type(error).__name__})", is_needed=True),)
        return (
            Check("database", None, is_needed=True),
            Check("step", _late("the last step was done", step_ms, _STEP_AGE_MS)),
            Check("worker", _late("a worker was heard", silence_ms, _WORKER_SILENCE_MS)),
        )

    def _chain(self) -> tuple[Check, ...]:
        """The mirror, and the node that tells how far behind it is."""
        market = self._market
        try:
            status = market.mirror.status()
        except MirrorError as error:
            return (Check("mirror", str(error), is_needed=True),)
        head, checks = self._ask_nodes()
        return (Check("mirror", self._mirror_fault(status.block_number, status.halted, head), is_needed=True), *checks)

    def _ask_nodes(self) -> tuple[int | None, tuple[Check, ...]]:
        """The head of the first node that answers, and what it says of our key."""
        faults = []
        for url in self._market.settings.rpc_url.split(","):
            try:
                with Rpc(url.strip(), timeout_seconds=_NODE_SECONDS) as rpc:
                    rpc.require_chain(self._market.deployment.chain_id)
                    return rpc.block_number(), (Check("node", None), self._gas(rpc))
            except WrongChain as error:
                return None, (Check("node", str(error), is_needed=True),)
            except ChainError as error:
                faults.append(error.code)
        return None, (Check("node", ", ".join(faults)),)

    def _mirror_fault(self, number: int, halted: str | None, head: int | None) -> str | None:
        if halted is not None:
            return f"halted: {halted}"
        behind = 0 if head is None else head - number
        return f"{behind} blocks behind the node" if behind > self._market.operations.ready_lag_blocks else None

    def _gas(self, rpc: Rpc) -> Check:
        try:
            sender = self._market.submission_key.address
        except (GridleaseError, OSError) as error:
            return Check("gas", f"the submission key cannot be read ({type(error).__name__})")
        balance_wei = int(rpc.call("eth_getBalance", sender, "latest"), 16)
        least_wei = self._market.operations.low_gas_wei
        if balance_wei >= least_wei:
            return Check("gas", None)
        return Check("gas", f"{sender} has {balance_wei} wei; it should have at least {least_wei}")


def _late(what: str, age_ms: int | None, most_ms: int) -> str | None:
    if age_ms is None:
        return f"{what} never"
    return f"{what} {age_ms / 1000:.0f} s ago" if age_ms > most_ms else None
