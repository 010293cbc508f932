"""What an API key may do. A route that no line here names is the wallet's alone: a new one is closed until opened.

`jobs:write` buys, cancels and says where webhooks go, `jobs:read` looks, `files` stores and fetches, `account:read`
sees balances and keys.
"""

from typing import Final

from protocol.wire.accounts import Scope

ALL: Final[tuple[Scope, ...]] = ("jobs:write", "jobs:read", "files", "account:read")

_READS: Final = frozenset({"GET", "HEAD"})

_ROOMS: Final[tuple[tuple[str, Scope | None, Scope | None], ...]] = (
    # (first part of the path, scope to read, scope to write)
    ("/v1/jobs", "jobs:read", "jobs:write"),
    ("/v1/orders", "jobs:read", "jobs:write"),
    ("/v1/files", "files", "files"),
    ("/v1/account", "account:read", None),
    ("/v1/keys", "account:read", None),
    ("/v1/webhooks", "jobs:read", "jobs:write"),
)


def needed(method: str, path: str) -> Scope | None:
    """The scope that a key needs for this call; None if no key may make it."""
    for room, read, write in _ROOMS:
        if path == room or path.startswith(room + "/"):
            return read if method in _READS else write
    return None
