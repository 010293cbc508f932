"""The files that a job sees: `/in` read-only, `/out` write-only, nothing else, all in memory.

No host path, time or inode is behind them, so that every machine shows the same tree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_OUTPUT_FILES: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

ROOT: Final = 1
IN: Final = 2
OUT: Final = 3
_FIRST_FILE: Final = 4


class OutputLimitReached(Exception):
    """The job wrote more than its manifest allows: it ends with the status `output_limit`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A folder or a file."""

    #: place in the tree; what stat calls the inode
    index: int
    #: name of a file; empty for folders
    name: str = ""
    #: in `/out`
    writable: bool = False

    @property
    def is_folder(self) -> bool:
        return self.index < _FIRST_FILE


class FileTree:
    """Inputs by name, and the outputs as they grow."""

    def __init__(self, inputs: Mapping[str, bytes], limit_bytes: int) -> None:
        self._inputs = dict(sorted(inputs.items()))
        self._limit_bytes = limit_bytes
        self._outputs: dict[str, bytearray] = {}
        #: bytes that went to standard output and error; they count towards the limit
        self.log_bytes = 0
        #: outputs are opened only where their bytes cannot be lost to a resume
        self.out_is_open = False

    def outputs(self) -> dict[str, bytes]:
        """Files written so far, by name."""
        return {name: bytes(self._outputs[name]) for name in sorted(self._outputs)}

    def find(self, path: str) -> Node | None:
        """The node of a path from the root; None where nothing is. `.` is the folder itself, `..` leads nowhere."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts:
            return Node(index=ROOT)
        if parts[0] not in ("in", "out") or len(parts) > 2 or ".." in parts:
            return None
        writable = parts[0] == "out"
        if len(parts) == 1:
            return Node(index=OUT if writable else IN)
        names = list(self._outputs if writable else self._inputs)
        if parts[1] not in names:
            return None
        first = _FIRST_FILE + (len(self._inputs) if writable else 0)
        return Node(index=first + names.index(parts[1]), name=parts[1], writable=writable)

    def create(self, path: str) -> Node | None:
        """A new empty file in `/out`; None if the name, the place or the number is not allowed."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not self.out_is_open or len(parts) != 2 or parts[0] != "out" or not _NAME.fullmatch(parts[1]):
            return None
        if len(self._outputs) >= MAX_OUTPUT_FILES:
            return None
        self._outputs[parts[1]] = bytearray()
        return self.find(path)

    def children(self, folder: Node) -> list[Node]:
        """What a folder holds, sorted by name."""
        if folder.index == ROOT:
            return [Node(index=IN, name="in"), Node(index=OUT, name="out")]
        prefix, names = ("in/", self._inputs) if folder.index == IN else ("out/", self._outputs)
        found = [self.find(prefix + name) for name in sorted(names)]
        return [node for node in found if node is not None]

    def size(self, node: Node) -> int:
        if node.is_folder:
            return 0
        return len(self._outputs[node.name]) if node.writable else len(self._inputs[node.name])

    def read(self, node: Node, offset: int, size: int) -> bytes:
        """Bytes of an input; outputs are write-only."""
        return self._inputs[node.name][offset : offset + size]

    def write(self, node: Node, offset: int, data: bytes) -> None:
        """Bytes into an output, zeros before them if it was shorter; raises `OutputLimitReached` before it grows."""
        file = self._outputs[node.name]
        end = offset + len(data)
        self._require_room(max(0, end - len(file)))
        if offset > len(file):
            file.extend(bytes(offset - len(file)))
        file[offset:end] = data

    def truncate(self, node: Node) -> None:
        self._outputs[node.name].clear()

    def log(self, size: int) -> None:
        """Counts bytes of log text; raises `OutputLimitReached`."""
        self._require_room(size)
        self.log_bytes += size

    def _require_room(self, growth: int) -> None:
        used = self.log_bytes + sum(map(len, self._outputs.values()))
        if used + growth > self._limit_bytes:
            raise OutputLimitReached
