"""On PostgreSQL `events` is cut by block number: an index stays small, and old blocks can be archived as a whole."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import Connection

#: block numbers a partition
SPAN_BLOCKS: Final = 1_000_000


def ensure_partitions(connection: Connection, first: int, last: int) -> None:
    """Makes the partitions of blocks first … last where they are missing; elsewhere there is one table."""
    if connection.dialect.name != "postgresql":
        return
    wanted = range(first // SPAN_BLOCKS, last // SPAN_BLOCKS + 1)
    names = {partition_name(number): number for number in wanted}
    query = text(
        "SELECT relname FROM pg_class WHERE relname = ANY(:names) AND relnamespace = current_schema::regnamespace"
    )
    there = set(connection.execute(query, {"names": list(names)}).scalars())
    for name, number in names.items():
        if name not in there:
            start, end = number * SPAN_BLOCKS, (number + 1) * SPAN_BLOCKS
            connection.execute(text(f"CREATE TABLE {name} PARTITION OF events FOR VALUES FROM ({start}) TO ({end})"))


def partitions_in(connection: Connection, schema: str) -> list[str]:
    """Those that there are."""
    query = """
        SELECT child.relname FROM pg_inherits
        JOIN pg_class child ON child.oid = inhrelid
        JOIN pg_class parent ON parent.oid = inhparent
        WHERE parent.relname = 'events' AND parent.relkind = 'p' AND parent.relnamespace = CAST(:schema AS regnamespace)
    """
    return sorted(connection.execute(text(query), {"schema": schema}).scalars())


def partition_name(number: int) -> str:
    """Of the blocks from number · SPAN_BLOCKS on."""
    return f"events_{number}"
