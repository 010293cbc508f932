"""Whole transactions, out of the bodies that the mirror keeps: every byte is bound by the block's hash. Pure.

The tables hold what the ledger needs of a transaction; what a wallet asks beside it (value, prices, calldata, the logs
of other contracts) is read from here when somebody asks.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from indexer.decoding import Fields, header_fields, transaction_fields
from indexer.rows import ReceiptLogRow, WholeTransaction
from indexer.transactions import parse_transaction
from protocol.hashing import Address, checksum_address, keccak256
from protocol.proofs import TransactionReceipt, parse_receipt
from protocol.rlp import decode_list, encode, integer, to_bytes

#: types whose price is settled by the block's base fee
_MARKET_PRICED: Final = (2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class StoredBody:
    """A block of the mirror with all its transactions and receipts, as the chain encodes them."""

    number: int
    hash: bytes
    #: unix seconds
    time: int
    header_rlp: bytes
    transactions: tuple[bytes, ...]
    receipts: tuple[bytes, ...]

    @cached_property
    def header(self) -> Fields:
        return header_fields(self.header_rlp)

    @property
    def is_whole(self) -> bool:
        """Whether there is a receipt for each transaction, and any at all."""
        return len(self.transactions) == len(self.receipts) > 0

    @cached_property
    def _outcomes(self) -> list[TransactionReceipt]:
        return [parse_receipt(raw) for raw in self.receipts]

    def size(self, tx_index: int) -> int:
        """Bytes of a transaction with its receipt."""
        return len(self.transactions[tx_index]) + len(self.receipts[tx_index])

    def transaction(self, tx_index: int) -> WholeTransaction:
        """The one at a position; raises `IndexError`."""
        raw, outcome = self.transactions[tx_index], self._outcomes[tx_index]
        before = self._outcomes[tx_index - 1].cumulative_gas if tx_index else 0
        facts, fields = parse_transaction(raw), transaction_fields(raw)
        first_log = sum([len(earlier.logs) for earlier in self._outcomes[:tx_index]])
        return WholeTransaction(
            hash=facts.hash,
            block_number=self.number,
            block_hash=self.hash,
            block_time=self.time,
            tx_index=tx_index,
            sender=checksum_address(facts.sender),
            to=None if facts.recipient is None else checksum_address(facts.recipient),
            creates=None if facts.recipient is not None or facts.nonce is None else _created(facts.sender, facts.nonce),
            fields=fields,
            gas_price_wei=self._price(fields),
            succeeded=outcome.succeeded,
            gas_used=outcome.cumulative_gas - before,
            cumulative_gas=outcome.cumulative_gas,
            logs=tuple(
                [
                    ReceiptLogRow(checksum_address(log.address), log.topics, log.data, first_log + place)
                    for place, log in enumerate(outcome.logs)
                ]
            ),
            logs_bloom=_bloom(self.receipts[tx_index], outcome.type),
        )

    def _price(self, fields: Fields) -> int:
        """Wei that were paid for a unit of gas."""
        if fields["type"] not in _MARKET_PRICED:
            return int(fields["gasPrice"])
        base = self.header.get("baseFeePerGas", 0)
        return int(min(fields["maxFeePerGas"], base + fields["maxPriorityFeePerGas"]))


def _created(sender: bytes, nonce: int) -> Address:
    """Where a transaction without a recipient puts its contract."""
    return checksum_address(keccak256(encode([sender, integer(nonce)]))[12:])


def _bloom(receipt: bytes, kind: int) -> bytes:
    return to_bytes(decode_list(receipt[1:] if kind else receipt)[2], 256)
