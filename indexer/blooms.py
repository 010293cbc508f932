"""What a header rules out: whether a block can hold logs of the ledger. Pure."""

from typing import Final, NamedTuple

from protocol.proofs import Header, bloom_may_hold
from protocol.tries import ordered_root

NO_RECEIPTS: Final = ordered_root([])


class Blooms(NamedTuple):
    """The header blooms of a chain, asked about one ledger."""

    #: 20 bytes
    ledger: bytes
    #: they have every log's address, as Ethereum's rules want it; else none of them rules anything out
    complete: bool = True

    def allow(self, header: Header) -> bool:
        """False proves that the block holds no log of the ledger: it has no receipts, or no such bit in its bloom."""
        return self.allow_said(header.receipts_root, header.logs_bloom)

    def allow_said(self, receipts_root: bytes, logs_bloom: bytes) -> bool:
        """As `allow`, of a header that was only said."""
        return receipts_root != NO_RECEIPTS and (not self.complete or bloom_may_hold(logs_bloom, self.ledger))
