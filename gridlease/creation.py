"""When a contract was created, found by asking an old state whether it was there."""

from gridlease.factory import code_at
from protocol.errors import ChainError, RpcRefused
from protocol.hashing import Address
from protocol.rpc import Rpc


class HistoryPruned(ChainError):
    """The node no longer has the states of old blocks."""

    code = "history_pruned"

    def __init__(self, address: Address, block: int, fact: str) -> None:
        self.remedy = "use an archive node, or the deployment file that was written at the time"
        super().__init__(
            f"{address} is there already, and when it came cannot be found: "
            f"the node does not say what it held at block {block} ({fact}); {self.remedy}"
        )


def creation_block(rpc: Rpc, address: Address) -> int:
    """The first block after which the contract has code; raises `HistoryPruned`.

    A binary search is enough, because none of our contracts can destroy itself.
    """
    low, high = 0, rpc.block_number()
    while low < high:
        middle = (low + high) // 2
        try:
            there = code_at(rpc, address, hex(middle))
        except RpcRefused as error:
            raise HistoryPruned(address, middle, error.rpc_message) from error
        if there:
            high = middle
        else:
            low = middle + 1
    return low
