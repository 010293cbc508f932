"""Operations of the registry: auditors speak, take back, providers show themselves."""

from random import Random

from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, keccak256
from protocol.messages import digest
from protocol.terms import Attestation
from tests.differential.cast import AUDITORS, BY_ADDRESS, PROVIDERS, STRANGER
from tests.differential.operations import Operation
from tests.differential.twins import Twins


class Witnesses:
    """Remembers what was said, to send it again or to take it back."""

    def __init__(self, twins: Twins, random: Random) -> None:
        self.random, self.twins = random, twins
        self.said: list[Attestation] = []

    def _attestation(self) -> Attestation:
        random = self.random
        if self.said and random.random() < 0.25:
            return random.choice(self.said)
        word = Attestation(
            auditor=random.choice(AUDITORS).address if random.random() > 0.03 else ZERO_ADDRESS,
            provider=random.choice(PROVIDERS).address if random.random() > 0.03 else ZERO_ADDRESS,
            traits=random.choice((1 | 1 << 16, 1 | 1 << 16, 1, (1 << 208) - 1, 1 << 208)),
            zone=random.choice((0, 1, 2, 3, 255)),
            valid_until=self.twins.time + random.choice((0, 1, 60, 400, 400, 10**8, 10**8)),
            evidence=random.choice((ZERO_HASH, keccak256(b"evidence"))),
        )
        self.said.append(word)
        self.twins.known.attestations.append(digest(self.twins.registry.domain, word))
        return word

    def _soon(self) -> int:
        return self.twins.time + self.random.choice((0, 0, 1, 2))

    def attest(self) -> Operation:
        word = self._attestation()
        key = BY_ADDRESS.get(word.auditor, STRANGER).key if self.random.random() > 0.08 else STRANGER.key
        signature = key.sign_digest(digest(self.twins.registry.domain, word))
        return Operation("attest", STRANGER.address, self._soon(), (word, signature))

    def revoke(self) -> Operation:
        word = self._attestation()
        sender = word.auditor if word.auditor != ZERO_ADDRESS and self.random.random() > 0.15 else STRANGER.address
        return Operation("revoke", sender, self._soon(), (word,))

    def profile(self) -> Operation:
        uri = "é" * self.random.choice((0, 1, 127, 128)) + "x" * self.random.randrange(2)
        sender = self.random.choice(PROVIDERS).address
        return Operation("setProfile", sender, self._soon(), (keccak256(uri.encode()), uri))
