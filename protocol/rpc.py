"""JSON-RPC over HTTP, plain and synchronous: bulk reads for the indexer, and all that a buyer's bare install needs."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Self

import httpx
import orjson

from protocol.errors import NodeUnavailable, RpcRefused, WrongChain


class Rpc:
    """One node. Raises `NodeUnavailable` when it does not answer and `RpcRefused` when it answers with an error."""

    def __init__(self, url: str, timeout_seconds: int = 10) -> None:
        self.url = url
        self._http = httpx.Client(timeout=timeout_seconds, headers={"content-type": "application/json"})
        self._ids = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, *params: Any) -> Any:
        """The result of one call."""
        return self.batch([(method, params)])[0]

    def batch(self, calls: Iterable[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Results in the order of the calls; the first error in that order is raised."""
        requests = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
            for method, params in calls
        ]
        if not requests:
            return []
        answers = self._post(requests[0] if len(requests) == 1 else requests)
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        return [self._result(request, by_id.get(request["id"])) for request in requests]

    def _post(self, body: Any) -> list[Any]:
        try:
            response = self._http.post(self.url, content=orjson.dumps(body))
            decoded = orjson.loads(response.content)
        except httpx.HTTPError as error:
            raise NodeUnavailable(self.url, str(error) or type(error).__name__) from error
        except orjson.JSONDecodeError as error:
            raise NodeUnavailable(self.url, f"HTTP {response.status_code} without JSON") from error
        return decoded if isinstance(decoded, list) else [decoded]

    def _result(self, request: dict[str, Any], answer: dict[str, Any] | None) -> Any:
        method = request["method"]
        if answer is None:
            # A wrong id is a wrong answer: taking it could attribute another call's result to this one.
            raise NodeUnavailable(self.url, f"no answer to {method} with its id")
        error = answer.get("error")
        if error is not None:
            raise RpcRefused(method, int(error.get("code", 0)), str(error.get("message", "")), error.get("data"))
        if "result" not in answer:
            raise NodeUnavailable(self.url, f"{method} answered with neither result nor error")
        return answer["result"]

    def chain_id(self) -> int:
        return int(self.call("eth_chainId"), 16)

    def require_chain(self, expected: int) -> None:
        """Raises `WrongChain` unless the node serves this chain."""
        found = self.chain_id()
        if found != expected:
            raise WrongChain(expected, found)

    def block_number(self) -> int:
        return int(self.call("eth_blockNumber"), 16)
