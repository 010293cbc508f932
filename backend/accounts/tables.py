"""Nonces, sessions and API keys. Secrets are stored as SHA-256 only."""

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
    name: str = Field(max_length=64)
    buyer: str = Field(index=True, max_length=42)
    delegate: str = Field(max_length=42)
    voucher_signer: str = Field(max_length=42)
    #: unix seconds
    created_time: int
    last_used_time: int | None = None
    revoked: bool = False
