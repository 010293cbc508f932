"""A light block → what it means to us; `indexer.backfill.decode` does so of many at once. Pure."""

from indexer.backfill.light import LightBlock
from indexer.decoder import BlockFacts, LogFact
from indexer.facts import TransactionFact
from protocol.proofs import parse_header


def derive_light(block: LightBlock) -> BlockFacts:
    """The facts of a block whose transactions are known only by the hashes beside the logs."""
    header = parse_header(block.header_rlp)
    hashes = {log[0]: log[1] for log in block.logs}
    transactions = [
        TransactionFact(header.hash, tx_index, header.number, tx_hash, None, None, None, None, None, None)
        for tx_index, tx_hash in hashes.items()
    ]
    logs = [LogFact._make(log) for log in block.logs]
    return BlockFacts(header, block.header_rlp, block.method, False, None, transactions, logs)
