"""Reads the encodings of a WebAssembly binary: LEB128 integers, names, vectors. Never past the end."""

from typing import Self


class Malformed(ValueError):
    """Bytes that are no WebAssembly binary."""


class Reader:
    """A position in a range of bytes."""

    __slots__ = ("_bytes", "_end", "at")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self._bytes = data
        self.at = at
        self._end = len(data) if end is None else end

    def at_end(self) -> bool:
        return self.at >= self._end

    def byte(self) -> int:
        if self.at >= self._end:
            raise Malformed("it ends in the middle of a section")
        value = self._bytes[self.at]
        self.at += 1
        return value

    def leb(self, most_bytes: int) -> int:
        """An integer's bits without its sign; only its end matters to a reader that skips it."""
        value = shift = 0
        for _ in range(most_bytes):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise Malformed("an integer is too long")

    def u32(self) -> int:
        value = self.leb(5)
        if value >> 32:
            raise Malformed("an integer is above 32 bits")
        return value

    def skip(self, size: int) -> None:
        if size > self._end - self.at:
            raise Malformed("it ends in the middle of a section")
        self.at += size

    def take(self, size: int) -> bytes:
        start = self.at
        self.skip(size)
        return self._bytes[start : self.at]

    def rest(self) -> bytes:
        return self.take(self._end - self.at)

    def sub(self, size: int) -> Self:
        """A reader of the next `size` bytes, which this one passes over."""
        start = self.at
        self.skip(size)
        return type(self)(self._bytes, start, self.at)

    def name(self) -> str:
        try:
            return self.take(self.u32()).decode()
        except UnicodeDecodeError:
            raise Malformed("a name is not UTF-8") from None

    def limits(self) -> int:
        """The minimum of a memory or table; 64-bit and shared ones are left to the engine, which refuses them."""
        flags = self.byte()
        minimum = self.leb(10)
        if flags & 1:
            self.leb(10)
        return minimum

    def constant_expression(self) -> None:
        """Passes over the initial value of a global."""
        while True:
            code = self.byte()
            if code == 0x0B:
                return
            if code in (0x41, 0x23, 0xD2):
                self.leb(5)
            elif code == 0x42:
                self.leb(10)
            elif code == 0x43:
                self.skip(4)
            elif code == 0x44:
                self.skip(8)
            elif code == 0xD0:
                self.leb(5)
            elif code == 0xFD:
                self.u32()
                self.skip(16)
            elif code not in (0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E):
                raise Malformed(f"opcode 0x{code:02x} in a constant expression")
