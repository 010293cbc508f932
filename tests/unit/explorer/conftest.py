"""The explorer on an app of its own, over a mirror in memory."""

import asyncio
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI

from explorer.app import mount
from tests.support.fake_mirror import START_TIME, FakeMirror, story

NOW = START_TIME + 66


@dataclass(frozen=True)
class Reader:
    """Somebody with a browser, or with curl."""

    app: FastAPI

    def get(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://explorer.test") as http:
                return await http.request(method, path, headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def mirror() -> FakeMirror:
    return story()


@pytest.fixture
def reader(mirror: FakeMirror) -> Reader:
    app = FastAPI()
    mount(app, mirror, now=lambda: NOW)
    return Reader(app)
