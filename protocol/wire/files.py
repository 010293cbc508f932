"""Files: a name is the hash of the bytes."""

from protocol.wire.fields import Cid, Hash32, Wire


class FileInfo(Wire):
    """A stored file."""

    cid: Cid
    sha256: Hash32
    #: bytes
    size: int
