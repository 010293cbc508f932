"""The node behind the explorer, for what no mirror of a ledger holds. Nothing is asked of it but reads."""

from typing import Any, Final

from explorer.etherscan.replies import UNAVAILABLE, RpcError
from protocol.errors import ChainError, RpcRefused
from protocol.rpc import Rpc

#: seconds; a reader's thread waits for it
_PATIENCE: Final = 5
READS: Final = frozenset(
    {
        "eth_getBalance",
        "eth_getCode",
        "eth_getStorageAt",
        "eth_getTransactionCount",
        "eth_gasPrice",
        "eth_call",
        "eth_estimateGas",
    }
)


class Node:
    """A node's answers; without a URL every question is refused."""

    def __init__(self, url: str | None) -> None:
        self._url = url

    def ask(self, calls: list[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """The results of read calls, in order; raises `RpcError`."""
        unread = [method for method, _ in calls if method not in READS]
        if unread:
            raise AssertionError(f"{unread[0]} is not a read")
        if self._url is None:
            raise RpcError(
                "This explorer was started without a node and its mirror does not hold that; ask a node of the chain",
                UNAVAILABLE,
            )
        try:
            with Rpc(self._url, timeout_seconds=_PATIENCE) as rpc:
                return rpc.batch(calls)
        except RpcRefused as error:
            raise RpcError(error.rpc_message, error.rpc_code, error.data) from error
        except ChainError as error:
            # The error's own words name the operator's node.
            raise RpcError("The node behind this explorer does not answer now; try again", UNAVAILABLE) from error
