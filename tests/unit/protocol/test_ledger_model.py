"""The reference model of the money: nothing is made or lost, whatever happens in whatever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protocol.events import EndReason, LeaseState, Skip
from protocol.hashing import keccak256
from protocol.ids import lease_id
from protocol.ledger import LedgerModel, MatchModel, Refused, VoucherModel
from tests.support.builders import an_address, make_offer, make_order

BUYERS = [an_address(f"buyer {index}") for index in range(2)]
MATCHER = an_address("matcher")
SIGNER = an_address("voucher signer")
people = st.sampled_from([*BUYERS, MATCHER, an_address("provider")])


class Money(RuleBasedStateMachine):
    """Random calls against the model."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = LedgerModel(min_notice=10)
        self.time = 1000
        self.paid: dict[bytes, int] = {}

    def _order(self, number: int) -> tuple[object, bytes]:
        order = make_order(buyer=BUYERS[number % 2], salt=number, quantity=100 + number, budget=300, duration=50)
        return order, keccak256(f"order {number}".encode())

    @rule(who=people, amount=st.integers(0, 2000))
    def deposit(self, who: object, amount: int) -> None:
        self.ledger.deposit(who, amount)  # type: ignore[arg-type]

    @rule(who=people, amount=st.integers(0, 3000))
    def withdraw(self, who: object, amount: int) -> None:
        before = self.ledger.held
        try:
            self.ledger.withdraw(who, amount)  # type: ignore[arg-type]
        except Refused:
            assert self.ledger.held == before

    @rule(number=st.integers(0, 3), fill=st.integers(0, 3), signed=st.booleans(), capacity=st.integers(1, 3))
    def open(self, number: int, fill: int, signed: bool, capacity: int) -> None:
        order, digest = self._order(number)
        offer = make_offer(capacity=capacity, rate=2_000_000)
        match = MatchModel(
            offer=offer, offer_digest=b"o" * 32, offer_signer=offer.provider, order=order, order_digest=digest,  # type: ignore[arg-type]
            order_signer=order.buyer if signed else an_address("stranger"), fill=fill,  # type: ignore[attr-defined]
        )  # fmt: skip
        skip = self.ledger.open(MATCHER, self.time, match)
        if skip is Skip.NONE:
            self.paid[lease_id(digest, fill)] = 0

    @rule(number=st.integers(0, 3), fill=st.integers(0, 3), cumulative=st.integers(0, 400), agreed=st.booleans())
    def close_last(self, number: int, fill: int, cumulative: int, agreed: bool) -> None:
        order, digest = self._order(number)
        voucher = VoucherModel(lease=lease_id(digest, fill), cumulative=cumulative, last=True, signer=SIGNER)
        self.ledger.close_last(self.time, order, digest, fill, voucher, agreed=agreed)  # type: ignore[arg-type]

    @rule(number=st.integers(0, 3), fill=st.integers(0, 3), cumulative=st.integers(0, 400))
    def redeem(self, number: int, fill: int, cumulative: int) -> None:
        _, digest = self._order(number)
        self.ledger.redeem(VoucherModel(lease=lease_id(digest, fill), cumulative=cumulative, last=False, signer=SIGNER))

    @rule(number=st.integers(0, 3), fill=st.integers(0, 3), reason=st.sampled_from(list(EndReason)), who=people)
    def close(self, number: int, fill: int, reason: EndReason, who: object) -> None:
        order, digest = self._order(number)
        try:
            self.ledger.close(who, self.time, order, digest, fill, reason)  # type: ignore[arg-type]
        except Refused:
            return

    @rule(number=st.integers(0, 3), fill=st.integers(0, 3))
    def finalise(self, number: int, fill: int) -> None:
        order, digest = self._order(number)
        try:
            self.ledger.finalise(self.time, order, digest, fill)  # type: ignore[arg-type]
        except Refused:
            return

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.time += seconds

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        assert self.ledger.owed() == self.ledger.held
        assert all(account.free >= 0 for account in self.ledger.accounts.values())

    @invariant()
    def a_lease_pays_at_most_its_lock_and_never_takes_back(self) -> None:
        for key, lease in self.ledger.leases.items():
            assert self.paid[key] <= lease.paid <= lease.locked
            self.paid[key] = lease.paid

    @invariant()
    def an_order_never_costs_more_than_its_budget(self) -> None:
        for number in range(4):
            _, digest = self._order(number)
            fills = [self.ledger.leases.get(lease_id(digest, fill)) for fill in range(4)]
            assert sum(lease.paid for lease in fills if lease) <= 300

    @invariant()
    def open_leases_are_counted(self) -> None:
        running = sum(lease.state is not LeaseState.CLOSED for lease in self.ledger.leases.values())
        assert sum(account.open_leases for account in self.ledger.accounts.values()) == running


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
