"""`eth_getProof` answers: the paths in them, and the ledger's head, checked against a header's state root. Pure."""

from typing import Any, Final

from protocol.errors import BadHex, BadProof
from protocol.events import HEAD_SLOT
from protocol.hashing import from_hex, to_hex
from protocol.proofs import Header, verify_storage


def slot_keys(*slots: int) -> list[str]:
    """As `eth_getProof` takes them."""
    return [to_hex(slot.to_bytes(32, "big")) for slot in slots]


HEAD_KEYS: Final = slot_keys(HEAD_SLOT)


def read_paths(answer: Any, count: int) -> tuple[list[bytes], list[list[bytes]]]:
    """The path to the account, and one to each of `count` slots, unchecked. Raises `BadProof` on another shape."""
    try:
        storage = [_nodes(entry["proof"]) for entry in answer["storageProof"]]
        if len(storage) != count:
            raise BadProof("state", f"the node answered {len(storage)} slots, asked were {count}")
        return _nodes(answer["accountProof"]), storage
    except (KeyError, IndexError, TypeError, BadHex) as error:
        raise BadProof("state", f"the node's answer is no proof: {error!r}") from error


def read_head_slot(answer: Any, header: Header, ledger: bytes) -> int:
    """The ledger's slot 0 after the header's block. Raises `BadProof`."""
    account, (storage,) = read_paths(answer, 1)
    return verify_storage(header.state_root, ledger, HEAD_SLOT, account, storage)


def _nodes(texts: Any) -> list[bytes]:
    return [from_hex(text) for text in texts]
