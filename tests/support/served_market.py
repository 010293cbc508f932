"""The real market over real HTTP, on a real database and mirror and without a node: what SDK and commands meet."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlmodel import select

from backend.jobs.tables import JobRow
from backend.market import Market
from client.account import Keys, sign_in, with_session
from client.http import Http
from client.sdk import Client
from protocol.clock import now_milliseconds, now_time
from protocol.events import DelegateApproved, Deposited
from protocol.hashing import Address, to_hex
from protocol.keys import LocalKey
from protocol.messages import sign, to_json
from protocol.wire.accounts import ChainInfo, NewApiKey
from tests.support.accounts_market import market_world
from tests.support.anvil import free_port
from tests.support.builders import make_offer
from tests.support.stored_mirror import DEPLOYMENT, StoredMirror
from tests.support.waiting import wait_until

BUYER = LocalKey.derive(bytes(32), "buyer")
PROVIDER = LocalKey.derive(bytes(32), "provider")
PLENTY_BASE = 5_000_000


@dataclass
class ServedMarket:
    """BUYER has money and an API key whose delegate may spend it; PROVIDER has a live offer."""

    url: str
    market: Market
    stored: StoredMirror
    #: of BUYER, with all scopes
    made: NewApiKey

    def session(self, key: LocalKey = BUYER) -> Http:
        """The market, as a signed-in wallet."""
        http = Http(self.url)
        return with_session(http, sign_in(http, key, http.get("/v1/chain", ChainInfo)))

    def client(self, **options: Any) -> Client:
        """With BUYER's API key."""
        return Client(self.url, self.made.key, **options)

    def change_job(self, job_id: str, **fields: Any) -> None:
        """As the worker does when something happens to a job."""
        with self.market.db.write() as session:
            row = session.exec(select(JobRow).where(JobRow.id == job_id)).one()
            for name, value in fields.items():
                setattr(row, name, value)
            session.add(row)

    def settle(self, job_id: str) -> None:
        """Nothing more happens to it."""
        self.change_job(job_id, state="failed", settled_ms=now_milliseconds())


@contextmanager
def served_market(
    folder: Path, wrap: Callable[[Any], Any] = lambda app: app, **settings: Any
) -> Iterator[ServedMarket]:
    """`wrap` puts something before the app, such as a line that breaks."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with market_world(folder, public_url=url, webhooks_to_private=True, **settings) as world:
        config = uvicorn.Config(
            wrap(world.app),
            host="127.0.0.1",
            port=port,
            log_level="critical",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_until(lambda: server.started, 20)
        try:
            yield _prepared(url, world.market, world.stored)
        finally:
            world.market.draining.set()
            server.should_exit = True
            thread.join(20)


def _prepared(url: str, market: Market, stored: StoredMirror) -> ServedMarket:
    anonymous = Http(url)
    chain = anonymous.get("/v1/chain", ChainInfo)
    offer = make_offer(provider=PROVIDER.address, expiry=now_time() + 3600, capacity=9)
    body = {"offer": to_json(offer), "signature": to_hex(sign(DEPLOYMENT.domain, offer, PROVIDER))}
    token = sign_in(anonymous, PROVIDER, chain).token
    posted = httpx.post(f"{url}/v1/offers", json=body, headers={"authorization": f"Bearer {token}"}, timeout=10)
    assert posted.status_code == 201, posted.text
    session = with_session(anonymous, sign_in(anonymous, BUYER, chain))
    key = Keys(session).create("program")
    stored.grow(
        [
            [
                Deposited(BUYER.address, BUYER.address, PLENTY_BASE),
                DelegateApproved(BUYER.address, Address(key.delegate), PLENTY_BASE, now_time() + 86_400),
            ]
        ]
    )
    return ServedMarket(url, market, stored, key)
