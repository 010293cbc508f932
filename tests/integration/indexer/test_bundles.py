"""Bundles of a real chain: made by the commands, checked by the reader's command, against the contract's own views."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from explorer.app import mount
from gridlease.cli import app as front
from indexer.bundles.errors import NoSuchBlock, RangeTooLong
from indexer.bundles.make import Bundles
from protocol.bundle import verify_absence, verify_history, verify_lease
from protocol.bundle.lease import slots_needed
from protocol.errors import BadProof
from protocol.events import EndReason, LeaseState, LedgerHead
from protocol.hashing import ZERO_HASH, from_hex, keccak256, to_hex
from protocol.rpc import Rpc
from protocol.wallet import read
from tests.integration.indexer.test_verify import command
from tests.support.followed import Followed
from tests.support.ledger_world import Leased, LedgerWorld
from tests.support.slow_path import RESULT, SlowPath
from tests.unit.explorer.conftest import Reader

pytestmark = pytest.mark.node

NOBODY = keccak256(b"a lease that never was")


def reader(*arguments: object) -> Result:
    """The front door's command, in the reader's hands."""
    return CliRunner().invoke(front, ["verify", *(str(argument) for argument in arguments)])


def make(followed: Followed, path: Path, *arguments: object) -> dict[str, Any]:
    done = command(followed, "prove", *(str(argument) for argument in arguments), "-o", str(path), "--json")
    assert done.exit_code == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    assert made["bytes"] == path.stat().st_size
    return made


def bundles_of(followed: Followed) -> Bundles:
    return Bundles(followed.settings.mirror_url, followed.rpc.url)


def ledger_of(followed: Followed) -> bytes:
    return from_hex(followed.deployment.ledger, 20)


def silent_blocks(followed: Followed) -> list[int]:
    """Blocks from the deployment's on without a log of the ledger."""
    first, last = followed.deployment.deploy_block, followed.mirror.status().block_number
    full = {row.block_number for row in followed.mirror.events(limit=1000)}
    return [number for number in range(first, last + 1) if number not in full]


def test_each_kind_goes_from_the_command_to_the_reader(
    followed: Followed, leased: list[Leased], tmp_path: Path
) -> None:
    payment = followed.mirror.payments()[0]
    silent = silent_blocks(followed)[-1]
    status = followed.mirror.status()
    asked: dict[str, list[object]] = {
        "event": ["event", to_hex(payment.tx_hash), payment.log_index],
        "lease": ["lease", to_hex(leased[2].id)],
        "no lease": ["lease", to_hex(NOBODY)],
        "absence": ["absence", silent],
        "history": ["history"],
        "range": ["history", "--from-block", payment.block_number],
    }
    says = {
        "event": "was paid",
        "lease": f"Lease {to_hex(leased[2].id)} of provider {leased[2].provider.address} is ",
        "no lease": f"Lease {to_hex(NOBODY)} does not exist at block {status.block_number}",
        "absence": f"Block {silent}: no log of the ledger",
        "history": f"The whole history up to block {status.block_number} is ",
        "range": f"Blocks {payment.block_number} to {status.block_number}: ",
    }
    for name, arguments in asked.items():
        path = tmp_path / f"{name}.json"
        made = make(followed, path, *arguments)
        trusted = [f"--block-hash={anchor['hash']}" for anchor in made["anchors"]]
        for anchor in (trusted, ["--rpc", followed.rpc.url]):
            done = reader(path, *anchor, "--ledger", followed.deployment.ledger)
            assert done.exit_code == 0, (name, done.output)
            assert says[name] in done.stdout
            assert "Proved" in done.stdout
        other = reader(path, "--block-hash", to_hex(ZERO_HASH), "--ledger", followed.deployment.ledger)
        assert (other.exit_code, "proof fails at anchor" in other.stderr) == (1, True)


def test_the_lease_of_a_bundle_is_the_contracts(followed: Followed, leased: list[Leased]) -> None:
    """Open, closed by the last voucher, closed by the buyer's side, never there: every field, at the newest block."""
    for lease in [*(one.id for one in leased), NOBODY]:
        proved = verify_lease(bundles_of(followed).lease(lease), [followed.mirror.status().block_hash])
        view = read(followed.rpc, "ComputeLedger", followed.deployment.ledger, "lease", lease)[0]
        assert proved.ledger == followed.deployment.ledger
        assert _told(proved.fields) == view, lease.hex()
        then = read(followed.rpc, "ComputeLedger", followed.deployment.ledger, "stateOf", lease)[0]
        assert LeaseState[proved.state_then.upper()] == then


def _told(fields: dict[str, Any] | None) -> tuple[Any, ...]:
    """As the contract's view spells it."""
    nobody = "0x" + "00" * 20
    if fields is None:
        return (nobody, 0, 0, nobody, 0, 0, 0, 0, 0, False, False, False)
    state, reason = LeaseState[fields["state"].upper()], EndReason[fields["reason"].upper()]
    numbers = {name: int(fields[name]) for name in ("locked", "paid", "deadline", "rate", "zone")}
    return tuple({**fields, **numbers, "state": int(state), "reason": int(reason)}.values())


def test_a_lease_is_proved_at_an_older_block_too(followed: Followed, leased: list[Leased]) -> None:
    opened = followed.mirror.lease(leased[0].id)
    assert opened is not None
    block = followed.mirror.block(opened.opened_block)
    before = followed.mirror.block(opened.opened_block - 1)
    assert block is not None
    assert before is not None
    made = verify_lease(bundles_of(followed).lease(leased[0].id, block.number), [block.hash])
    assert made.fields is not None
    assert (made.fields["state"], made.fields["paid"]) == ("open", "0")
    assert verify_lease(bundles_of(followed).lease(leased[0].id, before.number), [before.hash]).fields is None


@pytest.fixture
def disputed(world: LedgerWorld) -> Iterator[tuple[LedgerWorld, Leased, Leased]]:
    snapshot = world.rpc.call("evm_snapshot")
    slow = SlowPath(world)
    claimed, disputed = slow.open(slow.order()), slow.open(slow.order())
    for lease in (claimed, disputed):
        slow.claim(lease, 10**11)
    slow.challenge(disputed, world.voucher_signer)
    yield world, claimed, disputed
    world.rpc.call("evm_revert", snapshot)


def test_claim_and_dispute_are_proved_where_they_decide(
    tmp_path: Path, disputed: tuple[LedgerWorld, Leased, Leased]
) -> None:
    world, claimed_lease, disputed_lease = disputed
    followed = Followed(tmp_path, world.deployment, world.rpc)
    followed.catch_up()
    for lease, state in ((claimed_lease, "claimed"), (disputed_lease, "disputed")):
        made = verify_lease(bundles_of(followed).lease(lease.id), [followed.mirror.status().block_hash])
        assert made.state_then == state
        assert made.claim is not None
        claim = read(world.rpc, "ComputeLedger", world.deployment.ledger, "claimOf", lease.id)[0]
        assert (made.claim["result"], int(made.claim["work"])) == (to_hex(RESULT), 10**11)
        assert tuple(claim)[2:4] == (int(made.claim["work"]), int(made.claim["target"]))
    assert made.dispute is not None
    dispute = read(world.rpc, "ComputeLedger", world.deployment.ledger, "disputeOf", disputed_lease.id)[0]
    assert (made.dispute["challenger"], int(made.dispute["bond"])) == tuple(dispute)[:2]
    followed.close()


def test_the_exported_events_are_those_that_the_head_commits_to(followed: Followed, tmp_path: Path) -> None:
    status = followed.mirror.status()
    for options in ([], ["--from-block", str(status.block_number - 5)]):
        proof, events = tmp_path / "history.json", tmp_path / "events.ndjson"
        made = make(followed, proof, "history", *options)
        done = command(followed, "export", "-o", str(events), *options, "--json")
        assert done.exit_code == 0, done.stderr
        count = json.loads(done.stdout)["count"]
        trusted = [f"--block-hash={anchor['hash']}" for anchor in made["anchors"]]
        good = reader(proof, "--events", events, *trusted, "--json")
        assert good.exit_code == 0, good.output
        assert json.loads(good.stdout)["events_replayed"] == count == len(events.read_bytes().splitlines()) - 1
        assert count < status.head.count or not options
        lines = events.read_bytes().splitlines(keepends=True)
        events.write_bytes(b"".join([*lines[:-2], lines[-1]]))
        bad = reader(proof, "--events", events, *trusted)
        assert (bad.exit_code, "proof fails at events" in bad.stderr) == (1, True)
    assert command(followed, "export").stdout_bytes.count(b"\n") == status.head.count + 1


def test_a_skipped_item_is_in_no_export(followed: Followed, world: LedgerWorld, leased: list[Leased]) -> None:
    snapshot = world.rpc.call("evm_snapshot")
    world.redeem((leased[0], 1))
    followed.catch_up()
    status = followed.mirror.status()
    assert followed.mirror.events(limit=1)[0].kind == "Skipped"
    lines = command(followed, "export").stdout_bytes.splitlines()
    assert json.loads(lines[-1])["count"] == status.head.count == len(lines) - 1
    # The range with nothing but a Skipped in it has equal heads; its block is not silent all the same.
    quiet = bundles_of(followed).history(status.block_number, status.block_number)
    assert verify_history(quiet, [status.block_hash]).count == 0
    with pytest.raises(BadProof, match="holds a log"):
        bundles_of(followed).absence(status.block_number, status.block_number)
    world.rpc.call("evm_revert", snapshot)
    followed.catch_up()


def test_silent_blocks_are_proved_and_loud_ones_are_not(followed: Followed) -> None:
    for number in silent_blocks(followed):
        block = followed.mirror.block(number)
        assert block is not None
        proved = verify_absence(bundles_of(followed).absence(number, number), [block.hash])
        assert (proved.first.number, proved.last.number) == (number, number)
    loud = followed.mirror.events(limit=1)[0].block_number
    refused = command(followed, "prove", "absence", str(loud))
    assert refused.exit_code == 1
    assert isinstance(refused.exception, BadProof)


def test_a_proof_of_a_million_events_has_at_most_eight_kilobytes(tmp_path: Path, world: LedgerWorld) -> None:
    """The contract's own slot is set to a count that no test can reach by transactions; everything else is real."""
    snapshot = world.rpc.call("evm_snapshot")
    head = LedgerHead(int.from_bytes(keccak256(b"long")[:26], "big"), 1_000_000)
    slot = to_hex(bytes(32))
    world.rpc.call("anvil_setStorageAt", world.deployment.ledger, slot, to_hex(head.to_slot().to_bytes(32, "big")))
    world.node.mine()
    followed = Followed(tmp_path, world.deployment, world.rpc)
    followed.catch_up()
    assert "after 1000000 events" in str(followed.mirror.status().halted)
    content = bundles_of(followed).history()
    assert verify_history(content, [followed.mirror.status().block_hash]).until.head == head
    assert len(content) <= 8_000
    followed.close()
    world.rpc.call("evm_revert", snapshot)


def test_a_node_that_lies_makes_an_error_and_no_file(
    followed: Followed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leased: list[Leased]
) -> None:
    honest = Rpc.call

    def lying(rpc: Rpc, method: str, *params: Any) -> Any:
        answer = honest(rpc, method, *params)
        for entry in answer["storageProof"]:
            entry["proof"][-1] = entry["proof"][-1][:-1] + ("0" if entry["proof"][-1][-1] != "0" else "1")
        return answer

    monkeypatch.setattr(Rpc, "call", lying)
    out = tmp_path / "proof.json"
    for arguments in (["lease", to_hex(leased[0].id)], ["history"]):
        done = command(followed, "prove", *arguments, "-o", str(out))
        assert done.exit_code == 1
        assert isinstance(done.exception, BadProof)
        assert not out.exists()
    monkeypatch.setattr(Rpc, "call", lambda *_: {"accountProof": "no"})
    with pytest.raises(BadProof, match="no proof"):
        bundles_of(followed).history()


def test_a_damaged_mirror_exports_no_last_line(followed: Followed, tmp_path: Path) -> None:
    followed.alter("UPDATE events SET data = {zero32} WHERE seq = 1")
    out = tmp_path / "events.ndjson"
    done = command(followed, "export", "-o", str(out))
    assert done.exit_code == 1
    assert "indexer verify" in str(done.exception)
    assert b'"sha256"' not in out.read_bytes()


def test_blocks_that_are_not_there_and_ranges_too_long_are_named(followed: Followed) -> None:
    bundles, newest = bundles_of(followed), followed.mirror.status().block_number
    for ask in (
        lambda: bundles.history(last=newest + 1),
        lambda: bundles.lease(NOBODY, newest + 1),
        lambda: bundles.absence(newest + 1, newest + 1),
        lambda: bundles.lease(NOBODY, 0),
    ):
        with pytest.raises(NoSuchBlock, match=f"to {newest}"):
            ask()
    with pytest.raises(RangeTooLong, match="prove history"):
        bundles.absence(0, 5000)
    assert command(followed, "prove", "absence", "9", "3").exit_code == 2
    assert command(followed, "export", "--from-block", "9", "--to-block", "3").exit_code == 2


def test_the_site_gives_out_the_same_files(followed: Followed, leased: list[Leased]) -> None:
    app, silent = FastAPI(), silent_blocks(followed)[-1]
    mount(app, followed.mirror, bundles=bundles_of(followed))
    made = {
        f"lease/{to_hex(leased[0].id)}": bundles_of(followed).lease(leased[0].id),
        f"absence?from_block={silent}": bundles_of(followed).absence(silent, silent),
        "history": bundles_of(followed).history(),
    }
    for path, content in made.items():
        response = Reader(app).get(f"/v1/ledger/proofs/{path}")
        assert (response.status_code, response.content) == (200, content), path
    loud = followed.mirror.events(limit=1)[0].block_number
    assert Reader(app).get(f"/v1/ledger/proofs/absence?from_block={loud}").status_code == 409
    assert Reader(app).get("/v1/ledger/proofs/history?to_block=99999").status_code == 404


def test_the_slots_of_a_proof_follow_from_the_state() -> None:
    needed = {int(LeaseState.CLAIMED): 5, int(LeaseState.DISPUTED): 7}
    for state in range(8):
        assert slots_needed(state << 240 | 1) == needed.get(state, 2)
