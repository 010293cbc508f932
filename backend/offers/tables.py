"""Offers as they were signed, with the columns that matching filters by."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class OfferRow(SQLModel, table=True):
    """A signed offer."""

    __tablename__ = "offers"
    #: EIP-712 digest, 0x hex
    digest: str = Field(primary_key=True, max_length=66)
    provider: str = Field(index=True, max_length=42)
    #: camelCase JSON of the message
    message: str
    #: 65 bytes, 0x hex
    signature: str = Field(max_length=132)
    #: unix seconds
    expiry_time: int = Field(index=True, sa_type=BigInteger)
    #: unix seconds
    received_time: int
    #: taken back by the provider here; it still opens on chain until it is cancelled there or expires
    withdrawn: bool = False


class ProviderRow(SQLModel, table=True):
    """When a provider was last heard."""

    __tablename__ = "providers"
    address: str = Field(primary_key=True, max_length=42)
    #: unix seconds
    heard_time: int
