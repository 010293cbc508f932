"""Where the bytecode runs: an EVM in this process (revm) for the counts, or a real node for fewer operations."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Protocol

import pyrevm
from eth_abi.abi import encode

from protocol.calls import artefact
from protocol.hashing import Address, checksum_address, from_hex, keccak256

CHAIN_ID: Final = 31337
MIN_NOTICE: Final = 10
GENESIS_TIME: Final = 1_800_000_000
_DEPLOYER: Final = checksum_address(keccak256(b"deployer")[12:])
_NO_LIMIT: Final = 1 << 20
_REVERT: Final = re.compile(r"Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}")

Log = tuple[Address, list[bytes], bytes]
"""(contract, topics, data)"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a transaction came to."""

    ok: bool
    #: what it returned or reverted with; None where the chain does not tell
    output: bytes | None
    logs: list[Log]
    block: int
    #: unix seconds
    time: int
    #: what the call could read of its block: hash of the one before, randomness
    parent_hash: bytes
    randomness: bytes


class Chain(Protocol):
    """A chain with the three contracts."""

    ledger: Address
    registry: Address
    token: Address

    def send(self, caller: Address, to: Address, data: bytes, at: int) -> Answer:
        """One transaction in a block of its own at that time."""

    def slots(self, wanted: list[tuple[Address, int]]) -> list[int]:
        """Storage words."""

    def view(self, to: Address, data: bytes) -> bytes:
        """A call that changes nothing, at the newest block's time."""

    def install(self, address: Address, code: bytes) -> None:
        """Puts a contract's code at an address."""


class InProcessChain:
    """revm with the rules of Cancun. Fees are zero, so balances of gas money do not matter."""

    def __init__(self, patch: Callable[[bytes], bytes] = bytes, instead: Mapping[str, bytes] | None = None) -> None:
        """To show that a test sees it, `patch` changes every bytecode, `instead` gives another by contract."""
        self._patch, self._instead = patch, instead or {}
        # Without the optimiser a contract is larger than EIP-170 allows.
        limit = _NO_LIMIT if instead else None
        env = pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=CHAIN_ID, limit_contract_code_size=limit))
        self._evm = pyrevm.EVM(env=env, spec_id="CANCUN")
        self._blocks = count(1)
        self._begin(GENESIS_TIME)
        self.token = self._create("TestDollar", b"")
        self.registry = self._create("ProviderRegistry", b"")
        terms = encode(["address", "address", "uint32"], [self.token, self.registry, MIN_NOTICE])
        self.ledger = self._create("ComputeLedger", terms)

    def _begin(self, time: int) -> None:
        self._number = next(self._blocks)
        self._time = time
        self._randomness = keccak256(b"randomness" + self._number.to_bytes(8, "big"))
        # A transaction starts with clean transient storage.
        self._evm.reset_transient_storage()
        self._evm.set_block_env(pyrevm.BlockEnv(number=self._number, timestamp=time, prevrandao=self._randomness))

    def _create(self, contract: str, arguments: bytes) -> Address:
        code = self._instead.get(contract) or self._patch(from_hex(artefact(contract)["bytecode"]))
        return checksum_address(self._evm.deploy(_DEPLOYER, code + arguments))

    def send(self, caller: Address, to: Address, data: bytes, at: int) -> Answer:
        self._begin(at)
        logs: list[Log] = []
        try:
            output = bytes(self._evm.message_call(caller=caller, to=to, calldata=data))
            ok = True
            done = self._evm.result
            assert done is not None
            logs = [(Address(log.address), list(log.data[0]), bytes(log.data[1])) for log in done.logs]
        except RuntimeError as error:
            reverted = _REVERT.fullmatch(str(error))
            if reverted is None:
                raise AssertionError(f"the call did not end by itself: {error}") from error
            output, ok = bytes.fromhex(reverted[1]), False
        parent = bytes(self._evm.block_hash(self._number - 1))
        return Answer(ok, output, logs, self._number, at, parent, self._randomness)

    def slots(self, wanted: list[tuple[Address, int]]) -> list[int]:
        read = self._evm.storage
        return [read(address, slot) for address, slot in wanted]

    def view(self, to: Address, data: bytes) -> bytes:
        return bytes(self._evm.message_call(caller=_DEPLOYER, to=to, calldata=data))

    def install(self, address: Address, code: bytes) -> None:
        self._evm.insert_account_info(address, pyrevm.AccountInfo(code=code))

    def mark(self) -> Any:
        """A point to come back to."""
        return self._evm.snapshot()

    def back_to(self, mark: Any) -> None:
        self._evm.revert(mark)
