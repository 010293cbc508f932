"""`gridlease deploy`: puts the committed bytecode on a chain, each contract at the one address that it can have."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eth_abi.exceptions import DecodingError

from gridlease.blueprint import Blueprint, court, dollar, expected_code, ledger, registry
from gridlease.court_terms import DEV_TERMS, REAL_TERMS, CourtTerms
from gridlease.creation import creation_block
from gridlease.factory import code_at, create, require_factory
from protocol.calls import abi_hash
from protocol.deployment import Deployment, load_deployment
from protocol.errors import ChainError, GridleaseError, TransactionReverted
from protocol.hashing import Address, keccak256, to_hex
from protocol.keys import LocalKey
from protocol.rpc import Rpc
from protocol.wallet import read

DEV_CHAINS: Final = (31337, 1337)
DEV_NOTICE_SECONDS: Final = 10
NOTICE_SECONDS: Final = 300
_DECIMALS: Final = 6


class TokenNeeded(GridleaseError):
    """A real chain, and no stablecoin named."""

    code = "token_needed"

    def __init__(self, chain_id: int) -> None:
        self.remedy = "add --token with the address of the stablecoin to serve"
        super().__init__(f"test dollars are made on dev chains only, and chain {chain_id} is none; {self.remedy}")


class TokenUnfit(ChainError):
    """What --token names is not a token that a ledger can serve."""

    code = "token_unfit"

    def __init__(self, token: Address, found: str) -> None:
        super().__init__(f"token {token}: expected a contract with {_DECIMALS} decimals, found {found}")


class WrongCode(ChainError):
    """A contract is where ours belongs and is not ours."""

    code = "wrong_code"

    def __init__(self, contract: str, address: Address, expected: bytes, found: bytes) -> None:
        super().__init__(
            f"{contract} at {address}: expected code {to_hex(keccak256(expected))}, found {to_hex(keccak256(found))}; "
            "nothing but the committed code can be created there, so do not trust this node"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A contract that is on the chain with the right code."""

    contract: str
    address: Address
    code_hash: bytes
    #: of the transaction that created it; None if it was there before
    block: int | None


def deploy_ledger(
    rpc: Rpc,
    key: LocalKey,
    chain_id: int,
    token: Address | None,
    *,
    court_terms: CourtTerms | None = None,
    known: Deployment | None = None,
    say: Callable[[Placed], None] = lambda _: None,
) -> Deployment:
    """Creates what is missing: on a dev chain the test dollar, then registry, ledger and court.

    `known` is an earlier deployment, which may spare the search for the ledger's block. Raises `WrongChain`,
    `TokenNeeded`, `TokenUnfit`, `FactoryMissing`, `FactoryForeign`, `WrongCode`, `TransactionReverted` and
    `HistoryPruned`.
    """
    rpc.require_chain(chain_id)
    is_dev = chain_id in DEV_CHAINS
    if token is None and not is_dev:
        raise TokenNeeded(chain_id)
    if token is not None:
        _check_token(rpc, token)
    require_factory(rpc, key)

    def place(blueprint: Blueprint) -> Placed:
        placed = _place(rpc, key, blueprint, chain_id)
        say(placed)
        return placed

    if token is None:
        token = place(dollar()).address
    min_notice = DEV_NOTICE_SECONDS if is_dev else NOTICE_SECONDS
    attested = place(registry())
    settled = place(ledger(token, attested.address, min_notice))
    judged = place(court(settled.address, court_terms or default_terms(chain_id)))
    genesis_hash = genesis_of(rpc)
    return Deployment(
        chain_id=chain_id,
        ledger=settled.address,
        token=token,
        registry=attested.address,
        court=judged.address,
        deploy_block=_block_of(rpc, settled, genesis_hash, known),
        genesis_hash=genesis_hash,
        min_notice=min_notice,
        abi_hash=abi_hash(),
    )


def default_terms(chain_id: int) -> CourtTerms:
    return DEV_TERMS if chain_id in DEV_CHAINS else REAL_TERMS


def genesis_of(rpc: Rpc) -> str:
    """The hash of block 0."""
    return str(rpc.call("eth_getBlockByNumber", "0x0", False)["hash"])


def earlier_deployment(path: Path) -> Deployment | None:
    """What an earlier run wrote there, if it can be read."""
    try:
        return load_deployment(path)
    except ChainError:
        return None


def _place(rpc: Rpc, key: LocalKey, blueprint: Blueprint, chain_id: int) -> Placed:
    # Simulated first, so that a constructor that refuses says why before anything is paid for.
    expected = expected_code(rpc, blueprint, chain_id)
    found, block = code_at(rpc, blueprint.address), None
    if not found:
        mined = create(rpc, key, blueprint.init_code, blueprint.contract)
        found, block = code_at(rpc, blueprint.address), int(mined["blockNumber"], 16)
    if found != expected:
        raise WrongCode(blueprint.contract, blueprint.address, expected, found)
    return Placed(contract=blueprint.contract, address=blueprint.address, code_hash=keccak256(found), block=block)


def _check_token(rpc: Rpc, token: Address) -> None:
    if not code_at(rpc, token):
        raise TokenUnfit(token, "no contract")
    try:
        decimals = read(rpc, "TestDollar", token, "decimals")[0]
    except (TransactionReverted, DecodingError) as error:
        raise TokenUnfit(token, "a contract that does not say its decimals") from error
    if decimals != _DECIMALS:
        raise TokenUnfit(token, f"{decimals} decimals")


def _block_of(rpc: Rpc, settled: Placed, genesis_hash: str, known: Deployment | None) -> int:
    if settled.block is not None:
        return settled.block
    if known is not None and (known.ledger, known.genesis_hash) == (settled.address, genesis_hash):
        return known.deploy_block
    return creation_block(rpc, settled.address)
