"""The market's database, its mirror and the contract beside each other. They only look."""

from collections import Counter
from typing import Any, Final

from sqlmodel import Session, col, select

from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.operations.tables import TickRow
from backend.settings import MarketSettings
from backend.submission import store
from backend.submission.plan import UNDER_WAY
from backend.submission.tables import AttemptRow, IntentRow, TransactionRow
from backend.webhooks.tables import WebhookMessageRow
from backend.works import STEP
from gridlease.house import DEPOSIT_BASE, House, dev_key
from indexer.queries import LeaseRow
from indexer.verify import verify_mirror
from protocol.events import LeaseOpened, LeaseState
from protocol.hashing import from_hex, to_hex
from protocol.rpc import Rpc
from protocol.wallet import read
from protocol.wire.jobs import ENDED

_MANY: Final = 100_000


class Broken(AssertionError):
    """Something was lost, doubled, stuck or jammed."""


class Books:
    """Of one house; `rpc` is its true node."""

    def __init__(self, house: House, rpc: Rpc) -> None:
        names = {name.removeprefix("GRIDLEASE_").lower(): value for name, value in house.environment.items()}
        known = MarketSettings.model_fields.keys()
        self._market = Market(MarketSettings(**{name: value for name, value in names.items() if name in known}))  # type: ignore[arg-type]
        self._rpc, self._ledger = rpc, house.ledger

    def close(self) -> None:
        self._market.db.close()
        self._market.mirror.close()

    def is_at_head(self) -> bool:
        """The mirror's newest block is the node's."""
        block = self._rpc.call("eth_getBlockByNumber", "latest", False)
        return to_hex(self._market.mirror.status().block_hash) == str(block["hash"])

    def last_step_ms(self) -> int:
        """Unix milliseconds by the house's clock."""
        with self._market.db.read() as session:
            row = session.get(TickRow, STEP.name)
            return row.done_ms if row else 0

    def has_stepped_since(self, step_ms: int) -> bool:
        return self.last_step_ms() != step_ms

    def unfinished(self) -> str | None:
        """What is still to be done, in words; None when all is."""
        with self._market.db.read() as session:
            jobs = session.exec(select(JobRow.id, JobRow.state).where(col(JobRow.settled_ms).is_(None))).all()
            intents = session.exec(
                select(IntentRow.id, IntentRow.kind, IntentRow.state).where(
                    col(IntentRow.state).in_(("pending", "assigned"))
                )
            ).all()
            unmined = session.exec(select(TransactionRow.id).where(col(TransactionRow.state).in_(UNDER_WAY))).all()
            messages = session.exec(select(WebhookMessageRow.id).where(WebhookMessageRow.state == "pending")).all()
        waiting = [lease for lease, found in self._unsettled().items() if not _is_closed(found)]
        left = {"jobs": jobs, "intents": intents, "transactions": unmined, "leases": waiting, "messages": messages}
        return ", ".join(f"{name} {[*rows][:3]}" for name, rows in left.items() if rows) or None

    def notice_left_seconds(self) -> int:
        """Of the chain's time, where every lease that is not closed sits out its notice and nothing is asked for."""
        with self._market.db.read() as session:
            asked = session.exec(select(IntentRow.id).where(col(IntentRow.state).in_(("pending", "assigned")))).first()
        waiting = [lease for lease in self._unsettled().values() if not _is_closed(lease)]
        if asked is not None or not waiting:
            return 0
        notices = [lease.deadline_time for lease in waiting if lease is not None and lease.state is LeaseState.CLOSING]
        if len(notices) < len(waiting):
            return 0
        block = self._rpc.call("eth_getBlockByNumber", "latest", False)
        return max(0, min(notices) - int(block["timestamp"], 16))

    def watched(self) -> int:
        """Transactions that are not final."""
        with self._market.db.read() as session:
            return len(session.exec(select(TransactionRow.id).where(col(TransactionRow.watched))).all())

    def require_exact(self, accepted: dict[str, str]) -> None:
        """`accepted`: Idempotency-Key → job. The chain and the mirror must stand still. Raises `Broken`."""
        with self._market.db.read() as session:
            jobs = session.exec(select(JobRow)).all()
            ours = set(session.exec(select(AttemptRow.tx_hash)).all())
            proposed = {row.lease: row for row in session.exec(select(LeaseIntention)).all()}
            self._require_nonces(session)
        _require({job.id for job in jobs} == set(accepted.values()), "the jobs are not those that were accepted")
        _require(len(set(accepted.values())) == len(accepted), "two calls got the same job")
        leases = self._leases()
        _require({to_hex(lease.lease) for lease in leases} == set(proposed), "the mirror has other leases")
        by_order: dict[str, list[LeaseRow]] = {}
        for lease in leases:
            by_order.setdefault(to_hex(lease.order), []).append(lease)
            _require(
                to_hex(lease.opened_tx) in ours, f"lease {to_hex(lease.lease)} was opened by bytes that we have not"
            )
            _require(lease.provider == proposed[to_hex(lease.lease)].provider, "a lease has another provider")
        for job in jobs:
            self._require_job(job, by_order.get(job.order_digest, []))
        self._require_money(leases)

    def require_told(self, received: set[str]) -> None:
        """`received`: ids of webhook messages. The buyer has heard of each job's end. Raises `Broken`."""
        with self._market.db.read() as session:
            messages = session.exec(select(WebhookMessageRow)).all()
            jobs = session.exec(select(JobRow.id)).all()
        lost = [message.id for message in messages if message.id not in received]
        _require(not lost, f"messages {lost[:3]} were not delivered")
        for kind in ("job.succeeded", "job.settled"):
            told = {message.job_id for message in messages if message.kind == kind}
            _require(told == set(jobs), f"nobody was told {kind} of {sorted(set(jobs) - told)[:3]}")

    def require_mirror(self) -> None:
        """Every row of it against the chain. Raises `Broken`."""
        report = verify_mirror(self._market.settings.mirror_url, self._rpc, self._ledger)
        if not report.holds:
            raise Broken(str(report.first or [check for check in report.checks if not check.holds]))

    def ends(self) -> dict[str, int]:
        """How jobs ended, and transactions."""
        with self._market.db.read() as session:
            jobs = Counter(session.exec(select(JobRow.state)).all())
            failures = session.exec(select(JobRow.failure).where(JobRow.state != "succeeded")).all()
            transactions = {state: count for state, count in store.count_by_state(session).items() if count}
        return dict(jobs) | transactions | {f"failed: {why}": count for why, count in Counter(failures).items()}

    def _leases(self) -> list[LeaseRow]:
        events = self._market.mirror.events_since(0, limit=_MANY, kind="LeaseOpened")
        opened = [row.event.lease for row in events if isinstance(row.event, LeaseOpened)]
        found = self._market.mirror.leases(limit=_MANY)
        _require(sorted(opened) == sorted(lease.lease for lease in found), "a lease was opened twice, or never")
        return found

    def _unsettled(self) -> dict[str, LeaseRow | None]:
        """Leases that no final block has closed, as the mirror has them."""
        with self._market.db.read() as session:
            leases = session.exec(select(LeaseIntention.lease).where(col(LeaseIntention.settled).is_(False))).all()
        found = self._market.mirror.leases_by_id([from_hex(lease, 32) for lease in leases])
        return {lease: found.get(from_hex(lease, 32)) for lease in leases}

    def _require_job(self, job: JobRow, leases: list[LeaseRow]) -> None:
        _require(job.state in ENDED and job.settled_ms is not None, f"{job.id} is {job.state}")
        _require(job.state == "succeeded", f"{job.id} ended as {job.state}: {job.failure}")
        fills = sorted(lease.fill for lease in leases)
        _require(fills == list(range(len(leases))) and bool(fills), f"{job.id} has the fills {fills}")
        for lease in leases:
            _require(lease.state is LeaseState.CLOSED, f"{job.id}: fill {lease.fill} is {lease.state.name}")
            view = self._view("lease", lease.lease)
            _require(
                view[1:3] == (lease.locked_base, lease.paid_base) and LeaseState(view[7]) is lease.state,
                f"{job.id}: the contract says {view} of {lease}",
            )
        paid_base = sum(lease.paid_base for lease in leases)
        _require(paid_base == job.cost_base > 0, f"{job.id} cost {job.cost_base}, and {paid_base} was paid")

    def _require_money(self, leases: list[LeaseRow]) -> None:
        accounts = self._market.mirror.all_accounts(limit=_MANY)
        for account in accounts:
            shown = (account.free_base, account.bonded_base, account.open_leases)
            view = self._view("account", account.address)
            _require(view[:3] == shown, f"{account.address}: the contract says {view}, the mirror {shown}")
        held = {account.address: account.free_base for account in accounts}
        _require(sum(held.values()) == DEPOSIT_BASE, f"{DEPOSIT_BASE} came in, and the accounts hold {held}")
        (balance,) = read(self._rpc, "TestDollar", self._ledger.token, "balanceOf", self._ledger.ledger)
        _require(balance == DEPOSIT_BASE, f"the ledger holds {balance}")
        for provider in {lease.provider for lease in leases}:
            earned = sum(lease.paid_base for lease in leases if lease.provider == provider)
            _require(held[provider] == earned, f"{provider} earned {earned}, and holds {held[provider]}")
        fees = sum(lease.fee_base for lease in leases)
        _require(held.get(dev_key(1).address, 0) == fees, f"the fees are {fees}")

    def _require_nonces(self, session: Session) -> None:
        key = dev_key(1).address
        count = int(self._rpc.call("eth_getTransactionCount", key, "latest"), 16)
        newest = store.newest_nonce(session, key)
        _require(newest is None or newest < count, f"nonce {newest} is jammed, the chain is at {count}")

    def _view(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        found = read(self._rpc, "ComputeLedger", self._ledger.ledger, name, *arguments)
        return tuple(found[0]) if len(found) == 1 and isinstance(found[0], tuple) else found


def _is_closed(lease: LeaseRow | None) -> bool:
    return lease is not None and lease.state is LeaseState.CLOSED


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)
