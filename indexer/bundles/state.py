"""Storage proofs from a node, `eth_getProof` → the nodes of a bundle."""

from collections.abc import Sequence
from typing import Any

from protocol.bundle.state import shared_nodes
from protocol.errors import BadHex, BadProof
from protocol.hashing import from_hex, to_hex
from protocol.rpc import Rpc


def storage_paths(
    rpc: Rpc, ledger: bytes, slots: Sequence[int], block_hash: bytes
) -> tuple[list[bytes], list[list[bytes]]]:
    """The path to the ledger's account, and one to each slot, as the node says them; nothing is checked here.

    Raises `BadProof` when the answer has another shape, and what `Rpc` raises.
    """
    keys = [to_hex(slot.to_bytes(32, "big")) for slot in slots]
    answer = rpc.call("eth_getProof", to_hex(ledger), keys, to_hex(block_hash))
    try:
        storage = [_nodes(entry["proof"]) for entry in answer["storageProof"]]
        if len(storage) != len(slots):
            raise BadProof("state", f"the node answered {len(storage)} slots, asked were {len(slots)}")
        return _nodes(answer["accountProof"]), storage
    except (KeyError, IndexError, TypeError, BadHex) as error:
        raise BadProof("state", f"the node's answer is no proof: {error!r}") from error


def slot_nodes(rpc: Rpc, ledger: bytes, slot: int, block_hash: bytes) -> list[bytes]:
    """The nodes that prove one slot."""
    return shared_nodes(*storage_paths(rpc, ledger, [slot], block_hash))


def _nodes(texts: Any) -> list[bytes]:
    return [from_hex(text) for text in texts]
