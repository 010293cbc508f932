"""Storage words of the ledger under a block's state root, by one shared set of trie nodes."""

from collections.abc import Iterable

from protocol.hashing import keccak256
from protocol.proofs import Header, Witness, slot_value, storage_root
from protocol.rlp import encode


class StateWalk:
    """Reads slots in the order asked; `finish` refuses what no slot needed."""

    def __init__(self, header: Header, ledger: bytes, nodes: list[bytes]) -> None:
        """Raises `BadProof` if the ledger's account is not proved."""
        self._witness = Witness(nodes)
        self._root = storage_root(self._witness.value(header.state_root, keccak256(ledger)))

    def word(self, slot: int) -> int:
        """The word in a slot, 0 if the trie provably has none; raises `BadProof`."""
        return slot_value(self._witness.value(self._root, keccak256(slot.to_bytes(32, "big"))))

    def finish(self) -> None:
        self._witness.finish()


def mapping_slot(mapping: int, key: bytes) -> int:
    """Where a Solidity mapping in slot `mapping` keeps the value of a 32-byte key."""
    return int.from_bytes(keccak256(key + mapping.to_bytes(32, "big")), "big")


def shared_nodes(account: list[bytes], storage: Iterable[list[bytes]]) -> list[bytes]:
    """Paths as `eth_getProof` answers them → the nodes of a bundle: each once, in the order of first need."""
    nodes = dict.fromkeys([*account, *(node for path in storage for node in path)])
    # Nodes spell an empty trie as its one empty string; its root says that already.
    nodes.pop(encode(b""), None)
    return list(nodes)


def mapping_word(header: Header, ledger: bytes, slot: int, account: list[bytes], path: list[bytes]) -> int:
    """One word by its own path, for whoever must know it before choosing the other paths; raises `BadProof`."""
    walk = StateWalk(header, ledger, shared_nodes(account, [path]))
    word = walk.word(slot)
    walk.finish()
    return word
