"""Bought, run, paid and proved: the same promises that `make demo` shows, each held by a test."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from gridlease.house import House, dev_key
from indexer.queries import Mirror
from protocol.deployment import Deployment
from protocol.events import LeaseState
from protocol.hashing import from_hex, to_hex
from protocol.rpc import Rpc
from protocol.units import earned_down
from protocol.wallet import read
from protocol.wire.jobs import Needs
from tests.support.stories import GOLDEN, command, settled, training

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]


def _mirror(house: House) -> Mirror:
    return Mirror(house.environment["GRIDLEASE_MIRROR_URL"])


def test_both_agents_give_the_golden_result_and_the_golden_work(house: House) -> None:
    results = []
    with house.client() as client:
        manifest = training(client)
        for zone in ("DE", "FR"):
            outcome = client.run(manifest, needs=Needs(zones_in=[zone]), timeout_seconds=120)
            assert outcome.trusted
            assert outcome.job.leases[-1].zone == zone
            assert outcome.job.result is not None
            results.append((outcome.job.result.result_hash, outcome.job.work))
    assert results == [(GOLDEN["train"]["result_hash"], int(GOLDEN["train"]["work"]))] * 2


def test_the_buyers_spend_is_the_providers_earnings_and_fees_and_the_rest_comes_back(house: House) -> None:
    with house.client() as client:
        job = client.run(training(client), timeout_seconds=120, max_price="0.05").job
        job = settled(client, job.id)
    (lease,) = _mirror(house).leases_by_id([from_hex(job.leases[0].lease, 32)]).values()
    assert lease.state is LeaseState.CLOSED
    assert lease.paid_base == earned_down(lease.meter, lease.rate, job.work) == job.cost_base > 0
    assert lease.refunded_base == lease.locked_base - lease.paid_base > 0
    assert _everything_adds_up(house, house.ledger)


def _everything_adds_up(house: House, deployment: Deployment) -> bool:
    """What the token says the ledger holds is what all accounts and open locks add up to, to the unit."""
    with Rpc(house.rpc_url) as rpc:
        held = read(rpc, "TestDollar", deployment.token, "balanceOf", deployment.ledger)[0]
        people = {dev_key(1).address, dev_key(2).address}
        mirror = _mirror(house)
        people |= {provider.address for provider in mirror.providers()}
        free = sum(read(rpc, "ComputeLedger", deployment.ledger, "account", who)[0][0] for who in people)
        locked = sum(
            lease.locked_base - lease.paid_base
            for lease in mirror.leases(limit=500)
            if lease.state is not LeaseState.CLOSED
        )
    return bool(held == free + locked)


def test_the_mirror_equals_the_contract_and_an_altered_event_is_named(house: House, tmp_path: Path) -> None:
    honest = command(house, "indexer", "verify")
    assert honest.returncode == 0, honest.stdout + honest.stderr
    source = sqlite3.connect(house.folder / "mirror.db")
    copy_path = tmp_path / "mirror.db"
    with sqlite3.connect(copy_path) as copy:
        source.backup(copy)
    event = _payment_event(copy_path)
    with sqlite3.connect(copy_path) as copy:
        data = copy.execute("SELECT data FROM events WHERE seq = ? AND canonical", (event,)).fetchone()[0]
        # The amount is the first word.
        altered_data = (int.from_bytes(data[:32], "big") + 1).to_bytes(32, "big") + data[32:]
        copy.execute("UPDATE events SET data = ? WHERE seq = ? AND canonical", (altered_data, event))
    altered = command(house, "indexer", "verify", GRIDLEASE_MIRROR_URL=f"sqlite:///{copy_path}")
    assert altered.returncode == 1, altered.stdout + altered.stderr
    assert f"event {event}" in " ".join(altered.stdout.split())


def _payment_event(path: Path) -> int:
    with sqlite3.connect(path) as copy:
        return int(
            copy.execute("SELECT seq FROM events WHERE kind = 'VoucherRedeemed' AND canonical LIMIT 1").fetchone()[0]
        )


def test_one_payment_is_checked_offline_and_no_flipped_byte_passes(house: House, tmp_path: Path) -> None:
    mirror = _mirror(house)
    payment = mirror.payments()[0]
    block = mirror.block(payment.block_number)
    assert block is not None
    content = mirror.proof(payment.tx_hash, payment.log_index)
    path = tmp_path / "proof.json"
    path.write_bytes(content)
    anchored = command(house, "verify", str(path), "--block-hash", to_hex(block.hash))
    assert anchored.returncode == 0, anchored.stdout + anchored.stderr
    by_node = command(house, "verify", str(path), "--rpc", house.rpc_url)
    assert by_node.returncode == 0, by_node.stdout + by_node.stderr
    alone = command(house, "verify", str(path))
    assert to_hex(block.hash) in "".join(alone.stdout.split()) + "".join(alone.stderr.split())
    path.write_bytes(content.replace(b'"position":0', b'"position":1', 1))
    assert command(house, "verify", str(path), "--block-hash", to_hex(block.hash)).returncode == 1


def test_a_page_shows_the_lease_and_its_proof_downloads(house: House) -> None:
    import httpx

    payment = _mirror(house).payments()[0]
    page = httpx.get(f"{house.url}/lease/{to_hex(payment.lease)}")
    assert page.status_code == 200
    assert to_hex(payment.lease) in page.text
    proof = httpx.get(f"{house.url}/lease/{to_hex(payment.lease)}/proof.json")
    assert proof.status_code == 200
    assert json.loads(proof.content)["kind"] == "event"


def test_a_rebuilt_mirror_is_the_live_one(house: House, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    rebuilt = command(house, "indexer", "rebuild", GRIDLEASE_MIRROR_URL=f"sqlite:///{fresh}")
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    checked = command(house, "indexer", "verify", GRIDLEASE_MIRROR_URL=f"sqlite:///{fresh}")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    shutil.rmtree(tmp_path, ignore_errors=True)
