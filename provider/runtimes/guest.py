"""A job's linear memory, seen from the host. A pointer that leads out of it is an errno, never a crash."""

import struct
from enum import IntEnum
from typing import Protocol


class Errno(IntEnum):
    """The answers of WASI preview 1 that this host gives."""

    OK = 0
    BADF = 8
    EXIST = 20
    FAULT = 21
    INVAL = 28
    ISDIR = 31
    NFILE = 41
    NOENT = 44
    NOSPC = 51
    NOTDIR = 54
    ROFS = 69
    SPIPE = 70
    NOTCAPABLE = 76


class OutsideMemory(Exception):
    """A pointer leads out of the job's memory; the call answers EFAULT."""


class GuestMemory(Protocol):
    """The job's linear memory; raises `OutsideMemory`."""

    def read(self, at: int, size: int) -> bytes: ...
    def write(self, at: int, data: bytes) -> None: ...


class Guest:
    """Reads and writes the values of WASI's calling convention, little-endian."""

    def __init__(self) -> None:
        #: set once the module is instantiated
        self.memory: GuestMemory | None = None

    def read(self, at: int, size: int) -> bytes:
        if self.memory is None:
            raise OutsideMemory
        return self.memory.read(at, size)

    def write(self, at: int, data: bytes) -> None:
        if self.memory is None:
            raise OutsideMemory
        self.memory.write(at, data)

    def write_u32(self, at: int, value: int) -> None:
        self.write(at, value.to_bytes(4, "little"))

    def write_u64(self, at: int, value: int) -> None:
        self.write(at, value.to_bytes(8, "little"))

    def path(self, at: int, size: int) -> str:
        """A path from the root; what is no UTF-8 or too long names nothing."""
        if size > 4096:
            return "\0"
        return self.read(at, size).decode("utf-8", "replace")

    def vectors(self, at: int, count: int) -> list[tuple[int, int]]:
        if count > 1024:
            raise OutsideMemory
        flat = struct.unpack(f"<{2 * count}I", self.read(at, 8 * count))
        return list(zip(flat[::2], flat[1::2], strict=True))
