"""Sign-in, API keys and balances."""

from datetime import datetime

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


class KeyRequest(Wire):
    """A new API key."""

    name: str = Field(min_length=1, max_length=64)


class ApiKey(Wire):
    """An API key without its secret."""

    id: str
    name: str
    buyer: Account
    #: key that signs orders; approve it on chain with a cap
    delegate: Account
    #: key that signs vouchers
    voucher_signer: Account
    created_at: datetime
    last_used_at: datetime | None = None


class NewApiKey(ApiKey):
    """An API key as it is made: the only time that its secret is shown."""

    key: str


class DelegateInfo(Wire):
    """The on-chain allowance of the API key's delegate."""

    address: Account
    remaining_base: Base
    #: unix seconds
    until_time: int


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
    delegate: DelegateInfo | None
    block_number: int
    block_hash: Hash32
