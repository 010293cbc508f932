"""What the database says about the market, counted when Prometheus asks."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from backend.jobs.tables import JobRow
from backend.market import Market
from backend.operations import ticks
from backend.operations.tables import TickRow
from backend.submission.plan import State
from backend.submission.tables import IntentRow, TransactionRow
from backend.webhooks.tables import WebhookMessageRow, WebhookRow
from protocol.errors import MirrorError
from protocol.wire.jobs import ENDED

_NEVER_SECONDS = float("inf")
_SETTLED = (State.FINAL, State.CANCELLED, State.DISPLACED)


class DatabaseGauges(Collector):
    """Lengths of queues, ages of what should have happened, and how far the mirror is."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def describe(self) -> Iterable[GaugeMetricFamily]:
        # Registering must not ask the database, which may be away.
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("gridlease_market_database_up", "1 while the database answers.")
        try:
            with self._market.db.read() as session:
                found = [*self._queues(session), *self._webhooks(session), *self._clockwork(session)]
        except SQLAlchemyError:
            found = []
        up.add_metric([], float(bool(found)))
        yield up
        yield from found
        yield from self._mirror()

    def _queues(self, session: Session) -> Iterator[GaugeMetricFamily]:
        # Ended jobs are history, not a queue: to count them all would cost more with each day.
        waiting = select(JobRow.state, func.count()).where(col(JobRow.state).not_in(ENDED)).group_by(col(JobRow.state))
        yield _by_labels("jobs", "Jobs that have not ended, by state.", ["state"], session.exec(waiting))
        live = (
            select(IntentRow.kind, IntentRow.state, func.count())
            .where(col(IntentRow.state).in_(("pending", "assigned", "skipped")))
            .group_by(col(IntentRow.kind), col(IntentRow.state))
        )
        yield _by_labels(
            "intents",
            "Intents that are not resolved; opens are when they are final.",
            ["kind", "state"],
            session.exec(live),
        )
        moving = (
            select(TransactionRow.state, func.count())
            .where(col(TransactionRow.state).not_in(_SETTLED))
            .group_by(col(TransactionRow.state))
        )
        yield _by_labels("transactions", "Transactions that are not final.", ["state"], session.exec(moving))
        oldest = select(func.min(IntentRow.created_time)).where(IntentRow.state == "pending")
        created_time = session.exec(oldest).one()
        waits = 0.0 if created_time is None else self._market.db.now_ms(session) / 1000 - created_time
        yield _one("oldest_intent_seconds", "How long the oldest pending intent has waited.", max(0.0, waits))

    def _webhooks(self, session: Session) -> Iterator[GaugeMetricFamily]:
        # To a disabled endpoint nothing is sent, however long it has been due.
        waiting = (
            select(func.count(), func.min(WebhookMessageRow.due_ms))
            .join(WebhookRow, col(WebhookRow.id) == col(WebhookMessageRow.webhook_id))
            .where(WebhookMessageRow.state == "pending", col(WebhookRow.disabled_ms).is_(None))
        )
        count, due_ms = session.exec(waiting).one()
        late = 0.0 if due_ms is None else (self._market.db.now_ms(session) - due_ms) / 1000
        yield _one("webhook_messages", "Webhook messages that are to be sent, now or later.", float(count))
        yield _one("webhook_late_seconds", "How long the first of them has been due.", max(0.0, late))

    def _clockwork(self, session: Session) -> Iterator[GaugeMetricFamily]:
        ages, spans = (
            _family("work_age_seconds", "Since a work was last done.", ["work"]),
            _family("work_last_seconds", "What its last run took.", ["work"]),
        )
        for row in session.exec(select(TickRow)).all():
            age = ticks.age_ms(session, self._market.db, row.name)
            ages.add_metric([row.name], _NEVER_SECONDS if age is None else age / 1000)
            spans.add_metric([row.name], row.took_ms / 1000)
        yield from (ages, spans)
        silence = ticks.silence_ms(session, self._market.db, "worker")
        seconds = _NEVER_SECONDS if silence is None else silence / 1000
        yield _one("worker_silence_seconds", "Since a worker last heard its canary.", seconds)

    def _mirror(self) -> Iterator[GaugeMetricFamily]:
        try:
            status = self._market.mirror.status()
        except MirrorError:
            return
        yield _one("mirror_block", "Newest block of the mirror that this server reads.", float(status.block_number))
        yield _one("mirror_halted", "1 while the mirror refuses to write.", float(status.halted is not None))


def _family(name: str, says: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"gridlease_market_{name}", says, labels=labels)


def _one(name: str, says: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"gridlease_market_{name}", says, value=value)


def _by_labels(name: str, says: str, labels: list[str], rows: Iterable[tuple[object, ...]]) -> GaugeMetricFamily:
    family = _family(name, says, labels)
    for *values, count in rows:
        family.add_metric([str(value) for value in values], float(str(count)))
    return family
