"""Nonces, sessions and API keys. Secrets are stored as SHA-256 only."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class SignInNonce(SQLModel, table=True):
    """A single-use nonce."""

    __tablename__ = "sign_in_nonces"
    nonce: str = Field(primary_key=True, max_length=64)
    #: unix seconds
    expires_time: int


class SessionRow(SQLModel, table=True):
    """A wallet that signed in."""

    __tablename__ = "sessions"
    #: SHA-256 of the token, hex
    token_hash: str = Field(primary_key=True, max_length=64)
    address: str = Field(index=True, max_length=42)
    #: unix seconds
    expires_time: int


class ApiKeyRow(SQLModel, table=True):
    """A buyer's program. Its delegate and voucher keys derive from the market's seed and this id."""

    __tablename__ = "api_keys"
    id: str = Field(primary_key=True, max_length=40)
    #: SHA-256 of the secret, hex
    secret_hash: str = Field(unique=True, max_length=64)
    #: the secret's first characters, for people to tell keys apart
    prefix: str = Field(default="", max_length=24)
    #: of the secret before the last rotation, which still works until `previous_until_time`
    previous_hash: str | None = Field(default=None, unique=True, max_length=64)
    #: unix seconds
    previous_until_time: int | None = None
    name: str = Field(max_length=64)
    buyer: str = Field(index=True, max_length=42)
    delegate: str = Field(max_length=42)
    voucher_signer: str = Field(max_length=42)
    #: what it may do, separated by blanks
    scopes: str = Field(default="", max_length=128)
    #: base units that its orders may commit in all; None = what the delegate's cap on chain allows
    cap_base: int | None = Field(default=None, sa_type=BigInteger)
    #: base units that its orders may commit in one UTC day
    daily_cap_base: int | None = Field(default=None, sa_type=BigInteger)
    #: base units that its orders committed in all
    committed_base: int = Field(default=0, sa_type=BigInteger)
    #: days since 1970, UTC, that `day_committed_base` speaks of
    day: int = 0
    day_committed_base: int = Field(default=0, sa_type=BigInteger)
    #: unix seconds
    created_time: int
    #: unix seconds; None = never
    expires_time: int | None = None
    last_used_time: int | None = None
    revoked: bool = False
