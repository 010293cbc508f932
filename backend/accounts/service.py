"""Who calls: a wallet's session, or an API key of a buyer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, bindparam, or_
from sqlmodel import Session, col, select

from backend.accounts.secrecy import hashed
from backend.accounts.tables import ApiKeyRow, SessionRow
from backend.errors import NotSignedIn
from backend.plain_rows import row_of
from indexer import prepared
from protocol.clock import now_time
from protocol.hashing import Address

USE_SECONDS: Final = 60

# Built once: every request runs one of them.
_KEY: Final = select(ApiKeyRow).where(
    or_(col(ApiKeyRow.secret_hash) == bindparam("digest"), col(ApiKeyRow.previous_hash) == bindparam("digest"))
)
_SESSION: Final = select(SessionRow.address, SessionRow.expires_time).where(
    col(SessionRow.token_hash) == bindparam("digest")
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a wallet's session, or an API key of a buyer."""

    address: Address
    #: None for a session
    api_key: ApiKeyRow | None

    @property
    def credential(self) -> str:
        """What limits count by: the key, or the wallet however many sessions it has."""
        return self.api_key.id if self.api_key is not None else self.address


def identify(connection: Connection, bearer: str | None) -> Principal:
    """Who the bearer is; raises `NotSignedIn`. Secrets are looked up by hash, so timing tells nothing of them."""
    if not bearer or not bearer.isascii():
        raise NotSignedIn("no credential")
    if bearer.startswith("glk_"):
        key = _live_key(connection, bearer)
        return Principal(Address(key.buyer), key)
    if not bearer.startswith("gls_"):
        raise NotSignedIn("the credential is neither an API key (glk_…) nor a session token (gls_…)")
    for row in prepared.named_rows(connection, _SESSION, {"digest": hashed(bearer)}):
        if row.expires_time > now_time():
            return Principal(Address(row.address), None)
    raise NotSignedIn("the session is unknown or expired", remedy="sign in again")


def _live_key(connection: Connection, secret: str) -> ApiKeyRow:
    digest, now = hashed(secret), now_time()
    found = prepared.named_rows(connection, _KEY, {"digest": digest})
    if not found or found[0].revoked:
        raise NotSignedIn("the API key is unknown or revoked")
    key = row_of(ApiKeyRow, found[0]._asdict())
    if key.secret_hash != digest and (key.previous_until_time or 0) <= now:
        raise NotSignedIn("the API key was rotated and its old secret is over", remedy="use the new secret")
    if key.expires_time is not None and key.expires_time <= now:
        raise NotSignedIn("the API key has expired", remedy="make a new one, or give it more time by wallet")
    return key


def note_use(session: Session, key_id: str) -> None:
    """Remembers that an API key was used, to the minute, so that reading does not write each time."""
    row = session.get_one(ApiKeyRow, key_id)
    row.last_used_time = now_time()
    session.add(row)


def is_noted(key: ApiKeyRow) -> bool:
    return key.last_used_time is not None and now_time() - key.last_used_time < USE_SECONDS


def as_datetime(time: int) -> datetime:
    return datetime.fromtimestamp(time, UTC)
