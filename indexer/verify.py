"""Does the mirror equal the chain? Everything is derived anew and compared, and the first event that differs is named.

Four things are independent: the rows against what the stored block bodies derive to, the bodies against the header
chain that ends in the node's own block hash, the ledger head of the stored logs against a storage proof, and balances,
leases and the like against proofs of the contract's storage.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from indexer.audit import prove_head, spell_head
from indexer.commit import CursorRow, read_cursor
from indexer.expected import Expected, expect
from indexer.findings import Check, Finding
from indexer.reconcile import balance_check, storage_findings
from indexer.source import Contracts, Source
from indexer.store import open_reader
from protocol.deployment import Deployment
from protocol.errors import BadProof, MirrorError
from protocol.events import SKIPPED_TOPIC, LedgerHead, event_hash
from protocol.hashing import to_hex
from protocol.proofs import parse_header
from protocol.rpc import Rpc

_REORG_SECONDS: Final = 3.0
#: how often a proof is asked for that does not hold, and how long after
_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.3
_Proved = TypeVar("_Proved")


class NotFollowed(MirrorError):
    """There is nothing to verify yet."""

    code = "not_followed"

    def __init__(self) -> None:
        super().__init__("the mirror holds no block yet; start `gridlease indexer run` and wait for the first")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a verification found, at one block."""

    block_number: int
    block_hash: bytes
    #: Skipped ones included, which the ledger's own count leaves out
    events: int
    checks: tuple[Check, ...]
    #: the difference at the earliest event
    first: Finding | None
    #: the stored logs replay to the head that a storage proof shows
    head_proved: bool

    @property
    def holds(self) -> bool:
        """The mirror equals the chain."""
        return all(check.holds for check in self.checks)


def verify_mirror(mirror_url: str, rpc: Rpc, deployment: Deployment) -> Report:
    """Verifies one snapshot of the mirror at its cursor, while the indexer may go on.

    Raises `MirrorMissing`, `NotFollowed`, and what `Rpc` raises.
    """
    source = Source(rpc, Contracts.of(deployment), finality_blocks=1)
    engine = open_reader(mirror_url, damaged=True)
    try:
        _await_shared_block(engine, source)
        with engine.connect() as connection:
            return _verify(connection, source, deployment)
    finally:
        engine.dispose()


def _await_shared_block(engine: Engine, source: Source) -> None:
    """Gives an indexer that runs the time to undo a reorg: a mirror that is a moment behind is not wrong."""
    deadline = time.monotonic() + _REORG_SECONDS
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            cursor = read_cursor(connection)
        if cursor.number is None or source.hash_at(cursor.number) == cursor.hash:
            return
        time.sleep(_REORG_SECONDS / 20)


def _verify(connection: Connection, source: Source, deployment: Deployment) -> Report:
    cursor = read_cursor(connection)
    if cursor.number is None or cursor.hash is None:
        raise NotFollowed
    contracts = Contracts.of(deployment)
    expected = expect(connection, source, contracts, deployment.deploy_block, cursor.number)
    findings = expected.compare(connection)
    rows_check = _rows_check(
        "rows = what the blocks derive to", findings, f"{expected.rows} rows derived again and compared"
    )
    node_hash = source.hash_at(cursor.number)
    if node_hash != cursor.hash:
        # At a block that the node does not have, it can be asked nothing more.
        return _report(cursor, expected, (_elsewhere(cursor, node_hash), rows_check), findings)
    head_check = _head_check(connection, source.rpc, contracts, expected.header_rlp(cursor.number))
    storage, storage_check = _storage_check(connection, source.rpc, contracts, expected, cursor.number)
    says = f"{expected.blocks} blocks hash and link up to {to_hex(cursor.hash)}"
    checks = (
        _rows_check("headers = the node's chain", expected.findings, says),
        rows_check,
        head_check,
        storage_check,
        balance_check(connection, source.rpc, deployment, cursor.hash),
    )
    return _report(cursor, expected, checks, [*findings, *storage], head_proved=head_check.holds)


def _storage_check(
    connection: Connection, rpc: Rpc, contracts: Contracts, expected: Expected, number: int
) -> tuple[list[Finding], Check]:
    name = "balances and leases = contract storage"
    try:
        header = parse_header(expected.header_rlp(number))
        findings = _again(lambda: storage_findings(connection, rpc, contracts.ledger, header, expected))
    except BadProof as error:
        return [], Check(name=name, holds=False, says=f"the node proved something else: {error}")
    return findings, _rows_check(name, findings, f"{expected.current} accounts, leases, delegates, by storage proofs")


def _report(
    cursor: CursorRow,
    expected: Expected,
    checks: tuple[Check, ...],
    findings: list[Finding],
    *,
    head_proved: bool = False,
) -> Report:
    return Report(
        block_number=cursor.number or 0,
        block_hash=cursor.hash or b"",
        events=expected.event_count,
        checks=checks,
        first=min([*expected.findings, *findings], key=Finding.order, default=None),
        head_proved=head_proved,
    )


def _elsewhere(cursor: CursorRow, node_hash: bytes | None) -> Check:
    node = "unknown" if node_hash is None else to_hex(node_hash)
    says = f"block {cursor.number} is {node} on the node, {to_hex(cursor.hash or b'')} here; is the indexer running?"
    return Check(name="headers = the node's chain", holds=False, says=says)


def _rows_check(name: str, findings: list[Finding], says: str) -> Check:
    if not findings:
        return Check(name=name, holds=True, says=says)
    first = min(findings, key=Finding.order)
    return Check(name=name, holds=False, says=f"{len(findings)} differ; the first: {first}")


def _again(ask: Callable[[], _Proved]) -> _Proved:
    """A node that makes a block while it answers can mix two states once; one that lies does so again."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return ask()
        except BadProof:
            time.sleep(_PAUSE_SECONDS)
    return ask()


def _head_check(connection: Connection, rpc: Rpc, contracts: Contracts, header_rlp: bytes) -> Check:
    name = "ledger head of the stored logs = storage proof"
    try:
        ours = replay_head(connection)
        proved = _again(lambda: prove_head(rpc, contracts.ledger, header_rlp))
    except BadProof as error:
        return Check(name=name, holds=False, says=str(error))
    except (TypeError, ValueError, SQLAlchemyError) as error:
        return Check(name=name, holds=False, says=f"the stored logs cannot be replayed: {error}")
    if ours == proved:
        return Check(name=name, holds=True, says=spell_head(ours))
    return Check(name=name, holds=False, says=f"the contract has {spell_head(proved)}, the mirror {spell_head(ours)}")


def replay_head(connection: Connection) -> LedgerHead:
    """The ledger head of the canonical raw logs, folded from the first; nothing that was stored of it is used."""
    head = LedgerHead()
    query = (
        "SELECT events.topics, events.data, blocks.number, blocks.time FROM events "
        "JOIN blocks ON blocks.hash = events.block_hash WHERE blocks.canonical "
        "ORDER BY blocks.number, events.log_index"
    )
    rows: Any = connection.exec_driver_sql(query)
    for topics, data, number, block_time in rows:
        if topics[:32] != SKIPPED_TOPIC:
            head = head.advance(number, block_time, event_hash([topics], data))
    return head
