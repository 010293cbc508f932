"""Operations of money and authority."""

from typing import Any

from protocol.hashing import ZERO_ADDRESS, Address
from protocol.keys import LocalKey
from protocol.terms import Order
from tests.differential.cast import (
    BENEFICIARY,
    BUYERS,
    BY_ADDRESS,
    DELEGATES,
    EVERYBODY,
    PROVIDERS,
    SIGNERS,
    STRANGER,
)
from tests.differential.looking import POOL, Looker
from tests.differential.making import DAY
from tests.differential.operations import Operation


class Purses(Looker):
    """Deposits, withdrawals, beneficiaries, delegates, cancelling."""

    def _amount(self) -> int:
        random = self.random
        kinds = (0, random.randrange(1, 50), random.randrange(1, 1000), 2**49, 2**64)
        return random.choices(kinds, (1, 5, 16, 1, 1))[0]

    def _deposit(self) -> Operation:
        account = self.random.choice((*BUYERS, *PROVIDERS)).address if not self.chance(0.05) else ZERO_ADDRESS
        payer = self._anybody()
        return Operation("deposit", payer, self._moment(), (account, self._amount()))

    def _withdraw(self) -> Operation:
        account = self._anybody()
        free = self.ledger.accounts[account].free
        choices = (0, 1, free, free + 1, self.random.randrange(free // 2 + 1))
        amount = self.random.choices(choices, (1, 2, 3, 1, 4))[0]
        caller = self._controller(account) if not self.chance(0.1) else self._anybody()
        to = ZERO_ADDRESS if self.chance(0.05) else self._anybody()
        return Operation("withdraw", caller, self._moment(), (account, to, amount))

    def _controller(self, account: Address) -> Address:
        entry = self.ledger.accounts[account]
        return entry.beneficiary if entry.guarded else account

    def _beneficiary(self) -> Operation:
        account = self.random.choice((*BUYERS, *PROVIDERS, *SIGNERS)).address
        guarded = [actor.address for actor in EVERYBODY if self.ledger.accounts[actor.address].guarded]
        if guarded and self.chance(0.8):
            account = self.random.choice(guarded)
        to = BENEFICIARY.address if not self.ledger.accounts[account].guarded else ZERO_ADDRESS
        caller = self._controller(account) if not self.chance(0.15) else self.random.choice((account, STRANGER.address))
        return Operation("setBeneficiary", caller, self._moment(), (account, to))

    def _delegate(self) -> Operation:
        cap = self.random.choice((0, 100, 100, 2**64 - 1, 2**64 - 1))
        until = self.now + self.random.choice((0, 30, 10 * DAY, 10 * DAY))
        key = self.random.choice(DELEGATES).address if not self.chance(0.05) else ZERO_ADDRESS
        return Operation("approveDelegate", self.random.choice(BUYERS).address, self._moment(), (key, cap, until))

    def _cancel(self) -> Operation:
        message: Any = self._order()
        if self.memory.offers and self.chance(0.4):
            message = self.random.choice(self.memory.offers[-POOL:]).offer
        owner = message.buyer if isinstance(message, Order) else message.provider
        caller = owner if owner != ZERO_ADDRESS and not self.chance(0.1) else self._anybody()
        hashed = self._digest(message)
        self.twins.known.cancelled += [(who, hashed) for who in {caller, owner}]
        return Operation("cancel", caller, self._moment(), (hashed,))

    def _bump(self) -> Operation:
        return Operation("bumpEpoch", self.random.choice((*BUYERS, *PROVIDERS)).address, self._moment(), ())

    def _signing_key(self, who: Address) -> LocalKey:
        return BY_ADDRESS[who].key if not self.chance(0.15) else STRANGER.key

    def _permit(self) -> Operation:
        owner, amount = self.random.choice((BUYERS[0], BUYERS[1], STRANGER)).address, self._amount()
        until = self.now + self.random.choice((0, 5, DAY))
        signed = self.twins.token.permit_digest(owner, self.ledger.address, amount, until)
        signature = self._signing_key(owner).sign_digest(signed)
        return Operation("depositWithPermit", owner, self._moment(), (amount, until, signature))

    def _authorization(self) -> Operation:
        owner, amount = self.random.choice((BUYERS[0], BUYERS[1], STRANGER)).address, self._amount()
        time = self._moment()
        after, before = time - self.random.choice((0, 1, 1, 1, 5)), time + self.random.choice((0, 1, 1, 1, 5))
        nonce = bytes(31) + bytes([self.random.randrange(8)])
        to = self.ledger.address
        signed = self.twins.token.authorization_digest(owner, to, amount, after, before, nonce)
        signature = self._signing_key(owner).sign_digest(signed)
        arguments = (owner, amount, after, before, nonce, signature)
        return Operation("depositWithAuthorization", self._anybody(), time, arguments)
