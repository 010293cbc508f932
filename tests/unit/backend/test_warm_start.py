"""A server reads the book before it answers: its first buyer waits no longer than the next."""

import asyncio
from pathlib import Path

from fastapi import FastAPI

from indexer.queries import Mirror
from tests.support.paper_market import paper_market


def _start(app: FastAPI) -> None:
    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(start())


def test_the_book_is_read_before_the_first_call(tmp_path: Path) -> None:
    with paper_market(tmp_path) as paper:
        offer = paper.post_offer()
        _start(paper.app)
        assert [entry.offer for entry in paper.market.live_book._glance] == [offer]


def test_a_server_starts_before_its_mirror(tmp_path: Path) -> None:
    with paper_market(tmp_path) as paper:
        paper.post_offer()
        paper.market.mirror = Mirror(f"sqlite:///{tmp_path}/not-yet.db")
        _start(paper.app)
        assert paper.market.live_book._glance == []
