"""Which market, and as whom: arguments first, then GRIDLEASE_URL and GRIDLEASE_KEY, then the file of `gridlease login`.

A stored key is only ever sent to the URL that it was stored for.
"""

import json
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from client.errors import BadLogin

DEFAULT_URL: Final = "http://127.0.0.1:8700"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Environment(BaseSettings):
    """What the environment says."""

    model_config = SettingsConfigDict(env_prefix="GRIDLEASE_", frozen=True, extra="ignore")

    url: str | None = None
    key: SecretStr | None = None
    #: folder of the login file; None = the platform's place for configuration
    config_dir: Path | None = None


class WalletFile(BaseModel):
    """Where the buyer's own key lies. Paths only: neither key nor password is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keystore: Path | None = None
    password_file: Path | None = None
    private_key_file: Path | None = None


class Login(BaseModel):
    """What `gridlease login` remembers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    key: SecretStr
    chain_id: int
    ledger: str
    #: key that the market signs orders with, once the buyer approves it on chain
    delegate: str | None = None
    wallet: WalletFile = WalletFile()


class Access(BaseModel):
    """The market to talk to, and the key to show it."""

    model_config = ConfigDict(frozen=True)

    url: str
    key: SecretStr | None


def normal_url(url: str) -> str:
    """`http(s)://host[:port]` without a trailing slash; raises `BadLogin`."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise BadLogin(f"expected a market's URL such as {DEFAULT_URL}, found {url[:200]!r}")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def is_exposed(url: str) -> bool:
    """Whether a key sent to this URL crosses a network in clear."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def login_path() -> Path:
    folder = Environment().config_dir or platformdirs.user_config_path("gridlease", appauthor=False)
    return folder / "login.json"


def uploads_path() -> Path:
    """Folder that remembers the uploads that were not finished."""
    return login_path().parent / "uploads"


def load_login() -> Login | None:
    """None if nobody logged in; raises `BadLogin` if the file is not readable as one."""
    path = login_path()
    try:
        return Login.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        # pydantic's message would quote the file, which holds the key.
        raise BadLogin(f"{path} is not a login file; delete it and run `gridlease login` again") from None


def save_login(login: Login) -> Path:
    """Replaces the login file in one step, readable by its owner only."""
    path = login_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = login.model_dump(mode="json") | {"key": login.key.get_secret_value()}
    draft = path.with_suffix(f".{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=2)
    os.replace(draft, path)
    return path


def resolve(url: str | None = None, key: str | None = None) -> Access:
    """The market and key that count now; the key is None if none is known for that URL."""
    environment = Environment()
    login = load_login()
    chosen = normal_url(url or environment.url or (login.url if login else DEFAULT_URL))
    secret = SecretStr(key) if key else environment.key
    if secret is None and login is not None and login.url == chosen:
        secret = login.key
    return Access(url=chosen, key=secret)
