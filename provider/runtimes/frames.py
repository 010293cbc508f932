"""What the agent and its sandbox say over a pipe: a JSON header, then the blobs whose sizes it names."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import orjson

_SIZE: Final = struct.Struct(">I")
_MAX_HEADER_BYTES: Final = 1 << 20
_MAX_BLOB_BYTES: Final = 3 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message."""

    #: what it is, such as `segment`
    kind: str
    #: JSON values
    fields: dict[str, Any]
    blobs: tuple[bytes, ...] = ()


class BrokenFrame(Exception):
    """The other side ended, or wrote something else."""


def write_frame(pipe: BinaryIO, frame: Frame) -> None:
    """Writes and flushes one message."""
    sizes = [len(blob) for blob in frame.blobs]
    header = orjson.dumps({"kind": frame.kind, "fields": frame.fields, "blobs": sizes})
    pipe.write(_SIZE.pack(len(header)) + header)
    for blob in frame.blobs:
        pipe.write(blob)
    pipe.flush()


def read_frame(read: Callable[[int], bytes]) -> Frame:
    """Reads one message; `read(n)` gives n bytes, or fewer at the end. Raises `BrokenFrame`."""
    (size,) = _SIZE.unpack(_exactly(read, _SIZE.size))
    if size > _MAX_HEADER_BYTES:
        raise BrokenFrame(f"a header of {size} bytes")
    try:
        header = orjson.loads(_exactly(read, size))
        sizes: Sequence[int] = header["blobs"]
        kind, fields = str(header["kind"]), dict(header["fields"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BrokenFrame("a header that is none") from error
    if sum(sizes) > _MAX_BLOB_BYTES:
        raise BrokenFrame(f"blobs of {sum(sizes)} bytes")
    return Frame(kind=kind, fields=fields, blobs=tuple(_exactly(read, size) for size in sizes))


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) != size:
        raise BrokenFrame("the other side ended")
    return data
