"""Keys that the market holds for buyers. One secret seed; each API key has its own delegate and voucher signer.

A delegate can misspend at most its on-chain cap, a voucher signer at most the open locks (SPEC "Trust that remains").
"""

import os
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Final

from protocol.hashing import from_hex, keccak256, to_hex
from protocol.keys import LocalKey

_KEPT: Final = 1024


class HostedKeys:
    """Derives keys from the seed file, which is made at first use with mode 0600."""

    def __init__(self, seed_file: Path) -> None:
        self._seed = _load_or_make(seed_file)
        # The seed is in memory anyway, and a key of it is derived for every order and every voucher.
        self._derived = lru_cache(_KEPT)(lambda path: LocalKey.derive(self._seed, path))

    def delegate(self, key_id: str) -> LocalKey:
        return self._derived(f"delegate/{key_id}")

    def voucher_signer(self, holder: str) -> LocalKey:
        """`holder`: an API key's id, or the address of a buyer that signs its orders itself."""
        return self._derived(f"voucher/{holder}")

    def webhook_secret(self, webhook_id: str, generation: int) -> bytes:
        """32 bytes that sign what goes to an endpoint; the next generation gives another."""
        return keccak256(self._seed + f"webhook/{webhook_id}/{generation}".encode())


def _load_or_make(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return from_hex(path.read_text().strip(), 32)
    seed = secrets.token_bytes(32)
    with os.fdopen(descriptor, "w") as file:
        file.write(to_hex(seed) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return seed
