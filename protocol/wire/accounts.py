"""Sign-in, API keys and balances."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from protocol.wire.fields import Account, Base, Hash32, Wire


class ChainInfo(Wire):
    """Which ledger this market settles on, and what it charges."""

    chain_id: int
    ledger: Account
    token: Account
    #: whose attestations count
    registry: Account
    #: who rules on the disputes of orders that name it as their arbiter
    court: Account
    #: a node of the chain for whoever has none; None if the market names none
    rpc_url: str | None
    #: address that opens leases for this market
    matcher: Account
    #: base units per opened lease
    fee_base: Base
    deploy_block: int
    #: seconds
    min_notice: int
    #: unix seconds of the newest block in the mirror
    block_time: int
    block_number: int


class NonceAnswer(Wire):
    """What to put into the EIP-4361 message."""

    nonce: str
    domain: str
    uri: str
    chain_id: int
    expires_at: datetime


class VerifyRequest(Wire):
    """A signed EIP-4361 message."""

    message: str = Field(max_length=4096)
    signature: str = Field(max_length=4096)


class Session(Wire):
    """A session token; shown once."""

    token: str
    address: Account
    expires_at: datetime


Scope = Literal["jobs:write", "jobs:read", "files", "account:read"]
"""What an API key may do."""

ALL_SCOPES: Final[list[Scope]] = ["jobs:write", "jobs:read", "files", "account:read"]

Cap = Annotated[Base, Field(ge=0, lt=2**63)]
"""Base units that fit a database's column."""

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]


class KeyRequest(Wire):
    """A new API key."""

    name: Name
    scopes: list[Scope] = Field(default=ALL_SCOPES, min_length=1, max_length=8)
    #: base units that its orders may commit in all; null = as much as its delegate's cap on chain
    cap_base: Cap | None = None
    #: base units that its orders may commit in one UTC day
    daily_cap_base: Cap | None = None
    #: unix seconds; null = never
    expires_time: int | None = Field(default=None, ge=0, lt=2**31)


class KeyChange(Wire):
    """What to change of an API key; what is absent stays as it is."""

    name: Name = ""
    scopes: list[Scope] = Field(default=ALL_SCOPES, min_length=1, max_length=8)
    cap_base: Cap | None = None
    daily_cap_base: Cap | None = None
    expires_time: int | None = Field(default=None, ge=0, lt=2**31)


class RotateRequest(Wire):
    """A new secret for a key."""

    #: seconds that the old secret works on
    overlap_seconds: int = Field(default=24 * 3600, ge=0, le=30 * 24 * 3600)


class DelegateInfo(Wire):
    """The on-chain allowance of the API key's delegate."""

    address: Account
    remaining_base: Base
    #: unix seconds
    until_time: int


class ApiKey(Wire):
    """An API key without its secret."""

    id: str
    #: the secret's first characters
    prefix: str = ""
    name: str
    buyer: Account
    #: key that signs orders; approve it on chain with a cap
    delegate: Account
    #: key that signs vouchers
    voucher_signer: Account
    scopes: list[Scope] = ALL_SCOPES
    #: caps of the key in base units, and what its orders committed of them; null = no such cap
    cap_base: Base | None = None
    daily_cap_base: Base | None = None
    committed_base: Base = 0
    #: what is left of the caps; null = no such cap
    left_base: Base | None = None
    left_today_base: Base | None = None
    #: what is left of the delegate's cap on chain
    allowance: DelegateInfo | None = None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    #: until when the secret before the last rotation works
    previous_until: datetime | None = None


class NewApiKey(ApiKey):
    """An API key as it is made: the only time that its secret is shown."""

    key: str


class AccountInfo(Wire):
    """Balances in the mirror at a block."""

    address: Account
    free_base: Base
    #: locked and not yet paid, as a buyer
    locked_base: Base
    #: held as bonds: of leases that it serves, and of its challenges
    bonded_base: Base
    open_leases: int
    epoch: Base
    #: who alone withdraws; null = the account itself
    beneficiary: Account | None
    #: key that signs vouchers for orders that the wallet signs itself
    voucher_signer: Account
    delegate: DelegateInfo | None
    #: the API key that asks: its caps, and what is left of them
    key: ApiKey | None = None
    block_number: int
    block_hash: Hash32
