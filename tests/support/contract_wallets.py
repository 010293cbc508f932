"""Contract wallets (EIP-1271) as a few bytes of code: one with an owner, and some that mean no good."""

from typing import Final

import httpx

from protocol.hashing import Address, checksum_address, keccak256, to_hex
from protocol.keys import LocalKey
from protocol.signin import sign_text
from tests.support.accounts_market import MarketWorld

OWNER: Final = LocalKey.derive(bytes(32), "owner")
THIEF: Final = LocalKey.derive(bytes(32), "thief")


def wallet_of(owner: Address) -> str:
    """Says yes to what `owner` signed: ecrecover of the digest, r, s and v in the call, compared with the owner."""
    copy = "600435 5f52 606435 604052 608435 606052 60a435 5f1a 602052"
    recover = "6020 6080 6080 5f 6001 5a fa 50"
    answer = f"608051 73{owner[2:].lower()} 14 631626ba7e 02 60e01b 5f52 60205f f3"
    return "0x" + (copy + recover + answer).replace(" ", "")


CODES: Final = {
    "owned": wallet_of(OWNER.address),
    "burns gas for ever": "0x5b5f56",
    "reverts": "0x5f5ffd",
    "answers nothing": "0x00",
    "answers one byte": "0x600160 5f5360015ff3".replace(" ", ""),
    "answers a megabyte": "0x62100000 5ff3".replace(" ", ""),
}


def address_of(name: str) -> Address:
    return checksum_address(keccak256(name.encode())[12:])


def sign_in(world: MarketWorld, wallet: Address, signer: LocalKey) -> httpx.Response:
    message = world.message(OWNER).replace(OWNER.address, wallet)
    signature = to_hex(sign_text(signer, message))
    return world.call("POST", "/v1/auth/verify", json={"message": message, "signature": signature})
