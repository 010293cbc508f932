"""A person's own transactions, sent one at a time and waited for. Servers submit by backend.submission instead."""

import time
from typing import Any, Final

from protocol.calls import decode_error, decode_result, encode_call, sign_transaction
from protocol.errors import RpcRefused, TransactionNotMined, TransactionReverted
from protocol.hashing import Address, from_hex, to_hex
from protocol.keys import LocalKey
from protocol.rpc import Rpc

_PRIORITY_WEI: Final = 10**9


def read(
    rpc: Rpc, contract: str, address: Address, name: str, *arguments: Any, block: str = "latest"
) -> tuple[Any, ...]:
    """Calls a view; raises `TransactionReverted` with the decoded reason."""
    data = to_hex(encode_call(contract, name, *arguments))
    try:
        answer = rpc.call("eth_call", {"to": address, "data": data}, block)
    except RpcRefused as error:
        raise _reverted(contract, name, error) from error
    return decode_result(contract, name, from_hex(answer))


def send(
    rpc: Rpc, key: LocalKey, contract: str, address: Address, name: str, *arguments: Any, timeout_seconds: int = 60
) -> dict[str, Any]:
    """Simulates, signs, sends and waits for one block; returns the transaction receipt."""
    return transact(rpc, key, address, encode_call(contract, name, *arguments), contract, name, timeout_seconds)


def transact(
    rpc: Rpc,
    key: LocalKey,
    to: Address | None,
    data: bytes,
    contract: str | None,
    what: str,
    timeout_seconds: int = 60,
    *,
    value_wei: int = 0,
) -> dict[str, Any]:
    """Sends raw calldata (or, with `to` None, a contract's creation) and returns the transaction receipt.

    `contract` names whose errors a revert may carry.
    """
    request = {"from": key.address, "data": to_hex(data), "value": hex(value_wei)} | ({"to": to} if to else {})
    try:
        gas = int(rpc.call("eth_estimateGas", request), 16)
    except RpcRefused as error:
        raise _reverted(contract, what, error) from error
    chain_id, nonce, base_fee = _context(rpc, key.address)
    raw, tx_hash = sign_transaction(
        key,
        chain_id=chain_id,
        nonce=nonce,
        to=to,
        value_wei=value_wei,
        data=data,
        gas=gas * 5 // 4,
        max_fee_wei=2 * base_fee + _PRIORITY_WEI,
        priority_fee_wei=_PRIORITY_WEI,
    )
    rpc.call("eth_sendRawTransaction", to_hex(raw))
    return wait_mined(rpc, to_hex(tx_hash), what, timeout_seconds)


def _context(rpc: Rpc, address: Address) -> tuple[int, int, int]:
    chain_id, nonce, block = rpc.batch(
        [
            ("eth_chainId", ()),
            ("eth_getTransactionCount", (address, "pending")),
            ("eth_getBlockByNumber", ("latest", False)),
        ]
    )
    return int(chain_id, 16), int(nonce, 16), int(block.get("baseFeePerGas", "0x0"), 16)


def wait_mined(rpc: Rpc, tx_hash: str, what: str, timeout_seconds: int = 60) -> dict[str, Any]:
    """The receipt of a transaction once a block holds it; raises `TransactionReverted`, `TransactionNotMined`."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        found: dict[str, Any] | None = rpc.call("eth_getTransactionReceipt", tx_hash)
        if found is not None:
            if int(found["status"], 16) != 1:
                raise TransactionReverted(
                    what, f"transaction {tx_hash} failed in block {int(found['blockNumber'], 16)}"
                )
            return found
        time.sleep(0.1)
    raise TransactionNotMined(tx_hash, timeout_seconds)


def _reverted(contract: str | None, what: str, error: RpcRefused) -> TransactionReverted:
    data = error.data
    if contract is not None and isinstance(data, str) and data.startswith("0x") and len(data) >= 10:
        return TransactionReverted(what, decode_error(contract, from_hex(data)))
    return TransactionReverted(what, error.rpc_message)
