"""Rate limits (threat A3): how many requests a minute an address and a credential may make, by class of route.

Counted in memory, or in Redis for all processes together. Where Redis is away reads go on, counted here, and writes
are refused: what nobody counts nobody may do.
"""

import ipaddress
import threading
import time
from dataclasses import dataclass
from typing import Any, Final, Literal

from anyio import to_thread
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import problems
from backend.errors import LimitsUnknown, RequestRefused, TooManyRequests, status_of
from backend.settings import MarketSettings
from protocol.clock import now_time

Class = Literal["read", "write", "sign-in"]
Who = Literal["address", "credential"]

_SCOPE_KEY: Final = "gridlease.allowances"
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REDIS_SECONDS: Final = 0.5
_REST_SECONDS: Final = 1.0
"""A store that failed is not asked for so long: to wait for one that hangs would take every thread."""
_SWEEP_SECONDS: Final = 1.0
_STORE_FAILURES: Final = (StorageError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is left of one limit."""

    policy: str
    quota: int
    window_seconds: int
    remaining: int
    #: seconds until there is more
    reset_seconds: int


def class_of(method: str, path: str) -> Class:
    """The class of a route."""
    if path.startswith("/v1/auth/"):
        return "sign-in"
    return "read" if method in _READS else "write"


class RateLimits:
    """The limits of one process, or by a shared store of all."""

    def __init__(self, settings: MarketSettings) -> None:
        self._items: dict[tuple[Who, Class], RateLimitItem] = {
            ("address", "read"): RateLimitItemPerMinute(settings.address_reads_per_minute),
            ("address", "write"): RateLimitItemPerMinute(settings.address_writes_per_minute),
            ("address", "sign-in"): RateLimitItemPerMinute(settings.address_sign_ins_per_minute),
            ("credential", "read"): RateLimitItemPerMinute(settings.credential_reads_per_minute),
            ("credential", "write"): RateLimitItemPerMinute(settings.credential_writes_per_minute),
            # Signing out; signing in has no credential yet.
            ("credential", "sign-in"): RateLimitItemPerMinute(settings.credential_writes_per_minute),
        }
        self._here = SlidingWindowCounterRateLimiter(_SeldomSwept())
        self._rests_until = 0.0
        self._shared = None
        if settings.limits_url != "memory://":
            self._shared = SlidingWindowCounterRateLimiter(_store(settings.limits_url))

    async def take(self, who: Who, kind: Class, identity: str) -> Allowance:
        """Counts one request; raises `TooManyRequests`, `LimitsUnknown`."""
        item = self._items[who, kind]
        if self._shared is None:
            return _take(self._here, item, who, kind, identity)
        if time.monotonic() >= self._rests_until:
            try:
                return await to_thread.run_sync(self._take_shared, self._shared, item, who, kind, identity)
            except _STORE_FAILURES:
                self._rests_until = time.monotonic() + _REST_SECONDS
        if kind != "read":
            raise LimitsUnknown("the rate limits cannot be counted")
        return _take(self._here, item, who, kind, identity)

    def _take_shared(self, limiter: SlidingWindowCounterRateLimiter, *counted: Any) -> Allowance:
        if time.monotonic() < self._rests_until:
            # Another request found out while this one waited for a thread.
            raise StorageError(TimeoutError("the store rests"))
        return _take(limiter, *counted)


class _SeldomSwept(MemoryStorage):
    """The library's counters, swept once a second: by itself it begins a thread for that a hundred times a second."""

    # What has expired is not counted, swept or not.
    def _MemoryStorage__schedule_expiry(self) -> None:  # noqa: N802 - the library's own name for it
        if not self.timer.is_alive():
            self.timer = threading.Timer(_SWEEP_SECONDS, self._MemoryStorage__expire_events)  # type: ignore[attr-defined]
            self.timer.daemon = True
            self.timer.start()


def _store(url: str) -> Storage:
    store = storage_from_string(
        url, wrap_exceptions=True, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
    )
    assert isinstance(store, Storage)  # noqa: S101 - the other kind has another scheme
    return store


def _take(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, who: Who, kind: Class, identity: str
) -> Allowance:
    policy = f"{who}-{kind}"
    granted = limiter.hit(item, policy, identity)
    stats = limiter.get_window_stats(item, policy, identity)
    allowance = Allowance(
        policy=policy,
        quota=item.amount,
        window_seconds=item.get_expiry(),
        remaining=stats.remaining,
        reset_seconds=min(item.get_expiry(), max(1, round(stats.reset_time) - now_time())),
    )
    if not granted:
        raise TooManyRequests(
            f"this {who} may make {item.amount} {kind} requests a minute",
            policy=policy,
            retry_after_seconds=allowance.reset_seconds,
        )
    return allowance


def remember(scope: Any, allowance: Allowance) -> None:
    """The answer's headers will tell of it."""
    scope.setdefault(_SCOPE_KEY, []).append(allowance)


def headers_of(allowances: list[Allowance]) -> list[tuple[bytes, bytes]]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers)."""
    policy = ", ".join(f'"{one.policy}";q={one.quota};w={one.window_seconds}' for one in allowances)
    left = ", ".join(f'"{one.policy}";r={one.remaining};t={one.reset_seconds}' for one in allowances)
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode())]


class LimitedAddresses:
    """Plain ASGI around the market's routes: counts by address before anything is looked up, and adds the headers."""

    def __init__(self, app: ASGIApp, *, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_ours(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and (allowances := scope.get(_SCOPE_KEY)):
                message["headers"] = [*message["headers"], *headers_of(allowances)]
            await send(message)

        try:
            kind = class_of(scope["method"], scope["path"])
            remember(scope, await self._limits.take("address", kind, _address(scope)))
        except RequestRefused as error:
            await problems.refusal(error, status_of(error))(scope, receive, send)
            return
        await self._app(scope, receive, send_with_headers)


def _is_ours(path: str) -> bool:
    return path.startswith("/v1/") and not path.startswith("/v1/ledger")


def _address(scope: Scope) -> str:
    """The peer's address; of IPv6 the /64, which is what one customer of a network has."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
