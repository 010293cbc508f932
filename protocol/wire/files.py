"""Files: a name is the hash of the bytes. Large ones come in pieces, by tus 1.0.0."""

from typing import Final

from protocol.wire.fields import Cid, Hash32, Wire

TUS_VERSION: Final = "1.0.0"
PIECE_MEDIA_TYPE: Final = "application/offset+octet-stream"


class FileInfo(Wire):
    """A stored file."""

    cid: Cid
    sha256: Hash32
    #: bytes
    size: int
