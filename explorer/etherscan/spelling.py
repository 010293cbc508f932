"""How Etherscan spells: decimal strings in the account module, 0x hex elsewhere, addresses in lower case."""

from functools import cache
from typing import Any

from protocol.calls import CONTRACTS, artefact, selector
from protocol.hashing import Address, to_hex


def lower(address: Address | None) -> str:
    """Empty where there is none."""
    return "" if address is None else address.lower()


def quantity(number: int) -> str:
    """A number in hex without leading zeros; zero is 0x0."""
    return hex(number)


def json_rpc(value: Any) -> Any:
    """A field of a header or a transaction as a node writes it."""
    match value:
        case int():
            return quantity(value)
        case bytes():
            return to_hex(value)
        case tuple():
            return [json_rpc(part) for part in value]
        case dict():
            return {name: json_rpc(part) for name, part in value.items()}
        case _:
            return value


def function_name(data: bytes) -> str:
    """`deposit(address to, uint256 amount)` where calldata calls a function of ours; else empty."""
    return _functions().get(data[:4], "")


@cache
def _functions() -> dict[bytes, str]:
    return {
        selector(contract, entry["name"]): f"{entry['name']}({_inputs(entry)})"
        for contract in CONTRACTS
        for entry in artefact(contract)["abi"]
        if entry["type"] == "function"
    }


def _inputs(entry: dict[str, Any]) -> str:
    return ", ".join([f"{item['type']} {item['name']}".strip() for item in entry["inputs"]])
