"""Keeping files: whose they are, and how many bytes an account may hold."""

from pathlib import Path

from sqlalchemy import func
from sqlmodel import Session, col, select

from backend.errors import NotFound, TooLarge
from backend.files.access import may_read
from backend.files.tables import FileRow, UploadRow
from backend.market import Market
from protocol.clock import now_time
from protocol.hashing import Address


def readable_path(session: Session, market: Market, who: Address, cid: str) -> Path:
    """Where the bytes are; raises `NotFound` for a file of others too, and `BadCid`."""
    path = market.files.path(cid)
    if not may_read(session, who, cid) or not path.exists():
        raise NotFound(f"no file {cid}", remedy="upload it with PUT /v1/files/{cid}")
    return path


def used_bytes(session: Session, who: Address) -> int:
    """What the account holds, unfinished uploads by their announced size."""
    stored = session.exec(select(func.sum(col(FileRow.size))).where(FileRow.owner == who)).one() or 0
    live = select(func.sum(col(UploadRow.size))).where(UploadRow.owner == who, UploadRow.expires_time > now_time())
    return int(stored) + int(session.exec(live).one() or 0)


def require_quota(session: Session, market: Market, who: Address, size: int) -> None:
    """Raises `TooLarge` unless so many bytes more may be held."""
    most = market.settings.file_quota_bytes
    used = used_bytes(session, who)
    if used + size > most:
        raise TooLarge(
            f"the account holds {used} of {most} bytes, {size} more do not fit",
            remedy="end uploads that you do not need (DELETE), or ask the market's operator for a larger quota",
            used_bytes=used,
            quota_bytes=most,
        )


def keep(session: Session, market: Market, who: Address, cid: str, draft: Path) -> int:
    """The checked draft becomes the account's file; its bytes. Raises `TooLarge`.

    The bytes are in place before the row is committed: without the row they are nobody's, never the other way round.
    """
    size = draft.stat().st_size
    if session.get(FileRow, (cid, who)) is None:
        require_quota(session, market, who, size)
        session.add(FileRow(cid=cid, owner=who, size=size, stored_time=now_time()))
    market.files.keep(draft, cid)
    return size
