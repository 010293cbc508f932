"""What a database is asked, whichever way it goes: by SQLAlchemy, or by the driver (indexer/prepared.py)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from indexer.prepared import Prepared


@contextmanager
def heard(engine: Engine, note: Callable[[str], None]) -> Iterator[None]:
    """`note` is called with the text of each statement before it is run; what it raises is in its way."""

    def by_sqlalchemy(_connection: Connection, _cursor: Any, text: str, *_: Any) -> None:
        note(text)

    def by_driver(self: Prepared, connection: Connection, text: str, bound: Any) -> Any:
        if connection.engine is engine:
            note(text)
        return run(self, connection, text, bound)

    run = Prepared._cursor
    event.listen(engine, "before_cursor_execute", by_sqlalchemy)
    Prepared._cursor = by_driver  # type: ignore[method-assign]
    try:
        yield
    finally:
        Prepared._cursor = run  # type: ignore[method-assign]
        event.remove(engine, "before_cursor_execute", by_sqlalchemy)
