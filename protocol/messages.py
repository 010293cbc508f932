"""EIP-712: digests, signatures and wallet JSON of the signed messages (SPEC "Signed messages").

Every field is static, so a struct hash is keccak256 of the type hash and of one word a field. Golden vectors in
`tests/vectors/messages.json` hold Solidity, Python and JavaScript to the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from protocol.errors import TermOutOfRange
from protocol.hashing import Address, checksum_address, from_hex, keccak256, to_hex
from protocol.keys import Signer, recover_address
from protocol.spelling import camel
from protocol.terms import AnyMessage, Message

NAME: Final = "Gridlease"
VERSION: Final = "1"
_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"

M = TypeVar("M", bound=Message)


def domain_separator(name: str, version: str, chain_id: int, contract: Address) -> bytes:
    """EIP-712's, for the one domain type that we and our tokens use."""
    return keccak256(
        keccak256(_DOMAIN_TYPE)
        + keccak256(name.encode())
        + keccak256(version.encode())
        + chain_id.to_bytes(32, "big")
        + bytes(12)
        + from_hex(contract, 20)
    )


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Where a signature counts: one ledger on one chain."""

    chain_id: int
    ledger: Address

    @cached_property
    def separator(self) -> bytes:
        return domain_separator(NAME, VERSION, self.chain_id, self.ledger)


def type_string(kind: type[Message]) -> str:
    """The EIP-712 encodeType of a message."""
    return f"{kind.__name__}({','.join(f'{solidity} {camel(name)}' for name, solidity in kind.TYPES.items())})"


def type_hash(kind: type[Message]) -> bytes:
    return _layout(kind).type_hash


class _Layout(NamedTuple):
    """How a kind of message is spelt: found once for each, because all that comes in, is signed or is kept is one."""

    type_hash: bytes
    #: (field, how its ABI word is spelt)
    words: tuple[tuple[str, Callable[[Any], bytes]], ...]
    #: key in JSON → field
    keys: dict[str, str]


def _layout(kind: type[Message]) -> _Layout:
    known = _LAYOUTS.get(kind)
    if known is None:
        known = _LAYOUTS[kind] = _Layout(
            type_hash=keccak256(type_string(kind).encode()),
            words=tuple((name, _WORDS.get(solidity, _number_word)) for name, solidity in kind.TYPES.items()),
            keys={camel(name): name for name in kind.TYPES},
        )
    return known


def _address_word(value: str) -> bytes:
    return bytes(12) + bytes.fromhex(value[2:])


def _number_word(value: int) -> bytes:
    return value.to_bytes(32, "big")


_WORDS: Final[dict[str, Callable[[Any], bytes]]] = {"address": _address_word, "bytes32": bytes}
_LAYOUTS: Final[dict[type[Message], _Layout]] = {}


def words(message: AnyMessage) -> bytes:
    """The fields as ABI words, in order: also the ABI encoding of the struct."""
    return b"".join([spell(getattr(message, name)) for name, spell in _layout(type(message)).words])


def struct_hash(message: AnyMessage) -> bytes:
    return keccak256(type_hash(type(message)) + words(message))


# Whoever takes a message in, signs it and stores it asks for its digest each time.
@lru_cache(2048)
def digest(domain: Domain, message: AnyMessage) -> bytes:
    """The 32 bytes that are signed, and the id of an offer or order."""
    return keccak256(b"\x19\x01" + domain.separator + struct_hash(message))


def sign(domain: Domain, message: AnyMessage, key: Signer) -> bytes:
    """65 bytes r ‖ s ‖ v."""
    return key.sign_digest(digest(domain, message))


def recover(domain: Domain, message: AnyMessage, signature: bytes) -> Address:
    """Who signed the message for this ledger on this chain; raises `BadSignature`."""
    return recover_address(digest(domain, message), signature)


def to_json(message: AnyMessage) -> dict[str, Any]:
    """camelCase keys; integers as decimal strings, so that JavaScript keeps every digit."""
    out: dict[str, Any] = {}
    for key, name in _layout(type(message)).keys.items():
        value = getattr(message, name)
        if isinstance(value, bytes):
            value = to_hex(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        out[key] = value
    return out


def from_json(kind: type[M], data: Any) -> M:
    """The inverse of `to_json`; plain integers are taken too. Raises `TermOutOfRange`, `BadHex`."""
    if not isinstance(data, dict):
        raise TermOutOfRange(kind.__name__, "a JSON object", data)
    known = _layout(kind).keys
    if data.keys() != known.keys():
        unknown, missing = sorted(data.keys() - known.keys()), sorted(known.keys() - data.keys())
        if unknown:
            raise TermOutOfRange(unknown[0], f"a field of {kind.__name__}", "an unknown field")
        raise TermOutOfRange(missing[0], f"a value for each field of {kind.__name__}", "nothing")
    return kind(**{name: _parsed(key, kind.TYPES[name], data[key]) for key, name in known.items()})


def _parsed(name: str, solidity: str, value: Any) -> Any:
    if solidity == "bytes32":
        return from_hex(value, 32)
    if solidity == "address":
        return checksum_address(value) if isinstance(value, str) else value
    if solidity.startswith("uint") and isinstance(value, str):
        # A uint256 has at most 78 digits; longer text is refused before it is parsed.
        if not (value.isascii() and value.isdigit()) or len(value) > 78:
            raise TermOutOfRange(name, "decimal digits", value)
        return int(value)
    return value


def typed_data(domain: Domain, message: AnyMessage) -> dict[str, Any]:
    """The JSON that a wallet signs by `eth_signTypedData_v4`."""
    kind = type(message)
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            kind.__name__: [{"name": camel(name), "type": solidity} for name, solidity in kind.TYPES.items()],
        },
        "primaryType": kind.__name__,
        "domain": {
            "name": NAME,
            "version": VERSION,
            "chainId": domain.chain_id,
            "verifyingContract": domain.ledger,
        },
        "message": to_json(message),
    }
