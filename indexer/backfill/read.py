"""A node's JSON of many blocks → light blocks, checked. Pure; what is done once a log is written for speed here."""

from typing import Final

import msgspec
from msgspec import Raw

from indexer.backfill.light import LightBlock, LightLog
from indexer.blooms import Blooms
from indexer.encoding import UnknownType, log_rlp, receipt_frame, receipt_rlp
from indexer.errors import BadBlock
from indexer.headers import SHAPE
from protocol.hashing import from_hex, keccak256, to_hex
from protocol.proofs import Header
from protocol.rpc import NO_JSON
from protocol.tries import ordered_root

_WORD: Final = 32
#: a word as a node spells it
_SPELT: Final = 66


class _Log(msgspec.Struct, rename="camel", gc=False):
    """Of an `eth_getLogs`."""

    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_index: str
    transaction_hash: str
    log_index: str


class _ReceiptLog(msgspec.Struct, gc=False):
    address: str
    topics: list[str]
    data: str


class _Receipt(msgspec.Struct, rename="camel", gc=False):
    """Of an `eth_getBlockReceipts`."""

    transaction_hash: str
    status: str
    cumulative_gas_used: str
    logs_bloom: str
    logs: list[_ReceiptLog]
    type: str = "0x0"
    deposit_nonce: str | None = None
    deposit_receipt_version: str | None = None


_LOGS: Final = msgspec.json.Decoder(list[_Log])
_RECEIPTS: Final = msgspec.json.Decoder(list[_Receipt])


def of_logs(headers: list[tuple[Header, bytes]], answer: Raw | bytes, blooms: Blooms) -> list[LightBlock]:
    """Blocks with the logs of an `eth_getLogs` over them; only a proof of the ledger head says that these are all.

    Raises `BadBlock`.
    """
    first, ours = headers[0][0].number, to_hex(blooms.ledger)
    hashes = [to_hex(header.hash) for header, _ in headers]
    logs: list[list[LightLog]] = [[] for _ in headers]
    # What the log before said is not read again: in a block, and in a transaction, it is the same.
    number, said_number, found = first - 1, "", logs[0]
    tx_index, tx_hash, said_index, said_hash = -1, b"", "", ""
    last = -1
    try:
        for log in _LOGS.decode(answer):
            if log.block_number != said_number:
                said_number = log.block_number
                before, number = number, int(said_number, 16)
                if not 0 <= number - first < len(hashes):
                    raise BadBlock(number, "logs", f"asked were blocks {first} to {first + len(hashes) - 1}")
                if number <= before:
                    raise BadBlock(number, "logs", "they are not in the chain's order")
                found = logs[number - first]
                tx_index, tx_hash, said_index, said_hash, last = -1, b"", "", "", -1
            if log.block_hash != hashes[number - first]:
                raise BadBlock(number, "logs", f"a log is of block {log.block_hash[:66]}")
            if log.address != ours and log.address.lower() != ours:
                raise BadBlock(number, "logs", f"a log is of {log.address[:42]}")
            place = int(log.log_index, 16)
            if not last < place < 1 << 32:
                raise BadBlock(number, "logs", "they are not in the chain's order")
            last = place
            if log.transaction_index != said_index or log.transaction_hash != said_hash:
                before, of_before = tx_index, tx_hash
                said_index, said_hash = log.transaction_index, log.transaction_hash
                tx_index, tx_hash = int(said_index, 16), from_hex(said_hash, _WORD)
                if not before < tx_index < 1 << 32 or tx_hash == of_before:
                    raise BadBlock(number, "logs", f"log {place} cannot be of transaction {tx_index}")
            topics, data = _joined(log.topics), bytes.fromhex(log.data[2:])
            found.append((tx_index, tx_hash, place, topics, data, keccak256(topics + data)))
    except (*SHAPE, *NO_JSON) as error:
        raise BadBlock(first, "logs", f"{type(error).__name__}: {error}") from error
    blocks = []
    for (header, encoded), found in zip(headers, logs, strict=True):
        may_hold = blooms.allow(header)
        if found and not may_hold:
            raise BadBlock(header.number, "logs", "its header says that it holds none of the ledger's")
        blocks.append(LightBlock(encoded, "head" if may_hold else "bloom", found))
    return blocks


def of_receipts(header: Header, encoded: bytes, answer: Raw | bytes, ledger: bytes) -> LightBlock:
    """A block with the ledger's logs of its receipts, which rebuild the header's root. Raises `BadBlock`."""
    receipts, logs = [], []
    count = 0
    try:
        for tx_index, receipt in enumerate(_RECEIPTS.decode(answer)):
            spelt = []
            for log in receipt.logs:
                address, topics = bytes.fromhex(log.address[2:]), _joined(log.topics)
                data = bytes.fromhex(log.data[2:])
                spelt.append(log_rlp(address, topics, data))
                if address == ledger:
                    tx_hash = from_hex(receipt.transaction_hash, _WORD)
                    logs.append((tx_index, tx_hash, count, topics, data, keccak256(topics + data)))
                count += 1
            frame = receipt_frame(
                receipt.type,
                receipt.status,
                receipt.cumulative_gas_used,
                receipt.logs_bloom,
                receipt.deposit_nonce,
                receipt.deposit_receipt_version,
            )
            receipts.append(receipt_rlp(frame, spelt))
    except UnknownType as error:
        raise BadBlock(header.number, "receipts", str(error)) from error
    except (*SHAPE, *NO_JSON) as error:
        raise BadBlock(header.number, "receipts", f"{type(error).__name__}: {error}") from error
    if ordered_root(receipts) != header.receipts_root:
        raise BadBlock(header.number, "receipts root", "the receipts are not those of the header")
    return LightBlock(encoded, "receipts", logs)


def _joined(topics: list[str]) -> bytes:
    """All topics; raises `ValueError` unless each is a word."""
    said = "".join(topics)
    joined = bytes.fromhex(said.replace("0x", ""))
    if len(said) != _SPELT * len(topics) or len(joined) != _WORD * len(topics):
        raise ValueError("a topic has not 32 bytes")
    return joined
