"""A verified block → what it means to us: transactions and the ledger's logs. Pure; commit and verify derive by it."""

from typing import NamedTuple

from indexer.bodies import pack
from indexer.facts import BodyFact, Method, TransactionFact
from indexer.source import Contracts, VerifiedBlock
from indexer.transactions import Transaction, parse_transaction, recipient_of
from protocol.hashing import keccak256
from protocol.proofs import Header, TransactionReceipt


class LogFact(NamedTuple):
    """A log of the ledger in its place in a block."""

    tx_index: int
    tx_hash: bytes
    #: position in the block, counted over its receipts
    log_index: int
    #: joined
    topics: bytes
    data: bytes
    #: what enters the ledger head: keccak256(topics ‖ data)
    event_hash: bytes


class BlockFacts(NamedTuple):
    """What one block means to us."""

    header: Header
    header_rlp: bytes
    method: Method
    #: its transactions were checked too
    whole: bool
    body: BodyFact | None
    transactions: list[TransactionFact]
    logs: list[LogFact]


def derive(block: VerifiedBlock, contracts: Contracts) -> BlockFacts:
    """The facts of a block; log indexes and gas are counted over all its receipts, so nothing is taken on trust."""
    header = block.header
    body = BodyFact(header.hash, pack(block.transactions), pack(block.receipts)) if block.touches else None
    facts = BlockFacts(header, block.header_rlp, "receipts" if block.touches else "bloom", True, body, [], [])
    log_index = gas_before = 0
    for tx_index, (raw, receipt) in enumerate(zip(block.transactions, block.outcomes, strict=True)):
        ours = [(place, log) for place, log in enumerate(receipt.logs) if log.address == contracts.ledger]
        if ours or recipient_of(raw) in (contracts.ledger, contracts.token):
            transaction = parse_transaction(raw)
            facts.transactions.append(_transaction_fact(block, tx_index, transaction, receipt, gas_before))
            for place, log in ours:
                topics = b"".join(log.topics)
                facts.logs.append(
                    LogFact(
                        tx_index,
                        transaction.hash,
                        log_index + place,
                        topics,
                        log.data,
                        keccak256(topics + log.data),
                    )
                )
        log_index += len(receipt.logs)
        gas_before = receipt.cumulative_gas
    return facts


def _transaction_fact(
    block: VerifiedBlock, tx_index: int, transaction: Transaction, receipt: TransactionReceipt, gas_before: int
) -> TransactionFact:
    return TransactionFact(
        block_hash=block.header.hash,
        tx_index=tx_index,
        block_number=block.header.number,
        hash=transaction.hash,
        sender=transaction.sender,
        recipient=transaction.recipient,
        nonce=transaction.nonce,
        selector=transaction.selector,
        succeeded=receipt.succeeded,
        gas_used=receipt.cumulative_gas - gas_before,
    )
