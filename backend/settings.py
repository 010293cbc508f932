"""Settings of the market, built once and passed down. Each default says why."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from protocol.settings import RoomSettings


class MarketSettings(RoomSettings):
    """Environment variables with the prefix GRIDLEASE_, such as GRIDLEASE_RPC_URL.

    No name begins with `provider_`: GRIDLEASE_PROVIDER_ is the prefix of an agent, which may run beside a market.
    """

    #: one node's JSON-RPC or several, by commas: the first that is well is used, more than half decide what is final
    rpc_url: str = "http://127.0.0.1:8545"
    #: the node that buyers and providers are told of; None = the first of `rpc_url` if it is a bare address: logins and
    #: keys of a node's seller stand in the rest of a URL
    public_rpc_url: str | None = None
    #: file that `gridlease deploy` wrote
    deployment: Path = Path("contracts/deployments/31337.json")
    #: SQLAlchemy URLs of the two databases; embedded SQLite by default, one command and no server
    market_url: str = "sqlite:///.gridlease/market.db"
    mirror_url: str = "sqlite:///.gridlease/mirror.db"
    #: folder of the content-addressed store
    files_dir: Path = Path(".gridlease/files")
    #: Celery broker; a folder (filesystem://path) by default, redis:// or amqp:// by setting
    broker_url: str = "filesystem://.gridlease/broker"
    #: file with 32 random bytes as hex, made at first use; hosted delegate and voucher keys derive from it
    seed_file: Path = Path(".gridlease/market.seed")
    #: file with the private key (hex) that submits and is the orders' `matcher`
    submission_key_file: Path = Path(".gridlease/submission.key")
    #: file with the private key (hex) that redeems, closes by last vouchers and finalises; None = the same key
    settlement_key_file: Path | None = None
    #: wei that all transactions of a day (UTC) may cost; 10 ether is some 100,000 leases at 1 gwei
    gas_budget_wei: int = Field(default=10**19, ge=0)
    #: most wei for a unit of gas; what is not mined at it is cancelled, and waits
    fee_cap_wei: int = Field(default=500 * 10**9, ge=1, lt=2**60)
    #: wei for a unit of gas that a block's builder gets
    priority_fee_wei: int = Field(default=10**9, ge=1, lt=2**60)
    #: a transaction unmined for so long, and for two blocks, is replaced by one with 15 % more fees
    replace_after_seconds: int = Field(default=10, ge=1)
    #: that many are tried, then the nonce is freed by a cancel
    max_attempts: int = Field(default=6, ge=1)
    #: how long a voucher that may be redeemed waits for others: fifty in one transaction cost a third each
    redeem_wait_seconds: int = Field(default=2, ge=0)
    host: str = "127.0.0.1"
    port: int = Field(default=8700, ge=1, le=65535)
    #: origin that people and SIWE messages name; None = http://host:port
    public_url: str | None = None
    #: base units per opened lease: about what its gas costs
    fee_base: int = Field(default=100, ge=0)
    #: seconds of notice in the orders that this market signs; offers that want more do not match
    notice_seconds: int = Field(default=60, ge=10)
    #: a provider not heard for this long gets no new lease, and loses the one it holds
    silence_seconds: int = Field(default=20, ge=2)
    #: a voucher older than this is redeemed though its lease runs on
    redeem_after_seconds: int = Field(default=15, ge=1)
    #: a lease that a reorg took from a job that has ended is asked for again after so long, then after twice as long
    reopen_after_seconds: int = Field(default=30, ge=1)
    #: how long a provider may take to countersign the last voucher before it is sent one-sided
    countersign_seconds: int = Field(default=10, ge=1)
    #: a replica that keeps the others waiting for longer loses its lease, though its provider is heard
    lane_patience_seconds: int = Field(default=120, ge=5)
    #: of the market's own lateness, what is not counted as a provider's silence or delay at most: without a server for
    #: longer, leases are given up as if there were one
    excused_seconds: int = Field(default=600, ge=0)
    #: of 10,000 jobs that anybody can run again, those of which the market runs a segment before the last voucher;
    #: None = what makes a lie a loss, by the order's bond and price: all of them where there is no bond
    check_rate_bps: int | None = Field(default=None, ge=0, le=10_000)
    #: longest time of such a run
    check_seconds: int = Field(default=120, ge=1)
    #: such runs at once
    checks_at_once: int = Field(default=1, ge=1)
    #: blocks after which a transaction is watched no more where the node has no finality of its own
    finality_blocks: int = Field(default=64, ge=1)
    #: bytes
    max_file_bytes: int = Field(default=64 * 1024**2, ge=1)
    #: bytes of one account's files
    file_quota_bytes: int = Field(default=4 * 1024**3, ge=1)
    #: bytes of a JSON body
    max_body_bytes: int = Field(default=1024**2, ge=1024)
    #: an upload that is not finished is dropped after so many hours
    draft_hours: int = Field(default=24, ge=1)
    #: bytes of the disk that files leave free, for the databases that share it
    files_reserve_bytes: int = Field(default=64 * 1024**2, ge=0)
    session_hours: int = Field(default=24, ge=1)
    #: a contract wallet's answer to a sign-in (EIP-1271): seconds and gas; wallets with passkeys need some 300,000
    contract_wallet_seconds: int = Field(default=3, ge=1)
    contract_wallet_gas: int = Field(default=500_000, ge=50_000)
    #: where requests are counted: memory:// for one process, redis://host:port/n for many
    limits_url: str = "memory://"
    #: requests a minute: enough for a hundred jobs a second by one key, a stop for a program that runs wild
    credential_reads_per_minute: int = Field(default=12_000, ge=1)
    credential_writes_per_minute: int = Field(default=7_200, ge=1)
    #: requests a minute by one address, behind which many may stand
    address_reads_per_minute: int = Field(default=24_000, ge=1)
    address_writes_per_minute: int = Field(default=14_400, ge=1)
    address_sign_ins_per_minute: int = Field(default=600, ge=1)
    #: seconds in which a connection must have sent the head of its first request, and of each later one
    head_seconds: float = Field(default=10, gt=0)
    #: bytes a second that a body must keep up on average, after `body_grace_seconds`, and that an answer is taken at
    body_bytes_per_second: int = Field(default=1024, ge=1)
    body_grace_seconds: float = Field(default=20, gt=0)
    #: streams of events that one account may hold open in one process
    streams_per_account: int = Field(default=16, ge=1)
    #: a stream that has nothing to say says so this often, because proxies cut what is silent
    heartbeat_seconds: float = Field(default=15, gt=0)
    #: an answer is cut off when its client takes hardly anything of it for so long, a stream when it takes nothing
    stall_seconds: float = Field(default=20, gt=0)
    #: for development: webhooks may go to http:// and to addresses that are not public
    webhooks_to_private: bool = False

    @property
    def origin(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def rpc_urls(self) -> list[str]:
        """At least one."""
        return [url.strip() for url in self.rpc_url.split(",") if url.strip()] or [self.rpc_url]

    @property
    def told_rpc_url(self) -> str | None:
        """The node that everybody may know of."""
        if self.public_rpc_url is not None:
            return self.public_rpc_url or None
        first = self.rpc_urls[0]
        parts = urlsplit(first)
        is_bare = "@" not in parts.netloc and parts.path in ("", "/") and not parts.query
        return first if is_bare else None

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.notice_seconds < self.countersign_seconds:
            raise ValueError("notice_seconds must not be shorter than countersign_seconds")
        return self
