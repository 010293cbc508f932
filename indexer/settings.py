"""Settings of the indexer, from GRIDLEASE_* variables."""

from pathlib import Path
from typing import Self

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from protocol.deployment import Deployment, load_deployment


class IndexerSettings(BaseSettings):
    """Other rooms' GRIDLEASE_* variables are theirs to check."""

    model_config = SettingsConfigDict(env_prefix="GRIDLEASE_", frozen=True, extra="ignore")

    rpc_url: str = "http://127.0.0.1:8545"
    #: the JSON file that `gridlease deploy` wrote
    deployment: Path = Path("contracts/deployments/31337.json")
    mirror_url: str = "sqlite:///.gridlease/mirror.db"
    #: seconds between two looks at the node's head; a page is at most this much behind it
    poll_seconds: float = Field(default=0.1, gt=0)
    #: blocks fetched in one step while catching up: large enough to batch, small enough to keep memory flat
    batch_blocks: int = Field(default=64, ge=1, le=10_000)
    #: blocks below the head that count as final where the node has no `finalized` tag
    finality_blocks: int = Field(default=64, ge=1)
    #: without new events the head is proved again after this many blocks
    prove_every_blocks: int = Field(default=32, ge=1)

    def load_deployment(self) -> Deployment:
        """Raises `DeploymentMissing`."""
        return load_deployment(self.deployment)

    def with_(self, *, mirror_url: str | None = None) -> Self:
        """The same settings with what a command line overrides."""
        return self if mirror_url is None else self.model_copy(update={"mirror_url": mirror_url})
