"""Light blocks: a header, and the ledger's logs, with no other transactions and receipts. Pure."""

from typing import NamedTuple, TypeAlias

from indexer.facts import Method

#: the fields of a `decoder.LogFact`, plain: tx_index, tx_hash, log_index, topics joined, data, event hash
LightLog: TypeAlias = tuple[int, bytes, int, bytes, bytes, bytes]


class LightBlock(NamedTuple):
    """A header that was checked, and the ledger's logs in its block, checked by `method`."""

    header_rlp: bytes
    method: Method
    logs: list[LightLog]
