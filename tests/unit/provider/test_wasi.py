"""What a job can ask of its host is the same everywhere, and leads nowhere else."""

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from protocol.hashing import sha256
from provider.runtimes.filetree import FileTree
from provider.runtimes.guest import Errno, OutsideMemory
from provider.runtimes.wasi import CLOCK_START_NANOSECONDS, HostState, JobExit, Wasi
from tests.support.wasm_jobs import result_of, run, spec

READ, WRITE = 1 << 1, 1 << 6
CREATE, DIRECTORY, TRUNCATE = 1, 2, 8
ROOT_FD = 3
TEXT_AT, VECTOR_AT, ANSWER_AT, BUFFER_AT = 0, 512, 1024, 2048


class ArrayMemory:
    """A memory of one page."""

    def __init__(self) -> None:
        self.bytes = bytearray(65_536)

    def read(self, at: int, size: int) -> bytes:
        if at + size > len(self.bytes):
            raise OutsideMemory
        return bytes(self.bytes[at : at + size])

    def write(self, at: int, data: bytes) -> None:
        if at + len(data) > len(self.bytes):
            raise OutsideMemory
        self.bytes[at : at + len(data)] = data


class Guest:
    """A job that calls the host by hand."""

    def __init__(self, state: HostState | None = None, output_bytes: int = 1000) -> None:
        self.tree = FileTree({"b.txt": b"second", "a.txt": b"first"}, output_bytes)
        self.tree.out_is_open = True
        self.charged = 0
        self.wasi = Wasi(
            job_hash=sha256(b"job"),
            arguments=("one", "two"),
            environment={"B": "2", "A": "1"},
            tree=self.tree,
            state=state or HostState(),
            charge=self._charge,
        )
        self.memory = ArrayMemory()
        self.wasi.guest.memory = self.memory

    def _charge(self, work: int) -> None:
        self.charged += work

    def u32(self, at: int = ANSWER_AT) -> int:
        return int.from_bytes(self.memory.read(at, 4), "little")

    def open(self, path: str, rights: int = READ, flags: int = 0, folder: int = ROOT_FD) -> int:
        """The new descriptor, or minus the errno."""
        raw = path.encode()
        self.memory.write(TEXT_AT, raw)
        errno = self.wasi.call("path_open", (folder, 0, TEXT_AT, len(raw), flags, rights, 0, 0, ANSWER_AT))
        return -errno or self.u32()

    def read(self, fd: int, size: int = 100) -> bytes:
        self.memory.write(VECTOR_AT, struct.pack("<II", BUFFER_AT, size))
        assert self.wasi.call("fd_read", (fd, VECTOR_AT, 1, ANSWER_AT)) == 0
        return self.memory.read(BUFFER_AT, self.u32())

    def write(self, fd: int, data: bytes) -> int:
        self.memory.write(BUFFER_AT, data)
        self.memory.write(VECTOR_AT, struct.pack("<II", BUFFER_AT, len(data)))
        return self.wasi.call("fd_write", (fd, VECTOR_AT, 1, ANSWER_AT))

    def clock(self, clock: int = 0) -> int:
        self.wasi.call("clock_time_get", (clock, 1, ANSWER_AT))
        return int.from_bytes(self.memory.read(ANSWER_AT, 8), "little")

    def random(self, size: int) -> bytes:
        self.wasi.call("random_get", (BUFFER_AT, size))
        return self.memory.read(BUFFER_AT, size)

    def names(self, path: str) -> list[str]:
        fd = self.open(path, flags=DIRECTORY)
        assert self.wasi.call("fd_readdir", (fd, BUFFER_AT, 4096, 0, ANSWER_AT)) == 0
        return list(_entries(self.memory.read(BUFFER_AT, self.u32())))


def _entries(data: bytes) -> Iterator[str]:
    at = 0
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 16)[0]
        yield data[at + 24 : at + 24 + size].decode()
        at += 24 + size


def test_the_clock_starts_at_one_time_and_moves_a_millisecond_a_call() -> None:
    for guest in (Guest(), Guest()):
        assert guest.clock() == CLOCK_START_NANOSECONDS + 10**6
        assert guest.clock(1) == 2 * 10**6


def test_random_bytes_are_one_stream_however_they_are_asked_for() -> None:
    whole, parts = Guest(), Guest()
    assert whole.random(100) == b"".join(parts.random(size) for size in (1, 31, 33, 35))


def test_clock_and_random_go_on_where_a_checkpoint_left_them() -> None:
    first = Guest()
    first.clock()
    first.random(10)
    second = Guest(first.wasi.state())
    assert (second.clock(), second.random(7)) == (first.clock(), first.random(7))


def test_an_input_is_read_and_a_folder_lists_its_names_in_order() -> None:
    guest = Guest()
    assert guest.read(guest.open("in/b.txt")) == b"second"
    assert guest.names("in") == ["a.txt", "b.txt"]
    assert guest.names(".") == ["in", "out"]


@pytest.mark.parametrize(
    "path",
    ["../etc/passwd", "in/../../etc/passwd", "in/..", "/etc/passwd", "etc/passwd", "in/none", "in/a.txt/x", "\udcff"],
)
def test_a_path_leads_nowhere_outside_the_tree(path: str) -> None:
    guest = Guest()
    raw = path.encode("utf-8", "surrogatepass")
    guest.memory.write(TEXT_AT, raw)
    errno = guest.wasi.call("path_open", (ROOT_FD, 0, TEXT_AT, len(raw), 0, READ, 0, 0, ANSWER_AT))
    assert errno in (Errno.NOENT, Errno.NOTCAPABLE)


@pytest.mark.parametrize("path", ["in/new", "new", "out/a/b", "out/.hidden", "out/" + "x" * 129, "out/a b"])
def test_files_are_made_only_in_out_and_only_with_plain_names(path: str) -> None:
    guest = Guest()
    assert guest.open(path, WRITE, CREATE) < 0
    assert guest.tree.outputs() == {}


def test_inputs_are_read_only_and_outputs_write_only() -> None:
    guest = Guest()
    assert guest.open("in/a.txt", WRITE) == -Errno.ROFS
    assert guest.open("in/a.txt", READ, TRUNCATE) == -Errno.ROFS
    fd = guest.open("out/made", WRITE, CREATE)
    assert guest.write(fd, b"data") == 0
    assert guest.open("out/made", READ) == -Errno.NOTCAPABLE
    assert guest.tree.outputs() == {"made": b"data"}


def test_outputs_are_closed_where_a_resume_would_lose_them() -> None:
    guest = Guest()
    guest.tree.out_is_open = False
    assert guest.open("out/made", WRITE, CREATE) == -Errno.ROFS


def test_seeking_past_the_end_leaves_zeros_that_count() -> None:
    guest = Guest()
    fd = guest.open("out/made", WRITE, CREATE)
    assert guest.wasi.call("fd_seek", (fd, 3, 0, ANSWER_AT)) == 0
    assert guest.write(fd, b"x") == 0
    assert guest.tree.outputs() == {"made": b"\0\0\0x"}


def test_stat_shows_no_time_and_an_inode_of_the_tree() -> None:
    guest = Guest()
    fd = guest.open("in/a.txt")
    assert guest.wasi.call("fd_filestat_get", (fd, BUFFER_AT)) == 0
    device, inode, kind, links, size, *times = struct.unpack("<QQB7xQQQQQ", guest.memory.read(BUFFER_AT, 64))
    assert (device, inode, kind, links, size, times) == (1, 4, 4, 1, 5, [0, 0, 0])


@pytest.mark.parametrize("call", ["clock_time_get", "random_get", "fd_write", "fd_read", "args_get"])
def test_a_pointer_out_of_memory_is_an_errno(call: str) -> None:
    guest = Guest()
    far = 0xFFFFFFF0
    arguments = {
        "clock_time_get": (0, 1, far),
        "random_get": (far, 16),
        "fd_write": (1, far, 1, 0),
        "fd_read": (guest.open("in/a.txt"), far, 1, 0),
        "args_get": (far, far),
    }
    assert guest.wasi.call(call, arguments[call]) == Errno.FAULT


def test_arguments_and_environment_come_sorted_from_the_manifest_alone() -> None:
    guest = Guest()
    guest.wasi.call("args_sizes_get", (ANSWER_AT, ANSWER_AT + 4))
    assert (guest.u32(), guest.u32(ANSWER_AT + 4)) == (2, 8)
    guest.wasi.call("environ_get", (ANSWER_AT, BUFFER_AT))
    assert guest.memory.read(BUFFER_AT, 8) == b"A=1\0B=2\0"


def test_every_call_and_every_byte_is_charged() -> None:
    guest = Guest()
    guest.clock()
    call = guest.charged
    guest.random(100)
    assert guest.charged == 2 * call + 8 * 100


def test_exit_codes_are_a_byte() -> None:
    with pytest.raises(JobExit) as ended:
        Guest().wasi.call("proc_exit", (256 + 7,))
    assert ended.value.code == 7


IMPORTS = """
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\40\\00\\00\\00")
"""
PRINT = "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))"


def _command(body: str, **limits: Any) -> tuple[str, int, bytes, int]:
    job = spec(f'(module {IMPORTS} (func (export "_start") {body}))', **limits)
    segments = run(job)
    result = result_of(job, segments)
    return result.status, result.exit_code, segments[0].log, result.work


def test_log_text_counts_towards_the_output_limit() -> None:
    assert _command(PRINT, output_bytes=64)[0] == "succeeded"
    assert _command(PRINT + PRINT, output_bytes=100)[0] == "output_limit"


def test_an_exit_code_is_the_result() -> None:
    assert _command("(call $exit (i32.const 3))")[:2] == ("failed", 3)
    assert _command("(call $exit (i32.const 0))")[:2] == ("succeeded", 0)


def test_a_trap_is_a_result_with_the_same_work_each_time() -> None:
    first = _command("(drop (i32.load (i32.const -4)))")
    assert first[0] == "trapped"
    assert _command("(drop (i32.load (i32.const -4)))") == first


def test_a_segment_that_calls_the_host_traps() -> None:
    text = f'(module {IMPORTS} (func (export "init")) (func (export "step") (param i32) {PRINT}))'
    [segment] = run(spec(text, segments=3))
    assert segment.end is not None
    assert segment.end.status == "trapped"


def test_memory_grows_to_its_limit_and_no_further() -> None:
    grow = "(if (i32.ne (memory.grow (i32.const 15)) (i32.const 1)) (then (call $exit (i32.const 1))))"
    more = "(if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (call $exit (i32.const 2))))"
    assert _command(grow + more, memory_bytes=2**20)[:2] == ("succeeded", 0)
