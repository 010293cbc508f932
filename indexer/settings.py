"""Settings of the indexer, from GRIDLEASE_* variables."""

from pathlib import Path
from typing import Literal, Self, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field

from protocol.deployment import Deployment, load_deployment
from protocol.settings import RoomSettings

Backfill: TypeAlias = Literal["whole", "receipts", "head"]


def websocket_url(rpc_url: str) -> str:
    """The same address by WebSocket, where most nodes listen."""
    parts = urlsplit(rpc_url)
    return urlunsplit(parts._replace(scheme="wss" if parts.scheme == "https" else "ws"))


class IndexerSettings(RoomSettings):
    """Of the follower and of whoever writes the mirror."""

    #: one node or several, by commas: the first is used, another when it fails, lies or stays behind
    rpc_url: str = "http://127.0.0.1:8545"
    #: where new blocks are announced; empty = the first node's address by WebSocket; "none" = only look
    rpc_ws_url: str = ""
    #: the JSON file that `gridlease deploy` wrote
    deployment: Path = Path("contracts/deployments/31337.json")
    mirror_url: str = "sqlite:///.gridlease/mirror.db"
    #: seconds between two looks at the node's head while it announces nothing; a page is at most this much behind it
    poll_seconds: float = Field(default=0.1, gt=0)
    #: seconds between two looks while the node announces its blocks
    idle_seconds: float = Field(default=5.0, gt=0)
    #: most blocks fetched in one step while catching up; fewer where a node is slow or refuses
    batch_blocks: int = Field(default=256, ge=1, le=10_000)
    #: how blocks far below the head come: `whole`, with all that is ever fetched of them; or first without their
    #: transactions, which is quicker: `receipts` rebuilds each one's receipts trie, `head` takes ranges of logs and has
    #: them proved by the ledger's storage, for which the node must keep old state
    backfill: Backfill = "whole"
    #: where /metrics, /livez and /readyz are served; 0 = nowhere
    metrics_port: int = Field(default=0, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    #: blocks below the head that count as final where the node has no `finalized` tag
    finality_blocks: int = Field(default=64, ge=1)
    #: without new events the head is proved again after this many blocks
    prove_every_blocks: int = Field(default=32, ge=1)

    @property
    def rpc_urls(self) -> list[str]:
        """At least one."""
        return [url.strip() for url in self.rpc_url.split(",") if url.strip()] or [self.rpc_url]

    @property
    def announcer_url(self) -> str | None:
        """Where to subscribe to new blocks; None = nowhere."""
        if self.rpc_ws_url == "none":
            return None
        return self.rpc_ws_url or websocket_url(self.rpc_urls[0])

    def load_deployment(self) -> Deployment:
        """Raises `DeploymentMissing`."""
        return load_deployment(self.deployment)

    def with_(self, *, mirror_url: str | None = None) -> Self:
        """The same settings with what a command line overrides."""
        return self if mirror_url is None else self.model_copy(update={"mirror_url": mirror_url})
