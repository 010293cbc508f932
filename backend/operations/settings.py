"""Settings of whoever runs a market: health, figures, retention, shutdown. Each default says why."""

from pydantic import Field, SecretStr

from protocol.settings import RoomSettings


class OperationsSettings(RoomSettings):
    """Of servers and workers."""

    #: what Prometheus must send as its bearer token; unset: whoever reaches the server may read /metrics
    metrics_token: SecretStr | None = None
    #: where a worker serves its own /metrics; 0 = nowhere
    worker_metrics_port: int = Field(default=0, ge=0, le=65535)
    worker_metrics_host: str = "127.0.0.1"
    #: behind the node by more blocks than this, a server is not ready: its answers would be old
    ready_lag_blocks: int = Field(default=10, ge=1)
    #: below this the submission key is said to be short of gas: some hundred transactions at 10 gwei
    low_gas_wei: int = Field(default=10**17, ge=0)
    #: seconds without a step after which whoever notices does it; half of that after which it is asked for. Clocks ring
    #: each second
    sweep_seconds: float = Field(default=5, ge=1)
    #: seconds that a server goes on answering what it has begun, once it is told to stop
    shutdown_seconds: int = Field(default=10, ge=1)
    #: seconds between the order to stop and the first refused connection, for load balancers to look away
    drain_seconds: float = Field(default=0, ge=0)
    #: days that a dead sign-in nonce or session is kept, for whoever looks into an incident
    session_days: int = Field(default=7, ge=0)
    #: days that an Idempotency-Key is remembered; the draft standard's readers expect one at least
    idempotency_days: int = Field(default=7, ge=1)
    #: days that an auction's book can be replayed; number and root are kept for ever
    auction_days: int = Field(default=90, ge=1)
    #: days that the log of an ended job is kept; 0 = for ever
    job_log_days: int = Field(default=0, ge=0)
    #: days that the events of a settled job can be read again; what came of it stays in job, leases and ledger
    job_event_days: int = Field(default=90, ge=1)
    #: days that a webhook's message is kept once it was delivered or given up: as long as somebody may want it again
    webhook_days: int = Field(default=30, ge=1)
