"""What every explorer request needs, built once by `mount` and carried in the app's state: no module globals."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from fastapi import Depends, Request
from jinja2 import Environment

from explorer.proofs import Proofs
from indexer.queries import Mirror

STATIC_DIR: Final = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The explorer of one mirror."""

    mirror: Mirror
    proofs: Proofs
    templates: Environment
    #: changes with any file below static/, so that browsers may keep those for a year
    static_version: str
    #: unix seconds, for relative times
    now: Callable[[], int]


async def site_of(request: Request) -> Site:
    """The site that `mount` put there; async, so that no thread is taken for it."""
    site: Site = request.app.state.explorer
    return site


TheSite = Annotated[Site, Depends(site_of)]


def version_of(folder: Path) -> str:
    """Ten hex digits over all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:10]
