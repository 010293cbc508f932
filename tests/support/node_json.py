"""Blocks as a node spells them in JSON."""

from typing import Any

from indexer.source import VerifiedBlock
from protocol.hashing import keccak256, to_hex
from protocol.proofs import parse_receipt
from protocol.rlp import decode_list, to_bytes, to_integer

Json = dict[str, Any]

_HEADER = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty"),
    *("number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce"),
)
_NUMBERS = {"difficulty", "number", "gasLimit", "gasUsed", "timestamp"}


def block_json(block: VerifiedBlock) -> Json:
    """As `eth_getBlockByNumber` without transactions."""
    fields = zip(_HEADER, decode_list(block.header_rlp), strict=True)
    spelt = {name: hex(to_integer(item)) if name in _NUMBERS else to_hex(to_bytes(item)) for name, item in fields}
    return spelt | {"hash": to_hex(block.header.hash)}


def logs_json(block: VerifiedBlock) -> list[Json]:
    """As `eth_getLogs` of all of them."""
    return [log for receipt in receipts_json(block) for log in receipt["logs"]]


def receipts_json(block: VerifiedBlock) -> list[Json]:
    """As `eth_getBlockReceipts`."""
    receipts: list[Json] = []
    log_index = 0
    for tx_index, (raw, encoded) in enumerate(zip(block.transactions, block.receipts, strict=True)):
        receipt = parse_receipt(encoded)
        place = {
            "blockNumber": hex(block.header.number),
            "blockHash": to_hex(block.header.hash),
            "transactionIndex": hex(tx_index),
            "transactionHash": to_hex(keccak256(raw)),
        }
        logs = [
            place
            | {
                "logIndex": hex(log_index + at),
                "address": to_hex(log.address),
                "topics": [to_hex(topic) for topic in log.topics],
                "data": to_hex(log.data),
            }
            for at, log in enumerate(receipt.logs)
        ]
        log_index += len(logs)
        kind = encoded[0] if encoded[0] < 0x80 else 0
        bloom = to_bytes(decode_list(encoded[1:] if kind else encoded)[2], 256)
        receipts.append(
            place
            | {
                "type": hex(kind),
                "status": hex(receipt.succeeded),
                "cumulativeGasUsed": hex(receipt.cumulative_gas),
                "logsBloom": to_hex(bloom),
                "logs": logs,
            }
        )
    return receipts
