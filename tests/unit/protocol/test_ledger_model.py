"""The reference model: nothing is made or lost, whatever happens in whatever order, and everybody gets out."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protocol.events import EndReason, LeaseState
from protocol.hashing import ZERO_HASH, checksum_address, keccak256
from protocol.ids import lease_id
from protocol.keys import LocalKey, compact_signature
from protocol.ledger import accounts, claims, leases, opening
from protocol.ledger.claims import ClaimTerms, commitment_of
from protocol.ledger.leases import LastVoucher
from protocol.ledger.opening import Match, SignedOffer
from protocol.ledger.registry import Registry
from protocol.ledger.signing import SignedVoucher
from protocol.ledger.state import Call, Done, Ledger, LedgerError, Outcome, Refused
from protocol.messages import Domain, digest, sign
from protocol.terms import Order, UsageReceipt, Voucher
from tests.differential.token import UNLIMITED, TokenModel
from tests.support.builders import make_offer, make_order

LEDGER, TOKEN, REGISTRY = (checksum_address(keccak256(name)[12:]) for name in (b"ledger", b"token", b"registry"))
BUYERS = [LocalKey.derive(bytes(32), f"buyer {number}") for number in range(2)]
PROVIDERS = [LocalKey.derive(bytes(32), f"provider {number}") for number in range(2)]
MATCHER, SIGNER, ARBITER = (LocalKey.derive(bytes(32), name) for name in ("matcher", "signer", "arbiter"))
PEOPLE = [*BUYERS, *PROVIDERS, MATCHER, SIGNER, ARBITER]
BUDGET, FILLS, ORDERS = 300, 4, 4
SALT = keccak256(b"salt")
DOMAIN = Domain(chain_id=31337, ledger=LEDGER)
people, sellers = st.sampled_from(PEOPLE), st.sampled_from(PROVIDERS)
slashes = st.tuples(st.integers(0, 25), st.integers(0, 25))
numbers, fills = st.integers(0, ORDERS - 1), st.integers(0, FILLS - 1)


def an_order(number: int) -> Order:
    """Odd ones have two lanes; the last has no arbiter."""
    slow = number < ORDERS - 1
    return make_order(
        buyer=BUYERS[number % 2].address, voucher_signer=SIGNER.address, matcher=MATCHER.address, salt=number,
        quantity=100 + number, budget=BUDGET, duration=50, notice=10, bond=40, min_charge=30, max_leases=FILLS,
        replicas=1 + number % 2, arbiter=ARBITER.address if slow else "0x" + "00" * 20, challenge_window=20 * slow,
    )  # fmt: skip


class Money(RuleBasedStateMachine):
    """Random calls against the model."""

    def __init__(self) -> None:
        super().__init__()
        self.token = TokenModel(TOKEN, 31337)
        registry = Registry(domain=Domain(chain_id=31337, ledger=REGISTRY))
        self.ledger = Ledger(domain=DOMAIN, min_notice=10, token=self.token, registry=registry)
        self.time = 1000
        self.paid: dict[bytes, int] = {}
        for key in PEOPLE:
            self.token.mint(key.address, 10**6)
            self.token.coins.allowances[key.address, LEDGER] = UNLIMITED
            self.act(key, accounts.deposit, key.address, 500)

    def act(self, key: LocalKey, call: Any, *arguments: Any) -> Outcome:
        """A refused call changes nothing."""
        before = self.ledger.owed(), self.token.balance_of(LEDGER)
        outcome: Outcome = call(self.ledger, Call(caller=key.address, time=self.time), *arguments)
        if isinstance(outcome, Refused):
            assert (self.ledger.owed(), self.token.balance_of(LEDGER)) == before
        return outcome

    @rule(key=people, amount=st.integers(0, 2000))
    def deposit(self, key: LocalKey, amount: int) -> None:
        self.act(key, accounts.deposit, key.address, amount)

    @rule(key=people, amount=st.integers(0, 3000))
    def withdraw(self, key: LocalKey, amount: int) -> None:
        self.act(key, accounts.withdraw, key.address, key.address, amount)

    @rule(number=numbers, fill=fills, seller=sellers, signed=st.booleans())
    def open(self, number: int, fill: int, seller: LocalKey, signed: bool) -> None:
        order = an_order(number)
        offer = make_offer(
            provider=seller.address, capacity=3, rate=2_000_000, notice=10, bond=50, arbiter=order.arbiter
        )
        key = BUYERS[number % 2] if signed else MATCHER
        match = Match(order=order, signature=sign(DOMAIN, order, key), fill=fill, offer=0)
        offers = [SignedOffer(offer=offer, signature=sign(DOMAIN, offer, seller))]
        outcome = self.act(MATCHER, opening.open_leases, offers, [match])
        assert isinstance(outcome, Done)
        if outcome.value:
            self.paid[lease_id(digest(DOMAIN, order), fill)] = 0

    def voucher(self, number: int, fill: int, cumulative: int, *, last: bool) -> tuple[SignedVoucher, Voucher]:
        lease = lease_id(digest(DOMAIN, an_order(number)), fill)
        kept = self.ledger.leases.get(lease)
        provider = kept.provider if kept else PROVIDERS[0].address
        voucher = Voucher(lease=lease, provider=provider, cumulative=cumulative, result=ZERO_HASH, last=last)
        signature = b"".join(compact_signature(sign(DOMAIN, voucher, SIGNER)))
        signed = SignedVoucher(lease=lease, cumulative=cumulative, result=ZERO_HASH, last=last, signature=signature)
        return signed, voucher

    @rule(number=numbers, fill=fills, cumulative=st.integers(0, 400))
    def redeem(self, number: int, fill: int, cumulative: int) -> None:
        self.act(MATCHER, leases.redeem, [self.voucher(number, fill, cumulative, last=False)[0]])

    @rule(number=numbers, fill=fills, cumulative=st.integers(0, 400), agreed=st.booleans())
    def close_last(self, number: int, fill: int, cumulative: int, agreed: bool) -> None:
        signed, voucher = self.voucher(number, fill, cumulative, last=True)
        seller = next(key for key in PROVIDERS if key.address == voucher.provider)
        countersigned = sign(DOMAIN, voucher, seller) if agreed else b""
        item = LastVoucher(order=an_order(number), fill=fill, voucher=signed, provider_signature=countersigned)
        self.act(MATCHER, leases.close_last, [item])

    @rule(number=numbers, fill=fills, reason=st.sampled_from(list(EndReason)), key=people)
    def close(self, number: int, fill: int, reason: EndReason, key: LocalKey) -> None:
        self.act(key, leases.close, an_order(number), fill, reason)

    @rule(number=numbers, fill=fills, key=people)
    def resign(self, number: int, fill: int, key: LocalKey) -> None:
        self.act(key, leases.resign, an_order(number), fill)

    @rule(number=numbers, fill=fills, key=people)
    def acknowledge(self, number: int, fill: int, key: LocalKey) -> None:
        self.act(key, leases.acknowledge, lease_id(digest(DOMAIN, an_order(number)), fill))

    @rule(number=numbers, fill=fills, key=sellers)
    def commit(self, number: int, fill: int, key: LocalKey) -> None:
        order = an_order(number)
        commitment = commitment_of(lease_id(digest(DOMAIN, order), fill), key.address, ZERO_HASH, SALT)
        self.act(key, claims.commit_claim, order, fill, commitment)

    @rule(number=numbers, fill=fills, key=sellers, work=st.integers(0, 2 * 10**8), last=st.booleans())
    def claim(self, number: int, fill: int, key: LocalKey, work: int, last: bool) -> None:
        terms = ClaimTerms(work=work, result=ZERO_HASH, start=ZERO_HASH, last=last)
        self.act(key, claims.claim, an_order(number), fill, terms, SALT, None)

    @rule(number=numbers, fill=fills, key=people, receipt=st.booleans())
    def challenge(self, number: int, fill: int, key: LocalKey, receipt: bool) -> None:
        order = an_order(number)
        lease = lease_id(digest(DOMAIN, order), fill)
        if not receipt or lease not in self.ledger.leases:
            self.act(key, claims.challenge, order, fill, None)
            return
        said = UsageReceipt(lease=lease, sequence=1, metered_until=1, work=1, result=ZERO_HASH, checkpoint=ZERO_HASH)
        seller = next(each for each in PROVIDERS if each.address == self.ledger.leases[lease].provider)
        self.act(key, claims.challenge, order, fill, said, sign(DOMAIN, said, seller))

    @rule(number=numbers, fill=fills, wins=st.booleans(), award=st.integers(0, 250), sums=slashes)
    def decide(self, number: int, fill: int, wins: bool, award: int, sums: tuple[int, int]) -> None:
        self.act(ARBITER, claims.rule, an_order(number), fill, wins, award, *sums)

    @rule(number=numbers, fill=fills)
    def finalise(self, number: int, fill: int) -> None:
        self.act(MATCHER, claims.finalise, an_order(number), fill)

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.time += seconds

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        assert self.ledger.owed() == self.token.balance_of(LEDGER)
        assert all(account.free >= 0 and account.bonded >= 0 for account in self.ledger.accounts.values())

    @invariant()
    def a_lease_pays_at_most_its_lock_and_never_takes_back(self) -> None:
        for key, lease in self.ledger.leases.items():
            assert self.paid[key] <= lease.paid <= lease.locked
            self.paid[key] = lease.paid

    @invariant()
    def a_lane_never_costs_more_than_its_budget(self) -> None:
        for number in range(ORDERS):
            order = an_order(number)
            hashed = digest(DOMAIN, order)
            for lane in range(order.replicas):
                found = [self.ledger.leases.get(lease_id(hashed, fill)) for fill in range(lane, FILLS, order.replicas)]
                assert sum(lease.paid for lease in found if lease) <= BUDGET

    @invariant()
    def open_leases_and_bonds_are_counted(self) -> None:
        running = [key for key, lease in self.ledger.leases.items() if lease.state is not LeaseState.CLOSED]
        assert sum(account.open_leases for account in self.ledger.accounts.values()) == len(running)
        disputed = [key for key in running if self.ledger.leases[key].state is LeaseState.DISPUTED]
        bonded = sum(account.bonded for account in self.ledger.accounts.values())
        assert bonded == 40 * (len(running) + len(disputed))

    def teardown(self) -> None:
        """From every state everybody gets out, by time and anyone's call."""
        self.time += 20 * 24 * 3600
        for number in range(ORDERS):
            for fill in range(FILLS):
                self.finalise(number, fill)
        for key in PEOPLE:
            free = self.ledger.accounts[key.address].free
            outcome = self.act(key, accounts.withdraw, key.address, key.address, free)
            assert outcome == (Done() if free else Refused(LedgerError.ZERO_AMOUNT))
        assert self.token.balance_of(LEDGER) == 0


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
