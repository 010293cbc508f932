"""Settings of an agent, built once: arguments, then GRIDLEASE_PROVIDER_*, then agent.toml of its folder."""

import json
import os
from pathlib import Path
from typing import Any, Final, Self

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from provider.errors import AgentError

FILE_NAME: Final = "agent.toml"
_PREFIX: Final = "GRIDLEASE_PROVIDER_"


def default_folder() -> Path:
    """Where an agent keeps its key, journals and compiled modules."""
    return Path(os.environ.get(f"{_PREFIX}DATA_DIR") or platformdirs.user_data_path("gridlease") / "provider")


class AgentSettings(BaseSettings):
    """What `gridlease provider join` writes and `gridlease provider run` reads."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    #: folder of everything below
    data_dir: Path
    market_url: str
    #: shown to people only
    name: str = Field(default="provider", min_length=1, max_length=64)
    #: grid zone id, such as FR
    zone: str
    #: pico-dollars per 10⁶ work
    rate: int = Field(ge=1, le=2**32 - 1)
    #: the ledger and chain that were joined; another one is refused
    ledger: str
    chain_id: int
    #: the node to believe; the market names one when the agent joins, your own is better
    rpc_url: str
    #: file with the keystore's password, readable by its owner only
    password_file: Path
    #: leases at once: one agent runs one job
    capacity: int = Field(default=1, ge=1, le=1)
    #: bytes of memory that a job may use at most
    memory_bytes: int = Field(ge=65536)
    #: seconds of lease; short enough for a quick job, long enough for a morning of sun
    min_duration: int = Field(default=10, ge=1)
    max_duration: int = Field(default=3600, ge=1)
    #: seconds to collect a late voucher after a close
    notice: int = Field(default=30, ge=10)
    #: an offer holds so long, and is renewed at half of it
    offer_hours: int = Field(default=24, ge=1, le=720)
    #: seconds between two looks for leases
    poll_seconds: float = Field(default=0.3, ge=0.05, le=60)
    #: seconds between two signs of life while a segment runs
    heartbeat_seconds: float = Field(default=4.0, ge=0.5, le=60)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        folder = Path(init_settings()["data_dir"])
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, folder / FILE_NAME)

    @classmethod
    def load(cls, data_dir: Path) -> Self:
        """The settings of a folder that has joined; raises `AgentError`."""
        if not (data_dir / FILE_NAME).exists():
            raise AgentError(f"no agent in {data_dir}", "run `gridlease provider join URL` first, or give --data-dir")
        known = {f"{_PREFIX}{name.upper()}" for name in cls.model_fields}
        unknown = sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in known)
        if unknown:
            raise AgentError(f"{unknown[0]} is no setting", f"use one of {', '.join(sorted(known))}")
        try:
            return cls(data_dir=data_dir)  # the rest comes from the file
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise AgentError(f"setting {field}: {first['msg']}", f"correct {data_dir / FILE_NAME}") from None

    @property
    def keystore(self) -> Path:
        return self.data_dir / "operator.json"

    @property
    def leaving_mark(self) -> Path:
        """While this file exists the agent takes no new lease."""
        return self.data_dir / "leaving"

    def password(self) -> str:
        """Raises `AgentError` if the file is missing, or others can read it."""
        try:
            mode = self.password_file.stat().st_mode
            text = self.password_file.read_text()
        except OSError as error:
            raise AgentError(f"password file {self.password_file}: {error.strerror}", "give --password-file") from None
        if mode & 0o077:
            raise AgentError(f"others can read {self.password_file}", f"run: chmod 600 {self.password_file}")
        return text.rstrip("\n")


def write_settings(data_dir: Path, values: dict[str, Any]) -> None:
    """Replaces agent.toml in one step. Values are texts and numbers; no secret is among them."""
    # A JSON string without surrogates is a TOML basic string.
    plain = {name: value if isinstance(value, int | float) else str(value) for name, value in values.items()}
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    draft = data_dir / f"{FILE_NAME}.draft"
    draft.write_text("\n".join(lines) + "\n")
    draft.chmod(0o600)
    os.replace(draft, data_dir / FILE_NAME)
