"""The deterministic deployment proxy: one small contract, at one address on every chain, that creates by CREATE2.

It is Arachnid's. Its own deployment is one transaction that was signed once, for no chain in particular, by a key that
nobody has; so whoever sends it, on whichever chain, puts the same code at the same address.
"""

from typing import Any, Final

from protocol.errors import ChainError, RpcRefused
from protocol.hashing import Address, checksum_address, from_hex, keccak256, to_hex
from protocol.keys import LocalKey
from protocol.rpc import Rpc
from protocol.wallet import transact, wait_mined

FACTORY: Final = checksum_address("0x4e59b44847b379578588920ca78fbf26c0b4956c")
CODE_HASH: Final = from_hex("0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989", 32)

SALT: Final = keccak256(b"Gridlease 1")
"""Of protocol version 1: name and version of the EIP-712 domain (SPEC "Deployment")."""

SIGNER: Final = checksum_address("0x3fab184622dc19b6109349b94811493bf2a45362")
"""Whom the signature recovers to. It pays 100,000 gas at 100 gwei, and whoever deploys lends it that."""
COST_WEI: Final = 10**16
SIGNED_TRANSACTION: Final = (
    "0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffff"
    "ffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b808252505050"
    "6014600cf31ba0" + "22" * 32 + "a0" + "22" * 32
)


class FactoryMissing(ChainError):
    """The chain has no deployment proxy, and none can be put there."""

    code = "factory_missing"

    def __init__(self, fact: str) -> None:
        self.remedy = (
            "send through a node that takes transactions without a chain id (geth: --rpc.allow-unprotected-txs), "
            f"or ask the chain's operator for the deterministic deployment proxy at {FACTORY}"
        )
        super().__init__(f"no deployment proxy at {FACTORY}, and its transaction was refused: {fact}; {self.remedy}")


class FactoryForeign(ChainError):
    """Something else is where the deployment proxy should be."""

    code = "factory_foreign"

    def __init__(self, code: bytes) -> None:
        super().__init__(
            f"code at {FACTORY}: expected hash {to_hex(CODE_HASH)}, found {to_hex(keccak256(code))}; "
            "this chain's addresses cannot be trusted, deploy on another one"
        )


def create2_address(init_code: bytes) -> Address:
    """Where the factory puts this code; the constructor's arguments are part of it."""
    return checksum_address(keccak256(b"\xff" + from_hex(FACTORY, 20) + SALT + keccak256(init_code))[12:])


def require_factory(rpc: Rpc, key: LocalKey) -> None:
    """Puts the factory on a chain that lacks it; raises `FactoryMissing`, `FactoryForeign`."""
    if not code_at(rpc, FACTORY):
        _lend(rpc, key)
        try:
            tx_hash: str = rpc.call("eth_sendRawTransaction", SIGNED_TRANSACTION)
        except RpcRefused as error:
            raise FactoryMissing(error.rpc_message) from error
        wait_mined(rpc, tx_hash, "creating the deployment proxy")
    check_factory(rpc)


def check_factory(rpc: Rpc) -> None:
    """Raises `FactoryForeign` unless the factory is what it is everywhere."""
    code = code_at(rpc, FACTORY)
    if keccak256(code) != CODE_HASH:
        raise FactoryForeign(code)


def create(rpc: Rpc, key: LocalKey, init_code: bytes, contract: str) -> dict[str, Any]:
    """Has the factory create a contract; returns the transaction receipt."""
    return transact(rpc, key, FACTORY, SALT + init_code, contract, f"creating {contract}")


def code_at(rpc: Rpc, address: Address, block: str = "latest") -> bytes:
    """The code of a contract, empty if there is none."""
    return from_hex(rpc.call("eth_getCode", address, block))


def _lend(rpc: Rpc, key: LocalKey) -> None:
    missing = COST_WEI - int(rpc.call("eth_getBalance", SIGNER, "latest"), 16)
    if missing > 0:
        transact(rpc, key, SIGNER, b"", None, "paying for the deployment proxy", value_wei=missing)
