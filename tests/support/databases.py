"""The databases that a mirror can live in, for tests that hold on each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Database:
    """One of them: where a new mirror goes, and how it spells bytes."""

    name: str
    #: the URL of an empty mirror, beside a test's files where it is one
    mirror_url: Callable[[Path], str]

    def spell(self, statement: str) -> str:
        """Fills {zero32}, {zero20} and {byte}, which is one byte 0xaa."""
        zeros = "zeroblob({})" if self.name == "sqlite" else "decode(repeat('00', {}), 'hex')"
        byte = "x'aa'" if self.name == "sqlite" else "decode('aa', 'hex')"
        return statement.format(zero32=zeros.format(32), zero31=zeros.format(31), zero20=zeros.format(20), byte=byte)

    def literal(self, value: bytes) -> str:
        """Bytes in a statement."""
        return f"x'{value.hex()}'" if self.name == "sqlite" else f"decode('{value.hex()}', 'hex')"


SQLITE: Final = Database("sqlite", lambda folder: f"sqlite:///{folder / 'mirror.db'}")
