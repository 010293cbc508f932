"""A key's transactions on a chain that does what it likes, by a process that dies between any two effects.

Whatever happened: nothing is lost, nothing is sent that was not stored, no fee is over its cap, what is final stays,
and once the trouble ends all is done within a minute.
"""

from dataclasses import replace
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backend.submission.fees import Fees, first_fees
from backend.submission.plan import (
    UNDER_WAY,
    Action,
    Attempt,
    Broadcast,
    Cancel,
    Fill,
    Mark,
    Replace,
    Rules,
    State,
    Transaction,
    View,
    has_room,
    next_nonce,
    plan,
)
from backend.submission.refusals import Answer
from tests.support.model_chain import ENDED, FINALITY, USUAL_BASE_FEE_WEI, ModelChain, Sent

RULES = Rules(max_attempts=2, in_flight=4)
_TICK_SECONDS = 2
_MINUTE_TICKS = 60 // _TICK_SECONDS


class Crash(Exception):
    """The process is gone; what is stored stays."""


class Submission(RuleBasedStateMachine):
    """What the database would hold, and the effects in the order that sender.py has them."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = ModelChain()
        self.now_time = 1_000_000
        self.stored: dict[int, Transaction] = {}
        #: transaction → what it does, as it was signed
        self.calls: dict[int, frozenset[int]] = {}
        #: intent → the transaction that carries it, 0 while it is pending
        self.intents: dict[int, int] = {}
        self.signed: dict[str, Sent] = {}
        self.left: int | None = None
        self.network = "good"

    # ------------------------------------------------------------------ the process

    def _effect(self) -> None:
        """Before each effect the process may die."""
        if self.left is not None:
            if self.left == 0:
                raise Crash
            self.left -= 1

    def _view(self) -> tuple[list[Transaction], View]:
        behind = {"behind": 2, "far behind": 5}.get(self.network, 0)
        nonce = self.chain.nonce(max(0, self.chain.head - behind))
        transactions = [item for item in self.stored.values() if item.watched or item.nonce >= nonce]
        hides = self.network == "hides receipts"
        view = self.chain.view(transactions, self.now_time, behind=behind, hides_receipts=hides)
        return transactions, view

    def _step(self, crash_after: int | None = None) -> None:
        self.left = crash_after
        try:
            transactions, view = self._view()
            for action in plan(transactions, view, RULES):
                self._carry_out(action, view)
            self._send_pending()
        except Crash:
            pass
        self.left = None

    def _send_pending(self) -> None:
        while pending := [intent for intent, carrier in self.intents.items() if carrier == 0][:2]:
            transactions, view = self._view()
            fees = first_fees(view.base_fee_wei, RULES.priority_fee_wei, RULES.fee_cap_wei)
            if fees is None or not has_room(transactions, RULES):
                return
            self._effect()
            number = self._add(next_nonce(transactions, view), fees, frozenset(pending), view)
            self.intents |= dict.fromkeys(pending, number)
            self._broadcast(number, self.stored[number].attempts[-1])

    def _carry_out(self, action: Action, view: View) -> None:
        match action:
            case Broadcast(transaction, attempt):
                self._broadcast(transaction.id, attempt)
            case Replace(transaction, fees) | Cancel(transaction, fees):
                self._effect()
                is_cancel = isinstance(action, Cancel) or not self.calls[transaction.id]
                attempt = self._sign(transaction.id, transaction.nonce, fees, view, is_cancel=is_cancel)
                before = self.stored[transaction.id]
                self.stored[transaction.id] = replace(before, attempts=(*before.attempts, attempt))
                self._broadcast(transaction.id, attempt)
            case Fill(nonce, fees):
                self._effect()
                number = self._add(nonce, fees, frozenset(), view)
                self._broadcast(number, self.stored[number].attempts[-1])
            case Mark():
                self._effect()
                self._mark(action)

    def _add(self, nonce: int, fees: Fees, intents: frozenset[int], view: View) -> int:
        number = len(self.stored) + 1
        assert nonce not in {item.nonce for item in self.stored.values()}
        self.calls[number] = intents
        attempt = self._sign(number, nonce, fees, view, is_cancel=not intents)
        self.stored[number] = Transaction(id=number, nonce=nonce, state=State.SIGNED, attempts=(attempt,))
        return number

    def _sign(self, number: int, nonce: int, fees: Fees, view: View, *, is_cancel: bool) -> Attempt:
        tx_hash = f"tx{len(self.signed) + 1}"
        intents = frozenset() if is_cancel else self.calls[number]
        self.signed[tx_hash] = Sent(tx_hash, nonce, fees, intents)
        return Attempt(
            tx_hash=tx_hash,
            is_cancel=is_cancel,
            fees=fees,
            signed_time=self.now_time,
            signed_block=view.head_number,
        )

    def _broadcast(self, number: int, attempt: Attempt) -> None:
        self._effect()
        answer = Answer.UNKNOWN if self.network == "loses" else self.chain.send(self.signed[attempt.tx_hash])
        if self.network == "times out":
            answer = Answer.UNKNOWN
        self._effect()
        before = self.stored[number]
        noted = replace(attempt, answer=answer, broadcast_time=self.now_time)
        attempts = tuple(noted if item.tx_hash == attempt.tx_hash else item for item in before.attempts)
        sent = before.state is State.SIGNED and answer is Answer.ACCEPTED
        self.stored[number] = replace(before, attempts=attempts, state=State.SENT if sent else before.state)

    def _mark(self, mark: Mark) -> None:
        assert mark.alarm != "transaction.final_undone"
        number = mark.transaction.id
        self.stored[number] = replace(
            self.stored[number],
            state=mark.state,
            place=mark.place,
            mined_hash=mark.mined_hash,
            missing_since_time=mark.missing_since_time,
            watched=mark.watched,
        )
        if mark.releases:
            self.intents |= {intent: 0 for intent, carrier in self.intents.items() if carrier == number}

    # ------------------------------------------------------------------ what happens to it

    @initialize()
    def first_work(self) -> None:
        self.more_work(3)

    @rule(count=st.integers(1, 4))
    def more_work(self, count: int) -> None:
        for _ in range(count):
            self.intents[len(self.intents) + 1] = 0

    @rule(seconds=st.integers(0, 15))
    def works(self, seconds: int) -> None:
        self.now_time += seconds
        self._step()

    @rule(effects=st.integers(0, 12), seconds=st.integers(0, 15))
    def dies_at_work(self, effects: int, seconds: int) -> None:
        self.now_time += seconds
        self._step(effects)

    @rule(most=st.integers(0, 4))
    def a_block(self, most: int) -> None:
        self.chain.mine(most)

    @rule(times=st.integers(2, 5))
    def blocks_pass_without_ours(self, times: int) -> None:
        """Long enough to replace each, and to give some up."""
        self.more_work(1)
        for _ in range(times):
            self._step()
            self.now_time += RULES.replace_seconds + 1
            self.chain.mine(0)
            self.chain.mine(0)

    @rule(depth=st.integers(1, FINALITY - 1), forgets=st.booleans())
    def a_reorg(self, depth: int, forgets: bool) -> None:
        if depth < self.chain.head - self._highest_final():
            self.chain.reorg(depth, forgets=forgets)

    @rule()
    def a_foreign_transaction(self) -> None:
        self.chain.foreign()

    @rule(dropped=st.sets(st.integers(0, 12)))
    def the_pool_forgets(self, dropped: set[int]) -> None:
        self.chain.drop(sorted(dropped))

    @rule(times=st.sampled_from([1, 1, 10, 100, 700, 5000]))
    def gas_costs(self, times: int) -> None:
        self.chain.base_fee_wei = times * USUAL_BASE_FEE_WEI

    @rule(network=st.sampled_from(["good", "good", "loses", "times out", "behind", "far behind", "hides receipts"]))
    def the_node_is(self, network: str) -> None:
        self.network = network

    @rule(seconds=st.integers(-4000, 4000))
    def the_clock_jumps(self, seconds: int) -> None:
        self.now_time += seconds

    def _highest_final(self) -> int:
        return max(
            (item.place.block_number for item in self.stored.values() if not item.watched and item.place), default=0
        )

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def nothing_is_sent_that_is_not_stored(self) -> None:
        attempts = {attempt.tx_hash for item in self.stored.values() for attempt in item.attempts}
        ours = {sent.tx_hash for sent in self.chain.everything() if not sent.tx_hash.startswith("foreign")}
        assert ours <= attempts

    @invariant()
    def each_attempt_pays_a_tenth_more_and_never_over_the_cap(self) -> None:
        for item in self.stored.values():
            for before, after in pairwise(item.attempts):
                assert 10 * after.fees.max_fee_wei >= 11 * before.fees.max_fee_wei
                assert 10 * after.fees.priority_fee_wei >= 11 * before.fees.priority_fee_wei
                assert after.is_cancel or not before.is_cancel
            for attempt in item.attempts:
                cap_wei = RULES.cancel_cap_wei if attempt.is_cancel else RULES.fee_cap_wei
                assert attempt.fees.priority_fee_wei <= attempt.fees.max_fee_wei <= cap_wei

    @invariant()
    def each_intent_waits_or_is_carried(self) -> None:
        for intent, carrier in self.intents.items():
            if carrier:
                item = self.stored[carrier]
                assert intent in self.calls[carrier]
                assert item.state in (*UNDER_WAY, State.MINED, State.FINAL)

    @invariant()
    def what_is_final_is_in_the_chain(self) -> None:
        hashes = {sent.tx_hash for block in self.chain.blocks for sent in block.transactions}
        for item in self.stored.values():
            assert item.state not in (State.FINAL, State.CANCELLED) or item.mined_hash in hashes

    def teardown(self) -> None:
        """The trouble ends: within a minute all is done, and then all is final."""
        self.network = "good"
        self.chain.base_fee_wei = USUAL_BASE_FEE_WEI
        for _ in range(_MINUTE_TICKS):
            if self.chain.done() >= set(self.intents) and not self.chain.pool and not self._under_way():
                break
            self.now_time += _TICK_SECONDS
            self._step()
            self.chain.mine()
            self._step()
        assert self.chain.done() >= set(self.intents), "an intent was lost"
        assert not self._under_way(), "a nonce is jammed"
        for _ in range(3 * FINALITY):
            self.now_time += _TICK_SECONDS
            self.chain.mine()
            self._step()
        assert {item.state for item in self.stored.values()} <= set(ENDED)
        assert not any(item.watched for item in self.stored.values())

    def _under_way(self) -> list[Transaction]:
        return [item for item in self.stored.values() if item.state in UNDER_WAY]


Submission.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSubmission = Submission.TestCase
