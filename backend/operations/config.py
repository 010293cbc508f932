"""The settings that are in force, each with where it comes from. What may hold a secret is masked."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from protocol.settings import FOLDER_VARIABLE, PREFIX, file_source

Origin = Literal["default", "environment", "file"]

_MASK: Final = "***"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is in force."""

    name: str
    value: str | None
    origin: Origin


def in_force(rooms: Iterable[type[BaseSettings]]) -> list[Setting]:
    """Of all rooms, each name once; raises pydantic's `ValidationError` for what no room would take."""
    found: dict[str, Setting] = {}
    for room in rooms:
        values, in_files = room(), _in_files(room)
        for field in room.model_fields:
            name = f"{PREFIX}{field}".upper()
            found[name] = Setting(name, masked(getattr(values, field)), _origin(name, field, in_files))
    return [found[name] for name in sorted(found)]


def strangers(
    rooms: Iterable[type[BaseSettings]], others: Iterable[str], environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Variables that look like ours and are no room's: mistyped ones, which nobody else would notice.

    `others` are names, or beginnings of names that end in an underscore.
    """
    known = {f"{PREFIX}{field}".upper() for room in rooms for field in room.model_fields} | {FOLDER_VARIABLE}
    exact = known | {name for name in others if not name.endswith("_")}
    beginnings = tuple(name for name in others if name.endswith("_"))
    ours = (name.upper() for name in environment if name.upper().startswith(PREFIX))
    return sorted(name for name in ours if name not in exact and not name.startswith(beginnings))


def masked(value: Any) -> str | None:
    """A value as everybody may see it."""
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return _MASK
    text = str(value)
    return ",".join(_masked_url(part) for part in text.split(",")) if "://" in text else text


def _masked_url(url: str) -> str:
    """Without its password, and without a path or query that may be a key of a node's seller."""
    parts = urlsplit(url)
    if not parts.netloc:
        return url
    host = parts.netloc.rpartition("@")[2]
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    netloc = f"{user}:{_MASK}@{host}" if parts.password else (f"{user}@{host}" if user else host)
    is_http = parts.scheme in ("http", "https", "ws", "wss")
    path = f"/{_MASK}" if is_http and parts.path not in ("", "/") else parts.path
    return urlunsplit((parts.scheme, netloc, path, _MASK if parts.query else "", ""))


def _in_files(room: type[BaseSettings]) -> frozenset[str]:
    return frozenset(field.lower() for source in file_source(room) for field in source())


def _origin(name: str, field: str, in_files: frozenset[str]) -> Origin:
    if name in (variable.upper() for variable in os.environ):
        return "environment"
    return "file" if field in in_files else "default"
