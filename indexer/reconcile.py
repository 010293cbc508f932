"""What the mirror holds now against the contract's storage at one block, and its money against the token's.

The storage is proved, so no node is believed about it.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from sqlalchemy.engine import Connection

from indexer.expected import Expected, Row, raw_rows
from indexer.findings import Check, Finding, spell_both
from indexer.proofs import read_paths, slot_keys
from indexer.storage import KEPT, read_cell
from protocol.bundle.state import StateWalk, shared_nodes
from protocol.calls import decode_result, encode_call
from protocol.deployment import Deployment
from protocol.hashing import Address, from_hex, to_hex
from protocol.proofs import Header
from protocol.rpc import Rpc

#: slots that one proof is asked about, and calls that are sent together
_SLOTS: Final = 64
_CALLS: Final = 16
_Item = TypeVar("_Item")


def storage_findings(
    connection: Connection, rpc: Rpc, ledger: bytes, header: Header, expected: Expected
) -> list[Finding]:
    """Cells of current rows that are not what the contract's storage holds after the header's block.

    Raises `BadProof` when the node proves something else than it should, and what `Rpc` raises.
    """
    kept = [(one, row) for one in KEPT for row in _current(connection, one.table) if _has_key(row)]
    slots = list(dict.fromkeys([slot for one, row in kept for slot in one.slots(row)]))
    words = _proved_words(rpc, ledger, header, slots)
    findings = []
    for one, row in kept:
        of_row = [words[slot] for slot in one.slots(row)]
        for column, place in one.columns.items():
            value = read_cell(of_row, place)
            if not _equal(row[column], value):
                findings.append(expected.about(one.table, column, *spell_both(value, row[column]), row))
    return findings


def _has_key(row: Row) -> bool:
    """A key that is none was found already, and is of no slot."""
    return all(isinstance(row[name], bytes) for name in ("account", "buyer", "key", "lease") if name in row)


def _proved_words(rpc: Rpc, ledger: bytes, header: Header, slots: list[int]) -> dict[int, int]:
    words: dict[int, int] = {}
    for some in _parts(list(_parts(slots, _SLOTS)), _CALLS):
        asked = [("eth_getProof", (to_hex(ledger), slot_keys(*part), to_hex(header.hash))) for part in some]
        for part, answer in zip(some, rpc.batch(asked), strict=True):
            account, paths = read_paths(answer, len(part))
            walk = StateWalk(header, ledger, shared_nodes(account, paths))
            words |= {slot: walk.word(slot) for slot in part}
            walk.finish()
    return words


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


def _parts(items: list[_Item], size: int) -> Iterator[list[_Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _request(to: Address, contract: str, name: str, *arguments: Any) -> dict[str, str]:
    return {"to": to, "data": to_hex(encode_call(contract, name, *arguments))}


def _at(block_hash: bytes) -> dict[str, str]:
    return {"blockHash": to_hex(block_hash)}


def _equal(stored: Any, value: Any) -> bool:
    if isinstance(stored, str):
        return stored.isdigit() and int(stored) == value
    return bool(stored == value)
