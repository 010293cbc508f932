"""Where the ledger's contract keeps what rows of the mirror say: storage slots and bits. Pure.

Source: SPEC "Proofs"; ComputeLedger's storage layout (`forge inspect ComputeLedger storageLayout`), LedgerTypes.sol.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from protocol.bundle.lease import (
    CLAIM_LAYOUT,
    CLAIMS_SLOT,
    DISPUTE_LAYOUT,
    DISPUTES_SLOT,
    LEASE_LAYOUT,
    LEASES_SLOT,
    word_bits,
)
from protocol.bundle.state import mapping_slot

ACCOUNTS_SLOT: Final = 1
BENEFICIARIES_SLOT: Final = 2
DELEGATES_SLOT: Final = 3

Row = dict[str, Any]
#: word, first bit, bits
Place = tuple[int, int, int]


class Kept(NamedTuple):
    """How rows of one table are kept, or some of their columns."""

    table: str
    #: where the first word of a row is
    slot: Callable[[Row], int]
    words: int
    columns: dict[str, Place]

    def slots(self, row: Row) -> list[int]:
        first = self.slot(row)
        return [first + word for word in range(self.words)]


def _of_account(mapping: int) -> Callable[[Row], int]:
    return lambda row: mapping_slot(mapping, _word(row["account"]))


def _of_lease(mapping: int) -> Callable[[Row], int]:
    return lambda row: mapping_slot(mapping, _word(row["lease"]))


def _of_delegate(row: Row) -> int:
    return mapping_slot(mapping_slot(DELEGATES_SLOT, _word(row["buyer"])), _word(row["key"]))


def _word(key: bytes) -> bytes:
    return key.rjust(32, b"\0")


def _named(layout: dict[str, Place], **columns: str) -> dict[str, Place]:
    return {column: layout[field] for column, field in columns.items()}


KEPT: Final = (
    Kept(
        "account_versions",
        _of_account(ACCOUNTS_SLOT),
        1,
        {
            "free_base": (0, 0, 64),
            "bonded_base": (0, 64, 64),
            "open_leases": (0, 128, 32),
            "epoch": (0, 160, 64),
            "guarded": (0, 224, 1),
        },
    ),
    Kept("account_versions", _of_account(BENEFICIARIES_SLOT), 1, {"beneficiary": (0, 0, 160)}),
    Kept("delegate_versions", _of_delegate, 1, {"remaining_base": (0, 0, 64), "until_time": (0, 64, 40)}),
    Kept(
        "lease_versions",
        _of_lease(LEASES_SLOT),
        2,
        _named(
            LEASE_LAYOUT,
            paid_base="paid",
            deadline_time="deadline",
            state="state",
            reason="reason",
            done="done",
            early="early",
            responded="responded",
        ),
    ),
    Kept(
        "leases",
        _of_lease(LEASES_SLOT),
        2,
        _named(
            LEASE_LAYOUT,
            provider="provider",
            locked_base="locked",
            voucher_signer="voucherSigner",
            rate="rate",
            zone="zone",
        ),
    ),
    Kept(
        "claim_versions",
        _of_lease(CLAIMS_SLOT),
        3,
        _named(
            CLAIM_LAYOUT,
            result="result",
            start="start",
            work="work",
            target_base="target",
            reveal_time="revealFrom",
            last="last",
        ),
    ),
    Kept(
        "disputes",
        _of_lease(DISPUTES_SLOT),
        2,
        _named(DISPUTE_LAYOUT, challenger="challenger", bond_base="bond", receipt="receipt"),
    ),
)


def read_cell(words: list[int], place: Place) -> Any:
    """A cell as the mirror holds it: hashes and addresses as bytes, flags as such."""
    word, first, bits = place
    value = word_bits(words[word], first, bits)
    if bits in (160, 256):
        return value.to_bytes(bits // 8, "big")
    return bool(value) if bits == 1 else value
