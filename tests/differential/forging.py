"""The forger: messages that nobody signed for this ledger, now, and for this. Accepted means that any state changed.

Each kind of forgery has its count, and every target is shown to be accepted when it is not forged (the control group).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from protocol.hashing import Address, keccak256
from protocol.keys import LocalKey
from protocol.ledger.state import Call, Done
from protocol.messages import Domain, digest, struct_hash, words
from protocol.terms import UsageReceipt, Voucher
from tests.differential.cast import EVERYBODY
from tests.differential.chain import CHAIN_ID, InProcessChain
from tests.differential.layout import forget
from tests.differential.operations import Operation, apply, calldata, is_registry
from tests.differential.targets import Gallery, Target

ORDER_OF_CURVE: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
#: forgeries in one world
PART: Final = 2000
_MODEL_EVERY: Final = 8
Counts = Counter[tuple[str, str]]


class Accepted(AssertionError):
    """A forgery changed something, or the genuine message did not."""


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _changed(random: Random, message: Any) -> Any:
    """The message with one field another value of its type, mostly a near one."""
    name = random.choice(list(message.TYPES))
    kind, value = message.TYPES[name], getattr(message, name)
    if kind == "bool":
        other: Any = not value
    elif kind == "bytes32":
        other = _flip(random, value)
    elif kind == "address":
        other = random.choice([actor.address for actor in EVERYBODY if actor.address != value])
    else:
        bits = int(kind.removeprefix("uint"))
        near = [value + step for step in (-1, 1) if 0 <= value + step < 1 << bits]
        other = random.choice([*near, value ^ 1 << random.randrange(bits)])
    return type(message)(**{field: getattr(message, field) for field in message.TYPES} | {name: other})


def _flip(random: Random, data: bytes) -> bytes:
    bit = random.randrange(8 * len(data))
    return (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")


class Forger:
    """Makes forgeries of the targets of one world and tries them."""

    def __init__(self, seed: str, chain: InProcessChain | None = None) -> None:
        forget()
        self.random = Random(seed)
        self.gallery = Gallery(self.random, chain)
        self.twins = self.gallery.twins
        self.chain = self.gallery.chain
        self.counts: Counts = Counter()
        self._tries = 0
        #: genuine messages that were accepted
        self.controls = 0
        self._unmoved: list[int] = []
        self._ways: tuple[tuple[str, Callable[[Target], tuple[Any, bytes] | None]], ...] = (
            ("field changed after signing", self._field_changed),
            ("signature of another message", self._signed_another),
            ("of another lease", self._other_lease),
            ("signed for another chain", self._other_chain),
            ("signed for another contract", self._other_contract),
            ("signed for the neighbour contract", self._neighbour),
            ("signed as another type", self._other_type),
            ("signed without domain or with a prefix", self._other_digest),
            ("another signer", self._other_signer),
            ("high s", self._high_s),
            ("other v", self._other_v),
            ("other length or form", self._other_form),
            ("r and s out of range", self._out_of_range),
            ("bit flipped in the signature", self._bit_of_signature),
            ("random signature", self._random_signature),
        )

    def run(self, count: int) -> Counts:
        """As many forgeries; raises `Accepted`."""
        for target in self.gallery.targets:
            self.control(target)
        self._unmoved = self._state()
        while sum(self.counts.values()) < count:
            target = self.random.choice(self.gallery.targets)
            if self.random.random() < 0.08:
                self._try_voided(target)
            elif self.random.random() < 0.2:
                self._try_raw(target)
            else:
                self._try_signed(target)
        for target in self.gallery.targets:
            self.control(target)
        return self.counts

    def _state(self) -> list[int]:
        places, _ = self.twins.known.words()
        places += [(self.chain.ledger, 0), (self.chain.registry, 0)]
        return self.chain.slots(places)

    def control(self, target: Target) -> None:
        """The genuine message changes the state."""
        mark, before = self.chain.mark(), self._state()
        self._send(target.genuine, calldata(target.genuine))
        if self._state() == before:
            raise Accepted(f"the genuine {target.name} was not accepted")
        self.chain.back_to(mark)
        if self._state() != before:
            raise Accepted("the world did not come back to its mark")
        self.controls += 1

    def _send(self, operation: Operation, data: bytes) -> None:
        home = self.chain.registry if is_registry(operation) else self.chain.ledger
        self.twins.act(operation.caller, home, data, operation.time)

    def _refuse(self, target: Target, kind: str, operation: Operation, data: bytes) -> None:
        self._send(operation, data)
        if self._state() != self._unmoved:
            raise Accepted(f"{target.name}, {kind}: accepted\n{operation}\n0x{data.hex()}")
        self.counts[target.name, kind] += 1

    def _model_refuses(self, target: Target, kind: str, operation: Operation) -> None:
        """Now and then the model is asked too."""
        self._tries += 1
        if self._tries % _MODEL_EVERY:
            return
        call = Call(caller=operation.caller, time=operation.time)
        outcome = apply(operation, call, self.twins.ledger, self.twins.registry)
        if isinstance(outcome, Done) and not any(outcome.items):
            raise Accepted(f"{target.name}, {kind}: the model accepts\n{operation}")

    def _try_signed(self, target: Target) -> None:
        kind, way = self.random.choice(self._ways)
        made = way(target)
        if made is None:
            return
        message, signature = made
        if target.empty_is_none and not signature:
            return
        operation = target.build(message, signature)
        self._refuse(target, kind, operation, calldata(operation))
        self._model_refuses(target, kind, operation)

    # Another message, another signer

    def _genuine(self, target: Target) -> bytes:
        return target.sign(digest(target.domain, target.message))

    def _field_changed(self, target: Target) -> tuple[Any, bytes] | None:
        changed = _changed(self.random, target.message)
        if isinstance(changed, Voucher) and changed.provider != target.message.provider:  # type: ignore[union-attr]
            # A voucher's provider is not sent.
            return None
        return changed, self._genuine(target)

    def _signed_another(self, target: Target) -> tuple[Any, bytes]:
        return target.message, target.sign(digest(target.domain, _changed(self.random, target.message)))

    def _other_lease(self, target: Target) -> tuple[Any, bytes] | None:
        """What was signed for one lease is sent for another, which may have the same provider and signer."""
        if not isinstance(target.message, (Voucher, UsageReceipt)):
            return None
        leases = [lease for lease in self.twins.ledger.leases if lease != target.message.lease]
        fields = {name: getattr(target.message, name) for name in target.message.TYPES}
        changed = type(target.message)(**fields | {"lease": self.random.choice(leases)})
        return changed, self._genuine(target)

    def _other_chain(self, target: Target) -> tuple[Any, bytes]:
        chain_id = self.random.choice((1, 10, 8453, CHAIN_ID + 1, self.random.getrandbits(64)))
        domain = Domain(chain_id=chain_id, ledger=target.domain.ledger)
        return target.message, target.sign(digest(domain, target.message))

    def _other_contract(self, target: Target) -> tuple[Any, bytes]:
        other = self.random.choice([self.chain.token, *(actor.address for actor in EVERYBODY)])
        return target.message, target.sign(digest(Domain(chain_id=CHAIN_ID, ledger=other), target.message))

    def _neighbour(self, target: Target) -> tuple[Any, bytes]:
        """The registry's domain for what is the ledger's, and the other way round."""
        at_ledger = target.domain.ledger == self.chain.ledger
        home: Address = self.chain.registry if at_ledger else self.chain.ledger
        return target.message, target.sign(digest(Domain(chain_id=CHAIN_ID, ledger=home), target.message))

    def _other_type(self, target: Target) -> tuple[Any, bytes]:
        """The same key signed another kind of message for the same ledger."""
        kinds = [other.message for other in self.gallery.targets if type(other.message) is not type(target.message)]
        return target.message, target.sign(digest(target.domain, self.random.choice(kinds)))

    def _other_digest(self, target: Target) -> tuple[Any, bytes]:
        right = digest(target.domain, target.message)
        prefixed = keccak256(b"\x19Ethereum Signed Message:\n32" + right)
        choices = (struct_hash(target.message), keccak256(right), keccak256(words(target.message)), prefixed, bytes(32))
        return target.message, target.sign(self.random.choice(choices))

    def _other_signer(self, target: Target) -> tuple[Any, bytes]:
        allowed = {target.key.address, *(key.address for key in target.also)}
        keys = [actor.key for actor in EVERYBODY if actor.key.address not in allowed]
        key = self.random.choice([*keys, LocalKey(keccak256(self.random.randbytes(32)))])
        signature = key.sign_digest(digest(target.domain, target.message))
        return target.message, self._as(target, signature)

    # The same signature in another spelling

    def _full(self, target: Target) -> bytes:
        return target.key.sign_digest(digest(target.domain, target.message))

    @staticmethod
    def _as(target: Target, signature: bytes) -> bytes:
        """65 bytes in the form that the target takes, whatever s and v are."""
        if not target.compact:
            return signature
        s = int.from_bytes(signature[32:64], "big")
        return signature[:32] + _word(s | (signature[64] - 27 & 1) << 255)

    def _high_s(self, target: Target) -> tuple[Any, bytes]:
        full = self._full(target)
        s = ORDER_OF_CURVE - int.from_bytes(full[32:64], "big")
        v = full[64] ^ 7 if self.random.random() < 0.7 else full[64]
        signature = full[:32] + _word(s) + bytes([v])
        # In the short form the top bit of a high s is where the parity belongs.
        return target.message, signature[:64] if target.compact else signature

    def _other_v(self, target: Target) -> tuple[Any, bytes]:
        full = self._full(target)
        if target.compact:
            return target.message, self._as(target, full[:64] + bytes([full[64] ^ 7]))
        v = self.random.choice([v for v in (0, 1, 26, 29, 27, 28, self.random.randrange(256)) if v != full[64]])
        return target.message, full[:64] + bytes([v])

    def _other_form(self, target: Target) -> tuple[Any, bytes] | None:
        full = self._full(target)
        r, s, v = full[:32], full[32:64], full[64:]
        if target.compact:
            # Words of the long form, or in the wrong order.
            wrong_parity = int.from_bytes(s, "big") | (28 - full[64]) << 255
            forms = [s + r, r + r, r + _word(wrong_parity), v.rjust(32, b"\0") + r]
            return target.message, self.random.choice(forms)
        compact = r + _word(int.from_bytes(s, "big") | (full[64] - 27) << 255)
        forms = [
            compact, compact + b"\0", compact + v, full[:64], full + b"\0", b"\0" + full, v + r + s, s + r + v,
            _word(full[64]) + r + s, full + full, full[:-1] + b"\0" * 32, b"",
        ]  # fmt: skip
        made = self.random.choice(forms)
        # A parity of 0 makes one of them the genuine signature.
        return None if made == full else (target.message, made)

    def _out_of_range(self, target: Target) -> tuple[Any, bytes] | None:
        full = self._full(target)
        edges = (0, 1, ORDER_OF_CURVE - 1, ORDER_OF_CURVE, ORDER_OF_CURVE + 1, 2**256 - 1)
        r, s = full[:32], full[32:64]
        if self.random.random() < 0.5:
            r = _word(self.random.choice(edges))
        else:
            s = _word(self.random.choice(edges))
        return target.message, r + s if target.compact else r + s + full[64:]

    def _bit_of_signature(self, target: Target) -> tuple[Any, bytes]:
        return target.message, _flip(self.random, self._genuine(target))

    def _random_signature(self, target: Target) -> tuple[Any, bytes]:
        size = 64 if target.compact else 65
        signature = self.random.randbytes(size)
        if not target.compact:
            signature = signature[:64] + bytes([self.random.choice((27, 28))])
        return target.message, signature

    # In the bytes of the call

    def _try_raw(self, target: Target) -> None:
        """A bit of the message flipped where it lies in calldata: within its type, or above it."""
        operation = target.genuine
        data = calldata(operation)
        spans = list(self._spans(target, data))
        start, kind = self.random.choice(spans)
        width = {"bytes32": 256, "address": 160, "bool": 1}.get(kind) or int(kind.removeprefix("uint"))
        above = width < 256 and self.random.random() < 0.5
        bit = self.random.randrange(width, 256) if above else self.random.randrange(width)
        word = int.from_bytes(data[start : start + 32], "big") ^ 1 << bit
        forged = data[:start] + _word(word) + data[start + 32 :]
        self._refuse(target, "bit above a field's type" if above else "bit of a field", operation, forged)

    @staticmethod
    def _spans(target: Target, data: bytes) -> Iterator[tuple[int, str]]:
        """(place, type) of each word of the message in the call."""
        message = target.message
        if isinstance(message, Voucher):
            order: tuple[str, ...] = ("cumulative", "last", "lease", "result")
            sent = _word(message.cumulative) + _word(message.last) + message.lease + message.result
        else:
            order, sent = tuple(message.TYPES), words(message)
        start = data.index(sent)
        for index, name in enumerate(order):
            yield start + 32 * index, message.TYPES[name]

    # What was good once

    def _try_voided(self, target: Target) -> None:
        """The genuine message after what voids it, or from its expiry on."""
        mark, before = self.chain.mark(), self._unmoved
        genuine = target.genuine
        kinds: list[tuple[str, Operation | None]] = list(target.voided_by)
        if target.void_from:
            kinds.append(("expired", None))
        kind, voiding = self.random.choice(kinds)
        late = genuine
        if voiding is None:
            time = target.void_from + self.random.choice((0, 0, 1, 1000))
            late = Operation(genuine.name, genuine.caller, time, genuine.arguments)
        else:
            self._send(voiding, calldata(voiding))
            self._unmoved = self._state()
            if self._unmoved == before:
                raise Accepted(f"{target.name}, {kind}: what should void it did nothing")
        self._refuse(target, kind, late, calldata(late))
        self.chain.back_to(mark)
        self._unmoved = before


def forge(seed: str, count: int) -> tuple[Counts, int]:
    """(forgeries refused by target and kind, genuine messages accepted) of as many worlds as the count needs."""
    total: Counts = Counter()
    controls = 0
    for number in range(-(-count // PART)):
        forger = Forger(f"{seed}/{number}")
        total += forger.run(min(PART, count - number * PART))
        controls += forger.controls
    return total, controls
