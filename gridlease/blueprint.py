"""What is deployed and where it will be: init code and address of each contract, known before anything is sent.

The code that a contract must have is what its committed init code returns. A node computes that in one `eth_call`
without an address, which every node knows, so neither state overrides nor a table of immutables is needed: the
constructor itself fills them in. Only what depends on the contract's own address differs there, and is put right here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import encode

from gridlease.court_terms import CourtTerms
from gridlease.factory import create2_address
from protocol.calls import artefact, decode_error
from protocol.errors import RpcRefused, TransactionReverted
from protocol.hashing import Address, checksum_address, from_hex, keccak256, to_hex
from protocol.messages import NAME, VERSION, domain_separator
from protocol.rlp import encode as rlp_encode
from protocol.rpc import Rpc

_PROBE: Final = checksum_address(keccak256(b"Gridlease probe")[12:])
"""Who the simulated constructor takes for its sender: an account that nobody has, so its nonce is 0."""
_PROBED: Final = checksum_address(keccak256(rlp_encode([from_hex(_PROBE, 20), b""]))[12:])
"""Where that sender's first contract would be."""

_DOMAIN_NAMES: Final = {"ComputeLedger": NAME, "ProviderRegistry": NAME, "TestDollar": "Test dollar"}


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One contract as it should be."""

    contract: str
    init_code: bytes

    @property
    def address(self) -> Address:
        return create2_address(self.init_code)


def dollar() -> Blueprint:
    return _blueprint("TestDollar", (), ())


def registry() -> Blueprint:
    return _blueprint("ProviderRegistry", (), ())


def ledger(token: Address, registry_: Address, min_notice: int) -> Blueprint:
    return _blueprint("ComputeLedger", ("address", "address", "uint32"), (token, registry_, min_notice))


def court(ledger_: Address, terms: CourtTerms) -> Blueprint:
    types = ("address", "uint48", "uint48", "uint32", "uint32", "uint32")
    return _blueprint("ReexecutionCourt", types, (ledger_, *terms.arguments))


def _blueprint(contract: str, types: Sequence[str], arguments: Sequence[Any]) -> Blueprint:
    return Blueprint(contract, from_hex(artefact(contract)["bytecode"]) + encode(types, arguments))


def expected_code(rpc: Rpc, blueprint: Blueprint, chain_id: int) -> bytes:
    """The code that this contract has on this chain; raises `TransactionReverted` with the constructor's reason."""
    try:
        answer = rpc.call("eth_call", {"from": _PROBE, "data": to_hex(blueprint.init_code)}, "latest")
    except RpcRefused as error:
        data = error.data
        named = isinstance(data, str) and data.startswith("0x")
        reason = decode_error(blueprint.contract, from_hex(str(data))) if named else error.rpc_message
        raise TransactionReverted(f"the constructor of {blueprint.contract}", reason) from error
    code = from_hex(answer)
    for probed, real in _own_words(blueprint, chain_id):
        code = code.replace(probed, real)
    return code


def _own_words(blueprint: Blueprint, chain_id: int) -> list[tuple[bytes, bytes]]:
    """The words in a contract's code that say where it is: as simulated, and as they must be."""
    words = [(from_hex(_PROBED, 20), from_hex(blueprint.address, 20))]
    name = _DOMAIN_NAMES.get(blueprint.contract)
    if name is not None:
        probed, real = (domain_separator(name, VERSION, chain_id, where) for where in (_PROBED, blueprint.address))
        words.append((probed, real))
    return words
