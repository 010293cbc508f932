"""One ledger in bytecode, one in Python; every operation goes to both, and then they must be the same in everything."""

from collections import Counter
from typing import Any, Final

from eth_abi.abi import decode

from protocol.calls import artefact
from protocol.events import (
    HEAD_SLOT,
    SKIPPED_TOPIC,
    DisputeLapsed,
    LeaseClosed,
    LeaseRuled,
    LedgerHead,
    decode_log,
    event_hash,
)
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, Address, keccak256
from protocol.ids import lease_id
from protocol.ledger.registry import Registry
from protocol.ledger.state import Call, Done, Ledger, Outcome
from protocol.messages import Domain, digest
from protocol.terms import Order
from tests.differential.cast import AUDITORS, BUYERS, DELEGATES, EVERYBODY, PROVIDERS, WALLETS, wallet_code, wallet_rule
from tests.differential.chain import CHAIN_ID, GENESIS_TIME, MIN_NOTICE, Answer, Chain, InProcessChain
from tests.differential.layout import Expected, check_views
from tests.differential.operations import Operation, apply, calldata, is_registry
from tests.differential.token import UNLIMITED, TokenModel

_RETURNING: Final = ("open", "redeem", "closeLast", "bumpEpoch")
_FULL_EVERY: Final = 16
"""Operations after which the words of what does not exist are read one by one too."""
POOR: Final = "stranger"
"""Who has no coins and has allowed nothing."""


class Difference(AssertionError):
    """Model and bytecode disagree."""


def _error_names() -> dict[bytes, str]:
    names = {}
    for contract in ("ComputeLedger", "ProviderRegistry", "TestDollar"):
        for entry in artefact(contract)["abi"]:
            if entry["type"] == "error":
                types = ",".join(item["type"] for item in entry["inputs"])
                names[keccak256(f"{entry['name']}({types})".encode())[:4]] = entry["name"]
    return names


ERROR_NAMES: Final = _error_names()


class Twins:
    """A world with everybody in it and some money in their pockets."""

    def __init__(self, chain: Chain | None = None) -> None:
        self.chain: Chain = chain or InProcessChain()
        self._runs = 0
        self._revealing = False
        self.time = GENESIS_TIME
        wallets = {actor.address: wallet_rule(actor) for actor in WALLETS}
        self.domain = Domain(chain_id=CHAIN_ID, ledger=self.chain.ledger)
        self.token = TokenModel(self.chain.token, CHAIN_ID)
        self.registry = Registry(domain=Domain(chain_id=CHAIN_ID, ledger=self.chain.registry), wallets=wallets)
        self.ledger = Ledger(
            domain=self.domain, min_notice=MIN_NOTICE, token=self.token, registry=self.registry, wallets=wallets
        )
        self.heads = {self.chain.ledger: LedgerHead(), self.chain.registry: LedgerHead()}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.known = Expected(self.chain, self.ledger, self.registry, self.token)
        self.known.people = [*(actor.address for actor in EVERYBODY), ZERO_ADDRESS, self.chain.ledger]
        self.known.delegates = [(buyer.address, key.address) for buyer in BUYERS for key in DELEGATES]
        self.known.auditors = [(auditor.address, seller.address) for auditor in AUDITORS for seller in PROVIDERS]
        for actor in WALLETS:
            self.chain.install(actor.address, wallet_code(actor.key.address))
        for actor in EVERYBODY:
            if actor.name != POOR:
                self._fund(actor.address)

    def _fund(self, who: Address) -> None:
        """Coins for a long life, and an allowance that never ends."""
        amount = 2**70
        for name, arguments in (("mint", _words(who, amount)), ("approve", _words(self.chain.ledger, UNLIMITED))):
            signature = {"mint": b"mint(address,uint256)", "approve": b"approve(address,uint256)"}[name]
            answer = self.act(who, self.chain.token, keccak256(signature)[:4] + arguments, self.time)
            assert answer.ok
        self.token.mint(who, amount)
        self.token.coins.allowances[who, self.chain.ledger] = UNLIMITED

    def act(self, caller: Address, to: Address, data: bytes, time: int) -> Answer:
        """A transaction by a key, or by a contract wallet that anybody may poke."""
        if any(actor.address == caller for actor in WALLETS):
            poker = EVERYBODY[0].address
            return self.chain.send(poker, caller, bytes(12) + bytes.fromhex(to[2:]) + data, time)
        return self.chain.send(caller, to, data, time)

    def run(self, operation: Operation) -> Outcome:
        """Runs it on both; raises `Difference`."""
        home = self.chain.registry if is_registry(operation) else self.chain.ledger
        answer = self.act(operation.caller, home, calldata(operation), operation.time)
        self.time = answer.time
        call = Call(
            caller=operation.caller,
            time=answer.time,
            parent_hash=answer.parent_hash,
            randomness=answer.randomness,
        )
        self.ledger.events.clear()
        self._revealing = operation.name == "claim" and self._is_hidden(*operation.arguments[:2])
        outcome = apply(operation, call, self.ledger, self.registry)
        self._count(operation, outcome)
        self._compare_outcome(operation, outcome, answer)
        self._compare_logs(answer)
        self._runs += 1
        self.compare_state(every=self._runs % _FULL_EVERY == 0)
        return outcome

    def _count(self, operation: Operation, outcome: Outcome) -> None:
        if not isinstance(outcome, Done):
            self.counts[operation.name, outcome.error] += 1
        elif operation.name in ("open", "redeem", "closeLast"):
            for skip in outcome.items:
                self.counts[operation.name, skip.name if skip else "done"] += 1
            if operation.name == "closeLast" and outcome.value:
                self.counts[operation.name, "done, by both sides"] += outcome.value
        else:
            self.counts[operation.name, "done" + self._kind(operation)] += 1

    def _is_hidden(self, order: Order, fill: int) -> bool:
        claim = self.ledger.claims.get(lease_id(digest(self.domain, order), fill))
        return claim is not None and claim.reveal_from > 0

    def _kind(self, operation: Operation) -> str:
        """What a call did that can do several things."""
        if operation.name == "claim":
            revealed = ", revealed" if self._revealing else ""
            return revealed + (", from a checkpoint" if operation.arguments[2].start != ZERO_HASH else "")
        if operation.name == "challenge":
            return ", claim" if operation.arguments[2] is None else ", usage receipt"
        for event in self.ledger.events:
            if isinstance(event, DisputeLapsed):
                return ", arbiter silent"
            if isinstance(event, LeaseRuled):
                kinds = {True: ", provider wins", False: ", buyer wins"}
                return ", agreement" if event.challenger == ZERO_ADDRESS else kinds[event.provider_wins]
            if isinstance(event, LeaseClosed):
                claim = self.ledger.claims.get(event.lease)
                penalty = ", penalty" if event.penalty else ""
                return (
                    ", notice over" if claim is None else ", claim" if not claim.reveal_from else ", unrevealed"
                ) + penalty
        return ""

    @staticmethod
    def _compare_outcome(operation: Operation, outcome: Outcome, answer: Answer) -> None:
        if isinstance(outcome, Done):
            if not answer.ok:
                raise Difference(f"the model is done, the bytecode says {_error(answer.output)}")
            if operation.name in _RETURNING and answer.output is not None:
                (value,) = decode(["uint256"], answer.output)
                if value != outcome.value:
                    raise Difference(f"the model returns {outcome.value}, the bytecode {value}")
        elif answer.ok:
            raise Difference(f"the model says {outcome.error}, the bytecode is done")
        elif _error(answer.output) != outcome.error:
            raise Difference(f"the model says {outcome.error}, the bytecode {_error(answer.output)}")

    def _compare_logs(self, answer: Answer) -> None:
        """The same events in the same order, and they hash to the head."""
        seen = []
        for address, topics, data in answer.logs:
            if address == self.chain.ledger:
                seen.append(decode_log(topics, data))
            if address in self.heads and topics[0] != SKIPPED_TOPIC:
                hashed = event_hash(topics, data)
                self.heads[address] = self.heads[address].advance(answer.block, answer.time, hashed)
        mine = self.ledger.events if answer.ok else []
        if seen != mine:
            raise Difference(f"the model's events are {mine}, the bytecode's {seen}")

    def compare_state(self, *, every: bool = True) -> None:
        """What every slot of the three contracts that this world knows must hold."""
        places, words = self.known.words(every=every)
        for address, head in self.heads.items():
            places.append((address, HEAD_SLOT))
            words.append(head.to_slot())
        found = self.chain.slots(places)
        if found != words:
            for (address, slot), word, is_word in zip(places, words, found, strict=True):
                if word != is_word:
                    where = f"{self._name(address)} slot {slot:#x}"
                    raise Difference(f"{where}: the model has {word:#x}, the bytecode {is_word:#x}")
        held = self.token.coins.balances[self.chain.ledger]
        if self.ledger.owed() != held:
            raise Difference(f"owed {self.ledger.owed()}, held {held}")

    def compare_views(self) -> None:
        try:
            check_views(self.chain, self.known, self.ledger, self.registry, self.token, self.time)
        except AssertionError as error:
            raise Difference(str(error)) from error

    def _name(self, address: Address) -> str:
        names = {self.chain.ledger: "ledger", self.chain.registry: "registry", self.chain.token: "token"}
        return names[address]


def _words(*values: Any) -> bytes:
    return b"".join(
        value.to_bytes(32, "big") if isinstance(value, int) else bytes(12) + bytes.fromhex(value[2:])
        for value in values
    )


def _error(output: bytes | None) -> str:
    if output is None:
        return "a revert"
    return ERROR_NAMES.get(output[:4], "0x" + output.hex()) if output else "no reason"
