"""Who signed (SPEC "Signed messages"): keys by ECDSA, contract wallets by ERC-1271."""

from dataclasses import dataclass
from typing import Final

from protocol.errors import BadSignature
from protocol.hashing import ZERO_ADDRESS, Address
from protocol.keys import recover_address
from protocol.ledger.state import Ledger, Wallets
from protocol.messages import digest
from protocol.terms import Voucher

_PARITY: Final = 1 << 255


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedVoucher:
    """A voucher as it is redeemed: its provider is the lease's."""

    lease: bytes
    #: base units in all
    cumulative: int
    result: bytes
    last: bool
    #: 64 bytes r ‖ vs, EIP-2098: low s with the parity of v in the top bit
    signature: bytes


def signer_of(message_digest: bytes, signature: bytes) -> Address:
    """The key behind 65 bytes r ‖ s ‖ v; zero, whom nobody is, for anything malleable or unreadable."""
    try:
        return recover_address(message_digest, signature)
    except BadSignature:
        return ZERO_ADDRESS


def signed_by(wallets: Wallets, who: Address, message_digest: bytes, signature: bytes) -> bool:
    """Whether the account signed, as a key or as a contract."""
    if who == ZERO_ADDRESS:
        return False
    return signer_of(message_digest, signature) == who or accepted_by_wallet(wallets, who, message_digest, signature)


def accepted_by_wallet(wallets: Wallets, who: Address, message_digest: bytes, signature: bytes) -> bool:
    """ERC-1271: whether the account is a contract that takes the signature for its own."""
    return who in wallets and wallets[who](message_digest, signature)


def voucher_digest(ledger: Ledger, voucher: SignedVoucher, provider: Address) -> bytes:
    """The digest for the provider whom the lease names, so that a voucher pays nobody else."""
    return digest(
        ledger.domain,
        Voucher(
            lease=voucher.lease,
            provider=provider,
            cumulative=voucher.cumulative,
            result=voucher.result,
            last=voucher.last,
        ),
    )


def signed_voucher(expected: Address, message_digest: bytes, voucher: SignedVoucher) -> bool:
    """Whether the key signed the voucher. Never a contract, so that no wallet's change voids or forges one."""
    vs = int.from_bytes(voucher.signature[32:], "big")
    s, parity = vs & ~_PARITY, vs >> 255
    signature = voucher.signature[:32] + s.to_bytes(32, "big") + bytes([27 + parity])
    return expected != ZERO_ADDRESS and signer_of(message_digest, signature) == expected
