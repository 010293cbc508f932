"""What auditors say about providers (DESIGN 4.3, IProviderRegistry): one word per auditor and provider, sent once."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from protocol.hashing import ZERO_ADDRESS, Address
from protocol.ledger.signing import signed_by
from protocol.ledger.state import Call, Wallets, require, whole_call
from protocol.messages import Domain, digest
from protocol.terms import Attestation

MAX_URI_BYTES: Final = 256
ATTESTABLE: Final = (1 << 208) - 1
"""The traits that can be attested: bits 0..207."""


class RegistryError(StrEnum):
    """Why a whole call is refused."""

    ZERO_ADDRESS = "ProviderRegistry_ZeroAddress"
    EXPIRED = "ProviderRegistry_Expired"
    ALREADY_USED = "ProviderRegistry_AlreadyUsed"
    AUDITOR_SIGNATURE = "ProviderRegistry_AuditorSignature"
    TRAITS_OUT_OF_RANGE = "ProviderRegistry_TraitsOutOfRange"
    NOT_AUDITOR = "ProviderRegistry_NotAuditor"
    URI_TOO_LONG = "ProviderRegistry_UriTooLong"


@dataclass(slots=True, kw_only=True)
class Registry:
    """All that was said."""

    #: the registry's own: its address, not the ledger's
    domain: Domain
    wallets: Wallets = field(default_factory=dict)
    #: (auditor, provider) → what stands, with its digest
    standing: dict[tuple[Address, Address], tuple[bytes, Attestation]] = field(default_factory=dict)
    #: digests that can never be sent (again)
    used: set[bytes] = field(default_factory=set)
    #: provider → hash of what it says about itself
    profiles: dict[Address, bytes] = field(default_factory=dict)

    def keep(self) -> None:
        """Nothing outside moves."""

    def undo(self) -> None:
        """Nothing outside moves."""

    def is_attested(self, auditor: Address, provider: Address, traits: int, zone: int, until: int) -> bool:
        """All of the traits, the zone if it is not 0, and until that time at least (unix seconds)."""
        if (auditor, provider) not in self.standing:
            return False
        _, word = self.standing[auditor, provider]
        return until <= word.valid_until and traits & ~word.traits == 0 and zone in (0, word.zone)


@whole_call
def attest(registry: Registry, call: Call, attestation: Attestation, signature: bytes) -> None:
    """Records an auditor's word, once; anyone may send it. It replaces the auditor's word before."""
    auditor, provider = attestation.auditor, attestation.provider
    hashed = digest(registry.domain, attestation)
    require(ZERO_ADDRESS not in (auditor, provider), RegistryError.ZERO_ADDRESS)
    require(hashed not in registry.used, RegistryError.ALREADY_USED)
    require(call.time < attestation.valid_until, RegistryError.EXPIRED)
    require(attestation.traits <= ATTESTABLE, RegistryError.TRAITS_OUT_OF_RANGE)
    require(signed_by(registry.wallets, auditor, hashed, signature), RegistryError.AUDITOR_SIGNATURE)
    registry.used.add(hashed)
    registry.standing[auditor, provider] = (hashed, attestation)


@whole_call
def revoke(registry: Registry, call: Call, attestation: Attestation) -> None:
    """The auditor takes a word back, sent or not; what stands falls only if it is this one."""
    require(call.caller == attestation.auditor, RegistryError.NOT_AUDITOR)
    hashed = digest(registry.domain, attestation)
    registry.used.add(hashed)
    key = (attestation.auditor, attestation.provider)
    if key in registry.standing and registry.standing[key][0] == hashed:
        del registry.standing[key]


@whole_call
def set_profile(registry: Registry, call: Call, metadata_hash: bytes, uri: str) -> None:
    """How a provider shows itself; decides nothing."""
    require(len(uri.encode()) <= MAX_URI_BYTES, RegistryError.URI_TOO_LONG)
    registry.profiles[call.caller] = metadata_hash
