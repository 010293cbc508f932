"""The whole state as storage words: what the model says that every slot of the contracts must hold.

Words are compared instead of views because reading one takes half a microsecond. `check_views` checks that the layout
here is the contract's, by asking the views for the same facts.
"""

from functools import cache
from typing import Any, Final

from protocol.calls import decode_result, encode_call
from protocol.hashing import Address, checksum_address, keccak256
from protocol.ledger.registry import Registry
from protocol.ledger.state import Account, Claim, Delegate, Dispute, Lease, Ledger
from protocol.terms import Attestation
from tests.differential.chain import Chain
from tests.differential.token import TokenModel

HEAD: Final = 0
_ACCOUNTS, _BENEFICIARIES, _DELEGATES, _CANCELLED, _LEASES, _CLAIMS, _DISPUTES = range(1, 8)
_WORDS, _STANDING, _USED, _PROFILES = range(1, 5)
_BALANCES: Final = 0
_NO_DELEGATE: Final = Delegate(0, 0)


def _key(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else bytes(12) + bytes.fromhex(value[2:])


@cache
def slot(mapping: int, *keys: str | bytes) -> int:
    """Where a mapping, or a mapping in a mapping, keeps its value."""
    place = mapping.to_bytes(32, "big")
    for key in keys:
        place = keccak256(_key(key) + place)
    return int.from_bytes(place, "big")


def account_word(account: Account) -> int:
    return (
        account.free | account.bonded << 64 | account.open_leases << 128 | account.epoch << 160 | account.guarded << 224
    )


def lease_words(lease: Lease) -> tuple[int, int]:
    status = lease.state | lease.reason << 3 | lease.done << 6 | lease.early << 7 | lease.responded << 8
    first = int(lease.provider, 16) | lease.locked << 160 | lease.paid << 208
    second = (
        int(lease.voucher_signer, 16) | lease.deadline << 160 | lease.rate << 200 | lease.zone << 232 | status << 240
    )
    return first, second


def claim_words(claim: Claim) -> tuple[int, int, int]:
    numbers = claim.work | claim.target << 64 | claim.reveal_from << 112 | claim.last << 152
    return int.from_bytes(claim.result, "big"), int.from_bytes(claim.start, "big"), numbers


def dispute_words(dispute: Dispute) -> tuple[int, int]:
    return int(dispute.challenger, 16) | dispute.bond << 160, int.from_bytes(dispute.receipt, "big")


class Expected:
    """(contract, slot) → word, for everything that is known of the world, zeros included."""

    def __init__(self, chain: Chain, ledger: Ledger, registry: Registry, token: TokenModel) -> None:
        self._chain, self._ledger, self._registry, self._token = chain, ledger, registry, token
        self.people: list[Address] = []
        #: possible leases: opened ones and those that must not exist
        self.leases: list[bytes] = []
        self.delegates: list[tuple[Address, Address]] = []
        self.cancelled: list[tuple[Address, bytes]] = []
        self.auditors: list[tuple[Address, Address]] = []
        self.attestations: list[bytes] = []

    def take_over(self, other: "Expected") -> None:
        """Looks at the same places as another world's."""
        for name in ("people", "leases", "delegates", "cancelled", "auditors", "attestations"):
            setattr(self, name, list(getattr(other, name)))

    def words(self, *, every: bool = True) -> tuple[list[tuple[Address, int]], list[int]]:
        """Places, and what must be in each.

        Without `every`, a lease, claim or dispute that does not exist is one word that must be 0, not all its words.
        """
        places: list[tuple[Address, int]] = []
        words: list[int] = []
        ledger, home = self._ledger, self._chain.ledger
        for who in self.people:
            account = ledger.accounts[who]
            places += (
                (home, slot(_ACCOUNTS, who)),
                (home, slot(_BENEFICIARIES, who)),
                (self._chain.token, slot(_BALANCES, who)),
            )
            words += (account_word(account), int(account.beneficiary, 16), self._token.coins.balances[who])
        for pair in self.delegates:
            delegate = ledger.delegates.get(pair) or _NO_DELEGATE
            places.append((home, slot(_DELEGATES, *pair)))
            words.append(delegate.remaining | delegate.until << 64)
        for mark in self.cancelled:
            places.append((home, slot(_CANCELLED, *mark)))
            words.append(mark in ledger.cancelled)
        for key in self.leases:
            self._add_lease(home, key, places, words, every=every)
        self._add_registry(places, words)
        return places, words

    def _add_lease(
        self, home: Address, key: bytes, places: list[tuple[Address, int]], words: list[int], *, every: bool
    ) -> None:
        lease_at, claim_at, dispute_at = _lease_slots(key)
        lease = self._ledger.leases.get(key)
        if lease is None and not every:
            places.append((home, lease_at))
            words.append(0)
            return
        places += ((home, lease_at), (home, lease_at + 1))
        words += lease_words(lease) if lease else (0, 0)
        claim, dispute = self._ledger.claims.get(key), self._ledger.disputes.get(key)
        if claim or every:
            places += ((home, claim_at), (home, claim_at + 1), (home, claim_at + 2))
            words += claim_words(claim) if claim else (0, 0, 0)
        else:
            places.append((home, claim_at + 2))
            words.append(0)
        places.append((home, dispute_at))
        words.append(dispute_words(dispute)[0] if dispute else 0)
        if dispute or every:
            places.append((home, dispute_at + 1))
            words.append(dispute_words(dispute)[1] if dispute else 0)

    def _add_registry(self, places: list[tuple[Address, int]], words: list[int]) -> None:
        registry, home = self._registry, self._chain.registry
        for pair in self.auditors:
            digest, word = registry.standing.get(pair, (bytes(32), None))
            places += ((home, slot(_WORDS, *pair)), (home, slot(_STANDING, *pair)))
            words += (attested_word(word), int.from_bytes(digest, "big"))
        for digest in self.attestations:
            places.append((home, slot(_USED, digest)))
            words.append(digest in registry.used)
        for who in self.people:
            places.append((home, slot(_PROFILES, who)))
            words.append(int.from_bytes(registry.profiles.get(who, b""), "big"))


@cache
def _lease_slots(key: bytes) -> tuple[int, int, int]:
    return slot(_LEASES, key), slot(_CLAIMS, key), slot(_DISPUTES, key)


def forget() -> None:
    """A new world has new leases."""
    slot.cache_clear()
    _lease_slots.cache_clear()


def attested_word(word: Attestation | None) -> int:
    return word.traits | word.zone << 208 | word.valid_until << 216 if word else 0


def _ask(chain: Chain, contract: str, name: str, *arguments: Any) -> Any:
    home = {"ComputeLedger": chain.ledger, "ProviderRegistry": chain.registry, "TestDollar": chain.token}[contract]
    values = decode_result(contract, name, chain.view(home, encode_call(contract, name, *arguments)))
    return values[0] if len(values) == 1 else values


def _same(what: str, found: Any, expected: Any) -> None:
    assert found == expected, f"{what}: the view says {found}, the model {expected}"


def check_views(
    chain: Chain, known: Expected, ledger: Ledger, registry: Registry, token: TokenModel, time: int
) -> None:
    """Every view of the contracts says what the model says."""
    for who in known.people:
        mine = ledger.accounts[who]
        seen = (mine.free, mine.bonded, mine.open_leases, mine.epoch, mine.guarded)
        _same("account", _ask(chain, "ComputeLedger", "account", who), seen)
        _same("beneficiary", checksum_address(_ask(chain, "ComputeLedger", "beneficiary", who)), mine.beneficiary)
        _same("balance", _ask(chain, "TestDollar", "balanceOf", who), token.coins.balances[who])
        _same("profile", _ask(chain, "ProviderRegistry", "metadataHash", who), registry.profiles.get(who, bytes(32)))
    for pair in known.delegates:
        delegate = ledger.delegates.get(pair) or _NO_DELEGATE
        _same("delegate", _ask(chain, "ComputeLedger", "delegate", *pair), (delegate.remaining, delegate.until))
    for mark in known.cancelled:
        _same("cancelled", _ask(chain, "ComputeLedger", "isCancelled", *mark), mark in ledger.cancelled)
    missing = [key for key in known.leases if key not in ledger.leases]
    for key in (*ledger.leases, *missing[:5]):
        _check_lease_views(chain, ledger, key, time)
    for pair in known.auditors:
        _, word = registry.standing.get(pair, (b"", None))
        said = (word.traits, word.zone, word.valid_until) if word else (0, 0, 0)
        _same("attestation", _ask(chain, "ProviderRegistry", "attestationOf", *pair), said)
        for traits, zone, until in ((said[0], said[1], said[2]), (said[0] | 2, 0, said[2]), (0, 3, said[2] + 1)):
            mine_says = registry.is_attested(*pair, traits, zone, until)
            seen_says = _ask(chain, "ProviderRegistry", "isAttested", *pair, traits, zone, until)
            # Nothing is attested until time 0; the model knows no word, the contract an empty one.
            assert seen_says == mine_says or (word is None and until == 0)
    for digest in known.attestations:
        _same("used", _ask(chain, "ProviderRegistry", "isUsed", digest), digest in registry.used)


def _check_lease_views(chain: Chain, ledger: Ledger, key: bytes, time: int) -> None:
    lease, claim, dispute = ledger.leases.get(key), ledger.claims.get(key), ledger.disputes.get(key)
    seen = _ask(chain, "ComputeLedger", "lease", key)
    nobody = "0x" + "00" * 20
    if lease is None:
        _same("lease", seen, (nobody, 0, 0, nobody, 0, 0, 0, 0, 0, False, False, False))
    else:
        mine = (
            lease.provider.lower(), lease.locked, lease.paid, lease.voucher_signer.lower(), lease.deadline, lease.rate,
            lease.zone, lease.state, lease.reason, lease.done, lease.early, lease.responded,
        )  # fmt: skip
        _same("lease", seen, mine)
    _same("state", _ask(chain, "ComputeLedger", "stateOf", key), lease.state_at(time) if lease else 0)
    claimed = (claim.result, claim.start, claim.work, claim.target, claim.reveal_from, claim.last) if claim else None
    _same("claim", _ask(chain, "ComputeLedger", "claimOf", key), claimed or (bytes(32), bytes(32), 0, 0, 0, False))
    disputed = (dispute.challenger.lower(), dispute.bond, dispute.receipt) if dispute else (nobody, 0, bytes(32))
    _same("dispute", _ask(chain, "ComputeLedger", "disputeOf", key), disputed)
