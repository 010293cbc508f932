"""A real market over a real mirror, without a node: what the chain did is written as blocks of events."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from fastapi import FastAPI

from backend import wake
from backend.accounts import keys
from backend.accounts.service import Principal
from backend.accounts.tables import ApiKeyRow, SessionRow
from backend.app import create_app
from backend.files.tables import FileRow
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers import service as offers
from backend.settings import MarketSettings
from protocol.clock import now_time
from protocol.events import DelegateApproved, Deposited, EndReason, LeaseClosed, LeaseOpened, VoucherRedeemed
from protocol.hashing import cid_of, from_hex, sha256, to_hex
from protocol.ids import lease_id
from protocol.keys import LocalKey
from protocol.messages import sign, to_json
from protocol.terms import Offer
from protocol.units import METER_WORK
from protocol.wire.accounts import KeyRequest
from tests.support.builders import make_offer, make_order
from tests.support.databases import SQLITE, Database
from tests.support.migrated import migrate
from tests.support.stored_mirror import DEPLOYMENT, StoredMirror

MODULE = b"a module that nobody runs"
BUYER = LocalKey.derive(bytes(32), "buyer")
STRANGER = LocalKey.derive(bytes(32), "stranger")
PROVIDER = LocalKey.derive(bytes(32), "provider")


def manifest(work: int = 2 * 10**9) -> dict[str, Any]:
    limits = {"memory_bytes": 1 << 24, "work": work, "wall_seconds": 60, "output_bytes": 1000}
    return {"version": 1, "runtime": "wasi-det/1", "module": cid_of(sha256(MODULE)), "limits": limits}


@dataclass
class PaperMarket:
    market: Market
    stored: StoredMirror
    app: FastAPI
    #: of BUYER
    key: ApiKeyRow
    secret: str

    def session_of(self, who: LocalKey) -> str:
        """A wallet's session token."""
        token = "gls_" + who.address
        with self.market.db.write() as session:
            hashed = hashlib.sha256(token.encode()).hexdigest()
            session.merge(SessionRow(token_hash=hashed, address=who.address, expires_time=2_000_000_000))
        return token

    def http(self, token: str | None = None) -> httpx.AsyncClient:
        """As BUYER's program by default. Answers that do not end need tests.support.asgi_reader."""
        headers = {"authorization": f"Bearer {token or self.secret}"}
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://market.test", headers=headers)

    def post_offer(self, who: LocalKey = PROVIDER, **terms: Any) -> Offer:
        """A live offer of a provider that was just heard."""
        plain = {"provider": who.address, "expiry": now_time() + 86_400, "capacity": 9, **terms}
        offer = make_offer(**plain)
        signature = to_hex(sign(self.market.domain, offer, who))
        with self.market.db.write() as session:
            offers.post_offer(session, self.market, Principal(who.address, None), to_json(offer), signature)
        return offer

    def add_job(self, job_id: str, *, state: str = "queued", who: LocalKey = BUYER, **fields: Any) -> None:
        """A job as `submit` would leave it, without its checks."""
        plain = {
            "key_id": "key_1",
            "job_hash": to_hex(bytes(32)),
            "manifest": json.dumps({"verify": "none"}),
            "order_digest": to_hex(sha256(job_id.encode())),
            "order_message": json.dumps(to_json(make_order(buyer=who.address))),
            "order_signature": "0x",
            "segments_total": 3,
            "created_ms": 1,
        }
        with self.market.db.write() as session:
            session.add(JobRow(id=job_id, buyer=who.address, state=state, **{**plain, **fields}))

    def change_job(self, job_id: str, **fields: Any) -> None:
        with self.market.db.write() as session:
            row = session.get_one(JobRow, job_id)
            for name, value in fields.items():
                setattr(row, name, value)
            session.add(row)

    def propose(self, job_id: str, fill: int = 0) -> bytes:
        """A lease that the market asked for; returns its id."""
        lease = lease_id(self.order(job_id), fill)
        with self.market.db.write() as session:
            row = LeaseIntention(
                lease=to_hex(lease),
                job_id=job_id,
                fill=fill,
                provider=PROVIDER.address,
                offer_digest=to_hex(bytes(32)),
                rate=1,
                state="proposed",
                proposed_time=1,
            )
            session.add(row)
        return lease

    def order(self, job_id: str) -> bytes:
        with self.market.db.read() as session:
            return from_hex(session.get_one(JobRow, job_id).order_digest, 32)

    def opened(self, job_id: str, fill: int = 0, locked: int = 1000) -> LeaseOpened:
        """What the ledger says when it opens the lease."""
        order = self.order(job_id)
        return LeaseOpened(
            lease=lease_id(order, fill),
            buyer=BUYER.address,
            provider=PROVIDER.address,
            order=order,
            offer=bytes(32),
            job=bytes(32),
            voucher_signer=BUYER.address,
            opener=self.market.submission_key.address,
            fill=fill,
            meter=METER_WORK,
            zone=1,
            rate=1,
            locked=locked,
            bond=0,
            fee=100,
            deadline=2_000_000_000,
            notice=60,
        )


def paid(opened: LeaseOpened, amount: int) -> VoucherRedeemed:
    return VoucherRedeemed(opened.lease, opened.provider, amount, amount, bytes(32), True)


def closed(opened: LeaseOpened, paid_base: int) -> LeaseClosed:
    refunded = opened.locked - paid_base
    return LeaseClosed(
        opened.lease, opened.buyer, opened.provider, EndReason.COMPLETED, paid_base, refunded, 0, 0, done=True
    )


@contextmanager
def paper_market(
    folder: Path, database: Database = SQLITE, *, free_base: int = 10**9, **settings: Any
) -> Iterator[PaperMarket]:
    """BUYER has money and a key with a cap; nothing has been bought."""
    deployment = folder / "deployment.json"
    DEPLOYMENT.save(deployment)
    key_file = folder / "submission.key"
    key_file.write_text(to_hex(LocalKey.derive(bytes(32), "matcher").secret()))
    stored = StoredMirror(folder / "mirror", database)
    market_url = f"sqlite:///{folder}/market.db" if database is SQLITE else database.mirror_url(folder)
    plain: dict[str, Any] = {
        "deployment": deployment,
        "market_url": market_url,
        "mirror_url": "sqlite:///unused.db",
        "files_dir": folder / "files",
        "seed_file": folder / "market.seed",
        "submission_key_file": key_file,
        "silence_seconds": 3600,
    }
    market = Market(MarketSettings(**{**plain, **settings}))
    market.mirror = stored.mirror
    migrate(market.db)
    cid = market.files.put(MODULE)
    with market.db.write() as session:
        asked = KeyRequest(name="tests")
        secret, key = keys.create_key(session, market.hosted, BUYER.address, asked, test_chain=True)
        session.add(FileRow(cid=cid, owner=BUYER.address, size=len(MODULE), stored_time=now_time()))
    far = 4_000_000_000
    approved = DelegateApproved(BUYER.address, cast(Any, key.delegate), 10**9, far)
    stored.grow([[Deposited(BUYER.address, BUYER.address, free_base), approved]] if free_base else [[approved]])
    ring = wake.market
    # The broker is not what is looked at here.
    wake.market = lambda: None
    try:
        yield PaperMarket(market, stored, create_app(market), key, secret)
    finally:
        wake.market = ring
        market.db.close()
        stored.close()
