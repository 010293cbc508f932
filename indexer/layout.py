"""How a table's rows are laid out for COPY, in plain values: so the fetching process is told, which knows no tables."""

from typing import Any, Literal, NamedTuple, TypeAlias

#: how a cell is spelt: big-endian integers of eight and two bytes, one byte, 64 bits as `numeric`, as they are, UTF-8
Spelling: TypeAlias = Literal["int8", "int2", "bool", "numeric", "bytes", "text"]


class ColumnLayout(NamedTuple):
    """Of the cells of a column."""

    name: str
    spelling: Spelling
    #: of each cell that is not NULL, in bytes; None where they differ
    size: int | None
    nullable: bool


class Layout(NamedTuple):
    """Of a table's rows, in the table's order."""

    columns: tuple[ColumnLayout, ...]

    @classmethod
    def of_json(cls, said: list[Any]) -> "Layout":
        (columns,) = said
        return cls(tuple([ColumnLayout(*column) for column in columns]))


class Packed(NamedTuple):
    """Rows as COPY takes them."""

    columns: tuple[str, ...]
    data: bytes
