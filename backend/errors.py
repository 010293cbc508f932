"""What the market refuses, as typed errors, and the one table that gives each its HTTP status."""

from typing import Any, ClassVar

from protocol import errors as protocol_errors
from protocol.errors import GridleaseError, MarketError


class RequestRefused(MarketError):
    """Base of the refusals that tell the caller what to change."""

    remedy: ClassVar[str] = ""

    def __init__(self, fact: str, *, remedy: str | None = None, **facts: Any) -> None:
        self.facts = facts
        self.said_remedy = remedy or self.remedy
        super().__init__(fact)


class NotSignedIn(RequestRefused):
    """No, an unknown, an expired or a revoked credential."""

    code = "not_signed_in"
    remedy = "send `Authorization: Bearer …` with an API key (gridlease login) or a session token"


class NotAllowed(RequestRefused):
    """A good credential of somebody else."""

    code = "not_allowed"
    remedy = "use the credential of the account that owns it"


class NotFound(RequestRefused):
    """No such thing, or not yours."""

    code = "not_found"
    remedy = "check the id"


class SignInRefused(RequestRefused):
    """An EIP-4361 message that does not sign anybody in."""

    code = "sign_in_refused"
    remedy = "ask POST /v1/auth/nonce for a nonce and sign exactly its domain, uri and chain id"


class BadRequest(RequestRefused):
    """A well-formed request that breaks a rule of this interface."""

    code = "bad_request"


class TooLarge(RequestRefused):
    """A body or file over its limit."""

    code = "too_large"


class IdempotencyConflict(RequestRefused):
    """The same Idempotency-Key with another body."""

    code = "idempotency_conflict"
    remedy = "use a new Idempotency-Key for a new request"


class NotFunded(RequestRefused):
    """The account or the delegate's cap cannot cover the order."""

    code = "not_funded"
    remedy = "deposit (gridlease account deposit) or raise the delegate's cap (gridlease account delegate)"


class OverCap(RequestRefused):
    """The order costs more than a cap of the API key leaves."""

    code = "over_cap"


class ScopeMissing(RequestRefused):
    """An API key without the scope for this call."""

    code = "scope_missing"


class TooManyRequests(RequestRefused):
    """A credential or an address asks more often than its limit allows."""

    code = "too_many_requests"
    remedy = "wait as long as Retry-After says"


class LimitsUnknown(RequestRefused):
    """The store of the rate limits does not answer, so nothing may be written."""

    code = "limits_unknown"
    remedy = "try again in a moment; reading works meanwhile"


class InFlight(RequestRefused):
    """The same Idempotency-Key is being worked on."""

    code = "in_flight"
    remedy = "send it again in a moment; the answer will be that of the first"


class StorageFull(RequestRefused):
    """No room for the bytes; what was stored before is safe."""

    code = "storage_full"
    remedy = "try again later; an upload goes on from where it stands"


class OffsetMismatch(RequestRefused):
    """A piece of an upload that does not begin where the upload stands."""

    code = "offset_mismatch"
    remedy = "ask HEAD for Upload-Offset and go on from there"


class UploadBusy(RequestRefused):
    """Another request writes to this upload."""

    code = "upload_busy"
    remedy = "wait for it, or try again in a moment"


class TooSlow(RequestRefused):
    """A body that comes by drops."""

    code = "too_slow"
    remedy = "send it again over a better line; large files go up in pieces (POST /v1/files/uploads)"


class OtherTusVersion(RequestRefused):
    """An upload by another version of the protocol."""

    code = "other_tus_version"
    remedy = "send Tus-Resumable: 1.0.0"


class NotMatched(RequestRefused):
    """No live offer meets the order."""

    code = "not_matched"


class OfferRefused(RequestRefused):
    """An offer that could never open a lease."""

    code = "offer_refused"


class OrderRefused(RequestRefused):
    """An order that a buyer signed and that this market cannot serve."""

    code = "order_refused"


class UsageRefused(RequestRefused):
    """A usage receipt that no voucher answers."""

    code = "usage_refused"


class LeaseNotRunning(RequestRefused):
    """The lease is not open in the mirror."""

    code = "lease_not_running"
    remedy = "wait until the chain shows the lease as open, then send it again"


class MirrorBehind(RequestRefused):
    """The mirror cannot answer yet."""

    code = "mirror_behind"
    remedy = "try again in a moment; see /v1/ledger/status"


class EventsGone(RequestRefused):
    """Events that retention has removed."""

    code = "events_gone"
    remedy = "ask GET /v1/jobs/{id}: what came of the job is kept for ever"


class TooManyStreams(RequestRefused):
    """The account holds as many streams of events open as it may."""

    code = "too_many_streams"
    remedy = "close one of them, or ask GET /v1/jobs/{id} now and then"


STATUSES: dict[type[GridleaseError], int] = {
    NotSignedIn: 401,
    SignInRefused: 401,
    NotFunded: 402,
    OverCap: 402,
    NotAllowed: 403,
    ScopeMissing: 403,
    NotFound: 404,
    TooSlow: 408,
    NotMatched: 409,
    EventsGone: 410,
    InFlight: 409,
    OffsetMismatch: 409,
    OtherTusVersion: 412,
    UploadBusy: 423,
    TooManyRequests: 429,
    LimitsUnknown: 503,
    StorageFull: 507,
    LeaseNotRunning: 409,
    TooLarge: 413,
    IdempotencyConflict: 422,
    BadRequest: 400,
    OfferRefused: 422,
    OrderRefused: 422,
    UsageRefused: 422,
    TooManyStreams: 429,
    MirrorBehind: 503,
    RequestRefused: 400,
    protocol_errors.WrongChain: 422,
    protocol_errors.ProtocolError: 422,
    protocol_errors.ChainError: 503,
    protocol_errors.MirrorError: 503,
    MarketError: 400,
    GridleaseError: 500,
}


def status_of(error: GridleaseError) -> int:
    """The status of the nearest class in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
