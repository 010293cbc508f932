"""One key's transactions: carries out what plan.py says, one effect outside at a time (threats R1 to R8).

Bytes are stored in the database transaction that takes their nonce, and broadcast after its commit. What a node then
answers, or does not, is looked up: the process can die anywhere, and goes on from what is stored and what the chain
shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import structlog
from sqlalchemy import update
from sqlalchemy.exc import NoResultFound
from sqlmodel import Session, col

from backend import crash_points
from backend.market import Market
from backend.operations import trail
from backend.submission import batches, intents, looking, outcomes, store
from backend.submission.allowed import require_allowed
from backend.submission.batches import Due
from backend.submission.errors import GasBudgetSpent, GasTooDear, KeyUnfunded, SubmissionError
from backend.submission.fees import Fees, first_fees
from backend.submission.gas import enough
from backend.submission.plan import (
    MAX_GAS,
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
from backend.submission.refusals import Answer, meaning
from backend.submission.store import Signed
from backend.submission.tables import IntentRow
from protocol.calls import sign_transaction
from protocol.clock import now_time
from protocol.errors import NodeUnavailable, ProtocolError, RpcRefused, TransactionReverted
from protocol.hashing import Address, to_hex
from protocol.keys import LocalKey

log = structlog.get_logger()

GAS_MARGIN_PERCENT = 130

_TRANSFER_GAS = 21_000
_DAY_SECONDS = 86_400


@dataclass(slots=True)
class _Outgoing:
    """What the key has under way and to spend, by one look, and by what it has sent since."""

    transactions: list[Transaction]
    view: View
    #: by all keys today
    spent_wei: int
    promised_wei: int
    balance_wei: int
    #: what nodes said, to be noted together
    answers: list["_Answered"] = field(default_factory=list)

    def went(self, number: int, nonce: int, attempt: Attempt, gas: int) -> None:
        state = State.SENT if attempt.answer is Answer.ACCEPTED else State.SIGNED
        self.transactions.append(Transaction(id=number, nonce=nonce, state=state, attempts=(attempt,), gas=gas))
        at_most_wei = gas * attempt.fees.max_fee_wei
        self.spent_wei += at_most_wei
        self.promised_wei += at_most_wei


class _Answered(NamedTuple):
    """A node's answer to an attempt."""

    transaction_id: int
    tx_hash: str
    answer: Answer


class Sender:
    """A key, and the kinds of intents that go from it. Only one process at a time may use it (backend/lock.py)."""

    def __init__(self, market: Market, key: LocalKey, kinds: Sequence[str]) -> None:
        self._market = market
        self._key = key
        self._kinds = kinds
        settings = market.settings
        self._rules = Rules(
            priority_fee_wei=settings.priority_fee_wei,
            fee_cap_wei=settings.fee_cap_wei,
            replace_seconds=settings.replace_after_seconds,
            max_attempts=settings.max_attempts,
        )

    @property
    def address(self) -> Address:
        return self._key.address

    def follow(self) -> None:
        """Looks at what is under way, and does what is to be done about it."""
        transactions, view = self._look()
        actions = plan(transactions, view, self._rules)
        self._mark([action for action in actions if isinstance(action, Mark)])
        for action in actions:
            try:
                self._carry_out(action, view)
            except SubmissionError as error:
                log.error("transaction.refused", key=self.address, code=error.code, reason=str(error))

    def send_pending(self) -> int:
        """Turns pending intents into stored, signed transactions and broadcasts them; returns how many."""
        sent = 0
        kinds = self._due_kinds()
        if not kinds:
            return 0
        outgoing = self._outgoing()
        try:
            # In turn: the ledger takes some calls one at a time, and hundreds of them must not keep the others waiting.
            while kinds:
                kinds = [kind for kind in kinds if self._send_one(kind, outgoing)]
                sent += len(kinds)
        finally:
            # One whose answer is not noted is handed out again.
            self._note(outgoing.answers)
        return sent

    def _outgoing(self) -> "_Outgoing":
        transactions, view = self._look()
        with self._market.db.read() as session:
            spent_wei = 10**9 * store.spent_gwei_up(session, now_time() // _DAY_SECONDS * _DAY_SECONDS)
            promised_wei = store.promised_wei(session, self.address)
        balance_wei = self._market.nodes.ask(lambda node: node.balance_wei(self.address))
        return _Outgoing(transactions, view, spent_wei, promised_wei, balance_wei)

    def _send_one(self, kind: str, outgoing: "_Outgoing") -> bool:
        """Whether a transaction of the kind went; if not, nothing more of it can go now."""
        return has_room(outgoing.transactions, self._rules) and self._send_next(kind, outgoing)

    def _look(self) -> tuple[list[Transaction], View]:
        market = self._market
        return looking.look(market.db, market.nodes, self.address, market.settings.finality_blocks)

    def _due_kinds(self) -> list[str]:
        with self._market.db.read() as session:
            pending = batches.pending_kinds(session)
            return [kind for kind in self._kinds if kind in pending and self._due(session, kind)]

    def _due(self, session: Session, kind: str) -> list[Due]:
        return batches.due(session, kind, now_time(), self._market.settings.redeem_wait_seconds)

    def _send_next(self, kind: str, outgoing: "_Outgoing") -> bool:
        """False when nothing more of the kind can go now."""
        view = outgoing.view
        try:
            made = self._call(kind)
            if made is None:
                return False
            rows, data, gas = made
            fees = self._affordable(outgoing, gas)
        except SubmissionError as error:
            log.error("sender.paused", key=self.address, kind=kind, code=error.code, reason=str(error))
            return False
        crash_points.reach("batch.chosen")
        nonce = next_nonce(outgoing.transactions, view)
        signed = self._sign(nonce, self._market.deployment.ledger, data, gas, fees, view, is_cancel=False)
        with self._market.db.write() as session:
            self._alarm_if_adopted(session, nonce)
            number = store.add(
                session,
                sender=self.address,
                nonce=nonce,
                kind=kind,
                gas=gas,
                first=signed,
                now_time=now_time(),
            )
            carried = col(IntentRow.id).in_([row.id for row in rows])
            assigned = {"state": "assigned", "transaction_id": number}
            session.connection().execute(update(IntentRow).where(carried).values(assigned))
            crash_points.reach("attempt.signed")
        self._say_signed(number, nonce, kind, signed, len(rows), [row.subject for row in rows])
        answer = self._broadcast(number, nonce, signed.attempt.tx_hash, signed.raw, outgoing.answers)
        outgoing.went(number, nonce, replace(signed.attempt, answer=answer), gas)
        return True

    def _call(self, kind: str) -> tuple[list[Due], bytes, int] | None:
        """Intents, calldata and gas of the next transaction, simulated; None where nothing is left to send.

        A batch that cannot be made or would revert is halved: one bad intent is found and does not hold up others.
        """
        market, limit = self._market, batches.SIZES[kind]
        while True:
            with market.db.read() as session:
                rows = self._due(session, kind)[:limit]
                if not rows:
                    return None
                try:
                    data = intents.calldata(session, market, kind, rows)
                    gas = self._simulated_gas(data, enough(kind, len(rows)))
                except (TransactionReverted, ProtocolError, LookupError, NoResultFound) as error:
                    why = str(error)
                except RpcRefused as error:
                    # Such as "gas required exceeds allowance": a smaller batch may pass, and a lone one is tried later.
                    if len(rows) == 1:
                        log.warning("simulation.refused", kind=kind, subject=rows[0].subject, reason=str(error)[:200])
                        return None
                    why = str(error)
                else:
                    if gas <= MAX_GAS or len(rows) == 1:
                        return rows, data, min(gas * GAS_MARGIN_PERCENT // 100, MAX_GAS)
                    why = f"a batch of {len(rows)} uses {gas} gas"
            if len(rows) == 1:
                outcomes.refuse(market, rows[0].id, why)
            limit = max(1, len(rows) // 2)

    def _simulated_gas(self, data: bytes, enough_gas: int) -> int:
        ledger = self._market.deployment.ledger
        return self._market.nodes.ask(lambda node: node.simulate(self.address, ledger, data, enough_gas))

    def _affordable(self, outgoing: "_Outgoing", gas: int) -> Fees:
        """The fees to offer; raises `GasTooDear`, `KeyUnfunded` or `GasBudgetSpent`."""
        settings, rules = self._market.settings, self._rules
        base_fee_wei = outgoing.view.base_fee_wei
        fees = first_fees(base_fee_wei, rules.priority_fee_wei, rules.fee_cap_wei)
        if fees is None:
            raise GasTooDear(base_fee_wei, rules.fee_cap_wei)
        needed_wei = gas * fees.max_fee_wei
        if outgoing.spent_wei + needed_wei > settings.gas_budget_wei:
            raise GasBudgetSpent(settings.gas_budget_wei, outgoing.spent_wei, needed_wei)
        if outgoing.balance_wei < outgoing.promised_wei + needed_wei:
            raise KeyUnfunded(self.address, outgoing.balance_wei, outgoing.promised_wei + needed_wei)
        return fees

    def _alarm_if_adopted(self, session: Session, nonce: int) -> None:
        """A foreign transaction of our key took nonces that we never used: somebody else has the key."""
        newest = store.newest_nonce(session, self.address)
        if newest is not None and nonce > newest + 1:
            log.error("nonce.adopted", key=self.address, nonce=nonce, expected=newest + 1)

    def _carry_out(self, action: Action, view: View) -> None:
        match action:
            case Broadcast(transaction, attempt):
                with self._market.db.read() as session:
                    raw = store.raw_of(session, attempt.tx_hash)
                self._broadcast(transaction.id, transaction.nonce, attempt.tx_hash, raw)
            case Replace(transaction, fees):
                self._replace(transaction, fees, view, is_cancel=False)
            case Cancel(transaction, fees):
                self._replace(transaction, fees, view, is_cancel=True)
            case Fill(nonce, fees):
                self._fill(nonce, fees, view)
            case Mark():
                # All were stored together.
                pass

    def _replace(self, transaction: Transaction, fees: Fees, view: View, *, is_cancel: bool) -> None:
        with self._market.db.read() as session:
            kind, data, gas = store.call_of(session, transaction.id)
        if is_cancel or kind == store.FILL:
            signed = self._sign_cancel(transaction.nonce, fees, view)
        else:
            ledger = self._market.deployment.ledger
            signed = self._sign(transaction.nonce, ledger, data, gas, fees, view, is_cancel=False)
        with self._market.db.write() as session:
            store.add_attempt(session, transaction.id, signed)
            crash_points.reach("attempt.signed")
        self._say_signed(transaction.id, transaction.nonce, kind, signed, len(transaction.attempts) + 1)
        self._broadcast(transaction.id, transaction.nonce, signed.attempt.tx_hash, signed.raw)

    def _fill(self, nonce: int, fees: Fees, view: View) -> None:
        log.error("nonce.gap", key=self.address, nonce=nonce)
        signed = self._sign_cancel(nonce, fees, view)
        with self._market.db.write() as session:
            number = store.add(
                session,
                sender=self.address,
                nonce=nonce,
                kind=store.FILL,
                gas=_TRANSFER_GAS,
                first=signed,
                now_time=now_time(),
            )
        self._say_signed(number, nonce, store.FILL, signed, 0)
        self._broadcast(number, nonce, signed.attempt.tx_hash, signed.raw)

    def _sign_cancel(self, nonce: int, fees: Fees, view: View) -> Signed:
        return self._sign(nonce, self.address, b"", _TRANSFER_GAS, fees, view, is_cancel=True)

    def _sign(
        self, nonce: int, to: Address, data: bytes, gas: int, fees: Fees, view: View, *, is_cancel: bool
    ) -> Signed:
        deployment = self._market.deployment
        require_allowed(deployment.ledger, self.address, to, data)
        raw, tx_hash = sign_transaction(
            self._key,
            chain_id=deployment.chain_id,
            nonce=nonce,
            to=to,
            data=data,
            gas=gas,
            max_fee_wei=fees.max_fee_wei,
            priority_fee_wei=fees.priority_fee_wei,
        )
        attempt = Attempt(
            tx_hash=to_hex(tx_hash),
            is_cancel=is_cancel,
            fees=fees,
            signed_time=now_time(),
            signed_block=view.head_number,
        )
        return Signed(attempt=attempt, raw=raw)

    def _broadcast(
        self, transaction_id: int, nonce: int, tx_hash: str, raw: bytes, later: list[_Answered] | None = None
    ) -> Answer:
        """Hands the stored bytes to a node and notes its answer, now or `later`; no answer is noted too, and raised."""
        crash_points.reach("attempt.stored")
        answer, said = Answer.ACCEPTED, ""
        try:
            self._market.nodes.ask(lambda node: node.broadcast(to_hex(raw)))
        except RpcRefused as error:
            answer, said = meaning(error.rpc_code, error.rpc_message), error.rpc_message[:200]
        except NodeUnavailable:
            self._note([_Answered(transaction_id, tx_hash, Answer.UNKNOWN)])
            raise
        crash_points.reach("attempt.broadcast")
        answered = _Answered(transaction_id, tx_hash, answer)
        if later is None:
            self._note([answered])
        else:
            later.append(answered)
        say = {Answer.ACCEPTED: log.info, Answer.FUNDS: log.error}.get(answer, log.warning)
        say(
            "attempt.broadcast",
            key=self.address,
            transaction=transaction_id,
            nonce=nonce,
            tx_hash=tx_hash,
            answer=answer.value,
            said=said,
        )
        return answer

    def _note(self, answers: Sequence[_Answered]) -> None:
        if not answers:
            return
        with self._market.db.write() as session:
            for one in answers:
                store.note_answer(session, *one, now_time())

    def _mark(self, marks: Sequence[Mark]) -> None:
        """In one transaction: after each block there are many, and whoever buys waits for every one that writes."""
        if not marks:
            return
        with self._market.db.write() as session:
            released = [store.mark(session, mark) for mark in marks]
        crash_points.reach("transaction.marked")
        for mark, count in zip(marks, released, strict=True):
            self._say_marked(mark, count)

    def _say_marked(self, mark: Mark, released: int) -> None:
        transaction = mark.transaction
        say = log.error if mark.alarm else log.info
        say(
            mark.alarm or "transaction.marked",
            key=self.address,
            transaction=transaction.id,
            nonce=transaction.nonce,
            was=transaction.state.value,
            state=mark.state.value,
            tx_hash=mark.mined_hash,
            block_number=mark.place.block_number if mark.place else None,
            released=released,
        )

    def _say_signed(
        self, transaction_id: int, nonce: int, kind: str, signed: Signed, count: int, leases: Sequence[str] = ()
    ) -> None:
        with self._market.db.read() as session:
            requests = trail.requests_of(session, leases) if leases else []
        log.info(
            "attempt.signed",
            key=self.address,
            transaction=transaction_id,
            nonce=nonce,
            kind=kind,
            tx_hash=signed.attempt.tx_hash,
            is_cancel=signed.attempt.is_cancel,
            max_fee_wei=str(signed.attempt.fees.max_fee_wei),
            count=count,
            requests=requests,
        )
