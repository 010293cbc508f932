"""What is done about a transaction, case by case (reliability R2 to R5)."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from backend.submission.fees import Fees, first_fees, raised_fees
from backend.submission.plan import (
    Action,
    Attempt,
    Broadcast,
    Cancel,
    Fill,
    Mark,
    Place,
    Replace,
    Rules,
    State,
    Transaction,
    View,
    has_room,
    next_nonce,
    plan,
)
from backend.submission.refusals import Answer, meaning

GWEI = 10**9
NOW = 1_000_000
RULES = Rules(replace_seconds=10, max_attempts=3, fee_cap_wei=100 * GWEI)
BLOCK = Place(block_number=95, block_hash="0xb95")


def attempt(tx_hash: str = "0xa", age: int = 0, **changes: object) -> Attempt:
    """Broadcast when it was signed, `age` seconds and as many blocks ago."""
    plain = Attempt(
        tx_hash=tx_hash,
        is_cancel=False,
        fees=Fees(3 * GWEI, GWEI),
        signed_time=NOW - age,
        signed_block=100 - age,
        broadcast_time=NOW - age,
        answer=Answer.ACCEPTED,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def transaction(*attempts: Attempt, **changes: object) -> Transaction:
    plain = Transaction(id=1, nonce=5, state=State.SENT, attempts=attempts or (attempt(),))
    return replace(plain, **changes)  # type: ignore[arg-type]


def mined(**changes: object) -> Transaction:
    return transaction(**{"state": State.MINED, "place": BLOCK, "mined_hash": "0xa"} | changes)


def view(**changes: object) -> View:
    plain = View(
        now_time=NOW,
        head_number=100,
        head_hash="0xb100",
        base_fee_wei=GWEI,
        nonce=5,
        mined={},
        known=frozenset(),
        canonical=frozenset(),
        final=frozenset(),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def only(transactions: Iterable[Transaction] | Transaction, seen: View) -> Action | None:
    """The one action, if there is one."""
    many = [transactions] if isinstance(transactions, Transaction) else list(transactions)
    actions = plan(many, seen, RULES)
    assert len(actions) <= 1
    return actions[0] if actions else None


class TestBroadcast:
    def test_stored_bytes_that_were_never_broadcast_are(self) -> None:
        fresh = attempt(broadcast_time=None, answer=None)
        waiting = transaction(fresh, state=State.SIGNED)
        assert only(waiting, view()) == Broadcast(waiting, fresh)

    def test_what_the_node_has_is_left_alone(self) -> None:
        assert only(transaction(attempt(age=5)), view(known=frozenset(["0xa"]))) is None

    def test_what_the_pool_dropped_is_broadcast_again(self) -> None:
        dropped = transaction(attempt(age=3))
        assert only(dropped, view()) == Broadcast(dropped, dropped.attempts[0])

    def test_a_signed_one_that_the_node_knows_was_sent_before_the_crash(self) -> None:
        action = only(transaction(state=State.SIGNED), view(known=frozenset(["0xa"])))
        assert isinstance(action, Mark)
        assert action.state is State.SENT

    @pytest.mark.parametrize("answer", [Answer.UNKNOWN, Answer.BUSY, Answer.FUNDS])
    def test_after_such_an_answer_it_waits_before_the_same_bytes_go_again(self, answer: Answer) -> None:
        front, known = transaction(attempt("0xf"), id=2), frozenset(["0xf"])
        early, late = (transaction(attempt(age=age, answer=answer), nonce=6) for age in (9, 11))
        assert only([front, early], view(known=known)) is None
        assert only([front, late], view(known=known)) == Broadcast(late, late.attempts[0])

    def test_a_clock_that_was_set_back_makes_nobody_wait(self) -> None:
        future = transaction(attempt(age=-5000))
        assert only(future, view()) == Broadcast(future, future.attempts[0])


class TestReplace:
    def test_an_old_one_at_the_front_is_replaced_with_15_percent_more(self) -> None:
        old = transaction(attempt(age=11))
        action = only(old, view(known=frozenset(["0xa"])))
        assert action == Replace(old, Fees(3_450_000_000, 1_150_000_000))

    def test_without_new_blocks_nobody_was_passed_over(self) -> None:
        slow = transaction(attempt(age=11, signed_block=99))
        assert only(slow, view(known=frozenset(["0xa"]))) is None

    def test_one_behind_the_front_waits_for_it_unless_the_base_fee_has_passed_it_too(self) -> None:
        front, second = transaction(attempt(age=3)), transaction(attempt("0xb", age=20), id=2, nonce=6)
        known = frozenset(["0xa", "0xb"])
        assert only([front, second], view(known=known)) is None
        (action,) = plan([front, second], view(known=known, base_fee_wei=10 * GWEI), RULES)
        assert action == Replace(second, Fees(21_150_000_000, 1_150_000_000))

    def test_a_refusal_as_underpriced_waits_and_then_pays_more_whatever_the_blocks(self) -> None:
        refused = attempt(age=9, answer=Answer.UNDERPRICED, signed_block=100)
        assert only(transaction(refused), view()) is None
        late = transaction(replace(refused, signed_time=NOW - 11))
        assert isinstance(only(late, view()), Replace)

    def test_after_too_many_attempts_it_is_cancelled(self) -> None:
        attempts = tuple(attempt(f"0x{number}", age=11) for number in range(3))
        action = only(transaction(*attempts), view())
        assert isinstance(action, Cancel)

    def test_over_the_cap_it_is_cancelled_which_may_cost_four_times_as_much_for_a_unit(self) -> None:
        dear = transaction(attempt(age=11, fees=Fees(99 * GWEI, GWEI)))
        action = only(dear, view(base_fee_wei=90 * GWEI))
        assert action == Cancel(dear, Fees(181_150_000_000, 1_150_000_000))
        assert isinstance(only(dear, view(base_fee_wei=10_000 * GWEI)), Cancel)
        dearest = transaction(attempt(age=11, is_cancel=True, fees=Fees(399 * GWEI, GWEI)))
        assert isinstance(only(dearest, view()), Broadcast)

    def test_bytes_that_no_node_will_mine_are_cancelled_at_once(self) -> None:
        assert isinstance(only(transaction(attempt(answer=Answer.NEVER)), view()), Cancel)

    def test_a_key_without_money_replaces_nothing_and_signs_nothing(self) -> None:
        broke = transaction(attempt(age=11, answer=Answer.FUNDS))
        assert only(broke, view()) == Broadcast(broke, broke.attempts[0])
        assert not has_room([broke], RULES)


class TestMined:
    def test_any_attempt_of_the_nonce_counts(self) -> None:
        twice = transaction(attempt("0xold", age=20), attempt("0xnew"))
        action = only(twice, view(nonce=6, mined={"0xold": BLOCK}))
        assert action == Mark(transaction=twice, state=State.MINED, place=BLOCK, mined_hash="0xold")

    def test_it_is_final_only_when_its_block_is(self) -> None:
        held = {"nonce": 6, "mined": {"0xa": BLOCK}}
        assert only(mined(), view(**held)) is None
        action = only(mined(), view(**held, final=frozenset(["0xb95"])))
        assert isinstance(action, Mark)
        assert (action.state, action.watched) == (State.FINAL, False)

    def test_a_mined_cancel_gives_the_intents_back_and_ends_as_cancelled(self) -> None:
        given_up = transaction(attempt(), attempt("0xc", is_cancel=True))
        action = only(given_up, view(nonce=6, mined={"0xc": BLOCK}))
        assert isinstance(action, Mark)
        assert action.releases
        done = replace(given_up, state=State.MINED, place=BLOCK, mined_hash="0xc")
        end = only(done, view(nonce=6, mined={"0xc": BLOCK}, final=frozenset(["0xb95"])))
        assert isinstance(end, Mark)
        assert end.state is State.CANCELLED

    @pytest.mark.parametrize("state", [State.MINED, State.DISPLACED])
    def test_a_reorg_that_left_it_out_sends_it_again(self, state: State) -> None:
        action = only(mined(state=state), view())
        assert action == Mark(transaction=mined(state=state), state=State.SENT)

    def test_a_final_one_that_is_gone_is_an_alarm(self) -> None:
        action = only(mined(state=State.FINAL, watched=False), view())
        assert isinstance(action, Mark)
        assert action.alarm == "transaction.final_undone"

    def test_a_node_that_is_behind_is_no_reorg(self) -> None:
        assert not isinstance(only(mined(), view(head_number=94)), Mark)


class TestForeign:
    def test_a_nonce_that_is_used_by_nothing_of_ours_is_given_up_after_a_while(self) -> None:
        first = only(transaction(), view(nonce=6))
        assert isinstance(first, Mark)
        assert (first.state, first.missing_since_time, first.releases) == (State.SENT, NOW, False)
        missing = transaction(missing_since_time=NOW - 7)
        action = only(missing, view(nonce=6))
        assert isinstance(action, Mark)
        assert (action.state, action.releases, action.alarm) == (State.DISPLACED, True, "transaction.displaced")

    def test_one_that_the_node_has_heard_of_only_lacks_its_receipt(self) -> None:
        late = transaction(missing_since_time=NOW - 7)
        assert only(late, view(nonce=6, known=frozenset(["0xa"]))) is None

    def test_the_loss_is_final_with_the_block_that_showed_it(self) -> None:
        lost = mined(state=State.DISPLACED, mined_hash=None)
        assert only(lost, view(nonce=6, canonical=frozenset(["0xb95"]))) is None
        again = only(lost, view(nonce=6))
        assert isinstance(again, Mark)
        assert again.place == Place(block_number=100, block_hash="0xb100")
        end = only(lost, view(nonce=6, canonical=frozenset(["0xb95"]), final=frozenset(["0xb95"])))
        assert isinstance(end, Mark)
        assert not end.watched

    def test_a_gap_below_a_waiting_one_is_filled(self) -> None:
        waiting = transaction(nonce=7)
        actions = plan([waiting], view(known=frozenset(["0xa"])), RULES)
        assert actions == [Fill(5, Fees(3 * GWEI, GWEI)), Fill(6, Fees(3 * GWEI, GWEI))]


class TestNextNonce:
    @pytest.mark.parametrize(
        ("stored", "nonce", "expected"),
        [([], 5, 5), ([5, 6], 5, 7), ([6], 5, 5), ([3, 4], 9, 9), ([5, 7], 5, 6)],
    )
    def test_it_is_the_lowest_that_nothing_uses(self, stored: list[int], nonce: int, expected: int) -> None:
        assert next_nonce([transaction(nonce=number) for number in stored], view(nonce=nonce)) == expected

    def test_only_so_many_are_under_way(self) -> None:
        many = [transaction(nonce=number) for number in range(RULES.in_flight)]
        assert not has_room(many, RULES)
        assert has_room(many[1:], RULES)

    def test_small_ones_may_be_more_as_long_as_a_block_has_room_for_all(self) -> None:
        small = [transaction(nonce=number, gas=100_000) for number in range(RULES.small_in_flight)]
        assert has_room(small[1:], RULES)
        assert not has_room(small, RULES)
        assert not has_room([*small[: RULES.in_flight], transaction(nonce=99, gas=RULES.small_gas)], RULES)


class TestFees:
    def test_first_fees_take_the_doubling_of_the_base_fee_and_never_pass_the_cap(self) -> None:
        assert first_fees(10, 3, 100) == Fees(23, 3)
        assert first_fees(60, 3, 100) == Fees(100, 3)
        assert first_fees(98, 3, 100) is None

    def test_raised_fees_are_a_tenth_more_in_both_or_none(self) -> None:
        for wei in (1, 7, 10**9, 10**11 - 1):
            raised = raised_fees(Fees(wei, wei), 1, 10**12)
            assert raised is not None
            assert 10 * raised.max_fee_wei >= 11 * wei <= 10 * raised.priority_fee_wei
        assert raised_fees(Fees(90, 1), 1, 100) is None


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (-32000, "already known", Answer.ACCEPTED),
        (-32003, "transaction already imported", Answer.ACCEPTED),
        (-32010, "AlreadyKnown", Answer.ACCEPTED),
        (-32603, "nonce too low: next nonce 8, tx nonce 7", Answer.NONCE_LOW),
        (-32010, "OldNonce, Current nonce: 8, nonce of rejected tx: 7", Answer.NONCE_LOW),
        (-32000, "replacement transaction underpriced", Answer.UNDERPRICED),
        (-32000, "max fee per gas less than block base fee: address 0x, maxFeePerGas: 1", Answer.UNDERPRICED),
        (-32010, "FeeTooLowToCompete", Answer.UNDERPRICED),
        (-32003, "Insufficient funds for gas * price + value", Answer.FUNDS),
        (-32000, "Upfront cost exceeds account balance", Answer.FUNDS),
        (-32000, "txpool is full", Answer.BUSY),
        (-32005, "daily request count exceeded", Answer.BUSY),
        (429, "", Answer.BUSY),
        (-32000, "exceeds block gas limit", Answer.NEVER),
        (-32000, "intrinsic gas too low: have 1, want 2", Answer.NEVER),
        (-32603, "Internal error", Answer.UNKNOWN),
        (-32000, "nonce too high", Answer.UNKNOWN),
    ],
)
def test_nodes_words_have_one_meaning(code: int, message: str, expected: Answer) -> None:
    assert meaning(code, message) is expected
