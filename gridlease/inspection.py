"""Whether what a deployment names is what this version would deploy: the same code, where it must be."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from eth_abi.exceptions import DecodingError

from gridlease.blueprint import Blueprint, court, dollar, expected_code, ledger, registry
from gridlease.court_terms import CourtTerms
from gridlease.deploy import DEV_CHAINS, genesis_of
from gridlease.factory import check_factory, code_at
from indexer.errors import WrongGenesis
from protocol.calls import abi_hash
from protocol.deployment import Deployment
from protocol.errors import TransactionReverted
from protocol.hashing import Address, keccak256, to_hex
from protocol.rpc import Rpc
from protocol.wallet import read

_TERMS = ("seatBond", "feePerSeat", "moveTime", "commitTime", "revealTime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is known of one contract."""

    contract: str
    address: Address
    #: keccak256, hex
    code_hash: str
    #: SHA-256 of the committed artefact; None for a contract that is not ours
    abi_hash: str | None
    holds: bool
    says: str


def inspect(rpc: Rpc, deployment: Deployment) -> list[Finding]:
    """One finding a contract; raises `WrongChain`, `WrongGenesis`, `FactoryForeign`."""
    rpc.require_chain(deployment.chain_id)
    genesis = genesis_of(rpc)
    if genesis.lower() != deployment.genesis_hash.lower():
        raise WrongGenesis(deployment.genesis_hash, genesis)
    check_factory(rpc)
    return [
        _token(rpc, deployment),
        _contract(rpc, deployment, "ProviderRegistry", deployment.registry, registry),
        _ledger(rpc, deployment),
        _contract(rpc, deployment, "ReexecutionCourt", deployment.court, lambda: _court(rpc, deployment)),
    ]


def _token(rpc: Rpc, deployment: Deployment) -> Finding:
    if deployment.chain_id in DEV_CHAINS and deployment.token == dollar().address:
        return _contract(rpc, deployment, "TestDollar", deployment.token, dollar)
    code = code_at(rpc, deployment.token)
    says = "not ours to judge" if code else "there is no contract"
    return _finding("token", deployment.token, code, None, says, holds=bool(code))


def _ledger(rpc: Rpc, deployment: Deployment) -> Finding:
    found = _contract(
        rpc,
        deployment,
        "ComputeLedger",
        deployment.ledger,
        lambda: ledger(deployment.token, deployment.registry, deployment.min_notice),
    )
    if found.holds and deployment.abi_hash != found.abi_hash:
        return replace(found, holds=False, says=f"the file was written for the ABI {deployment.abi_hash}")
    return found


def _court(rpc: Rpc, deployment: Deployment) -> Blueprint:
    """The terms are asked of the court itself: a false answer leads to another address than its own."""
    bond, fee, move, commit, reveal = (read(rpc, "ReexecutionCourt", deployment.court, name)[0] for name in _TERMS)
    terms = CourtTerms(seat_bond=bond, fee_per_seat=fee, move_time=move, commit_time=commit, reveal_time=reveal)
    return court(deployment.ledger, terms)


def _contract(
    rpc: Rpc, deployment: Deployment, contract: str, address: Address, planned: Callable[[], Blueprint]
) -> Finding:
    code = code_at(rpc, address)
    if not code:
        return _finding(contract, address, code, abi_hash(contract), "there is no contract", holds=False)
    try:
        blueprint = planned()
        expected = expected_code(rpc, blueprint, deployment.chain_id)
    except (TransactionReverted, DecodingError) as error:
        says = f"it cannot be what was committed: {error}"
        return _finding(contract, address, code, abi_hash(contract), says, holds=False)
    if blueprint.address != address:
        says = f"with these settings the committed code belongs at {blueprint.address}"
    elif code != expected:
        says = f"expected code {to_hex(keccak256(expected))}, first different byte {_first_difference(code, expected)}"
    else:
        return _finding(contract, address, code, abi_hash(contract), "as committed", holds=True)
    return _finding(contract, address, code, abi_hash(contract), says, holds=False)


def _first_difference(found: bytes, expected: bytes) -> int:
    pairs = zip(found, expected, strict=False)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(found), len(expected)))


def _finding(contract: str, address: Address, code: bytes, abi: str | None, says: str, *, holds: bool) -> Finding:
    return Finding(
        contract=contract, address=address, code_hash=to_hex(keccak256(code)), abi_hash=abi, holds=holds, says=says
    )
