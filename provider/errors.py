"""What stops an agent, or makes it pass over a lease.

MarketError
├── MarketUnavailable    no answer, or an answer that asks to come back: try again
└── MarketRefused        the market said no, with a reason
ProtocolError
├── LeaseRefused         the lease, its order or its job is not what it should be: it is not served
└── VoucherRefused       a voucher that would not be paid on chain: no further segment is served
GridleaseError
└── AgentError           the agent's own folder or machine is not ready
"""

from protocol.errors import GridleaseError, MarketError, ProtocolError


class MarketUnavailable(MarketError):
    """No answer, or one that asks to come back later."""

    code = "market_unavailable"

    def __init__(self, what: str, fact: str) -> None:
        super().__init__(f"{what}: {fact}; is the market running, and is its URL right?")


class MarketRefused(MarketError):
    """The market's own reason, as it said it."""

    code = "market_refused"

    def __init__(self, what: str, status: int, reason: str, detail: str, remedy: str | None = None) -> None:
        self.status = status
        #: the problem's stable code
        self.reason = reason
        super().__init__(f"{what} refused ({reason}): {detail}" + (f"; {remedy}" if remedy else ""))


class LeaseRefused(ProtocolError):
    """A lease that this agent does not serve."""

    code = "lease_refused"

    def __init__(self, fact: str) -> None:
        self.fact = fact
        super().__init__(f"lease refused: {fact}")


class VoucherRefused(ProtocolError):
    """A voucher that does not pay what the segment earned."""

    code = "voucher_refused"

    def __init__(self, fact: str) -> None:
        self.fact = fact
        super().__init__(f"voucher refused: {fact}; no further segment is served until a right one comes")


class AgentError(GridleaseError):
    """The agent cannot start as it is."""

    code = "agent"

    def __init__(self, fact: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(f"{fact}; {remedy}")
