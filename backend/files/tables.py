"""Who stored which file; the bytes are in the store."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class FileRow(SQLModel, table=True):
    """A file that an account stored. The same bytes may have several owners."""

    __tablename__ = "files"
    cid: str = Field(primary_key=True, max_length=64)
    owner: str = Field(primary_key=True, max_length=42)
    #: bytes
    size: int = Field(sa_type=BigInteger)
    #: unix seconds
    stored_time: int
