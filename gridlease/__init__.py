"""Gridlease: buy and sell verified compute. `from gridlease import Client` is the buyer's way in.

Names are loaded when they are first used, so that the command line and the server do not pay for the SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from client.drafts import Draft
    from client.errors import JobFailed, JobNotEnded, MarketRefused, MarketUnavailable, NotFunded, NotMatched
    from client.events import JobEvent
    from client.sdk import Client, Outcome
    from protocol.errors import GridleaseError
    from protocol.manifest import Manifest
    from protocol.wire.jobs import Job, Needs, Quote

__all__ = [
    "Client",
    "Draft",
    "GridleaseError",
    "Job",
    "JobEvent",
    "JobFailed",
    "JobNotEnded",
    "Manifest",
    "MarketRefused",
    "MarketUnavailable",
    "Needs",
    "NotFunded",
    "NotMatched",
    "Outcome",
    "Quote",
]

_HOMES: Final[dict[str, str]] = {
    "Client": "client.sdk",
    "Draft": "client.drafts",
    "GridleaseError": "protocol.errors",
    "Job": "protocol.wire.jobs",
    "JobEvent": "client.events",
    "JobFailed": "client.errors",
    "JobNotEnded": "client.errors",
    "Manifest": "protocol.manifest",
    "MarketRefused": "client.errors",
    "MarketUnavailable": "client.errors",
    "Needs": "protocol.wire.jobs",
    "NotFunded": "client.errors",
    "NotMatched": "client.errors",
    "Outcome": "client.sdk",
    "Quote": "protocol.wire.jobs",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gridlease' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
