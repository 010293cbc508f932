"""`module=proxy`: JSON-RPC by GET. Facts come from the mirror, state comes from the node, nothing is sent."""

from typing import Any, Final

from explorer.etherscan.asked import Asked
from explorer.etherscan.call import Call, NodeCall
from explorer.etherscan.replies import METHOD_NOT_SUPPORTED, Body, NotOk, RpcError, rpc
from explorer.etherscan.spelling import json_rpc, lower, quantity
from explorer.etherscan.tags import tag_of
from explorer.failures import before_the_ledger
from indexer.queries import ReceiptLogRow, WholeTransaction
from protocol.errors import BadHex
from protocol.hashing import from_hex, keccak256, to_hex
from protocol.rlp import encode

_NO_UNCLES: Final = keccak256(encode([]))
_LONGEST_CALL: Final = 48 << 10


def block_number(call: Call) -> Body:
    """The newest block of the mirror."""
    return rpc(quantity(call.status.block_number))


def block_by_number(call: Call) -> Body:
    """The header of a canonical block, with its transactions where the mirror keeps them; null above the mirror."""
    status, asked = call.status, call.asked
    full = asked.choice("boolean", ("true", "false"), "false") == "true"
    if (asked.find("tag") or "").lower() == "finalized":
        number = status.finalized_number or 0
    else:
        number = asked.block("tag", status.block_number, latest=status.block_number)
    if number < status.deploy_block:
        failure = before_the_ledger(number, status.deploy_block, status.chain_id)
        raise RpcError(f"{failure.detail}; {failure.remedy}")
    block = call.now.whole_block(number)
    if block is None:
        return rpc(None)
    spelt = {"hash": to_hex(block.hash), **json_rpc(dict(block.header))}
    if block.header["sha3Uncles"] == _NO_UNCLES:
        spelt["uncles"] = []
    if block.transactions is not None:
        spelt["transactions"] = [_transaction(row) if full else to_hex(row.hash) for row in block.transactions]
    return rpc(spelt)


def transaction_by_hash(call: Call) -> Body:
    """Null for one that did not reach the ledger or its token."""
    found = call.now.whole_transaction(call.asked.hash("txhash", "transaction"))
    return rpc(None if found is None else _transaction(found))


def transaction_receipt(call: Call) -> Body:
    """With the logs of all contracts; null for a transaction that did not reach the ledger or its token."""
    found = call.now.whole_transaction(call.asked.hash("txhash", "transaction"))
    return rpc(None if found is None else _receipt(found))


def account_state(method: str) -> Any:
    """A method of an address and a tag."""

    def ask(call: NodeCall) -> Body:
        return rpc(call.node.ask([(method, (call.asked.address(), tag_of(call.asked)))])[0])

    return ask


def storage(call: NodeCall) -> Body:
    """`eth_getStorageAt`."""
    position = call.asked.get("position")
    place = _data(position if len(position) % 2 == 0 else "0x0" + position[2:], "position", 32)
    slot = quantity(int.from_bytes(place, "big"))
    return rpc(call.node.ask([("eth_getStorageAt", (call.asked.address(), slot, tag_of(call.asked)))])[0])


def gas_price(call: NodeCall) -> Body:
    return rpc(call.node.ask([("eth_gasPrice", ())])[0])


def execute(method: str) -> Any:
    """`eth_call` and `eth_estimateGas`, of the ledger and its token only: other contracts' code runs at other nodes."""

    def ask(call: NodeCall) -> Body:
        asked, status = call.asked, call.status
        to = asked.address("to")
        if to not in (status.ledger, status.token):
            raise RpcError(f"Only the ledger {status.ledger} and its token {status.token} can be called here")
        given: dict[str, str] = {"to": to, "data": to_hex(_data(asked.find("data") or "0x", "data", _LONGEST_CALL))}
        if asked.find("from") is not None:
            given["from"] = asked.address("from")
        if asked.find("value") is not None:
            given["value"] = quantity(int.from_bytes(_value(asked), "big"))
        return rpc(call.node.ask([(method, (given, tag_of(asked)))])[0])

    return ask


def refuse_to_send(call: Call) -> Body:
    """Nothing that changes the chain goes through here."""
    raise RpcError(
        f"This API only reads: send the transaction to a node of chain {call.status.chain_id}", METHOD_NOT_SUPPORTED
    )


def _value(asked: Asked) -> bytes:
    text = asked.get("value")
    return _data(text if len(text) % 2 == 0 else "0x0" + text[2:], "value", 32)


def _data(text: str, name: str, most: int) -> bytes:
    try:
        data = from_hex(text)
    except BadHex as error:
        raise NotOk(f"{name} is not 0x hex") from error
    if len(data) > most:
        raise NotOk(f"{name} has {len(data)} bytes, at most {most} are taken")
    return data


def _transaction(row: WholeTransaction) -> dict[str, Any]:
    fields = dict(row.fields)
    if fields["type"] == 0:
        # EIP-155 hides the chain's id in the signature.
        if fields["v"] >= 35:
            fields["chainId"] = (fields["v"] - 35) // 2
    else:
        fields["v"] = fields["yParity"]
    return {
        "blockHash": to_hex(row.block_hash),
        "blockNumber": quantity(row.block_number),
        "from": lower(row.sender),
        "hash": to_hex(row.hash),
        "transactionIndex": quantity(row.tx_index),
        **json_rpc(fields),
        "gasPrice": quantity(row.gas_price_wei),
    }


def _receipt(row: WholeTransaction) -> dict[str, Any]:
    return {
        "blockHash": to_hex(row.block_hash),
        "blockNumber": quantity(row.block_number),
        "contractAddress": None if row.creates is None else lower(row.creates),
        "cumulativeGasUsed": quantity(row.cumulative_gas),
        "effectiveGasPrice": quantity(row.gas_price_wei),
        "from": lower(row.sender),
        "gasUsed": quantity(row.gas_used),
        "logs": [_log(row, log) for log in row.logs],
        "logsBloom": to_hex(row.logs_bloom),
        "status": quantity(int(row.succeeded)),
        "to": None if row.to is None else lower(row.to),
        "transactionHash": to_hex(row.hash),
        "transactionIndex": quantity(row.tx_index),
        "type": quantity(row.fields["type"]),
    }


def _log(row: WholeTransaction, log: ReceiptLogRow) -> dict[str, Any]:
    return {
        "address": lower(log.address),
        "topics": [to_hex(topic) for topic in log.topics],
        "data": to_hex(log.data),
        "blockHash": to_hex(row.block_hash),
        "blockNumber": quantity(row.block_number),
        "transactionHash": to_hex(row.hash),
        "transactionIndex": quantity(row.tx_index),
        "logIndex": quantity(log.log_index),
        "removed": False,
    }
