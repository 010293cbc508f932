"""Secrets as they are kept: by their hash."""

import hashlib


def hashed(secret: str) -> str:
    """Each secret has 256 random bits, so a plain hash cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()
