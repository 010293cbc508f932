"""What TestDollar does, in plain Python: the standard behaviour of a stablecoin with EIP-2612 and EIP-3009."""

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

from protocol.hashing import Address, keccak256
from protocol.ledger.signing import signer_of
from protocol.ledger.state import Refusal

_DOMAIN_TYPE: Final = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_PERMIT: Final = keccak256(b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")
_RECEIVE: Final = keccak256(
    b"ReceiveWithAuthorization(address from,address to,uint256 value,"
    b"uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)
UNLIMITED: Final = 2**256 - 1


def _word(value: int | str) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else bytes(12) + bytes.fromhex(value[2:])


@dataclass(slots=True)
class Coins:
    """What a refused call must leave as it was."""

    balances: defaultdict[Address, int] = field(default_factory=lambda: defaultdict(int))
    allowances: defaultdict[tuple[Address, Address], int] = field(default_factory=lambda: defaultdict(int))
    nonces: defaultdict[Address, int] = field(default_factory=lambda: defaultdict(int))
    used: set[tuple[Address, bytes]] = field(default_factory=set)


class TokenModel:
    """Keeps a copy from the first move of a call on."""

    def __init__(self, address: Address, chain_id: int) -> None:
        self.coins = Coins()
        self._before: Coins | None = None
        self._separator = keccak256(
            _DOMAIN_TYPE + keccak256(b"Test dollar") + keccak256(b"1") + _word(chain_id) + _word(address)
        )

    def keep(self) -> None:
        self._before = None

    def undo(self) -> None:
        if self._before is not None:
            self.coins, self._before = self._before, None

    def _move(self) -> None:
        if self._before is None:
            self._before = deepcopy(self.coins)

    def mint(self, who: Address, amount: int) -> None:
        self.coins.balances[who] += amount

    def balance_of(self, who: Address) -> int:
        return self.coins.balances[who]

    def transfer(self, sender: Address, to: Address, amount: int) -> bool:
        if amount > self.coins.balances[sender]:
            return False
        self._move()
        self.coins.balances[sender] -= amount
        self.coins.balances[to] += amount
        return True

    def transfer_from(self, spender: Address, owner: Address, to: Address, amount: int) -> bool:
        allowed = self.coins.allowances[owner, spender]
        if amount > allowed or amount > self.coins.balances[owner]:
            return False
        self._move()
        if allowed != UNLIMITED:
            self.coins.allowances[owner, spender] -= amount
        return self.transfer(owner, to, amount)

    def permit_digest(self, owner: Address, spender: Address, amount: int, deadline: int) -> bytes:
        nonce = self.coins.nonces[owner]
        return self._digest(_PERMIT, owner, spender, amount, nonce, deadline)

    def permit(self, owner: Address, spender: Address, amount: int, deadline: int, time: int, signature: bytes) -> bool:
        if time > deadline or signer_of(self.permit_digest(owner, spender, amount, deadline), signature) != owner:
            return False
        self._move()
        self.coins.nonces[owner] += 1
        self.coins.allowances[owner, spender] = amount
        return True

    def authorization_digest(
        self, owner: Address, to: Address, amount: int, valid_after: int, valid_before: int, nonce: bytes
    ) -> bytes:
        return self._digest(_RECEIVE, owner, to, amount, valid_after, valid_before, int.from_bytes(nonce, "big"))

    def receive_with_authorization(
        self,
        owner: Address,
        to: Address,
        amount: int,
        valid_after: int,
        valid_before: int,
        nonce: bytes,
        time: int,
        signature: bytes,
    ) -> None:
        digest = self.authorization_digest(owner, to, amount, valid_after, valid_before, nonce)
        if signer_of(digest, signature) != owner:
            raise Refusal("ERC3009InvalidSignature")
        if not valid_after < time < valid_before:
            raise Refusal("ERC3009InvalidAuthorizationTime")
        if (owner, nonce) in self.coins.used:
            raise Refusal("ERC3009UsedAuthorization")
        if amount > self.coins.balances[owner]:
            raise Refusal("ERC20InsufficientBalance")
        self._move()
        self.coins.used.add((owner, nonce))
        self.transfer(owner, to, amount)

    def _digest(self, type_hash: bytes, *values: int | str) -> bytes:
        struct = keccak256(type_hash + b"".join(_word(value) for value in values))
        return keccak256(b"\x19\x01" + self._separator + struct)
