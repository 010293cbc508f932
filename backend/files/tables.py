"""Who stored which file, what is on its way, and which job needs or made it; the bytes are in the store."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class FileRow(SQLModel, table=True):
    """A file that an account stored. The same bytes may have several owners."""

    __tablename__ = "files"
    cid: str = Field(primary_key=True, max_length=64)
    owner: str = Field(primary_key=True, index=True, max_length=42)
    #: bytes
    size: int = Field(sa_type=BigInteger)
    #: unix seconds
    stored_time: int


class UploadRow(SQLModel, table=True):
    """A file that comes in pieces. How much is here, the draft's length on the disk says."""

    __tablename__ = "uploads"
    id: str = Field(primary_key=True, max_length=40)
    owner: str = Field(index=True, max_length=42)
    #: what the bytes must hash to
    cid: str = Field(max_length=64)
    #: bytes in all
    size: int = Field(sa_type=BigInteger)
    #: unix seconds
    expires_time: int = Field(index=True)


class FileUse(SQLModel, table=True):
    """A file that belongs to a job: its buyer may read it, and by its lane some of its providers."""

    __tablename__ = "file_uses"
    cid: str = Field(primary_key=True, max_length=64)
    job_id: str = Field(primary_key=True, max_length=40)
    #: EVERY_LANE for module and inputs, NO_LANE for outputs, else the lane that a checkpoint is of
    lane: int = Field(primary_key=True)
