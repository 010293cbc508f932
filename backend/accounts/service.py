"""Sign-in and API keys (threats A1, A2): nonces are single-use, domain, URI and chain are ours, secrets are hashed."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from siwe import SiweMessage, VerificationError
from sqlalchemy import delete
from sqlmodel import Session, col, select

from backend.accounts.hosted_keys import HostedKeys
from backend.accounts.tables import ApiKeyRow, SessionRow, SignInNonce
from backend.errors import NotFound, NotSignedIn, SignInRefused
from protocol.clock import now_time
from protocol.hashing import Address, checksum_address
from protocol.ids import new_id

NONCE_SECONDS = 300
MAX_MESSAGE_SECONDS = 3600
CLOCK_SKEW_SECONDS = 60
USE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a wallet's session, or an API key of a buyer."""

    address: Address
    #: None for a session
    api_key: ApiKeyRow | None


@dataclass(frozen=True, slots=True)
class SignInRules:
    """What a message must name; from settings, never from the request."""

    domain: str
    uri: str
    chain_id: int


def _hashed(secret: str) -> str:
    # The secret has 256 random bits, so a plain hash cannot be guessed back.
    return hashlib.sha256(secret.encode()).hexdigest()


def issue_nonce(session: Session) -> SignInNonce:
    """A new nonce; spent and expired ones are dropped on the way."""
    now = now_time()
    session.exec(delete(SignInNonce).where(col(SignInNonce.expires_time) < now))
    nonce = SignInNonce(nonce=secrets.token_hex(16), expires_time=now + NONCE_SECONDS)
    session.add(nonce)
    return nonce


def sign_in(session: Session, rules: SignInRules, message: str, signature: str, hours: int) -> tuple[str, SessionRow]:
    """Checks an EIP-4361 message and opens a session; raises `SignInRefused`. Returns the token once."""
    try:
        parsed = SiweMessage.from_message(message)
        # Deleting is checking: two requests with one nonce cannot both find it.
        spent = session.exec(delete(SignInNonce).where(col(SignInNonce.nonce) == parsed.nonce)).rowcount
        if spent != 1:
            raise SignInRefused("the nonce is unknown, expired or used")
        parsed.verify(
            signature, domain=rules.domain, nonce=parsed.nonce, uri=rules.uri, chain_id=rules.chain_id, strict=True
        )
    except VerificationError as error:
        raise SignInRefused(f"{type(error).__name__}: {error}".rstrip(": ")) from error
    except (ValueError, TypeError) as error:
        raise SignInRefused("the message is not EIP-4361, or the signature is not 65 bytes of hex") from error
    _check_times(parsed)
    token = "gls_" + secrets.token_urlsafe(32)
    row = SessionRow(
        token_hash=_hashed(token), address=checksum_address(parsed.address), expires_time=now_time() + hours * 3600
    )
    session.add(row)
    return token, row


def _check_times(parsed: SiweMessage) -> None:
    issued = datetime.fromisoformat(str(parsed.issued_at)).timestamp()
    now = now_time()
    if not now - MAX_MESSAGE_SECONDS <= issued <= now + CLOCK_SKEW_SECONDS:
        raise SignInRefused("the message was issued in another hour; is the clock right?")


def create_key(
    session: Session, hosted: HostedKeys, buyer: Address, name: str, *, test_chain: bool
) -> tuple[str, ApiKeyRow]:
    """A new API key of `buyer`; returns the secret once."""
    key_id = new_id("key")
    secret = f"glk_{'test' if test_chain else 'live'}_{secrets.token_urlsafe(32)}"
    row = ApiKeyRow(
        id=key_id,
        secret_hash=_hashed(secret),
        name=name,
        buyer=buyer,
        delegate=hosted.delegate(key_id).address,
        voucher_signer=hosted.voucher_signer(key_id).address,
        created_time=now_time(),
    )
    session.add(row)
    return secret, row


def list_keys(session: Session, buyer: Address) -> list[ApiKeyRow]:
    statement = select(ApiKeyRow).where(ApiKeyRow.buyer == buyer, col(ApiKeyRow.revoked).is_(False))
    return list(session.exec(statement.order_by(col(ApiKeyRow.id))))


def revoke_key(session: Session, buyer: Address, key_id: str) -> None:
    row = session.get(ApiKeyRow, key_id)
    if row is None or row.buyer != buyer:
        raise NotFound(f"no API key {key_id[:40]}")
    row.revoked = True
    session.add(row)


def identify(session: Session, bearer: str | None) -> Principal:
    """Who the bearer is; raises `NotSignedIn`."""
    if not bearer or not bearer.isascii():
        raise NotSignedIn("no credential")
    if bearer.startswith("glk_"):
        key = session.exec(select(ApiKeyRow).where(ApiKeyRow.secret_hash == _hashed(bearer))).first()
        if key is None or key.revoked:
            raise NotSignedIn("the API key is unknown or revoked")
        return Principal(Address(key.buyer), key)
    if not bearer.startswith("gls_"):
        raise NotSignedIn("the credential is neither an API key (glk_…) nor a session token (gls_…)")
    row = session.get(SessionRow, _hashed(bearer))
    if row is None or row.expires_time <= now_time():
        raise NotSignedIn("the session is unknown or expired", remedy="sign in again")
    return Principal(Address(row.address), None)


def note_use(session: Session, key_id: str) -> None:
    """Remembers that an API key was used, to the minute, so that reading does not write each time."""
    row = session.get_one(ApiKeyRow, key_id)
    row.last_used_time = now_time()
    session.add(row)


def is_noted(key: ApiKeyRow) -> bool:
    return key.last_used_time is not None and now_time() - key.last_used_time < USE_SECONDS


def as_datetime(time: int) -> datetime:
    return datetime.fromtimestamp(time, UTC)
