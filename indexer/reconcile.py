"""What the mirror holds now against the contract's own views at one block, and its money against the token's."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy.engine import Connection

from indexer.expected import Expected, Row, raw_rows
from indexer.findings import Check, Finding, spell_both
from protocol.calls import decode_result, encode_call
from protocol.deployment import Deployment
from protocol.hashing import Address, from_hex, to_hex
from protocol.rpc import Rpc

_BATCH = 200
#: table, view, the table's columns that are its arguments, and what it returns as our columns, None where we keep none
_VIEWS: tuple[tuple[str, str, tuple[str, ...], tuple[str | None, ...]], ...] = (
    ("account_versions", "account", ("account",), ("free_base", "bonded_base", "open_leases", "epoch", "guarded")),
    ("account_versions", "beneficiary", ("account",), ("beneficiary",)),
    ("delegate_versions", "delegate", ("buyer", "key"), ("remaining_base", "until_time")),
    (
        "lease_versions",
        "lease",
        ("lease",),
        (None, None, "paid_base", None, "deadline_time", None, None, "state", "reason", "done", "early", "responded"),
    ),
    (
        "leases",
        "lease",
        ("lease",),
        ("provider", "locked_base", None, "voucher_signer", None, "rate", "zone", None, None, None, None, None),
    ),
    ("claim_versions", "claimOf", ("lease",), ("result", "start", "work", "target_base", "reveal_time", "last")),
    ("disputes", "disputeOf", ("lease",), ("challenger", "bond_base", "receipt")),
)


def contract_findings(
    connection: Connection, rpc: Rpc, deployment: Deployment, block_hash: bytes, expected: Expected
) -> list[Finding]:
    """Cells of current rows that are not what the contract says at the block."""
    findings = []
    for table, view, keys, columns in _VIEWS:
        rows = _current(connection, table)
        answers = _ask(rpc, deployment.ledger, view, [[row[key] for key in keys] for row in rows], block_hash)
        for row, answer in zip(rows, answers, strict=True):
            for column, value in zip(columns, answer, strict=True):
                if column is not None and not _equal(row[column], value):
                    findings.append(expected.about(table, column, *spell_both(value, row[column]), row))
    return findings


def balance_check(connection: Connection, rpc: Rpc, deployment: Deployment, block_hash: bytes) -> Check:
    """Σ free + bonded + what open leases hold = the token balance of the contract, but for gifts without a deposit."""
    name = "money owed ≤ the ledger's token balance"
    call = ("eth_call", (_request(deployment.token, "TestDollar", "balanceOf", deployment.ledger), _at(block_hash)))
    (balance,) = decode_result("TestDollar", "balanceOf", from_hex(rpc.batch([call])[0]))
    rows = _current(connection, "account_versions")
    try:
        owed = sum(int(row[column]) for row in rows for column in ("free_base", "locked_base", "bonded_base"))
    except (TypeError, ValueError) as error:
        return Check(name=name, holds=False, says=f"a balance is not a number: {error}")
    return Check(name=name, holds=owed <= balance, says=f"owed {owed}, held {balance} base units")


def _current(connection: Connection, table: str) -> list[Row]:
    return [row for row in raw_rows(connection, table) if row.get("valid_to") is None]


def _ask(rpc: Rpc, ledger: Address, view: str, keys: list[list[Any]], block_hash: bytes) -> Iterator[tuple[Any, ...]]:
    calls = [("eth_call", (_request(ledger, "ComputeLedger", view, *_arguments(key)), _at(block_hash))) for key in keys]
    for batch in _batches(calls):
        for answer in rpc.batch(batch):
            (value,) = decode_result("ComputeLedger", view, from_hex(answer))
            yield value if isinstance(value, tuple) else (value,)


def _batches(calls: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(calls), _BATCH):
        yield calls[start : start + _BATCH]


def _arguments(key: list[Any]) -> list[Any]:
    """Addresses are 20 bytes in the mirror, text for the ABI."""
    return [to_hex(part) if isinstance(part, bytes) and len(part) == 20 else part for part in key]


def _request(to: Address, contract: str, name: str, *arguments: Any) -> dict[str, str]:
    return {"to": to, "data": to_hex(encode_call(contract, name, *arguments))}


def _at(block_hash: bytes) -> dict[str, str]:
    return {"blockHash": to_hex(block_hash)}


def _equal(stored: Any, value: Any) -> bool:
    if isinstance(value, str):
        return bool(stored == from_hex(value, 20))
    if isinstance(stored, str):
        return stored.isdigit() and int(stored) == value
    return bool(stored == value)
