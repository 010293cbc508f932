"""Light blocks → what they mean to us, in the shape that whole blocks are derived to. Pure."""

from indexer.backfill.spans import LightBlock
from indexer.decoder import BlockFacts, LogFact
from indexer.facts import TransactionFact
from protocol.proofs import parse_header


def derive_light(block: LightBlock) -> BlockFacts:
    """The facts of a block whose transactions are known only by the hashes beside the logs."""
    header = parse_header(block.header_rlp)
    logs = [LogFact._make(log) for log in block.logs]
    hashes = {log.tx_index: log.tx_hash for log in logs}
    transactions = [
        TransactionFact(header.hash, tx_index, header.number, tx_hash, None, None, None, None, None, None)
        for tx_index, tx_hash in hashes.items()
    ]
    return BlockFacts(header, block.header_rlp, block.method, False, None, transactions, logs)
