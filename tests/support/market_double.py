"""A market without a chain, for what looks only at its database: the mirror says what the test says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from backend.db import Database
from backend.market import Market
from backend.operations.settings import OperationsSettings
from tests.support.migrated import migrate


def a_market(folder: Path, *, market_url: str | None = None, mirror: Any = None, **settings: Any) -> Market:
    """With a database of its own below the folder; `settings` are the operator's."""
    db = Database(market_url or f"sqlite:///{folder}/market.db")
    migrate(db)
    status = SimpleNamespace(block_number=7, proved_number=7, halted=None)
    return cast(
        Market,
        SimpleNamespace(
            db=db,
            mirror=mirror or SimpleNamespace(status=lambda: status),
            operations=OperationsSettings(**settings),
        ),
    )
