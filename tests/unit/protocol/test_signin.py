"""Signing in is EIP-4361 to the letter, as an implementation of somebody else reads it."""

from datetime import timedelta

from siwe import SiweMessage

from protocol.clock import now_at
from protocol.hashing import to_hex
from protocol.keys import LocalKey
from protocol.signin import sign_in_message, sign_text
from protocol.wire.accounts import NonceAnswer


def test_the_sign_in_message_is_what_the_standard_and_our_signature_say() -> None:
    key = LocalKey.create()
    asked = NonceAnswer(
        nonce="a1b2c3d4e5f6a7b8",
        domain="127.0.0.1:8700",
        uri="http://127.0.0.1:8700",
        chain_id=31337,
        expires_at=now_at() + timedelta(minutes=5),
    )
    text = sign_in_message(asked, key.address, now_at())
    parsed = SiweMessage.from_message(text)
    assert parsed.prepare_message() == text
    parsed.verify(
        to_hex(sign_text(key, text)), domain="127.0.0.1:8700", nonce=asked.nonce, uri=asked.uri, chain_id=31337
    )
