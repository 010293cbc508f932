"""The mirror equals the chain, and says so only when it does."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from indexer.cli import app
from indexer.rebuild import rebuild_mirror
from protocol.events import LedgerHead
from protocol.hashing import to_hex
from protocol.wallet import read
from tests.support.anvil import running_anvil
from tests.support.followed import Followed
from tests.support.ledger_world import Leased, LedgerWorld

pytestmark = pytest.mark.node

#: every column of a raw log and of an event, and every amount of a projection
ALTERED = [
    ("logs", "block_number", "block_number + 1"),
    ("logs", "tx_index", "tx_index + 1"),
    ("logs", "position", "position + 1"),
    ("logs", "log_index", "log_index + 90"),
    ("logs", "block_hash", "zeroblob(32)"),
    ("logs", "address", "zeroblob(20)"),
    ("logs", "topics", "topics || x'00'"),
    ("logs", "data", "zeroblob(length(data))"),
    ("events", "block_hash", "zeroblob(32)"),
    ("events", "log_index", "log_index + 90"),
    ("events", "block_number", "block_number + 1"),
    ("events", "seq", "seq + 500"),
    ("events", "kind", "'Deposited2'"),
    ("events", "lease", "zeroblob(32)"),
    ("events", "args", "replace(args, '1', '2')"),
    ("events", "args", "'no json'"),
    ("events", "canonical", "0"),
]
PROJECTED = [
    ("account_versions", "free_base", "free_base + 1"),
    ("account_versions", "locked_base", "locked_base + 1"),
    ("account_versions", "open_leases", "open_leases + 1"),
    ("lease_versions", "paid_base", "paid_base + 1"),
    ("lease_versions", "refunded_base", "refunded_base + 1"),
    ("lease_versions", "state", "1 - state"),
    ("lease_versions", "valid_to", "1"),
    ("delegate_versions", "remaining_base", "remaining_base + 1"),
    ("payments", "amount_base", "amount_base + 1"),
    ("payments", "paid_base", "'x'"),
    ("leases", "locked_base", "locked_base + 1"),
    ("leases", "provider", "zeroblob(20)"),
    ("cancelled", "digest", "zeroblob(32)"),
]


def alter(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


def command(followed: Followed, *arguments: str) -> Result:
    environment = {
        "GRIDLEASE_RPC_URL": followed.rpc.url,
        "GRIDLEASE_DEPLOYMENT": str(followed.settings.deployment),
        "GRIDLEASE_MIRROR_URL": followed.settings.mirror_url,
        "COLUMNS": "200",
    }
    return CliRunner().invoke(app, list(arguments), env=environment)


def test_an_untouched_mirror_holds(followed: Followed, world: LedgerWorld) -> None:
    report = followed.verify()
    assert report.holds, [check for check in report.checks if not check.holds]
    assert report.head_proved
    status = followed.mirror.status()
    assert status.head == LedgerHead(*read(world.rpc, "ComputeLedger", world.deployment.ledger, "head"))
    assert status.proved_number == status.block_number == report.block_number


@pytest.mark.parametrize(("table", "column", "value"), ALTERED)
def test_an_altered_event_is_named(followed: Followed, table: str, column: str, value: str) -> None:
    victim = followed.mirror.events(kind="VoucherRedeemed")[-1]
    alter(
        followed.path,
        f"UPDATE {table} SET {column} = {value} "
        f"WHERE block_number = {victim.block_number} AND log_index = {victim.log_index}",
    )
    report = followed.verify()
    assert not report.holds
    assert report.first is not None
    assert (report.first.seq, report.first.kind) == (victim.seq, victim.kind)
    assert (report.first.block_number, report.first.log_index) == (victim.block_number, victim.log_index)


@pytest.mark.parametrize(("table", "column", "value"), PROJECTED)
def test_an_altered_projection_names_the_event_that_made_it(
    followed: Followed, table: str, column: str, value: str
) -> None:
    with sqlite3.connect(followed.path) as connection:
        order = "opened_block" if table == "leases" else "seq"
        rowid, place = connection.execute(f"SELECT rowid, {order} FROM {table} ORDER BY {order} LIMIT 1").fetchone()
    connection.close()
    alter(followed.path, f"UPDATE {table} SET {column} = {value} WHERE rowid = {rowid}")
    report = followed.verify()
    assert not report.holds
    assert report.first is not None
    assert (report.first.table, report.first.column) in {(table, column), (table, "(row)")}
    if table != "leases":
        assert report.first.seq == place


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM logs WHERE rowid = (SELECT min(rowid) FROM logs)",
        "DELETE FROM events WHERE seq = 1",
        "UPDATE bodies SET receipts = x'00' WHERE rowid = (SELECT min(rowid) FROM bodies)",
        "DELETE FROM bodies WHERE block_hash = (SELECT block_hash FROM events WHERE seq = 1)",
        "UPDATE blocks SET time = time + 1 WHERE number = 5",
        "UPDATE blocks SET header_rlp = x'c0' WHERE number = 5",
        "UPDATE blocks SET canonical = 0 WHERE number = 5",
        "UPDATE transactions SET sender = zeroblob(20) WHERE rowid = (SELECT max(rowid) FROM transactions)",
        "UPDATE transactions SET gas_used = 1 WHERE rowid = (SELECT max(rowid) FROM transactions)",
    ],
)
def test_any_other_damage_is_found(followed: Followed, statement: str) -> None:
    alter(followed.path, statement)
    report = followed.verify()
    assert not report.holds
    assert report.first is not None


def test_a_forged_log_breaks_the_head_proof(followed: Followed) -> None:
    alter(followed.path, "UPDATE logs SET data = zeroblob(32) WHERE rowid = (SELECT min(rowid) FROM logs)")
    assert not followed.verify().head_proved


def test_the_commands_say_it_and_exit_by_it(followed: Followed, tmp_path: Path) -> None:
    good = command(followed, "verify", "--json")
    assert good.exit_code == 0, good.stderr
    assert json.loads(good.stdout)["head_proved"] is True
    assert "ledger head" in command(followed, "verify").stdout
    assert command(followed, "status").exit_code == 0

    payment = followed.mirror.payments()[0]
    out = tmp_path / "proof.json"
    made = command(followed, "prove", "event", to_hex(payment.tx_hash), str(payment.log_index), "-o", str(out))
    assert made.exit_code == 0, made.stderr
    assert out.read_bytes() == followed.mirror.proof(payment.tx_hash, payment.log_index)

    alter(followed.path, "UPDATE events SET args = '{}' WHERE seq = 7")
    bad = command(followed, "verify")
    assert bad.exit_code == 1
    assert "event 7" in bad.stderr
    assert command(followed, "rebuild").exit_code == 0
    assert command(followed, "verify").exit_code == 0


def rows_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows but the clock's."""
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in names
            if name != "audits"
        }
    connection.close()
    return rows


def test_a_rebuilt_mirror_equals_the_live_one_row_for_row(
    tmp_path: Path, world: LedgerWorld, leased: list[Leased]
) -> None:
    # The live one follows in single blocks, the rebuilt one in one large step.
    live = Followed(tmp_path / "live", world.deployment, world.rpc, batch_blocks=1)
    live.catch_up()
    before = rows_of(live.path)
    copy = tmp_path / "before.db"
    shutil.copy(live.path, copy)
    reader = live.mirror.status()
    rebuild_mirror(live.settings, live.deployment, live.rpc, lambda _: None)
    assert rows_of(live.path) == before
    # Connections that were open before the swap go on.
    assert live.mirror.status() == reader
    assert live.verify().holds
    assert not list(live.path.parent.glob("*.rebuild*"))
    world.node.mine()
    assert live.catch_up().number == reader.block_number + 1
    live.close()


def test_a_mirror_on_a_fork_that_lost_does_not_hold(tmp_path: Path) -> None:
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        followed = Followed(tmp_path, world.deployment, node.rpc)
        followed.catch_up()
        node.reorg(1)
        report = followed.verify()
        assert not report.holds
        assert "is the indexer running" in report.checks[0].says
        followed.close()
