"""Light blocks: a header, and the ledger's logs, with no other transactions and receipts. Pure."""

from typing import NamedTuple, TypeAlias

from indexer.decoder import BlockFacts, LogFact
from indexer.facts import Method, TransactionFact
from protocol.proofs import parse_header

#: the fields of a `decoder.LogFact`, plain: tx_index, tx_hash, log_index, topics joined, data, event hash
LightLog: TypeAlias = tuple[int, bytes, int, bytes, bytes, bytes]


class LightBlock(NamedTuple):
    """A header that was checked, and the ledger's logs in its block, checked by `method`."""

    header_rlp: bytes
    method: Method
    logs: list[LightLog]


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
