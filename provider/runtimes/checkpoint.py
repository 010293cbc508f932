"""A checkpoint: the whole state of a segmented job between two segments, as canonical bytes.

One state has one encoding (SPEC "Jobs"), so a file's SHA-256 names the state. Blocks that
are all zero are left out.
"""

import struct
from dataclasses import dataclass
from typing import Final, Self

from protocol.hashing import keccak256, sha256
from protocol.merkle import tag
from provider.runtimes.faults import CheckpointRefused
from provider.runtimes.metering import PAGE_BYTES
from provider.runtimes.wasi import HostState

_MAGIC: Final = b"gridlease/checkpoint/1\n"
_STATE: Final = tag("gridlease/state/1")
_HEAD: Final = struct.Struct("<32sIQQQQHI")
_GLOBAL: Final = struct.Struct("<BQ")
_KINDS: Final = ("i32", "i64")
_BLOCK_BYTES: Final = 4096
_BLOCKS_A_PAGE: Final = PAGE_BYTES // _BLOCK_BYTES
_ZERO_BLOCK: Final = bytes(_BLOCK_BYTES)
_MAX_GLOBALS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state after `segments` segments."""

    job_hash: bytes
    #: segments done, at least 1
    segments: int
    #: raw work of the job so far
    work: int
    host: HostState
    #: (`i32` or `i64`, unsigned value) of each mutable global, by index
    globals: tuple[tuple[str, int], ...]
    #: linear memory, whole pages
    memory: bytes

    def state_hash(self) -> bytes:
        """The state with its place and work: a voucher for it says where a successor goes on, and no other place."""
        host = (self.host.clock_calls, self.host.random_bytes, self.host.log_bytes)
        words = [self.segments, self.work, *host, len(self.globals)]
        for kind, value in self.globals:
            words += [_KINDS.index(kind), value]
        encoded = b"".join(word.to_bytes(32, "big") for word in words)
        return keccak256(_STATE + self.job_hash + sha256(self.memory) + encoded)

    def encode(self) -> bytes:
        """The file's bytes."""
        pages = len(self.memory) // PAGE_BYTES
        head = _HEAD.pack(
            self.job_hash,
            self.segments,
            self.work,
            self.host.clock_calls,
            self.host.random_bytes,
            self.host.log_bytes,
            len(self.globals),
            pages,
        )
        present = bytearray(pages * _BLOCKS_A_PAGE // 8)
        blocks = []
        for index in range(pages * _BLOCKS_A_PAGE):
            block = self.memory[index * _BLOCK_BYTES : (index + 1) * _BLOCK_BYTES]
            if block != _ZERO_BLOCK:
                present[index // 8] |= 1 << index % 8
                blocks.append(block)
        packed = b"".join(_GLOBAL.pack(_KINDS.index(kind), value) for kind, value in self.globals)
        return b"".join([_MAGIC, head, packed, present, *blocks])

    @classmethod
    def decode(cls, data: bytes, *, memory_limit_bytes: int) -> Self:
        """The inverse of `encode`; raises `CheckpointRefused` on anything that `encode` does not write."""
        body = memoryview(data)
        if not data.startswith(_MAGIC) or len(data) < len(_MAGIC) + _HEAD.size:
            raise CheckpointRefused("it is not a checkpoint file")
        at = len(_MAGIC) + _HEAD.size
        job, segments, work, clock, random, log, count, pages = _HEAD.unpack(body[len(_MAGIC) : at])
        if segments == 0 or count > _MAX_GLOBALS or pages * PAGE_BYTES > memory_limit_bytes:
            raise CheckpointRefused("its sizes are out of range")
        present_at = at + count * _GLOBAL.size
        blocks_at = present_at + pages * _BLOCKS_A_PAGE // 8
        if len(data) < blocks_at:
            raise CheckpointRefused("it is cut short")
        checkpoint = cls(
            job_hash=job,
            segments=segments,
            work=work,
            host=HostState(clock_calls=clock, random_bytes=random, log_bytes=log),
            globals=_decode_globals(body[at:present_at]),
            memory=_decode_memory(body[present_at:blocks_at], body[blocks_at:]),
        )
        # One state, one spelling: whatever decodes must encode to the same bytes.
        if checkpoint.encode() != data:
            raise CheckpointRefused("it is not in canonical form")
        return checkpoint


def _decode_globals(data: memoryview) -> tuple[tuple[str, int], ...]:
    found = []
    for kind, value in _GLOBAL.iter_unpack(data):
        if kind >= len(_KINDS) or (kind == 0 and value >> 32):
            raise CheckpointRefused("a global is out of range")
        found.append((_KINDS[kind], value))
    return tuple(found)


def _decode_memory(present: memoryview, blocks: memoryview) -> bytes:
    memory = bytearray(len(present) * 8 * _BLOCK_BYTES)
    at = 0
    for index in range(len(present) * 8):
        if present[index // 8] >> index % 8 & 1:
            block = blocks[at : at + _BLOCK_BYTES]
            if len(block) != _BLOCK_BYTES:
                raise CheckpointRefused("it is cut short")
            memory[index * _BLOCK_BYTES : (index + 1) * _BLOCK_BYTES] = block
            at += _BLOCK_BYTES
    if at != len(blocks):
        raise CheckpointRefused("it has bytes at its end that belong to nothing")
    return bytes(memory)
