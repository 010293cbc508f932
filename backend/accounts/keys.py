"""API keys (threat A2): made, changed, rotated and revoked by the wallet that they buy for."""

import secrets
from typing import Final

from sqlmodel import Session, col, select

from backend.accounts.hosted_keys import HostedKeys
from backend.accounts.secrecy import hashed
from backend.accounts.tables import ApiKeyRow
from backend.errors import BadRequest, NotFound
from protocol.clock import now_time
from protocol.hashing import Address
from protocol.ids import new_id
from protocol.wire.accounts import KeyChange, KeyRequest

MAX_KEYS: Final = 100
_PREFIX_CHARACTERS: Final = 13


def create_key(
    session: Session, hosted: HostedKeys, buyer: Address, request: KeyRequest, *, test_chain: bool
) -> tuple[str, ApiKeyRow]:
    """A new API key of `buyer`; returns the secret once. Raises `BadRequest`."""
    if len(list_keys(session, buyer)) >= MAX_KEYS:
        raise BadRequest(f"the account has {MAX_KEYS} API keys", remedy="revoke one first")
    key_id = new_id("key")
    secret = _new_secret(test_chain=test_chain)
    row = ApiKeyRow(
        id=key_id,
        secret_hash=hashed(secret),
        prefix=secret[:_PREFIX_CHARACTERS],
        name=request.name,
        buyer=buyer,
        delegate=hosted.delegate(key_id).address,
        voucher_signer=hosted.voucher_signer(key_id).address,
        scopes=" ".join(dict.fromkeys(request.scopes)),
        cap_base=request.cap_base,
        daily_cap_base=request.daily_cap_base,
        expires_time=_future(request.expires_time),
        created_time=now_time(),
    )
    session.add(row)
    return secret, row


def list_keys(session: Session, buyer: Address) -> list[ApiKeyRow]:
    statement = select(ApiKeyRow).where(ApiKeyRow.buyer == buyer, col(ApiKeyRow.revoked).is_(False))
    return list(session.exec(statement.order_by(col(ApiKeyRow.id))))


def own_key(session: Session, buyer: Address, key_id: str) -> ApiKeyRow:
    """Raises `NotFound` for somebody else's key too."""
    row = session.get(ApiKeyRow, key_id)
    if row is None or row.buyer != buyer or row.revoked:
        raise NotFound(f"no API key {key_id[:40]}")
    return row


def change_key(session: Session, buyer: Address, key_id: str, change: KeyChange) -> ApiKeyRow:
    """Changes what the request names and leaves the rest; raises `NotFound`, `BadRequest`."""
    row = own_key(session, buyer, key_id)
    for name in change.model_fields_set:
        value = getattr(change, name)
        if name == "scopes":
            value = " ".join(dict.fromkeys(value))
        elif name == "expires_time":
            value = _future(value)
        setattr(row, name, value)
    session.add(row)
    return row


def rotate_key(
    session: Session, buyer: Address, key_id: str, overlap_seconds: int, *, test_chain: bool
) -> tuple[str, ApiKeyRow]:
    """A new secret for the same key and delegate; the old one works for `overlap_seconds` more."""
    row = own_key(session, buyer, key_id)
    secret = _new_secret(test_chain=test_chain)
    row.previous_hash = row.secret_hash if overlap_seconds else None
    row.previous_until_time = now_time() + overlap_seconds if overlap_seconds else None
    row.secret_hash, row.prefix = hashed(secret), secret[:_PREFIX_CHARACTERS]
    session.add(row)
    return secret, row


def revoke_key(session: Session, buyer: Address, key_id: str) -> None:
    row = own_key(session, buyer, key_id)
    row.revoked = True
    session.add(row)


def _new_secret(*, test_chain: bool) -> str:
    return f"glk_{'test' if test_chain else 'live'}_{secrets.token_urlsafe(32)}"


def _future(time: int | None) -> int | None:
    if time is not None and time <= now_time():
        raise BadRequest("expires_time is in the past", remedy="give unix seconds in the future, or null for never")
    return time
