"""The mirror equals the chain, and says so only when it does."""

import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from indexer.cli import app
from indexer.rebuild import rebuild_mirror
from indexer.storage import ACCOUNTS_SLOT, BENEFICIARIES_SLOT, DELEGATES_SLOT, KEPT
from indexer.verify import verify_mirror
from protocol.events import LedgerHead
from protocol.hashing import to_hex
from protocol.rpc import Rpc
from protocol.wallet import read
from tests.support.anvil import running_anvil
from tests.support.databases import Database
from tests.support.followed import Followed
from tests.support.ledger_world import Leased, LedgerWorld

pytestmark = pytest.mark.node
ROOT = Path(__file__).parents[3]

#: every column of an event, and every amount of a projection
ALTERED = [
    ("block_number", "block_number + 1"),
    ("log_index", "log_index + 90"),
    ("block_hash", "{zero32}"),
    ("tx_index", "tx_index + 1"),
    ("seq", "seq + 500"),
    ("kind", "'Deposited2'"),
    ("lease", "{zero32}"),
    ("topics", "topics || {byte}"),
    ("data", "{zero32}"),
    ("canonical", "false"),
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
    ("payments", "paid_base", "paid_base + 1"),
    ("leases", "locked_base", "locked_base + 1"),
    ("leases", "provider", "{zero20}"),
    ("cancelled", "digest", "{zero32}"),
]


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


class OldState(Rpc):
    """Proves the ledger's storage as it was one block before what was asked, for `most` times."""

    def __init__(self, url: str, most: int) -> None:
        super().__init__(url)
        self._left = most

    def batch(self, calls: Iterable[tuple[str, Sequence[Any]]]) -> list[Any]:
        asked = [(method, list(params)) for method, params in calls]
        for method, params in asked:
            if method == "eth_getProof" and len(params[1]) > 1 and self._left:
                self._left -= 1
                params[2] = hex(self.block_number() - 1)
        return super().batch(asked)


def test_a_node_that_proves_the_storage_of_another_block_is_not_believed(
    followed: Followed, world: LedgerWorld
) -> None:
    world.deposit(7)
    followed.catch_up()
    with OldState(followed.rpc.url, most=2) as rpc:
        assert verify_mirror(followed.settings.mirror_url, rpc, followed.deployment).holds, "it was only in between"
    with OldState(followed.rpc.url, most=99) as rpc:
        report = verify_mirror(followed.settings.mirror_url, rpc, followed.deployment)
    (failed,) = [check for check in report.checks if not check.holds]
    assert failed.name == "balances and leases = contract storage"
    assert "proved something else" in failed.says


def test_accounts_beneficiaries_and_delegates_are_where_the_contract_keeps_them() -> None:
    told = subprocess.run(
        ["tools/foundry", "forge", "inspect", "ComputeLedger", "storageLayout", "--json"],
        cwd=ROOT / "contracts",
        capture_output=True,
        text=True,
        check=True,
    )
    layout = json.loads(told.stdout)
    slots = {item["label"]: int(item["slot"]) for item in layout["storage"]}
    assert (slots["_accounts"], slots["_beneficiaries"], slots["_delegates"]) == (
        ACCOUNTS_SLOT,
        BENEFICIARIES_SLOT,
        DELEGATES_SLOT,
    )
    members = {
        name: {
            member["label"]: (
                int(member["slot"]),
                8 * member["offset"],
                8 * int(layout["types"][member["type"]]["numberOfBytes"]),
            )
            for member in kind["members"]
        }
        for kind in layout["types"].values()
        if (name := kind["label"].removeprefix("struct ").split(".")[-1]) in ("Account", "Delegate")
    }
    account, beneficiary, delegate = (kept.columns for kept in KEPT[:3])
    spelt = {"free": "free_base", "bonded": "bonded_base", "openLeases": "open_leases"}
    for label, (word, first, bits) in members["Account"].items():
        # A flag is one bit of its byte.
        assert account[spelt.get(label, label)] == (word, first, 1 if label == "guarded" else bits)
    assert set(members["Account"]) == {"free", "bonded", "openLeases", "epoch", "guarded"}
    assert list(members["Delegate"].values()) == list(delegate.values())
    assert list(beneficiary.values()) == [(0, 0, 160)]


@pytest.mark.parametrize(("column", "value"), ALTERED)
def test_an_altered_event_is_named(followed: Followed, column: str, value: str) -> None:
    victim = followed.mirror.events(kind="VoucherRedeemed")[-1]
    followed.alter(
        f"UPDATE events SET {column} = {value} "
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
    key = "lease" if table == "leases" else "seq"
    with followed.engine.connect() as connection:
        place = connection.exec_driver_sql(f"SELECT min({key}) FROM {table}").scalar_one()
    victim = f"{key} = (SELECT min({key}) FROM {table})"
    followed.alter(f"UPDATE {table} SET {column} = {value} WHERE {victim}")
    report = followed.verify()
    assert not report.holds
    assert report.first is not None
    assert (report.first.table, report.first.column) in {(table, column), (table, "(row)")}
    if table != "leases":
        assert report.first.seq == place


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM parties WHERE seq = 1 AND account = (SELECT min(account) FROM parties WHERE seq = 1)",
        "DELETE FROM events WHERE seq = 1",
        "UPDATE bodies SET receipts = {byte} WHERE block_hash = (SELECT block_hash FROM events WHERE seq = 1)",
        "DELETE FROM bodies WHERE block_hash = (SELECT block_hash FROM events WHERE seq = 1)",
        "UPDATE blocks SET time = time + 1 WHERE number = 5",
        "UPDATE blocks SET header_rlp = {byte} WHERE number = 5",
        "UPDATE blocks SET canonical = false WHERE number = 5",
        "UPDATE transactions SET sender = {zero20} WHERE hash = (SELECT max(hash) FROM transactions)",
        "UPDATE transactions SET gas_used = 1 WHERE hash = (SELECT max(hash) FROM transactions)",
    ],
)
def test_any_other_damage_is_found(followed: Followed, statement: str) -> None:
    followed.alter(statement)
    report = followed.verify()
    assert not report.holds
    assert report.first is not None


@pytest.mark.parametrize(("table", "column"), [("payments", "paid_base"), ("events", "data"), ("events", "seq")])
def test_text_where_sqlite_should_hold_a_number_or_bytes_is_found(
    tmp_path: Path, world: LedgerWorld, leased: list[Leased], table: str, column: str
) -> None:
    # PostgreSQL refuses it by itself.
    followed = Followed(tmp_path, world.deployment, world.rpc)
    followed.catch_up()
    followed.alter(f"UPDATE {table} SET {column} = 'x' WHERE seq = (SELECT min(seq) FROM {table})")
    report = followed.verify()
    assert not report.holds
    assert report.first is not None
    assert (report.first.table, report.first.column) in {(table, column), (table, "(row)")}
    followed.close()


def test_a_forged_log_breaks_the_head_proof(followed: Followed) -> None:
    followed.alter("UPDATE events SET data = {zero32} WHERE seq = 1")
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

    followed.alter("UPDATE events SET kind = 'Withdrawn' WHERE seq = 7")
    bad = command(followed, "verify")
    assert bad.exit_code == 1
    assert "event 7" in bad.stderr
    assert command(followed, "rebuild").exit_code == 0
    assert command(followed, "verify").exit_code == 0


def test_a_rebuilt_mirror_equals_the_live_one_row_for_row(
    tmp_path: Path, world: LedgerWorld, leased: list[Leased], database: Database
) -> None:
    # The live one follows in single blocks, the rebuilt one in one large step.
    live = Followed(tmp_path / "live", world.deployment, world.rpc, database, batch_blocks=1)
    live.catch_up()
    before = live.rows()
    reader = live.mirror.status()
    rebuild_mirror(live.settings, live.deployment, live.rpc, lambda _: None)
    assert live.rows() == before
    # Connections that were open before the swap go on.
    assert live.mirror.status() == reader
    assert live.verify().holds
    assert not list((tmp_path / "live").glob("*.rebuild*"))
    world.node.mine()
    assert live.catch_up().number == reader.block_number + 1
    live.close()


def test_a_mirror_on_a_fork_that_lost_does_not_hold(tmp_path: Path, database: Database) -> None:
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        followed = Followed(tmp_path, world.deployment, node.rpc, database)
        followed.catch_up()
        node.reorg(1)
        report = followed.verify()
        assert not report.holds
        assert "is the indexer running" in report.checks[0].says
        followed.close()
