"""The market over HTTP: the only file of the agent that knows its URLs. Hints come from here, facts do not."""

import contextlib
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from protocol.clock import now_at
from protocol.errors import ProtocolError
from protocol.hashing import cid_of, sha256, to_hex
from protocol.keys import Signer
from protocol.messages import to_json
from protocol.signin import sign_in_message, sign_text
from protocol.terms import Offer
from protocol.wire.accounts import ChainInfo, NonceAnswer, Session, VerifyRequest
from protocol.wire.leases import (
    CommitmentAnswer,
    Countersignature,
    FailureReport,
    LeasePage,
    LeaseWork,
    SignedVoucher,
    UsageCommitment,
    UsageReport,
)
from protocol.wire.offers import OfferInfo, OfferPage, OfferRequest
from protocol.wire.problems import Problem
from provider.errors import MarketRefused, MarketUnavailable
from provider.uploads import Pieces

MAX_FILE_BYTES: Final = 256 * 1024**2
WHOLE_BYTES: Final = 8 * 1024**2
"""What is not larger goes in one request."""
_COME_BACK: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIRST_REFUSAL: Final = 400

M = TypeVar("M", bound=BaseModel)


class Market(Protocol):
    """What an agent needs of a market. Raises `MarketUnavailable` and `MarketRefused`."""

    def chain(self) -> ChainInfo: ...

    def offers(self) -> list[OfferInfo]: ...

    def post_offer(self, offer: Offer, signature: bytes) -> None: ...

    def withdraw_offer(self, digest: bytes) -> None: ...

    def leases(self) -> list[LeaseWork]:
        """Leases that the market thinks are this provider's; asking also says that the provider is alive."""
        ...

    def fetch(self, cid: str) -> bytes:
        """A file, its hash checked."""
        ...

    def store(self, data: bytes) -> str:
        """Uploads a file, once or again; its CID."""
        ...

    def commit_usage(self, lease: bytes, commitment: UsageCommitment) -> bool:
        """Whether the segment that is committed to may be shown now."""
        ...

    def report_usage(self, lease: bytes, report: UsageReport) -> SignedVoucher | None:
        """The voucher for a segment, None while it is not accepted; the same report gives the same voucher."""
        ...

    def countersign(self, lease: bytes, signature: bytes) -> None: ...

    def report_failure(self, lease: bytes, reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What came back, whole."""

    #: the request, for people
    what: str
    status: int
    body: bytes
    headers: dict[str, str]


class HttpMarket:
    """A market behind a URL; signs in with the operator key whenever it must."""

    def __init__(self, url: str, key: Signer, *, timeout_seconds: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._key = key
        # Redirects stay off: a token must not follow one to another host.
        self._http = httpx.Client(base_url=self.url, timeout=timeout_seconds, follow_redirects=False)
        self._token: str | None = None
        self._pieces = Pieces(self._headers_of)

    def close(self) -> None:
        self._http.close()

    def chain(self) -> ChainInfo:
        return _decoded(ChainInfo, self._ask("GET", "/v1/chain"))

    def offers(self) -> list[OfferInfo]:
        return _decoded(OfferPage, self._ask("GET", "/v1/offers")).data

    def post_offer(self, offer: Offer, signature: bytes) -> None:
        body = OfferRequest(offer=to_json(offer), signature=to_hex(signature))
        self._as_provider("POST", "/v1/offers", body)

    def withdraw_offer(self, digest: bytes) -> None:
        self._as_provider("DELETE", f"/v1/offers/{to_hex(digest)}")

    def leases(self) -> list[LeaseWork]:
        return _decoded(LeasePage, self._as_provider("GET", "/v1/provider/leases")).data

    def fetch(self, cid: str) -> bytes:
        data = self._as_provider("GET", f"/v1/files/{cid}").body
        if cid_of(sha256(data)) != cid:
            raise MarketUnavailable(f"GET /v1/files/{cid}", "the bytes have another hash")
        return data

    def store(self, data: bytes) -> str:
        cid = cid_of(sha256(data))
        if len(data) > WHOLE_BYTES:
            self._pieces.store(cid, data)
        else:
            self._as_provider("PUT", f"/v1/files/{cid}", data)
        return cid

    def _headers_of(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> dict[str, str]:
        return self._as_provider(method, path, body, headers).headers

    def commit_usage(self, lease: bytes, commitment: UsageCommitment) -> bool:
        path = f"/v1/provider/leases/{to_hex(lease)}/usage-commitments"
        return _decoded(CommitmentAnswer, self._as_provider("POST", path, commitment)).may_reveal

    def report_usage(self, lease: bytes, report: UsageReport) -> SignedVoucher | None:
        path = f"/v1/provider/leases/{to_hex(lease)}/usage-receipts"
        answer = self._as_provider("POST", path, report)
        return None if answer.status == httpx.codes.ACCEPTED else _decoded(SignedVoucher, answer)

    def countersign(self, lease: bytes, signature: bytes) -> None:
        body = Countersignature(signature=to_hex(signature))
        self._as_provider("POST", f"/v1/provider/leases/{to_hex(lease)}/countersign", body)

    def report_failure(self, lease: bytes, reason: str) -> None:
        self._as_provider("POST", f"/v1/provider/leases/{to_hex(lease)}/failure", FailureReport(reason=reason[:500]))

    def _as_provider(
        self, method: str, path: str, body: BaseModel | bytes | None = None, more: dict[str, str] | None = None
    ) -> _Answer:
        if self._token is None:
            self._sign_in()
        try:
            return self._ask(method, path, body, self._token, more)
        except MarketRefused as error:
            if error.status != httpx.codes.UNAUTHORIZED:
                raise
        self._sign_in()
        return self._ask(method, path, body, self._token, more)

    def _sign_in(self) -> None:
        asked = _decoded(NonceAnswer, self._ask("POST", "/v1/auth/nonce"))
        # A hostile market could pass on another market's nonce and take over the session there.
        if asked.domain != urlsplit(self.url).netloc:
            raise MarketRefused("sign-in", 0, "wrong_domain", f"{self.url} asks to sign in at {asked.domain!r}")
        message = sign_in_message(asked, self._key.address, now_at())
        body = VerifyRequest(message=message, signature=to_hex(sign_text(self._key, message)))
        self._token = _decoded(Session, self._ask("POST", "/v1/auth/verify", body)).token

    def _ask(
        self,
        method: str,
        path: str,
        body: BaseModel | bytes | None = None,
        token: str | None = None,
        more: dict[str, str] | None = None,
    ) -> _Answer:
        headers = ({"authorization": f"Bearer {token}"} if token else {}) | (more or {})
        content = body.model_dump_json().encode() if isinstance(body, BaseModel) else body
        if isinstance(body, BaseModel):
            headers["content-type"] = "application/json"
        what = f"{method} {path}"
        try:
            with self._http.stream(method, path, content=content, headers=headers) as response:
                told = dict(response.headers)
                answer = _Answer(what=what, status=response.status_code, body=_bounded(what, response), headers=told)
        except httpx.HTTPError as error:
            raise MarketUnavailable(what, str(error) or type(error).__name__) from error
        if answer.status in _COME_BACK:
            raise MarketUnavailable(what, f"HTTP {answer.status}")
        if answer.status >= _FIRST_REFUSAL:
            raise _refusal(answer)
        return answer


def _bounded(what: str, response: httpx.Response) -> bytes:
    """The body; a market cannot fill this machine's memory with it."""
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if len(body) > MAX_FILE_BYTES:
            raise MarketUnavailable(what, f"an answer of more than {MAX_FILE_BYTES} bytes")
    return bytes(body)


def _decoded(model: type[M], answer: _Answer) -> M:
    try:
        return model.model_validate_json(answer.body)
    except (ValidationError, ProtocolError) as error:
        raise MarketUnavailable(answer.what, f"an answer that is no {model.__name__}") from error


def _refusal(answer: _Answer) -> MarketRefused:
    problem: dict[str, Any] = {}
    with contextlib.suppress(ValidationError):
        problem = Problem.model_validate_json(answer.body).model_dump()
    code = problem.get("code", f"http_{answer.status}")
    return MarketRefused(answer.what, answer.status, code, problem.get("detail", "no reason"), problem.get("remedy"))
