"""Contract calls as bytes, by the committed ABI: encode, decode, sign. No node and no web3 needed."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from operator import attrgetter
from typing import Any

from eth_abi.abi import decode

from protocol import rlp
from protocol.arguments import spelling_of
from protocol.errors import BadProof, ProtocolError
from protocol.hashing import Address, from_hex, keccak256
from protocol.keys import LocalKey, compact_signature
from protocol.terms import Voucher

_EIP_1559 = b"\x02"
_SIGNED_FIELDS = 12
_DATA_FIELD = 7
CONTRACTS = ("ComputeLedger", "ProviderRegistry", "ReexecutionCourt", "TestDollar")


@cache
def artefact(contract: str) -> dict[str, Any]:
    """The committed ABI and bytecode of a contract."""
    content: dict[str, Any] = json.loads(files("protocol").joinpath("abi", f"{contract}.json").read_bytes())
    return content


def abi_hash(contract: str = "ComputeLedger") -> str:
    """SHA-256 of the committed artefact, hex."""
    return hashlib.sha256(files("protocol").joinpath("abi", f"{contract}.json").read_bytes()).hexdigest()


@cache
def _function(contract: str, name: str) -> dict[str, Any]:
    for entry in artefact(contract)["abi"]:
        if entry["type"] == "function" and entry["name"] == name:
            return dict(entry)
    raise ProtocolError(f"{contract} has no function {name}")


def _type(item: dict[str, Any]) -> str:
    if not item["type"].startswith("tuple"):
        return str(item["type"])
    inner = ",".join(_type(component) for component in item["components"])
    return f"({inner}){item['type'].removeprefix('tuple')}"


@cache
def selector(contract: str, name: str) -> bytes:
    """The first four bytes of a call."""
    inputs = ",".join(_type(item) for item in _function(contract, name)["inputs"])
    return keccak256(f"{name}({inputs})".encode())[:4]


@cache
def _spelling(contract: str, name: str) -> Callable[[Sequence[Any]], bytes]:
    return spelling_of(_function(contract, name)["inputs"])


def encode_call(contract: str, name: str, *arguments: Any) -> bytes:
    """Calldata; structs are given as tuples in the order of their fields.

    Raises `ProtocolError` for a value that does not fit its type.
    """
    return selector(contract, name) + _spelling(contract, name)(arguments)


def struct_of(message: Any) -> tuple[Any, ...]:
    """A message of `protocol.terms` as `encode_call` takes it."""
    values: tuple[Any, ...] = _fields(tuple(message.TYPES))(message)
    return values


@cache
def _fields(names: tuple[str, ...]) -> "attrgetter[Any]":
    return attrgetter(*names)


def signed_voucher(voucher: Voucher, signature: bytes) -> tuple[Any, ...]:
    """A voucher as `redeem` and `closeLast` take it, its 65-byte signature in the form of EIP-2098 (SPEC "Vouchers").

    Raises `BadSignature` for anything but r ‖ s ‖ v with low s.
    """
    r, vs = compact_signature(signature)
    return (voucher.cumulative, voucher.last, voucher.lease, voucher.result, r, vs)


def decode_result(contract: str, name: str, data: bytes) -> tuple[Any, ...]:
    """The values that a call returned; addresses come in lower case."""
    types = [_type(item) for item in _function(contract, name)["outputs"]]
    values: tuple[Any, ...] = decode(types, data)
    return values


def decode_error(contract: str, data: bytes) -> str:
    """The name and arguments of a custom error, or the text of a revert, as one line."""
    if data[:4] == keccak256(b"Error(string)")[:4]:
        return str(decode(["string"], data[4:])[0])
    for entry in artefact(contract)["abi"]:
        if entry["type"] != "error":
            continue
        types = [_type(item) for item in entry["inputs"]]
        if keccak256(f"{entry['name']}({','.join(types)})".encode())[:4] == data[:4]:
            values = decode(types, data[4:])
            named = (f"{item['name']}={_shown(value)}" for item, value in zip(entry["inputs"], values, strict=True))
            return f"{entry['name']}({', '.join(named)})"
    return "0x" + data.hex() if data else "no reason given"


def _shown(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def sign_transaction(
    key: LocalKey,
    *,
    chain_id: int,
    nonce: int,
    to: Address | None,
    data: bytes,
    gas: int,
    max_fee_wei: int,
    priority_fee_wei: int,
    value_wei: int = 0,
) -> tuple[bytes, bytes]:
    """An EIP-1559 transaction as (raw bytes, hash); `to` None creates a contract. Fees are wei per gas."""
    fields: list[rlp.Item] = [
        *map(rlp.integer, (chain_id, nonce, priority_fee_wei, max_fee_wei, gas)),
        b"" if to is None else from_hex(to, 20),
        rlp.integer(value_wei),
        data,
        [],
    ]
    signature = key.sign_digest(keccak256(_EIP_1559 + rlp.encode(fields)))
    r, s, v = signature[:32], signature[32:64], signature[64] - 27
    # Numbers, so without leading zeros: one signature in a hundred has some.
    numbers = [rlp.integer(v), *(rlp.integer(int.from_bytes(part)) for part in (r, s))]
    raw = _EIP_1559 + rlp.encode([*fields, *numbers])
    return raw, keccak256(raw)


def calldata_of(raw: bytes) -> bytes:
    """The call in a transaction's bytes, as `sign_transaction` made them; raises `BadProof` if they are none."""
    if raw[:1] != _EIP_1559:
        raise BadProof("transaction", "not one of EIP-1559")
    fields = rlp.decode_list(raw[1:])
    if len(fields) != _SIGNED_FIELDS:
        raise BadProof("transaction", f"{len(fields)} fields instead of {_SIGNED_FIELDS}")
    return rlp.to_bytes(fields[_DATA_FIELD])
