"""Descriptors and paths of WASI preview 1, over a `FileTree`."""

import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from provider.runtimes.filetree import IN, OUT, ROOT, FileTree, Node
from provider.runtimes.guest import Errno, Guest
from provider.runtimes.metering import WORK_PER_BYTE

MAX_OPEN_FILES: Final = 64
_FIRST_FREE: Final = 4
_PREOPEN: Final = 3
_STANDARD: Final = (0, 1, 2)

_TYPE_CHARACTER, _TYPE_FOLDER, _TYPE_FILE = 2, 3, 4
_O_CREAT, _O_DIRECTORY, _O_EXCL, _O_TRUNC = 1, 2, 4, 8
_RIGHT_READ, _RIGHT_WRITE = 1 << 1, 1 << 6
_FDFLAG_APPEND: Final = 1


@dataclass(slots=True)
class _Open:
    """An open descriptor."""

    node: Node
    offset: int = 0
    writes: bool = False
    appends: bool = False


class Descriptors:
    """The open files of one phase of a job."""

    def __init__(self, guest: Guest, tree: FileTree, charge: Callable[[int], None]) -> None:
        self._guest = guest
        self._tree = tree
        self._charge = charge
        self._log = bytearray()
        self._files: dict[int, _Open] = {}
        self.close_all()

    def close_all(self) -> None:
        """Between `init` and `finish` only the root stays open: descriptors are no part of a checkpoint."""
        self._files = {_PREOPEN: _Open(Node(index=ROOT))}

    def take_log(self) -> bytes:
        """Log text since the last call."""
        text = bytes(self._log)
        self._log.clear()
        return text

    def fd_close(self, fd: int) -> int:
        if fd in _STANDARD:
            return Errno.OK
        return Errno.OK if self._files.pop(fd, None) else Errno.BADF

    def fd_fdstat_get(self, fd: int, at: int) -> int:
        if fd in _STANDARD:
            self._guest.write(
                at, struct.pack("<BxHxxxxQQ", _TYPE_CHARACTER, _FDFLAG_APPEND, _RIGHT_READ | _RIGHT_WRITE, 0)
            )
            return Errno.OK
        file = self._files.get(fd)
        if file is None:
            return Errno.BADF
        every = (1 << 29) - 1
        kind = _TYPE_FOLDER if file.node.is_folder else _TYPE_FILE
        flags = _FDFLAG_APPEND if file.appends else 0
        self._guest.write(at, struct.pack("<BxHxxxxQQ", kind, flags, every, every))
        return Errno.OK

    def fd_fdstat_set_flags(self, fd: int, flags: int) -> int:
        file = self._files.get(fd)
        if file is None:
            return Errno.OK if fd in _STANDARD else Errno.BADF
        file.appends = bool(flags & _FDFLAG_APPEND)
        return Errno.OK

    def _filestat(self, at: int, index: int, kind: int, size: int) -> int:
        self._guest.write(at, struct.pack("<QQBxxxxxxxQQQQQ", 1, index, kind, 1, size, 0, 0, 0))
        return Errno.OK

    def _stat_node(self, at: int, node: Node) -> int:
        kind = _TYPE_FOLDER if node.is_folder else _TYPE_FILE
        return self._filestat(at, node.index, kind, self._tree.size(node))

    def fd_filestat_get(self, fd: int, at: int) -> int:
        if fd in _STANDARD:
            return self._filestat(at, 0, _TYPE_CHARACTER, 0)
        file = self._files.get(fd)
        return Errno.BADF if file is None else self._stat_node(at, file.node)

    def fd_prestat_get(self, fd: int, at: int) -> int:
        if fd != _PREOPEN or fd not in self._files:
            return Errno.BADF
        self._guest.write(at, struct.pack("<BxxxI", 0, 1))
        return Errno.OK

    def fd_prestat_dir_name(self, fd: int, at: int, size: int) -> int:
        if fd != _PREOPEN or fd not in self._files:
            return Errno.BADF
        if size < 1:
            return Errno.INVAL
        self._guest.write(at, b"/")
        return Errno.OK

    def fd_read(self, fd: int, vectors: int, count: int, got: int) -> int:
        if fd == 0:
            self._guest.write_u32(got, 0)
            return Errno.OK
        file = self._files.get(fd)
        if file is None or file.writes:
            return Errno.BADF
        if file.node.is_folder:
            return Errno.ISDIR
        total = 0
        for at, size in self._guest.vectors(vectors, count):
            data = self._tree.read(file.node, file.offset, size)
            self._charge(WORK_PER_BYTE * len(data))
            self._guest.write(at, data)
            file.offset += len(data)
            total += len(data)
        self._guest.write_u32(got, total)
        return Errno.OK

    def fd_write(self, fd: int, vectors: int, count: int, put: int) -> int:
        file = self._files.get(fd)
        if fd not in (1, 2) and (file is None or not file.writes):
            return Errno.BADF
        total = 0
        for at, size in self._guest.vectors(vectors, count):
            self._charge(WORK_PER_BYTE * size)
            data = self._guest.read(at, size)
            if file is None:
                self._tree.log(size)
                self._log += data
            else:
                offset = self._tree.size(file.node) if file.appends else file.offset
                self._tree.write(file.node, offset, data)
                file.offset = offset + size
            total += size
        self._guest.write_u32(put, total)
        return Errno.OK

    def fd_seek(self, fd: int, offset: int, whence: int, at: int) -> int:
        file = self._files.get(fd)
        if file is None:
            return Errno.SPIPE if fd in _STANDARD else Errno.BADF
        if file.node.is_folder or whence > 2:
            return Errno.INVAL
        start = (0, file.offset, self._tree.size(file.node))[whence]
        signed = offset - (1 << 64) if offset >> 63 else offset
        if not 0 <= start + signed < 1 << 63:
            return Errno.INVAL
        file.offset = start + signed
        self._guest.write_u64(at, file.offset)
        return Errno.OK

    def fd_tell(self, fd: int, at: int) -> int:
        return self.fd_seek(fd, 0, 1, at)

    def fd_readdir(self, fd: int, at: int, size: int, cookie: int, used: int) -> int:
        file = self._files.get(fd)
        if file is None:
            return Errno.BADF
        if not file.node.is_folder:
            return Errno.NOTDIR
        entries = bytearray()
        for position, node in enumerate(self._tree.children(file.node)):
            if position < cookie:
                continue
            name = node.name.encode()
            kind = _TYPE_FOLDER if node.is_folder else _TYPE_FILE
            entries += struct.pack("<QQIBxxx", position + 1, node.index, len(name), kind) + name
        self._charge(WORK_PER_BYTE * min(size, len(entries)))
        self._guest.write(at, bytes(entries[:size]))
        self._guest.write_u32(used, min(size, len(entries)))
        return Errno.OK

    def _from_root(self, fd: int, path: str) -> str | None:
        """The path seen from the root; None if the descriptor is no folder."""
        file = self._files.get(fd)
        if file is None or not file.node.is_folder:
            return None
        return {ROOT: "", IN: "in/", OUT: "out/"}[file.node.index] + path

    def path_filestat_get(self, fd: int, _flags: int, at_path: int, size: int, at: int) -> int:
        path = self._from_root(fd, self._guest.path(at_path, size))
        if path is None:
            return Errno.BADF
        if ".." in path.split("/"):
            return Errno.NOTCAPABLE
        node = self._tree.find(path)
        return Errno.NOENT if node is None else self._stat_node(at, node)

    def path_open(
        self,
        fd: int,
        _lookup: int,
        at_path: int,
        size: int,
        flags: int,
        rights: int,
        _inherit: int,
        fdflags: int,
        at: int,
    ) -> int:
        path = self._from_root(fd, self._guest.path(at_path, size))
        if path is None:
            return Errno.BADF
        if ".." in path.split("/"):
            return Errno.NOTCAPABLE
        if len(self._files) >= MAX_OPEN_FILES:
            return Errno.NFILE
        node = self._tree.find(path)
        refused = self._why_not_open(node, flags, rights)
        if refused:
            return refused
        if node is None:
            node = self._tree.create(path)
            if node is None:
                return Errno.NOSPC if self._tree.out_is_open and path.startswith("out/") else Errno.ROFS
        elif flags & _O_TRUNC and node.writable:
            self._tree.truncate(node)
        opened = next(number for number in itertools.count(_FIRST_FREE) if number not in self._files)
        self._files[opened] = _Open(node, writes=node.writable, appends=bool(fdflags & _FDFLAG_APPEND))
        self._guest.write_u32(at, opened)
        return Errno.OK

    def _why_not_open(self, node: Node | None, flags: int, rights: int) -> int:
        if node is None:
            return Errno.OK if flags & _O_CREAT else Errno.NOENT
        if flags & _O_CREAT and flags & _O_EXCL:
            return Errno.EXIST
        if node.is_folder:
            return Errno.ISDIR if rights & _RIGHT_WRITE and not flags & _O_DIRECTORY else Errno.OK
        if flags & _O_DIRECTORY:
            return Errno.NOTDIR
        if not node.writable and (flags & _O_TRUNC or rights & _RIGHT_WRITE):
            return Errno.ROFS
        return Errno.NOTCAPABLE if node.writable and not rights & _RIGHT_WRITE else Errno.OK
