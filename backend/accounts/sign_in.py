"""Sign-in with Ethereum (threat A1): nonces work once, domain, URI and chain are ours, and times are held to them."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final

from siwe import InvalidSignature, SiweMessage, VerificationError
from sqlalchemy import delete
from sqlmodel import Session, col

from backend.accounts.secrecy import hashed
from backend.accounts.sign_in_rules import SignInRules
from backend.accounts.tables import SessionRow, SignInNonce
from backend.errors import SignInRefused
from protocol.clock import now_time
from protocol.errors import ProtocolError
from protocol.hashing import Address, checksum_address, from_hex
from protocol.signin import text_digest

NONCE_SECONDS: Final = 300
CLOCK_SKEW_SECONDS: Final = 60
MAX_MESSAGE_CHARACTERS: Final = 1024

ContractWallet = Callable[[Address, bytes, bytes], bool]
"""Whether a contract (address) says that it signed a digest with a signature."""


def issue_nonce(session: Session) -> SignInNonce:
    """A new nonce; spent and expired ones are dropped on the way."""
    now = now_time()
    session.exec(delete(SignInNonce).where(col(SignInNonce.expires_time) < now))
    nonce = SignInNonce(nonce=secrets.token_hex(16), expires_time=now + NONCE_SECONDS)
    session.add(nonce)
    return nonce


def nonce_of(message: str, rules: SignInRules) -> str:
    """The nonce of a message that is for this site; raises `SignInRefused`.

    The grammar's parser takes seconds for some texts, so nothing reaches it that does not name our domain, URI and
    chain, or that is longer than honest messages are.
    """
    if len(message) > MAX_MESSAGE_CHARACTERS:
        raise SignInRefused(f"the message has more than {MAX_MESSAGE_CHARACTERS} characters")
    lines = message.split("\n")
    wanted = f"{rules.domain} wants you to sign in with your Ethereum account:"
    if lines[0].removeprefix(rules.uri.partition("://")[0] + "://") != wanted:
        raise SignInRefused(f"the message does not begin with {wanted!r}")
    for line in (f"URI: {rules.uri}", f"Chain ID: {rules.chain_id}"):
        if line not in lines:
            raise SignInRefused(f"the message has no line {line!r}")
    nonces = [line.removeprefix("Nonce: ") for line in lines if line.startswith("Nonce: ")]
    if len(nonces) != 1 or not (nonces[0].isascii() and nonces[0].isalnum()):
        raise SignInRefused("the message must have one line with a nonce")
    return nonces[0]


def spend_nonce(session: Session, nonce: str) -> int:
    """Uses the nonce up, whatever becomes of the sign-in; raises `SignInRefused`. Returns when it was issued.

    Deleting is checking: two requests with one nonce cannot both find it.
    """
    found = session.exec(
        delete(SignInNonce)
        .where(col(SignInNonce.nonce) == nonce, col(SignInNonce.expires_time) > now_time())
        .returning(col(SignInNonce.expires_time))
    ).all()
    if len(found) != 1:
        raise SignInRefused("the nonce is unknown, expired or used")
    return int(found[0][0]) - NONCE_SECONDS


def check(
    message: str, signature: str, rules: SignInRules, nonce: str, nonce_time: int, contract: ContractWallet
) -> Address:
    """Who signed the message; raises `SignInRefused`. Asks a node only if no private key of the address signed it."""
    try:
        parsed = SiweMessage.from_message(message)
        address = checksum_address(parsed.address)
        _check_times(parsed, nonce_time)
        parsed.verify(signature, domain=rules.domain, nonce=nonce, uri=rules.uri, chain_id=rules.chain_id, strict=True)
    except InvalidSignature as error:
        if not contract(address, text_digest(message), _raw(signature)):
            raise SignInRefused(f"the signature is not by {address}") from error
    except VerificationError as error:
        raise SignInRefused(f"{type(error).__name__}: {error}".rstrip(": ")) from error
    except (ValueError, TypeError, RecursionError, ProtocolError) as error:
        raise SignInRefused("the message is not EIP-4361") from error
    return address


def _raw(signature: str) -> bytes:
    try:
        return from_hex(signature)
    except ProtocolError as error:
        raise SignInRefused("the signature is not hex with 0x") from error


def _check_times(parsed: SiweMessage, nonce_time: int) -> None:
    """A message is as old as its nonce at most: a hardware wallet may take minutes, a replayed text has no such nonce.

    The library holds expiry and not-before; that there is an expiry is ours.
    """
    issued = datetime.fromisoformat(str(parsed.issued_at)).timestamp()
    if not nonce_time - CLOCK_SKEW_SECONDS <= issued <= now_time() + CLOCK_SKEW_SECONDS:
        raise SignInRefused(
            f"Issued At is more than {CLOCK_SKEW_SECONDS} s before its nonce or after now", remedy="set the clock"
        )
    if parsed.expiration_time is None:
        raise SignInRefused("the message has no Expiration Time", remedy="put the nonce's expires_at there")


def open_session(session: Session, address: Address, hours: int) -> tuple[str, SessionRow]:
    """A new session; returns the token once."""
    now = now_time()
    session.exec(delete(SessionRow).where(col(SessionRow.expires_time) < now))
    token = "gls_" + secrets.token_urlsafe(32)
    row = SessionRow(token_hash=hashed(token), address=address, expires_time=now + hours * 3600)
    session.add(row)
    return token, row


def end_sessions(session: Session, address: Address, token: str | None) -> None:
    """Ends the one session of this token, or all of the account's."""
    ended = delete(SessionRow).where(col(SessionRow.address) == address)
    if token is not None:
        ended = ended.where(col(SessionRow.token_hash) == hashed(token))
    session.exec(ended)
