"""JSON-RPC over HTTP, plain and synchronous: bulk reads for the indexer, and all that a buyer's bare install needs."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Final, Self
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import msgspec
import orjson
import urllib3
from msgspec import Raw
from urllib3.util import make_headers, parse_url

from protocol.errors import NodeUnavailable, RpcRefused, WrongChain

#: connections that are kept; threads may ask side by side
_CONNECTIONS: Final = 8
#: what JSON that is none, or of another shape, raises
NO_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Answer(msgspec.Struct):
    """To one call. The result is read once somebody knows what it should be."""

    id: int | float | str | None = None
    result: Raw | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, Any] | None = None


_DECODER: Final = msgspec.json.Decoder(_Answer | list[_Answer])


class Rpc:
    """One node. Raises `NodeUnavailable` when it does not answer and `RpcRefused` when it answers with an error."""

    def __init__(self, url: str, timeout_seconds: int = 10) -> None:
        self.url = url
        self._http = _pool(url, timeout_seconds)
        self._ids = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.clear()

    def call(self, method: str, *params: Any) -> Any:
        """The result of one call."""
        return self.batch([(method, params)])[0]

    def batch(self, calls: Iterable[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Results in the order of the calls; the first error in that order is raised."""
        return self.decoded(self.batch_raw(calls))

    def batch_raw(self, calls: Iterable[tuple[str, Sequence[Any]]]) -> list[Raw]:
        """Like `batch`, each result as the JSON that it came as: a type can be decoded faster than anything."""
        requests: list[dict[str, Any]] = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
            for method, params in calls
        ]
        if not requests:
            return []
        answers = self._post(requests[0] if len(requests) == 1 else requests)
        by_id = {answer.id: answer for answer in answers}
        return [self._result(request, by_id.get(request["id"])) for request in requests]

    def decoded(self, results: list[Raw]) -> list[Any]:
        """What `batch` would have said."""
        try:
            return [msgspec.json.decode(result) for result in results]
        except NO_JSON as error:
            raise NodeUnavailable(self.url, f"a result is no JSON: {error}") from error

    def _post(self, body: Any) -> list[_Answer]:
        try:
            response = self._http.request("POST", self.url, body=orjson.dumps(body))
            decoded = _DECODER.decode(response.data)
        except urllib3.exceptions.HTTPError as error:
            raise NodeUnavailable(self.url, str(error) or type(error).__name__) from error
        except NO_JSON as error:
            raise NodeUnavailable(self.url, f"HTTP {response.status} without JSON-RPC: {error}") from error
        return decoded if isinstance(decoded, list) else [decoded]

    def _result(self, request: dict[str, Any], answer: _Answer | None) -> Raw:
        method = request["method"]
        if answer is None:
            # A wrong id is a wrong answer: taking it could attribute another call's result to this one.
            raise NodeUnavailable(self.url, f"no answer to {method} with its id")
        if answer.error is not None:
            code = answer.error.get("code")
            message = str(answer.error.get("message", ""))
            raise RpcRefused(method, code if isinstance(code, int) else 0, message, answer.error.get("data"))
        if isinstance(answer.result, msgspec.UnsetType):
            raise NodeUnavailable(self.url, f"{method} answered with neither result nor error")
        return answer.result

    def chain_id(self) -> int:
        return int(self.call("eth_chainId"), 16)

    def require_chain(self, expected: int) -> None:
        """Raises `WrongChain` unless the node serves this chain."""
        found = self.chain_id()
        if found != expected:
            raise WrongChain(expected, found)

    def block_number(self) -> int:
        return int(self.call("eth_blockNumber"), 16)


def _pool(url: str, timeout_seconds: int) -> urllib3.PoolManager:
    """As other clients do: by the environment's proxy, with the user and password of the URL, compressed."""
    at = parse_url(url)
    headers = make_headers(accept_encoding=True, basic_auth=at.auth and unquote(at.auth)) | {
        "content-type": "application/json"
    }
    settings: dict[str, Any] = {
        "maxsize": _CONNECTIONS,
        "timeout": urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds),
        # A call that was perhaps done is not repeated here: who asks knows whether it may be.
        "retries": False,
        "headers": headers,
    }
    proxy = getproxies().get(at.scheme or "")
    if proxy and not proxy_bypass(at.host or ""):
        return urllib3.ProxyManager(proxy, **settings)
    return urllib3.PoolManager(**settings)
