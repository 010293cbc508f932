"""Who acts: few accounts, so that they meet often. Keys sign; two contract wallets sign by their owner's key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from protocol.hashing import Address, checksum_address, keccak256
from protocol.keys import LocalKey
from protocol.ledger.signing import signer_of

_SEED: Final = keccak256(b"gridlease differential")


@dataclass(frozen=True, slots=True)
class Actor:
    """An account: a key, or a contract with the key of its owner."""

    name: str
    key: LocalKey
    #: the contract's address, or the key's
    address: Address

    @property
    def is_wallet(self) -> bool:
        return self.address != self.key.address


def _key(name: str) -> Actor:
    key = LocalKey.derive(_SEED, name)
    return Actor(name, key, key.address)


def _wallet(name: str) -> Actor:
    return Actor(name, LocalKey.derive(_SEED, f"owner of {name}"), checksum_address(keccak256(name.encode())[12:]))


BUYERS: Final = (_key("buyer 0"), _key("buyer 1"), _wallet("wallet buyer"))
PROVIDERS: Final = (_key("provider 0"), _key("provider 1"), _wallet("wallet provider"), BUYERS[1])
"""The second buyer sells too, so that one account is on both sides of a lease."""
SIGNERS: Final = (_key("voucher signer 0"), _key("voucher signer 1"))
MATCHERS: Final = (_key("matcher"), _key("deputy"))
DELEGATES: Final = (_key("delegate 0"), _key("delegate 1"))
ARBITERS: Final = (_key("arbiter 0"), _wallet("wallet arbiter"))
AUDITORS: Final = (_key("auditor"), _wallet("wallet auditor"))
BENEFICIARY: Final = _key("beneficiary")
STRANGER: Final = _key("stranger")
EVERYBODY: Final = tuple(
    dict.fromkeys((*BUYERS, *PROVIDERS, *SIGNERS, *MATCHERS, *DELEGATES, *ARBITERS, *AUDITORS, BENEFICIARY, STRANGER))
)
BY_ADDRESS: Final = {actor.address: actor for actor in EVERYBODY}
WALLETS: Final = tuple(actor for actor in EVERYBODY if actor.is_wallet)


_HALF_ORDER: Final = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"
_SIGNS: Final = (
    "600435600052"  # mstore(0, digest)
    "60a43560f81c602052"  # mstore(0x20, v)
    "606435604052 608435606052"  # mstore(0x40, r), mstore(0x60, s)
    "60206080608060006001 5a fa50"  # pop(staticcall(gas, 1, 0, 0x80, 0x80, 0x20)): ecrecover
    "608051 73{owner} 14"  # the signer is the owner
    "7f{half} 608435 11 15 16"  # and s is low
    "6041 604435 14 16"  # and the signature has 65 bytes
    "631626ba7e 60e01b 02 60a052 602060a0f3"  # then the magic word, else 0
)
_ACTS: Final = (
    "602036036020600037"  # calldatacopy(0, 32, calldatasize - 32)
    "6000600060203603600060006000355af1"  # call(gas, calldataload(0), 0, 0, calldatasize - 32, 0, 0)
    "3d600060003e"  # returndatacopy(0, 0, returndatasize)
)


def wallet_code(owner: Address) -> bytes:
    """A contract wallet in some 150 bytes.

    `isValidSignature` says yes to what `wallet_rule` says yes to. Any other calldata is a word with an address and what
    to call it with, so that the wallet can act too.
    """
    signs = _SIGNS.format(owner=owner[2:].lower(), half=_HALF_ORDER).replace(" ", "")
    head = "60003560e01c631626ba7e141560{act:02x}57"
    act = len(bytes.fromhex(head.format(act=0))) + len(signs) // 2
    size = act + 1 + len(_ACTS) // 2
    # jumpi(returned, the call went well); revert; returned: return
    tail = f"60{size + 7:02x}573d6000fd5b3d6000f3"
    return bytes.fromhex(head.format(act=act) + signs + "5b" + _ACTS + tail)


def wallet_rule(actor: Actor) -> Callable[[bytes, bytes], bool]:
    """The owner's key signed it, in the one form that a key's own signature has."""

    def accepts(digest: bytes, signature: bytes) -> bool:
        return signer_of(digest, signature) == actor.key.address

    return accepts
