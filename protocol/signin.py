"""Signing in with a wallet (EIP-4361): the text that both buyers and providers sign, and its EIP-191 signature."""

from datetime import datetime
from typing import Final

from protocol.hashing import Address, keccak256
from protocol.keys import Signer
from protocol.wire.accounts import NonceAnswer

STATEMENT: Final = "Sign in to Gridlease. This costs nothing and gives no power over your money."


def sign_in_message(asked: NonceAnswer, address: Address, issued_at: datetime) -> str:
    """The EIP-4361 text, byte for byte. Sign it only for the site and chain that you mean to sign in to."""
    return "\n".join(
        [
            f"{asked.domain} wants you to sign in with your Ethereum account:",
            address,
            "",
            STATEMENT,
            "",
            f"URI: {asked.uri}",
            "Version: 1",
            f"Chain ID: {asked.chain_id}",
            f"Nonce: {asked.nonce}",
            f"Issued At: {_instant(issued_at)}",
            f"Expiration Time: {_instant(asked.expires_at)}",
        ]
    )


def text_digest(text: str) -> bytes:
    """What a wallet signs of plain text (EIP-191)."""
    raw = text.encode()
    return keccak256(f"\x19Ethereum Signed Message:\n{len(raw)}".encode() + raw)


def sign_text(key: Signer, text: str) -> bytes:
    """A wallet's signature of plain text (EIP-191)."""
    return key.sign_digest(text_digest(text))


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
