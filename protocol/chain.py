"""The ledger's views through web3, for agents. The market asks its nodes by backend/submission/node.py.

The only file that imports web3. Everything that comes back is checked for chain id and turned into our own values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from web3 import Web3
from web3.exceptions import ContractLogicError, Web3Exception, Web3RPCError
from web3.providers.rpc import HTTPProvider

from protocol.calls import artefact, decode_error
from protocol.deployment import Deployment
from protocol.errors import DeploymentMissing, NodeUnavailable, RpcRefused, TransactionReverted, WrongChain
from protocol.events import EndReason, LeaseState, LedgerHead
from protocol.hashing import Address, checksum_address

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """An account in the ledger; amounts in base units."""

    free_base: int
    bonded_base: int
    open_leases: int
    epoch: int
    #: a beneficiary is set: only that one withdraws
    is_guarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOnChain:
    """A lease as the ledger stores it; amounts in base units, times in unix seconds."""

    provider: Address
    locked_base: int
    paid_base: int
    voucher_signer: Address
    deadline_time: int
    #: pico-dollars per metered unit
    rate: int
    zone: int
    state: LeaseState
    reason: EndReason
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPoint:
    """A block by number, hash and time (unix seconds)."""

    number: int
    hash: bytes
    time: int
    #: wei per gas
    base_fee_wei: int


class Chain:
    """One ledger behind one node."""

    def __init__(self, rpc_url: str, deployment: Deployment, timeout_seconds: int = 10) -> None:
        self.rpc_url = rpc_url
        self.deployment = deployment
        self._web3 = Web3(HTTPProvider(rpc_url, request_kwargs={"timeout": timeout_seconds}))
        self._ledger = self._web3.eth.contract(
            address=self._to(deployment.ledger), abi=artefact("ComputeLedger")["abi"]
        )

    @staticmethod
    def _to(address: Address) -> Any:
        return Web3.to_checksum_address(address)

    def _ask(self, question: Callable[[], T]) -> T:
        """Runs a web3 call; its errors become ours."""
        try:
            return question()
        except ContractLogicError as error:
            data = error.data if isinstance(error.data, str) else ""
            reason = decode_error("ComputeLedger", bytes.fromhex(data[2:])) if data.startswith("0x") else str(error)
            raise TransactionReverted("call", reason) from error
        except Web3RPCError as error:
            answer: Any = error.rpc_response or {}
            detail = answer.get("error", {})
            raise RpcRefused("rpc", int(detail.get("code", 0)), str(detail.get("message", error))) from error
        except (requests.RequestException, Web3Exception, ValueError) as error:
            raise NodeUnavailable(self.rpc_url, str(error)[:200]) from error

    def require(self) -> None:
        """Raises `WrongChain` or `DeploymentMissing` unless the node serves the deployment."""
        found = self._ask(lambda: self._web3.eth.chain_id)
        if found != self.deployment.chain_id:
            raise WrongChain(self.deployment.chain_id, found)
        if not self._ask(lambda: self._web3.eth.get_code(self._to(self.deployment.ledger))):
            raise DeploymentMissing(f"{self.deployment.ledger} on chain {found}")

    def latest(self) -> BlockPoint:
        block = self._ask(lambda: self._web3.eth.get_block("latest"))
        return BlockPoint(
            number=int(block["number"]),
            hash=bytes(block["hash"]),
            time=int(block["timestamp"]),
            base_fee_wei=int(block.get("baseFeePerGas", 0)),
        )

    def account(self, who: Address) -> AccountState:
        row = self._ask(lambda: self._ledger.functions.account(self._to(who)).call())
        free, bonded, open_leases, epoch, guarded = row
        return AccountState(
            free_base=free, bonded_base=bonded, open_leases=open_leases, epoch=epoch, is_guarded=guarded
        )

    def delegate(self, buyer: Address, key: Address) -> tuple[int, int]:
        """(base units left, unix seconds until)."""
        remaining, until = self._ask(lambda: self._ledger.functions.delegate(self._to(buyer), self._to(key)).call())
        return int(remaining), int(until)

    def lease(self, lease: bytes) -> LeaseOnChain | None:
        """None where no such lease was opened."""
        row = self._ask(lambda: self._ledger.functions.lease(lease).call())
        if LeaseState(row[7]) is LeaseState.NONE:
            return None
        return LeaseOnChain(
            provider=checksum_address(row[0]),
            locked_base=row[1],
            paid_base=row[2],
            voucher_signer=checksum_address(row[3]),
            deadline_time=row[4],
            rate=row[5],
            zone=row[6],
            state=LeaseState(row[7]),
            reason=EndReason(row[8]),
            done=row[9],
        )

    def head(self) -> LedgerHead:
        hash_, count = self._ask(lambda: self._ledger.functions.head().call())
        return LedgerHead(hash_, count)
