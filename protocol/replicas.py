"""What a replica commits to before it shows a segment, so that no replica can copy another's (SPEC "Replicas").

The commitment is no `UsageReceipt` itself: a signed one is the provider's word in a dispute, and must be true.
"""

from typing import Final

from protocol.hashing import Address, from_hex, keccak256
from protocol.merkle import tag

_DOMAIN: Final = tag("gridlease/usage-commitment/1")


def usage_commitment(provider: Address, receipt_digest: bytes, salt: bytes) -> bytes:
    """keccak256(abi.encode(domain, provider, EIP-712 digest of the usage receipt, salt)); `salt` has 32 bytes.

    The digest binds lease and segment, the provider keeps a copied commitment from being opened by another.
    """
    return keccak256(_DOMAIN + bytes(12) + from_hex(provider, 20) + receipt_digest + salt)
