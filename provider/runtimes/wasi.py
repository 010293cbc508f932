"""WASI preview 1, small and deterministic: what a job can ask of its host, and the same answer on every machine.

The clock starts at a fixed time and moves one millisecond a call; random bytes are a SHA-256 counter stream over the
job hash; files are a `FileTree`. A module that imports any other function is refused before it starts.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from protocol.hashing import sha256
from provider.runtimes.descriptors import Descriptors
from provider.runtimes.filetree import FileTree
from provider.runtimes.guest import Errno, Guest, OutsideMemory
from provider.runtimes.metering import WORK_PER_BYTE, WORK_PER_HOST_CALL

CLOCK_START_NANOSECONDS: Final = 1_767_225_600 * 10**9
"""2026-01-01T00:00:00Z, whatever the day."""
_TICK_NANOSECONDS: Final = 10**6
_RANDOM_TAG: Final = sha256(b"gridlease/random/1")


class JobExit(Exception):
    """The job called proc_exit."""

    def __init__(self, code: int) -> None:
        self.code = code & 0xFF
        super().__init__(str(self.code))


class CallInStep(Exception):
    """A segmented job called the host inside `step`, where only memory may change: it traps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """What the host remembers between segments; with memory and globals it is the whole state."""

    clock_calls: int = 0
    #: bytes of the random stream already given
    random_bytes: int = 0
    log_bytes: int = 0


class Wasi:
    """The host side of one run."""

    def __init__(
        self,
        *,
        job_hash: bytes,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        tree: FileTree,
        state: HostState,
        charge: Callable[[int], None],
    ) -> None:
        self._job_hash = job_hash
        self._arguments = [argument.encode() + b"\0" for argument in arguments]
        self._environment = [f"{name}={value}".encode() + b"\0" for name, value in sorted(environment.items())]
        self._tree = tree
        tree.log_bytes = state.log_bytes
        self._clock_calls, self._random_bytes = state.clock_calls, state.random_bytes
        self._charge = charge
        self.guest = Guest()
        self.descriptors = Descriptors(self.guest, tree, charge)
        #: false inside `step`
        self.allowed = True

    def state(self) -> HostState:
        return HostState(clock_calls=self._clock_calls, random_bytes=self._random_bytes, log_bytes=self._tree.log_bytes)

    def call(self, name: str, arguments: tuple[int, ...]) -> int:
        """Serves one call; the number is its errno. The call and the bytes that it moves are charged as work."""
        if not self.allowed and name != "proc_exit":
            raise CallInStep(name)
        self._charge(WORK_PER_HOST_CALL)
        try:
            return int(getattr(self.descriptors if name in _FILE_CALLS else self, name)(*arguments))
        except OutsideMemory:
            return Errno.FAULT

    def _give_texts(self, texts: list[bytes], pointers: int, at: int) -> int:
        for index, text in enumerate(texts):
            self.guest.write_u32(pointers + 4 * index, at)
            self.guest.write(at, text)
            at += len(text)
        return Errno.OK

    def _give_sizes(self, texts: list[bytes], count: int, size: int) -> int:
        self.guest.write_u32(count, len(texts))
        self.guest.write_u32(size, sum(map(len, texts)))
        return Errno.OK

    def args_get(self, pointers: int, at: int) -> int:
        return self._give_texts(self._arguments, pointers, at)

    def args_sizes_get(self, count: int, size: int) -> int:
        return self._give_sizes(self._arguments, count, size)

    def environ_get(self, pointers: int, at: int) -> int:
        return self._give_texts(self._environment, pointers, at)

    def environ_sizes_get(self, count: int, size: int) -> int:
        return self._give_sizes(self._environment, count, size)

    def clock_res_get(self, clock: int, at: int) -> int:
        if clock > 3:
            return Errno.INVAL
        self.guest.write_u64(at, _TICK_NANOSECONDS)
        return Errno.OK

    def clock_time_get(self, clock: int, _precision: int, at: int) -> int:
        if clock > 3:
            return Errno.INVAL
        self._clock_calls += 1
        passed = self._clock_calls * _TICK_NANOSECONDS
        self.guest.write_u64(at, passed + (CLOCK_START_NANOSECONDS if clock == 0 else 0))
        return Errno.OK

    def random_get(self, at: int, size: int) -> int:
        self._charge(WORK_PER_BYTE * size)
        self.guest.read(at, size)  # a wrong range must not move the stream
        first, last = self._random_bytes // 32, (self._random_bytes + size + 31) // 32
        seed = _RANDOM_TAG + self._job_hash
        stream = b"".join(hashlib.sha256(seed + block.to_bytes(8, "big")).digest() for block in range(first, last))
        start = self._random_bytes - 32 * first
        self.guest.write(at, stream[start : start + size])
        self._random_bytes += size
        return Errno.OK

    def sched_yield(self) -> int:
        return Errno.OK

    def proc_exit(self, code: int) -> int:
        raise JobExit(code)


# Parameters of each import: `i` an i32, `I` an i64; all but proc_exit give an errno.
SIGNATURES: Final[dict[str, str]] = {
    "args_get": "ii",
    "args_sizes_get": "ii",
    "environ_get": "ii",
    "environ_sizes_get": "ii",
    "clock_res_get": "ii",
    "clock_time_get": "iIi",
    "random_get": "ii",
    "sched_yield": "",
    "proc_exit": "i",
    "fd_close": "i",
    "fd_fdstat_get": "ii",
    "fd_fdstat_set_flags": "ii",
    "fd_filestat_get": "ii",
    "fd_prestat_get": "ii",
    "fd_prestat_dir_name": "iii",
    "fd_read": "iiii",
    "fd_write": "iiii",
    "fd_seek": "iIii",
    "fd_tell": "ii",
    "fd_readdir": "iiiIi",
    "path_filestat_get": "iiiii",
    "path_open": "iiiiiIIii",
}
ALLOWED: Final = frozenset(SIGNATURES)
_FILE_CALLS: Final = frozenset(name for name in SIGNATURES if name.startswith(("fd_", "path_")))
