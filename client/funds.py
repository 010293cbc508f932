"""The buyer's own transactions: deposit, withdraw, the delegate's cap, challenges. Signed here, by its own key."""

from dataclasses import dataclass
from typing import Any, Final

from client.errors import NotFunded
from protocol import wallet
from protocol.calls import struct_of
from protocol.errors import TransactionReverted, WrongChain
from protocol.hashing import ZERO_ADDRESS, Address, checksum_address
from protocol.keys import LocalKey
from protocol.rpc import Rpc
from protocol.terms import Order, UsageReceipt
from protocol.units import format_dollars
from protocol.wire.accounts import ChainInfo

DEV_CHAINS: Final = frozenset({1337, 31337})
PERMIT_SECONDS: Final = 3600
_GAS_MONEY_WEI: Final = 10**18
_PERMIT_TYPES: Final = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A transaction that is in a block."""

    tx_hash: str
    block_number: int


class Funds:
    """One wallet on one ledger. Raises `WrongChain`, `TransactionReverted`, `TransactionNotMined`, `NotFunded`."""

    def __init__(self, chain: ChainInfo, key: LocalKey, rpc: Rpc) -> None:
        rpc.require_chain(chain.chain_id)
        self._chain, self._key, self._rpc = chain, key, rpc
        self._ledger = checksum_address(chain.ledger)
        self._token = checksum_address(chain.token)

    def token_balance(self) -> int:
        """Base units in the wallet itself, outside the ledger."""
        return int(self._token_view("balanceOf", self._key.address))

    def free_balance(self, account: Address | None = None) -> int:
        """Base units that the ledger would let go now, by default from the wallet's own account."""
        free: int = self._view("account", account or self._key.address)[0][0]
        return free

    def beneficiary(self, account: Address) -> Address | None:
        """Who alone withdraws the account's money; None if the account itself does."""
        found = checksum_address(self._view("beneficiary", account)[0])
        return None if found == ZERO_ADDRESS else found

    def deposit(self, amount_base: int) -> Sent:
        """Into the wallet's own account: in one transaction by permit, else approve and deposit."""
        held = self.token_balance()
        if held < amount_base:
            hint = "`gridlease account faucet`" if self._chain.chain_id in DEV_CHAINS else "send tokens to it first"
            raise NotFunded(
                "not_funded",
                0,
                f"wallet {self._key.address} holds {format_dollars(held)}, deposit needs {format_dollars(amount_base)}",
                hint,
            )
        domain = self._permit_domain()
        if domain is not None:
            deadline = self.chain_time() + PERMIT_SECONDS
            v, r, s = self._permit(domain, amount_base, deadline)
            return self._send("depositWithPermit", amount_base, deadline, v, r, s)
        self._sent(wallet.send(self._rpc, self._key, "TestDollar", self._token, "approve", self._ledger, amount_base))
        return self._send("deposit", self._key.address, amount_base)

    def withdraw(self, amount_base: int, to: Address | None = None, *, account: Address | None = None) -> Sent:
        """Out of the ledger's free balance: the wallet's own, or that of an account whose beneficiary it is."""
        account = account or self._key.address
        free = self.free_balance(account)
        if free < amount_base:
            raise NotFunded(
                "not_funded",
                0,
                f"{format_dollars(free)} are free, withdrawal needs {format_dollars(amount_base)}",
                "wait for open leases to end, or withdraw less",
            )
        return self._send("withdraw", account, to or self._key.address, amount_base)

    def set_beneficiary(self, account: Address, beneficiary: Address | None) -> Sent:
        """From now on only `beneficiary` withdraws the account's money or changes this; None is the account itself."""
        return self._send("setBeneficiary", account, beneficiary or ZERO_ADDRESS)

    def approve_delegate(self, delegate: Address, cap_base: int, until_time: int) -> Sent:
        """`delegate` may commit at most `cap_base` of the buyer's money until `until_time`; 0 and 0 revoke."""
        return self._send("approveDelegate", delegate, cap_base, until_time)

    def challenge(self, order: Order, fill: int, receipt: UsageReceipt, signature: bytes) -> Sent:
        """Of a usage receipt that the provider signed; the order's bond is at stake until its arbiter has ruled."""
        free = self.free_balance()
        if free < order.bond:
            raise NotFunded(
                "not_funded",
                0,
                f"a challenge puts {format_dollars(order.bond)} at stake, {format_dollars(free)} are free",
                "deposit the difference first (`gridlease account deposit`)",
            )
        return self._send("challenge", struct_of(order), fill, struct_of(receipt), signature)

    def mint(self, amount_base: int) -> Sent:
        """Test dollars and, if it has none, gas for the wallet. Only on dev chains."""
        if self._chain.chain_id not in DEV_CHAINS:
            raise WrongChain(31337, self._chain.chain_id)
        address = self._key.address
        if int(self._rpc.call("eth_getBalance", address, "latest"), 16) < _GAS_MONEY_WEI // 10:
            self._rpc.call("anvil_setBalance", address, hex(_GAS_MONEY_WEI))
        sent = wallet.send(self._rpc, self._key, "TestDollar", self._token, "mint", address, amount_base)
        return self._sent(sent)

    def chain_time(self) -> int:
        """Unix seconds of the newest block: what deadlines are compared with."""
        return int(self._rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def _permit_domain(self) -> dict[str, Any] | None:
        """The token's EIP-712 domain, found by trying the versions in use; None if it takes no permit that we know."""
        # Here and in `_permit` only: eth_account is half of a command's start-up time.
        from eth_account.messages import encode_typed_data

        try:
            separator = self._token_view("DOMAIN_SEPARATOR")
            name = self._token_view("name")
            self._token_view("nonces", self._key.address)
        except TransactionReverted:
            return None
        for version in ("1", "2"):
            domain = {
                "name": name,
                "version": version,
                "chainId": self._chain.chain_id,
                "verifyingContract": self._token,
            }
            message = self._permit_message(0, 0, 0)
            if encode_typed_data(domain, _PERMIT_TYPES, message).header == separator:
                return domain
        return None

    def _permit(self, domain: dict[str, Any], amount_base: int, deadline: int) -> tuple[int, bytes, bytes]:
        from eth_account import Account

        nonce = self._token_view("nonces", self._key.address)
        message = self._permit_message(amount_base, nonce, deadline)
        signed = Account.sign_typed_data(self._key.secret(), domain, _PERMIT_TYPES, message)
        return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")

    def _permit_message(self, amount_base: int, nonce: int, deadline: int) -> dict[str, Any]:
        return {
            "owner": self._key.address,
            "spender": self._ledger,
            "value": amount_base,
            "nonce": nonce,
            "deadline": deadline,
        }

    def _view(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        return wallet.read(self._rpc, "ComputeLedger", self._ledger, name, *arguments)

    def _token_view(self, name: str, *arguments: Any) -> Any:
        return wallet.read(self._rpc, "TestDollar", self._token, name, *arguments)[0]

    def _send(self, name: str, *arguments: Any) -> Sent:
        return self._sent(wallet.send(self._rpc, self._key, "ComputeLedger", self._ledger, name, *arguments))

    @staticmethod
    def _sent(receipt: dict[str, Any]) -> Sent:
        return Sent(tx_hash=receipt["transactionHash"], block_number=int(receipt["blockNumber"], 16))
