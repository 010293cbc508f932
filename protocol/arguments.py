"""Arguments of contract calls by Solidity's contract ABI specification; eth-abi, the oracle of the tests, is slower.

Only what our contracts take: unsigned integers, bool, address, bytes32, bytes, string, lists and structs of them.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from protocol.errors import ProtocolError

_WORD: Final = 32


class _Type(NamedTuple):
    """One type: how a value of it is spelt, and in how many bytes; None where that depends on the value."""

    size: int | None
    spell: Callable[[Any], bytes]


def spelling_of(inputs: Sequence[dict[str, Any]]) -> Callable[[Sequence[Any]], bytes]:
    """What spells the values after a call's selector, by the `inputs` of its ABI; good for any number of calls.

    It raises `ProtocolError` for a value that does not fit its type.
    """
    spell = _struct([_type_of(item) for item in inputs]).spell

    def spelt(values: Sequence[Any]) -> bytes:
        try:
            return spell(values)
        except (OverflowError, ValueError, TypeError, AttributeError) as error:
            raise ProtocolError(f"an argument does not fit its type: {error}") from error

    return spelt


def _type_of(item: dict[str, Any]) -> _Type:
    kind: str = item["type"]
    if kind.endswith("[]"):
        return _list(_type_of({**item, "type": kind.removesuffix("[]")}))
    if kind == "tuple":
        return _struct([_type_of(component) for component in item["components"]])
    return _plain(kind)


@cache
def _plain(kind: str) -> _Type:
    if kind.startswith("uint"):
        return _Type(_WORD, _unsigned(int(kind.removeprefix("uint")) // 8))
    found = {
        "bool": _Type(_WORD, _bool),
        "address": _Type(_WORD, _address),
        "bytes32": _Type(_WORD, _bytes32),
        "bytes": _Type(None, _bytes),
        "string": _Type(None, lambda text: _bytes(text.encode())),
    }.get(kind)
    if found is None:
        raise ProtocolError(f"no call of ours takes the type {kind}")
    return found


def _unsigned(size: int) -> Callable[[int], bytes]:
    padding = bytes(_WORD - size)
    return lambda value: padding + value.to_bytes(size, "big")


def _bool(value: bool) -> bytes:
    return int(value).to_bytes(_WORD, "big") if value in (0, 1) else _refuse(value)


def _address(value: str) -> bytes:
    raw = bytes.fromhex(value.removeprefix("0x"))
    return bytes(12) + raw if len(raw) == 20 else _refuse(value)


def _bytes32(value: bytes) -> bytes:
    return bytes(value) if len(value) == _WORD else _refuse(value)


def _refuse(value: object) -> bytes:
    raise ValueError(f"{value!r}"[:100])


def _bytes(value: bytes) -> bytes:
    return len(value).to_bytes(_WORD, "big") + value + bytes(-len(value) % _WORD)


def _list(element: _Type) -> _Type:
    size, spelling = element

    def spell_each(values: Sequence[Any]) -> bytes:
        return len(values).to_bytes(_WORD, "big") + _with_offsets([(size, spelling(value)) for value in values])

    return _Type(None, spell_each)


def _struct(fields: Sequence[_Type]) -> _Type:
    sizes = [field.size for field in fields]
    spellings = [field.spell for field in fields]

    def spell_fields(values: Sequence[Any]) -> bytes:
        return b"".join([spelling(value) for spelling, value in zip(spellings, values, strict=True)])

    if None not in sizes:
        return _Type(sum(size for size in sizes if size is not None), spell_fields)

    def spell_with_offsets(values: Sequence[Any]) -> bytes:
        parts = zip(sizes, spellings, values, strict=True)
        return _with_offsets([(size, spelling(value)) for size, spelling, value in parts])

    return _Type(None, spell_with_offsets)


def _with_offsets(parts: list[tuple[int | None, bytes]]) -> bytes:
    """What has a size of its own stands in place; of the others there stands where they follow."""
    at = sum(_WORD if size is None else size for size, _ in parts)
    heads, tails = [], []
    for size, spelt in parts:
        if size is not None:
            heads.append(spelt)
            continue
        heads.append(at.to_bytes(_WORD, "big"))
        tails.append(spelt)
        at += len(spelt)
    return b"".join(heads) + b"".join(tails)
