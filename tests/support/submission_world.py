"""A ledger, a mirror and a market's database, with jobs that wait for somebody to submit what they need."""

import json
from pathlib import Path
from random import Random

from sqlmodel import Session, col, func, select

from backend.accounts.hosted_keys import HostedKeys
from backend.accounts.service import Principal
from backend.db import Database
from backend.files.store import FileStore
from backend.files.tables import FileRow
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.matching import receipts
from backend.offers import service as offers
from backend.settings import MarketSettings
from backend.submission import store
from backend.submission.plan import UNDER_WAY
from backend.submission.tables import AttemptRow, IntentRow, TransactionRow
from protocol.calls import sign_transaction
from protocol.clock import now_milliseconds, now_time
from protocol.events import LeaseOpened, LeaseState
from protocol.hashing import cid_of, from_hex, sha256, to_hex
from protocol.keys import LocalKey
from protocol.manifest import Limits, Manifest
from protocol.messages import digest, sign, to_json
from protocol.terms import Offer
from protocol.wallet import read
from tests.support.anvil import BUYER, MATCHER
from tests.support.followed import Followed
from tests.support.ledger_world import DOLLAR, LedgerWorld
from tests.support.migrated import migrate

SETTLEMENT = LocalKey.derive(bytes(32), "settlement")
_API_KEY = "key_1"


class SubmissionWorld:
    """Everything below `folder`; `rpc_url` is what the market asks, which need not be the node itself."""

    def __init__(self, folder: Path, ledger: LedgerWorld, rpc_url: str, **settings: str) -> None:
        self.ledger = ledger
        self.followed = Followed(folder, ledger.deployment, ledger.rpc)
        self.environment = {
            "GRIDLEASE_RPC_URL": rpc_url,
            "GRIDLEASE_DEPLOYMENT": str(self.followed.settings.deployment),
            "GRIDLEASE_MARKET_URL": f"sqlite:///{folder}/market.db",
            "GRIDLEASE_MIRROR_URL": self.followed.settings.mirror_url,
            "GRIDLEASE_FILES_DIR": str(folder / "files"),
            "GRIDLEASE_SEED_FILE": str(folder / "market.seed"),
            "GRIDLEASE_SUBMISSION_KEY_FILE": str(_key_file(folder / "submission.key", MATCHER)),
            "GRIDLEASE_SETTLEMENT_KEY_FILE": str(_key_file(folder / "settlement.key", SETTLEMENT)),
            "GRIDLEASE_FINALITY_BLOCKS": "8",
            "GRIDLEASE_NOTICE_SECONDS": "10",
            "GRIDLEASE_COUNTERSIGN_SECONDS": "10",
            "GRIDLEASE_SILENCE_SECONDS": "3600",
            "GRIDLEASE_REDEEM_AFTER_SECONDS": "1",
            "GRIDLEASE_REDEEM_WAIT_SECONDS": "1",
            "GRIDLEASE_REPLACE_AFTER_SECONDS": "2",
        } | settings
        names = {name.removeprefix("GRIDLEASE_").lower(): value for name, value in self.environment.items()}
        self.market = Market(MarketSettings(**names))  # type: ignore[arg-type]
        self.db: Database = self.market.db
        migrate(self.db)
        ledger.rpc.call("anvil_setBalance", SETTLEMENT.address, hex(10**20))
        files = FileStore(folder / "files", 10**6)
        module = files.put(b"a checkpoint")
        assert module == cid_of(sha256(b"a checkpoint"))
        limits = Limits(memory_bytes=65536, work=10**12, wall_seconds=60, output_bytes=0)
        self._manifest = Manifest(runtime="wasi-det/1", module=module, limits=limits, segments=3)
        self._voucher_signer = HostedKeys(folder / "market.seed").voucher_signer(_API_KEY).address
        self.jobs = 0
        ledger.deposit(100_000 * DOLLAR)
        self._post_offers()
        with self.db.write() as session:
            for key in ledger.providers:
                session.add(FileRow(cid=module, owner=key.address, size=12, stored_time=now_time()))
        self.followed.catch_up()

    def close(self) -> None:
        self.market.nodes.close()
        self.db.close()
        self.followed.close()

    def queue_jobs(self, count: int) -> None:
        """Signed orders that wait for the next auction."""
        domain = self.ledger.deployment.domain
        with self.db.write() as session:
            for _ in range(count):
                self.jobs += 1
                order = self.ledger.order(voucher_signer=self._voucher_signer, job=self._manifest.job_hash())
                order_digest = digest(domain, order)
                receipts.enter(session, self.market, order)
                session.add(
                    JobRow(
                        id=f"job_{self.jobs}",
                        key_id=_API_KEY,
                        buyer=order.buyer,
                        job_hash=to_hex(order.job),
                        manifest=self._manifest.canonical().decode(),
                        order_digest=to_hex(order_digest),
                        order_message=json.dumps(to_json(order)),
                        order_signature=to_hex(sign(domain, order, BUYER)),
                        state="queued",
                        segments_total=3,
                        created_ms=now_milliseconds(),
                    )
                )

    def unfinished(self) -> str | None:
        """What is still to be done, in words; None when all is."""
        with self.db.read() as session:
            open_jobs = session.exec(select(JobRow.id).where(col(JobRow.state) != "canceled")).all()
            # An open that is not final yet is nothing to wait for.
            waits = (col(IntentRow.state) == "pending") | (
                (col(IntentRow.state) == "assigned") & (col(IntentRow.kind) != "open")
            )
            intents = session.exec(select(IntentRow.id).where(waits)).all()
            unmined = session.exec(select(TransactionRow.id).where(col(TransactionRow.state).in_(UNDER_WAY))).all()
            leases = session.exec(select(LeaseIntention.lease)).all()
        if open_jobs or intents or unmined:
            return f"jobs {open_jobs[:3]}, intents {intents[:3]}, transactions {unmined[:3]}"
        not_closed = [lease for lease in leases if not self._is_closed(lease)]
        return f"leases {not_closed[:3]}" if not_closed else None

    def watched(self) -> int:
        """Transactions that are not final."""
        with self.db.read() as session:
            return len(session.exec(select(TransactionRow.id).where(col(TransactionRow.watched))).all())

    def ends(self) -> dict[str, int]:
        """How transactions ended, and how many attempts replaced another one."""
        with self.db.read() as session:
            counts = {state: count for state, count in store.count_by_state(session).items() if count}
            attempts = session.exec(select(func.count()).select_from(AttemptRow)).one()
            transactions = session.exec(select(func.count()).select_from(TransactionRow)).one()
            fills = session.exec(select(func.count()).where(TransactionRow.kind == store.FILL)).one()
        return counts | {"replacements": attempts - transactions, "fills": fills}

    def require_exact(self) -> None:
        """One lease for each job, opened once, closed, and paid what its vouchers say; nothing sent was not stored."""
        with self.db.read() as session:
            jobs = session.exec(select(JobRow)).all()
            ours = set(session.exec(select(AttemptRow.tx_hash)).all())
            counts = store.count_by_state(session)
            self._require_nonces(session)
        assert len(jobs) == self.jobs
        mirror = self.followed.mirror
        opened = [row.event for row in mirror.events(limit=100_000) if isinstance(row.event, LeaseOpened)]
        assert len(opened) == len({event.lease for event in opened})
        paid = 0
        for job in jobs:
            leases = mirror.leases(order=from_hex(job.order_digest, 32))
            assert [(lease.fill, lease.state) for lease in leases] == [(0, LeaseState.CLOSED)], job.id
            (lease,) = leases
            assert lease.paid_base == job.cost_base > 0, job.id
            assert to_hex(lease.opened_tx) in ours, job.id
            paid += lease.paid_base
        assert counts["UNSENT"] == counts["SIGNED"] == counts["SENT"] == 0
        held = sum(self._free(key) for key in (*self.ledger.providers, MATCHER))
        # The fee of each open goes to whoever sent it, the rest to whoever worked.
        assert held == paid + self.jobs * 1000

    def foreign_transaction(self, key: LocalKey, dice: Random) -> None:
        """Somebody else with the key is quicker."""
        rpc = self.ledger.rpc
        nonce = int(rpc.call("eth_getTransactionCount", key.address, "latest"), 16)
        fee_wei = 10**12 + dice.randrange(10**9)
        raw, _ = sign_transaction(
            key,
            chain_id=31337,
            nonce=nonce,
            to=BUYER.address,
            data=b"",
            gas=21_000,
            max_fee_wei=fee_wei,
            priority_fee_wei=fee_wei,
        )
        rpc.call("eth_sendRawTransaction", to_hex(raw))

    def _require_nonces(self, session: Session) -> None:
        for key in (MATCHER, SETTLEMENT):
            count = int(self.ledger.rpc.call("eth_getTransactionCount", key.address, "latest"), 16)
            newest = store.newest_nonce(session, key.address)
            assert newest is None or newest < count, f"nonce {newest} of {key.address} is jammed"

    def _is_closed(self, lease: str) -> bool:
        found = self.followed.mirror.lease(from_hex(lease, 32))
        return found is not None and found.state is LeaseState.CLOSED

    def _free(self, key: LocalKey) -> int:
        ledger = self.ledger.deployment.ledger
        return int(read(self.ledger.rpc, "ComputeLedger", ledger, "account", key.address)[0][0])

    def _post_offers(self) -> None:
        domain = self.ledger.deployment.domain
        with self.db.write() as session:
            for number, key in enumerate(self.ledger.providers):
                offer = Offer(
                    provider=key.address,
                    quantities=0,
                    traits=0,
                    zone=number + 1,
                    meter=1,
                    rate=800_000,
                    capacity=10_000,
                    min_duration=1,
                    max_duration=10_000,
                    notice=10,
                    min_charge=0,
                    bond=0,
                    expiry=now_time() + 86_400,
                    epoch=0,
                    salt=number,
                )
                caller = Principal(address=key.address, api_key=None)
                offers.post_offer(session, self.market, caller, to_json(offer), to_hex(sign(domain, offer, key)))


def _key_file(path: Path, key: LocalKey) -> Path:
    path.touch(mode=0o600)
    path.write_text(to_hex(key.secret()) + "\n")
    return path
