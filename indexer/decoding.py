"""The very bytes that the chain hashed → fields by the names that a node's JSON gives them: `encoding` backwards. Pure.

Numbers are int, strings bytes, lists tuples; a recipient that is not there is None.
"""

from typing import Any, Final

from indexer.encoding import AUTHORIZATION, HEADER, LATER_HEADER, TRANSACTIONS
from protocol.errors import BadProof
from protocol.proofs import DEPOSIT_TYPE
from protocol.rlp import Item, decode_list, to_bytes, to_integer

Fields = dict[str, Any]

#: what a deposit does not have, and a wallet expects
_UNSIGNED: Final = dict.fromkeys(("chainId", "nonce", "gasPrice", "yParity", "v", "r", "s"), 0)
_NAMES: Final = (*HEADER, *LATER_HEADER)


def header_fields(encoded: bytes) -> Fields:
    """A header's fields, of any fork up to Prague; raises `BadProof`."""
    items = decode_list(encoded)
    if not len(HEADER) <= len(items) <= len(_NAMES):
        raise BadProof("header", f"{len(items)} fields")
    return {name: _value(item, kind) for (name, kind), item in zip(_NAMES, items, strict=False)}


def transaction_fields(raw: bytes) -> Fields:
    """A raw transaction's fields, `type` among them; raises `BadProof`."""
    kind = raw[0] if raw and raw[0] < 0x80 else 0
    items = decode_list(raw[1:] if kind else raw)
    if kind not in TRANSACTIONS or len(items) != len(TRANSACTIONS[kind]):
        raise BadProof("transaction", f"{len(items)} fields are no transaction of type {kind}")
    fields = {name: _value(item, spelling) for (name, spelling), item in zip(TRANSACTIONS[kind], items, strict=True)}
    # Only a contract's creation calls nobody.
    unsigned = _UNSIGNED if kind == DEPOSIT_TYPE else {}
    return {"type": kind, **unsigned, **fields, "to": fields["to"] or None}


def _value(item: Item, kind: str) -> Any:
    if kind == "number":
        return to_integer(item)
    if kind == "bytes":
        return to_bytes(item)
    if kind == "hashes":
        return tuple([to_bytes(part, 32) for part in _items(item)])
    if kind == "access":
        return tuple([_access(_items(entry)) for entry in _items(item)])
    return tuple([_authorization(_items(entry)) for entry in _items(item)])


def _access(entry: list[Item]) -> Fields:
    address, keys = entry
    return {"address": to_bytes(address, 20), "storageKeys": tuple([to_bytes(key, 32) for key in _items(keys)])}


def _authorization(entry: list[Item]) -> Fields:
    return {name: _value(item, kind) for (name, kind), item in zip(AUTHORIZATION, entry, strict=True)}


def _items(item: Item) -> list[Item]:
    if isinstance(item, bytes):
        raise BadProof("rlp", "expected a list, found a string")
    return item
