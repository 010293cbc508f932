"""HTTP to a market. A call is repeated after a broken connection only if repeating it cannot act twice."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx
import orjson
from pydantic import BaseModel, SecretStr, ValidationError

from client.errors import BadAnswer, MarketRefused, MarketUnavailable, refused
from protocol.wire.problems import MEDIA_TYPE, Problem

ATTEMPTS: Final = 4
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_COME_BACK: Final = frozenset({429, 502, 503, 504})
_GATEWAY: Final = frozenset({502, 503, 504})

M = TypeVar("M", bound=BaseModel)
Body = bytes | Callable[[], Iterable[bytes]] | None
"""Bytes, or a function that starts the stream anew for each attempt."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """An answer whose body is still coming."""

    status: int
    pieces: Iterator[bytes]


class Http:
    """One market, one key. Raises `MarketRefused`, `MarketUnavailable` and `BadAnswer`, nothing of httpx."""

    def __init__(
        self, url: str, key: SecretStr | None = None, *, timeout_seconds: float = 30.0, attempts: int = ATTEMPTS
    ) -> None:
        self.url = url
        self._attempts = attempts
        headers = {"accept": "application/json"}
        if key is not None:
            headers["authorization"] = f"Bearer {key.get_secret_value()}"
        # Redirects stay off: a key must not follow one to another host.
        self._client = httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds, follow_redirects=False)

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, model: type[M], **params: Any) -> M:
        """The decoded answer to GET."""
        return self._decode(f"GET {path}", model, self.request("GET", path, params=params))

    def post(
        self,
        path: str,
        model: type[M],
        body: BaseModel | None = None,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        wait_seconds: int = 0,
        **params: Any,
    ) -> M:
        """The decoded answer to POST; repeated after a broken connection only under an idempotency key."""
        sent = dict(headers or {})
        if idempotency_key is not None:
            sent["idempotency-key"] = idempotency_key
        if wait_seconds:
            sent["prefer"] = f"wait={wait_seconds}"
        content = body.model_dump_json().encode() if body is not None else None
        if content is not None:
            sent["content-type"] = "application/json"
        response = self.request("POST", path, content=content, headers=sent, params=params, wait_seconds=wait_seconds)
        return self._decode(f"POST {path}", model, response)

    def patch(self, path: str, model: type[M], change: BaseModel) -> M:
        """The decoded answer to PATCH with only those fields of `change` that were set."""
        content = change.model_dump_json(exclude_unset=True).encode()
        response = self.request("PATCH", path, content=content, headers={"content-type": "application/json"})
        return self._decode(f"PATCH {path}", model, response)

    def request(
        self,
        method: str,
        path: str,
        *,
        content: Body = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        wait_seconds: int = 0,
    ) -> httpx.Response:
        """The whole answer; refusals are raised."""
        return self._repeat(
            method,
            path,
            headers or {},
            lambda: self._client.request(
                method,
                path,
                content=content() if callable(content) else content,
                headers=headers,
                params=params,
                timeout=self._patience(wait_seconds),
            ),
        )

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[Incoming]:
        """The body of a GET, piece by piece; refusals are raised before the first piece."""

        def open_stream() -> httpx.Response:
            response = self._client.send(self._client.build_request("GET", path, headers=headers), stream=True)
            if response.status_code >= 300:
                response.read()
            return response

        response = self._repeat("GET", path, {}, open_stream)
        try:
            yield Incoming(response.status_code, self._pieces(response))
        finally:
            response.close()

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise MarketUnavailable(self.url, _fact(error)) from error

    def _patience(self, wait_seconds: int) -> httpx.Timeout:
        usual = self._client.timeout
        if not wait_seconds:
            return usual
        return httpx.Timeout(connect=usual.connect, write=usual.write, pool=usual.pool, read=wait_seconds + 30.0)

    def _repeat(
        self, method: str, path: str, headers: Mapping[str, str], attempt: Callable[[], httpx.Response]
    ) -> httpx.Response:
        attempts = self._attempts if method in _IDEMPOTENT or "idempotency-key" in headers else 1
        pause = FIRST_PAUSE_SECONDS
        for left in range(attempts - 1, -1, -1):
            try:
                response = attempt()
            except httpx.TransportError as error:
                if not left:
                    raise MarketUnavailable(self.url, _fact(error)) from error
            except httpx.HTTPError as error:
                raise BadAnswer(f"{method} {path}", _fact(error)) from error
            else:
                if response.is_success:
                    return response
                if not left or response.status_code not in _COME_BACK:
                    if response.status_code in _GATEWAY and not _is_problem(response):
                        raise MarketUnavailable(self.url, f"a gateway says {response.status_code}")
                    raise _refusal(f"{method} {path}", response)
                pause = max(pause, _retry_after(response))
            time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
            pause *= 2
        raise MarketUnavailable(self.url, "no attempt was allowed")

    @staticmethod
    def _decode(what: str, model: type[M], response: httpx.Response) -> M:
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise BadAnswer(what, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _refusal(what: str, response: httpx.Response) -> MarketRefused | BadAnswer:
    try:
        problem = Problem.model_validate(orjson.loads(response.content))
    except (orjson.JSONDecodeError, ValidationError):
        if response.request.method == "HEAD" or response.status_code in (401, 403, 404):
            return refused(f"http_{response.status_code}", response.status_code, f"{what} gave {response.status_code}")
        return BadAnswer(what, f"HTTP {response.status_code} without problem+json")
    return refused(problem.code, response.status_code, problem.detail, problem.remedy, problem.model_extra)


def _is_problem(response: httpx.Response) -> bool:
    return bool(response.headers.get("content-type", "").startswith(MEDIA_TYPE))


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdigit() else 0.0


def _fact(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
