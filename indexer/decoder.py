"""A verified block → its rows of facts: transactions, logs, events. Pure; commit and verify both derive by it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from indexer.source import Contracts, VerifiedBlock
from indexer.transactions import Transaction, parse_transaction, recipient_of
from protocol.events import LedgerEvent, decode_log, event_hash
from protocol.proofs import TransactionReceipt, parse_receipt

#: column → value, as the tables take it
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFact:
    """A log of the ledger in its place."""

    block_hash: bytes
    block_number: int
    #: unix seconds
    block_time: int
    tx_index: int
    tx_hash: bytes
    #: position in its transaction receipt
    position: int
    #: position in the block, counted over its receipts
    log_index: int
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes

    def decode(self) -> LedgerEvent:
        """Raises `BadEvent`."""
        return decode_log(list(self.topics), self.data)

    def hash(self) -> bytes:
        """What enters the ledger head: keccak256(topics ‖ data)."""
        return event_hash(list(self.topics), self.data)

    def row(self) -> Row:
        return {
            "block_hash": self.block_hash,
            "log_index": self.log_index,
            "block_number": self.block_number,
            "tx_index": self.tx_index,
            "position": self.position,
            "address": self.address,
            "topics": b"".join(self.topics),
            "data": self.data,
        }


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What one block means to us."""

    transactions: tuple[Row, ...]
    logs: tuple[LogFact, ...]


def derive(block: VerifiedBlock, contracts: Contracts) -> BlockFacts:
    """The facts of a block; log indexes and gas are counted over all its receipts, so nothing is taken on trust."""
    transactions: list[Row] = []
    logs: list[LogFact] = []
    log_index = gas_before = 0
    for tx_index, (raw, encoded) in enumerate(zip(block.transactions, block.receipts, strict=True)):
        receipt = parse_receipt(encoded)
        ours = [(place, log) for place, log in enumerate(receipt.logs) if log.address == contracts.ledger]
        if ours or recipient_of(raw) in (contracts.ledger, contracts.token):
            transaction = parse_transaction(raw)
            transactions.append(_transaction_row(block, tx_index, transaction, receipt, gas_before))
            logs += [
                LogFact(
                    block_hash=block.header.hash,
                    block_number=block.header.number,
                    block_time=block.header.time,
                    tx_index=tx_index,
                    tx_hash=transaction.hash,
                    position=place,
                    log_index=log_index + place,
                    address=log.address,
                    topics=log.topics,
                    data=log.data,
                )
                for place, log in ours
            ]
        log_index += len(receipt.logs)
        gas_before = receipt.cumulative_gas
    return BlockFacts(tuple(transactions), tuple(logs))


def _transaction_row(
    block: VerifiedBlock, tx_index: int, transaction: Transaction, receipt: TransactionReceipt, gas_before: int
) -> Row:
    return {
        "block_hash": block.header.hash,
        "tx_index": tx_index,
        "block_number": block.header.number,
        "hash": transaction.hash,
        "sender": transaction.sender,
        "recipient": transaction.recipient,
        "nonce": transaction.nonce,
        "selector": transaction.selector,
        "succeeded": receipt.succeeded,
        "gas_used": receipt.cumulative_gas - gas_before,
    }
