"""The form of a bundle: JSON with one spelling (RFC 8785, printable ASCII, lower-case hex), read without surprises.

Standard library only. A bundle never needs an escape, a fraction or a large number, so a file that has one is refused
before anything else looks at it.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from protocol.errors import BadHex, BadProof
from protocol.hashing import from_hex

VERSION: Final = 1
#: far above the largest honest bundle: all receipts of a block of 100 million gas, in hex
LARGEST_BYTES: Final = 32 * 1024 * 1024

_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_MOST_DIGITS: Final = 16


def load(data: bytes) -> dict[str, Any]:
    """The members of a bundle of any kind; raises `BadProof` at step `file`."""
    if len(data) > LARGEST_BYTES:
        raise BadProof("file", f"more than {LARGEST_BYTES} bytes")
    content = parse_json(data, "file")
    if not isinstance(content, dict) or type(content.get("v")) is not int or content["v"] != VERSION:
        raise BadProof("file", f"not a bundle of version {VERSION}")
    return content


def parse_json(data: bytes, step: str) -> Any:
    """JSON that is spelt as `spell` spells it; raises `BadProof` at `step`."""
    if data.translate(None, _PRINTABLE) or b"\\" in data:
        raise BadProof(step, "a byte that is not printable ASCII, or an escape")
    try:
        content = json.loads(data, parse_float=_refuse_number, parse_constant=_refuse_number, parse_int=_small_integer)
        canonical = spell(content)
    except (ValueError, RecursionError) as error:
        raise BadProof(step, f"not JSON: {str(error)[:80]}") from error
    if canonical != data:
        raise BadProof(step, "not in canonical form (RFC 8785): the same content has one spelling only")
    return content


def spell(content: Any) -> bytes:
    """Canonical bytes of objects, lists, printable ASCII without backslash or quote, small integers, booleans, null."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def require_members(value: Any, members: Iterable[str], name: str) -> dict[str, Any]:
    """`value` if it is an object with exactly these members."""
    wanted = set(members)
    if not isinstance(value, dict) or value.keys() != wanted:
        raise BadProof("file", f"{name} must have exactly the members {', '.join(sorted(wanted))}")
    return value


def require_number(value: Any, name: str) -> int:
    """`value` if it is an integer from 0 to 2^53 - 1, which every JSON reader keeps."""
    if type(value) is not int or not 0 <= value < 2**53:
        raise BadProof("file", f"{name} must be an integer from 0 to 2^53 - 1")
    return value


def require_list(value: Any, name: str) -> list[Any]:
    """`value` if it is a list."""
    if not isinstance(value, list):
        raise BadProof("file", f"{name} must be a list")
    return value


def require_hex(value: Any, size: int | None, name: str, step: str = "file") -> bytes:
    """The bytes of lower-case 0x hex; of `size` bytes unless that is None."""
    try:
        data = from_hex(value, size)
    except BadHex as error:
        raise BadProof(step, f"{name}: {error}") from error
    # Canonical JSON leaves the case of hex digits open; we do not.
    if value != value.lower():
        raise BadProof(step, f"{name}: hex digits must be lower case")
    return data


def require_nodes(value: Any, name: str) -> list[bytes]:
    """A list of trie nodes in hex."""
    return [require_hex(node, None, name) for node in require_list(value, name)]


def _refuse_number(text: str) -> Any:
    raise ValueError(f"the number {text[:20]}")


def _small_integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
