"""The Verify panel: what this page claims, whether it held when it was checked, and how to check it without us."""

from collections.abc import Sequence
from dataclasses import dataclass

from explorer.spelling import short
from explorer.standing import standing
from indexer.queries import LeaseRow, MirrorStatus, PaymentRow
from protocol.units import format_dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One claim of a page."""

    name: str
    #: None: could not be checked now
    holds: bool | None
    says: str
    #: a command, or a sentence, for the reader
    yourself: str
    is_command: bool = True


def money_check(lease: LeaseRow, payments: Sequence[PaymentRow], now: int) -> Check:
    """locked = paid + refunded + remaining, and the payments add up to what is paid."""
    now_standing = standing(lease, now)
    total = sum(row.amount_base for row in payments)
    remaining = now_standing.remaining_base
    holds = remaining >= 0 and total == lease.paid_base and not (now_standing.is_closed and remaining)
    return Check(
        name="Locked = paid + refunded + remaining",
        holds=holds,
        says=f"{format_dollars(lease.locked_base)} = {format_dollars(lease.paid_base)} + "
        f"{format_dollars(lease.refunded_base)} + {format_dollars(remaining)}; "
        f"{_count(len(payments))} {format_dollars(total)}",
        yourself="Add up the payments table, and compare it with “paid” in the terms.",
        is_command=False,
    )


def head_check(status: MirrorStatus, newest_block: int) -> Check:
    """The mirror holds every ledger event up to a block, by storage proof of the ledger's head."""
    proved = status.proved_number
    if proved is None:
        says = "no block was proved yet"
    elif proved >= newest_block:
        says = f"proved at block {proved}: {status.head.count} events, none missing, none invented"
    else:
        says = f"proved up to block {proved}; this lease's newest event is in block {newest_block}"
    return Check(
        name="Mirror’s head = contract’s head",
        holds=None if proved is None or proved < newest_block else True,
        says=says,
        yourself="gridlease indexer verify",
    )


def proof_checks(holds: bool | None, says: str, block_hash: str, ledger: str) -> list[Check]:
    """The two steps of a payment's proof: log in the receipts trie, receipts root in the header."""
    command = f"gridlease verify proof.json --block-hash {block_hash} --ledger {ledger}"
    return [
        Check(name="Payment is in the block’s receipts trie", holds=holds, says=says, yourself=command),
        Check(
            name="Receipts root is in the block’s header",
            holds=holds,
            says=f"the header hashes to {short(block_hash)}, the mirror’s block" if holds else says,
            yourself=f"cast block {block_hash} --rpc-url URL   # any node of this chain",
        ),
    ]


def _count(payments: int) -> str:
    return "1 payment is" if payments == 1 else f"{payments} payments add up to"
