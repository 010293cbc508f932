"""A node's JSON of many blocks → light blocks, checked. Pure; what is done once a log is written for speed here."""

from typing import Any, Final

from indexer.backfill.spans import LightBlock, LightLog
from indexer.encoding import UnknownType, log_rlp, receipt_frame
from indexer.errors import BadBlock
from indexer.headers import SHAPE
from protocol.hashing import from_hex, keccak256, to_hex
from protocol.proofs import Header, bloom_may_hold
from protocol.rlp import encode_list
from protocol.tries import ordered_root

Json = dict[str, Any]

_WORD: Final = 32


def of_logs(headers: list[tuple[Header, bytes]], answer: Any, ledger: bytes) -> list[LightBlock]:
    """Blocks with the logs of an `eth_getLogs` over them; only a proof of the ledger head says that these are all.

    Raises `BadBlock`.
    """
    first, ours = headers[0][0].number, to_hex(ledger)
    hashes = [to_hex(header.hash) for header, _ in headers]
    logs: list[list[LightLog]] = [[] for _ in headers]
    last, of_last = -1, (-1, -1, b"")
    try:
        for log in answer:
            number, place = int(log["blockNumber"], 16), int(log["logIndex"], 16)
            at = number - first
            if not 0 <= at < len(hashes):
                raise BadBlock(number, "logs", f"asked were blocks {first} to {first + len(hashes) - 1}")
            if log["blockHash"] != hashes[at]:
                raise BadBlock(number, "logs", f"a log is of block {str(log['blockHash'])[:66]}")
            if log["address"].lower() != ours:
                raise BadBlock(number, "logs", f"a log is of {str(log['address'])[:42]}")
            order = number << 32 | place
            if order <= last or place >> 32:
                raise BadBlock(number, "logs", "they are not in the chain's order")
            last = order
            topics, data = _joined(log["topics"]), bytes.fromhex(log["data"][2:])
            tx_hash = bytes.fromhex(log["transactionHash"][2:])
            if len(tx_hash) != _WORD:
                raise BadBlock(number, "logs", "a transaction hash has not 32 bytes")
            tx_index = int(log["transactionIndex"], 16)
            before_number, before_index, before_hash = of_last
            if not 0 <= tx_index < 1 << 32 or (
                number == before_number
                and (tx_index < before_index or (tx_index == before_index) != (tx_hash == before_hash))
            ):
                raise BadBlock(number, "logs", f"log {place} cannot be of transaction {tx_index}")
            of_last = (number, tx_index, tx_hash)
            logs[at].append((tx_index, tx_hash, place, topics, data, keccak256(topics + data)))
    except SHAPE as error:
        raise BadBlock(first, "logs", f"{type(error).__name__}: {error}") from error
    blocks = []
    for (header, encoded), found in zip(headers, logs, strict=True):
        may_hold = bloom_may_hold(header.logs_bloom, ledger)
        if found and not may_hold:
            raise BadBlock(header.number, "logs", "its bloom says that it holds none of the ledger's")
        blocks.append(LightBlock(encoded, "head" if may_hold else "bloom", found))
    return blocks


def of_receipts(header: Header, encoded: bytes, answer: Any, ledger: bytes) -> LightBlock:
    """A block with the ledger's logs of its receipts, which rebuild the header's root. Raises `BadBlock`."""
    receipts, logs = [], []
    count = 0
    try:
        for tx_index, receipt in enumerate(answer):
            kind, before, after = receipt_frame(receipt)
            spelt = []
            for log in receipt["logs"]:
                address, topics = bytes.fromhex(log["address"][2:]), _joined(log["topics"])
                data = bytes.fromhex(log["data"][2:])
                spelt.append(log_rlp(address, topics, data))
                if address == ledger:
                    tx_hash = from_hex(receipt["transactionHash"], _WORD)
                    logs.append((tx_index, tx_hash, count, topics, data, keccak256(topics + data)))
                count += 1
            receipts.append(kind + encode_list([before, encode_list(spelt), after]))
    except UnknownType as error:
        raise BadBlock(header.number, "receipts", str(error)) from error
    except SHAPE as error:
        raise BadBlock(header.number, "receipts", f"{type(error).__name__}: {error}") from error
    if ordered_root(receipts) != header.receipts_root:
        raise BadBlock(header.number, "receipts root", "the receipts are not those of the header")
    return LightBlock(encoded, "receipts", logs)


def _joined(topics: list[str]) -> bytes:
    """All topics; raises `ValueError` unless each is a word."""
    joined = bytes.fromhex("".join([topic[2:] for topic in topics]))
    if len(joined) != _WORD * len(topics):
        raise ValueError("a topic has not 32 bytes")
    return joined
