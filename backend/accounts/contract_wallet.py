"""Signatures of contract wallets (EIP-1271), asked of our own node within a time and an amount of gas.

A wallet that is not deployed yet (EIP-6492) cannot sign in: checking it would run code of the caller's choice.
"""

from typing import Final

from eth_abi.abi import encode

from backend.market import Market
from protocol.errors import RpcRefused
from protocol.hashing import Address, from_hex, keccak256, to_hex
from protocol.rpc import Rpc

_IS_VALID_SIGNATURE: Final = keccak256(b"isValidSignature(bytes32,bytes)")[:4]
_VALID: Final = _IS_VALID_SIGNATURE + bytes(28)


def accepts(node: Rpc, wallet: Address, digest: bytes, signature: bytes, gas: int) -> bool:
    """Whether the contract at `wallet` says that it signed `digest`; raises `NodeUnavailable`.

    An address without code answers nothing, which is no.
    """
    data = _IS_VALID_SIGNATURE + encode(["bytes32", "bytes"], [digest, signature])
    try:
        answer = node.call("eth_call", {"to": wallet, "data": to_hex(data), "gas": hex(gas)}, "latest")
    except RpcRefused:
        # It reverted, or wanted more gas.
        return False
    return isinstance(answer, str) and len(answer) <= 2 + 2 * 4096 and from_hex(answer)[:32] == _VALID


def signed(market: Market, wallet: Address, digest: bytes, signature: bytes, gas: int) -> bool:
    """`accepts`, asked of the market's first node; raises `NodeUnavailable`, `WrongChain`."""
    settings = market.settings
    with Rpc(settings.rpc_urls[0], settings.contract_wallet_seconds) as node:
        node.require_chain(market.deployment.chain_id)
        return accepts(node, wallet, digest, signature, gas)
