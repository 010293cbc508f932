"""Calls and transactions in bytes: the same as the libraries that everybody else uses would make of them."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.calls import CONTRACTS, artefact, encode_call, selector, sign_transaction
from protocol.errors import ProtocolError
from protocol.hashing import checksum_address
from protocol.keys import LocalKey

FUNCTIONS = [
    (contract, entry) for contract in CONTRACTS for entry in artefact(contract)["abi"] if entry["type"] == "function"
]


def type_of(item: dict[str, Any]) -> str:
    if not item["type"].startswith("tuple"):
        return str(item["type"])
    return f"({','.join(map(type_of, item['components']))}){item['type'].removeprefix('tuple')}"


def values_of(item: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Anything that the type takes."""
    kind: str = item["type"]
    if kind.endswith("[]"):
        return st.lists(values_of({**item, "type": kind.removesuffix("[]")}), max_size=3)
    if kind == "tuple":
        return st.tuples(*map(values_of, item["components"]))
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind.removeprefix("uint")) - 1)
    plain: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "address": st.binary(min_size=20, max_size=20).map(checksum_address),
        "bytes32": st.binary(min_size=32, max_size=32),
        "bytes": st.binary(max_size=70),
        "string": st.text(max_size=40),
    }
    return plain[kind]


@settings(deadline=None)
@given(st.data())
def test_any_call_of_our_contracts_is_spelt_as_eth_abi_spells_it(data: st.DataObject) -> None:
    contract, entry = data.draw(st.sampled_from(FUNCTIONS))
    values = data.draw(st.tuples(*map(values_of, entry["inputs"])))
    expected = encode([type_of(item) for item in entry["inputs"]], values)
    assert encode_call(contract, entry["name"], *values) == selector(contract, entry["name"]) + expected


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("deposit", ("0x" + "11" * 20, 2**256)),
        ("deposit", ("0x" + "11" * 20, -1)),
        ("deposit", ("0x" + "11" * 19, 1)),
        ("deposit", ("0x" + "11" * 20,)),
        ("cancel", (bytes(31),)),
        ("cancel", ("0x" + "00" * 32,)),
        ("cancel", (None,)),
    ],
)
def test_what_does_not_fit_its_type_is_refused(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ProtocolError):
        encode_call("ComputeLedger", name, *arguments)


@given(
    label=st.text(max_size=5),
    nonce=st.integers(0, 2**40),
    to=st.none() | st.binary(min_size=20, max_size=20).map(checksum_address),
    data=st.binary(max_size=300),
    fees=st.tuples(st.integers(0, 2**70), st.integers(0, 2**70)),
    value_wei=st.integers(0, 2**100),
)
@settings(deadline=None)
def test_a_transaction_is_signed_as_eth_account_signs_it(
    label: str, nonce: int, to: Any, data: bytes, fees: tuple[int, int], value_wei: int
) -> None:
    key = LocalKey.derive(bytes(32), label)
    fields = {
        "type": 2,
        "chainId": 31337,
        "nonce": nonce,
        "value": value_wei,
        "data": data,
        "gas": 21_000,
        "maxFeePerGas": fees[0],
        "maxPriorityFeePerGas": fees[1],
    }
    expected = Account.sign_transaction(fields if to is None else {**fields, "to": to}, key.secret())
    raw, tx_hash = sign_transaction(
        key,
        chain_id=31337,
        nonce=nonce,
        to=to,
        data=data,
        gas=21_000,
        max_fee_wei=fees[0],
        priority_fee_wei=fees[1],
        value_wei=value_wei,
    )
    assert (raw, tx_hash) == (bytes(expected.raw_transaction), bytes(expected.hash))
