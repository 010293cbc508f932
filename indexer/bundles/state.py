"""Storage proofs from a node, `eth_getProof` → the nodes of a bundle."""

from collections.abc import Sequence

from indexer.proofs import read_paths, slot_keys
from protocol.bundle.state import shared_nodes
from protocol.hashing import to_hex
from protocol.rpc import Rpc


def storage_paths(
    rpc: Rpc, ledger: bytes, slots: Sequence[int], block_hash: bytes
) -> tuple[list[bytes], list[list[bytes]]]:
    """The path to the ledger's account, and one to each slot, as the node says them; nothing is checked here.

    Raises `BadProof` when the answer has another shape, and what `Rpc` raises.
    """
    answer = rpc.call("eth_getProof", to_hex(ledger), slot_keys(*slots), to_hex(block_hash))
    return read_paths(answer, len(slots))


def slot_nodes(rpc: Rpc, ledger: bytes, slot: int, block_hash: bytes) -> list[bytes]:
    """The nodes that prove one slot."""
    return shared_nodes(*storage_paths(rpc, ledger, [slot], block_hash))
