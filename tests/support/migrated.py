"""A market's database with its tables. The migrations make one SQLite file of a run, and tests begin with copies."""

import tempfile
from functools import cache
from pathlib import Path

from backend.db import Database


def migrate(db: Database) -> None:
    """As `Database.migrate`."""
    file = Path(db.engine.url.database or "")
    if db.engine.dialect.name != "sqlite" or file.exists():
        db.migrate()
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_made())


@cache
def _made() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "market.db"
        db = Database(f"sqlite:///{file}")
        db.migrate()
        db.close()
        return file.read_bytes()
