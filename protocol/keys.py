"""Keys that sign digests. A key never prints itself; on disk it is a keystore v3 file that only its owner reads."""

import json
import os
import secrets
from pathlib import Path
from typing import Final, Protocol, Self

from coincurve import PrivateKey, PublicKey

from protocol.errors import BadHex, BadSignature, ProtocolError
from protocol.hashing import Address, checksum_address, from_hex, keccak256

_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class Signer(Protocol):
    """Anything that signs a 32-byte digest for one address."""

    @property
    def address(self) -> Address: ...

    def sign_digest(self, digest: bytes) -> bytes: ...


class LocalKey:
    """A private key in memory."""

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes) -> None:
        self._key = PrivateKey(secret)
        self.address: Address = _address_of(self._key.public_key)

    @classmethod
    def create(cls) -> Self:
        return cls(secrets.token_bytes(32))

    @classmethod
    def derive(cls, seed: bytes, label: str) -> Self:
        """A key of its own for each label, from one 32-byte secret."""
        return cls(keccak256(seed + label.encode()))

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r ‖ s ‖ v with low s and v 27 or 28."""
        raw = self._key.sign_recoverable(digest, hasher=None)
        return raw[:64] + bytes([raw[64] + 27])

    def secret(self) -> bytes:
        """The private key itself, for keystores and transaction signing."""
        return self._key.secret

    def __repr__(self) -> str:
        return f"LocalKey({self.address})"


def recover_address(digest: bytes, signature: bytes) -> Address:
    """Who signed. As the ledger does, takes only 65 bytes, low s, v 27 or 28; raises `BadSignature`."""
    _check_form(signature)
    try:
        public = PublicKey.from_signature_and_message(signature[:64] + bytes([signature[64] - 27]), digest, hasher=None)
    except Exception as error:
        raise BadSignature("no public key recovers from it") from error
    return _address_of(public)


def compact_signature(signature: bytes) -> tuple[bytes, bytes]:
    """(r, vs) of EIP-2098: low s with the parity of v in its top bit. Takes what `recover_address` takes."""
    _check_form(signature)
    s = int.from_bytes(signature[32:64], "big")
    return signature[:32], (s | (signature[64] - 27) << 255).to_bytes(32, "big")


def _check_form(signature: bytes) -> None:
    if len(signature) != 65:
        raise BadSignature(f"expected 65 bytes, found {len(signature)}")
    if signature[64] not in (27, 28):
        raise BadSignature(f"v must be 27 or 28, found {signature[64]}")
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise BadSignature("s is in the upper half of the curve order")


def _address_of(public: PublicKey) -> Address:
    return checksum_address(keccak256(public.format(compressed=False)[1:])[12:])


class KeystoreError(ProtocolError):
    """A keystore file that cannot be opened."""

    code = "keystore"


def save_keystore(path: Path, key: LocalKey, password: str) -> None:
    """Writes keystore v3, mode 0600, never over an existing file."""
    from eth_account import Account

    # scrypt at 2^14 opens in ~0.1 s; the file itself is readable by its owner only.
    content = json.dumps(Account.encrypt(key.secret(), password, kdf="scrypt", iterations=1 << 14))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def load_keystore(path: Path, password: str) -> LocalKey:
    """Opens a keystore v3 file (geth's, Foundry's and ours); raises `KeystoreError`."""
    # Only keystores need it, and it is half of a command's start-up time.
    from eth_account import Account

    try:
        return LocalKey(bytes(Account.decrypt(json.loads(path.read_text()), password)))
    except FileNotFoundError:
        raise KeystoreError(f"no keystore at {path}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise KeystoreError(f"keystore {path} does not open: {error}; is the password right?") from None


def load_raw_key(path: Path) -> LocalKey:
    """Reads a file with a private key as hex; raises `KeystoreError`, which never quotes what the file holds."""
    try:
        text = path.read_text().strip()
        return LocalKey(from_hex(text if text.startswith("0x") else "0x" + text, 32))
    except OSError as error:
        raise KeystoreError(f"{path} cannot be read: {error.strerror}") from None
    except (BadHex, ValueError):
        raise KeystoreError(f"{path} holds no private key; expected 0x and 64 hex digits") from None
