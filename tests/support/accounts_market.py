"""The real market over a real database and a real mirror, without a node: whoever has a key signs in and calls it."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import MetaData

from backend import wake
from backend.app import create_app
from backend.db import Database as MarketDatabase
from backend.market import Market
from backend.settings import MarketSettings
from protocol.clock import now_at, now_time
from protocol.events import DelegateApproved, Deposited
from protocol.hashing import Address, cid_of, sha256, to_hex
from protocol.keys import LocalKey
from protocol.messages import sign, to_json
from protocol.signin import sign_in_message, sign_text
from protocol.wire.accounts import NonceAnswer
from tests.support.builders import make_offer
from tests.support.databases import SQLITE, Database
from tests.support.migrated import migrate
from tests.support.stored_mirror import DEPLOYMENT, StoredMirror

MODULE: Final = b"\0asm\1\0\0\0"
CAP_BASE: Final = 5_000_000
ORIGIN: Final = "http://market.test"


@dataclass
class Somebody:
    """A wallet that signed in, and its API key once it has one."""

    world: "MarketWorld"
    key: LocalKey
    token: str
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        return self.key.address

    def call(self, method: str, path: str, *, by_key: bool = False, **options: Any) -> httpx.Response:
        """By the wallet's session, or by the API key."""
        headers = {"authorization": f"Bearer {self.made['key'] if by_key else self.token}"}
        return self.world.call(method, path, headers=headers | options.pop("headers", {}), **options)

    def make_key(self, name: str = "program", **terms: Any) -> dict[str, Any]:
        answer = self.call("POST", "/v1/keys", json={"name": name, **terms})
        assert answer.status_code == 201, answer.text
        self.made = answer.json()
        return self.made

    def fund(self, amount_base: int = CAP_BASE) -> None:
        """A deposit, and the delegate's cap on chain."""
        delegate = Address(self.made["delegate"])
        until = now_time() + 86_400
        self.world.stored.grow(
            [
                [
                    Deposited(self.address, self.address, amount_base),
                    DelegateApproved(self.address, delegate, amount_base, until),
                ]
            ]
        )

    def put(self, content: bytes, *, by_key: bool = False) -> str:
        cid = cid_of(sha256(content))
        answer = self.call("PUT", f"/v1/files/{cid}", by_key=by_key, content=content)
        assert answer.status_code in (200, 201), answer.text
        return cid

    def offer(self, **changes: Any) -> str:
        """The digest of a posted offer."""
        offer = make_offer(**{"provider": self.address, "expiry": now_time() + 3600, **changes})
        signature = to_hex(sign(DEPLOYMENT.domain, offer, self.key))
        answer = self.call("POST", "/v1/offers", json={"offer": to_json(offer), "signature": signature})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["digest"])

    def job(self, *, name: str = "one", **terms: Any) -> httpx.Response:
        body = job_body(self.put(MODULE, by_key=True), **terms)
        return self.call("POST", "/v1/jobs", by_key=True, json=body, headers={"Idempotency-Key": name})


def job_body(module: str, **terms: Any) -> dict[str, Any]:
    """The smallest job of a module."""
    limits = {"memory_bytes": 1 << 20, "work": 10**9, "wall_seconds": 10, "output_bytes": 1024}
    manifest = {"runtime": "wasi-det/1", "module": module, "limits": limits, **terms.pop("manifest", {})}
    return {"manifest": manifest, **terms}


@dataclass
class MarketWorld:
    """The market, and what is behind it."""

    market: Market
    app: FastAPI
    stored: StoredMirror
    _loop: asyncio.Runner

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._loop.run(self.ask(method, path, **options))

    def together(self, *questions: Any) -> list[Any]:
        """Answers to coroutines that run side by side."""

        async def run() -> list[Any]:
            return await asyncio.gather(*questions)

        return self._loop.run(run())

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
            return await http.request(method, path, **options)

    def message(self, key: LocalKey, **changes: Any) -> str:
        """A sign-in text with a new nonce."""
        asked = NonceAnswer.model_validate(self.call("POST", "/v1/auth/nonce").json())
        assert asked.domain == urlsplit(ORIGIN).netloc
        issued_at = changes.pop("issued_at", now_at())
        return sign_in_message(asked.model_copy(update=changes), key.address, issued_at)

    def sign_in(self, key: LocalKey, message: str | None = None) -> httpx.Response:
        text = message or self.message(key)
        body = {"message": text, "signature": to_hex(sign_text(key, text))}
        return self.call("POST", "/v1/auth/verify", json=body)

    def somebody(self, label: str) -> Somebody:
        key = LocalKey.derive(bytes(32), label)
        answer = self.sign_in(key)
        assert answer.status_code == 200, answer.text
        return Somebody(self, key, answer.json()["token"])

    def rows(self) -> dict[str, list[str]]:
        """All rows of the market's database, each as text."""
        tables = MetaData()
        tables.reflect(self.market.db.engine)
        with self.market.db.engine.connect() as connection:
            return {
                table.name: sorted(
                    json.dumps(dict(row), default=str, sort_keys=True)
                    for row in connection.execute(table.select()).mappings()
                )
                for table in tables.sorted_tables
            }


@cache
def _empty_market() -> bytes:
    """A migrated SQLite file: to copy it is faster than to migrate for each test."""
    with TemporaryDirectory() as folder:
        database = MarketDatabase(f"sqlite:///{folder}/market.db")
        migrate(database)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return Path(folder, "market.db").read_bytes()


@contextmanager
def market_world(folder: Path, database: Database = SQLITE, **changes: Any) -> Iterator[MarketWorld]:
    """A market below a folder; `changes` are settings."""
    stored = StoredMirror(folder / "mirror", database)
    stored.grow([[]])
    DEPLOYMENT.save(folder / "deployment.json")
    (folder / "market").mkdir()
    (folder / "submission.key").write_text(to_hex(LocalKey.derive(bytes(32), "matcher").secret()))
    plain: dict[str, Any] = {
        "deployment": folder / "deployment.json",
        "mirror_url": str(stored.engine.url.render_as_string(hide_password=False)),
        "files_dir": folder / "files",
        "seed_file": folder / "market.seed",
        "submission_key_file": folder / "submission.key",
        "public_url": ORIGIN,
        "rpc_url": "http://127.0.0.1:9",
    }
    if database is SQLITE:
        plain["market_url"] = f"sqlite:///{folder}/market/market.db"
        Path(folder, "market", "market.db").write_bytes(_empty_market())
    else:
        plain["market_url"] = database.mirror_url(folder / "market")
    market = Market(MarketSettings(**{**plain, **changes}))
    if database is not SQLITE:
        migrate(market.db)
    with asyncio.Runner() as loop, pytest.MonkeyPatch.context() as patch:
        # The worker's bell: nobody works here.
        patch.setattr(wake, "market", lambda: None)
        yield MarketWorld(market, create_app(market), stored, loop)
    market.mirror.close()
    market.db.close()
    stored.close()
