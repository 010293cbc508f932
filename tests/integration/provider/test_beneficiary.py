"""An agent hands its earnings to its owner's wallet at joining: once, and only if it can."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from protocol.errors import BadHex
from protocol.hashing import ZERO_ADDRESS, Address, checksum_address
from protocol.keys import LocalKey
from protocol.wallet import read, send
from provider.beneficiary import name_beneficiary
from provider.cli import app
from provider.errors import AgentError
from provider.settings import AgentSettings, write_settings
from tests.support.anvil import running_anvil
from tests.support.ledger_world import LedgerWorld
from tests.support.provider_market import agent_values

pytestmark = pytest.mark.node

OWNER = LocalKey.derive(bytes(32), "owner").address


@pytest.fixture(scope="module")
def world() -> Iterator[LedgerWorld]:
    with running_anvil() as node:
        yield LedgerWorld.deploy(node)


@pytest.fixture
def settings(world: LedgerWorld, tmp_path: Path) -> AgentSettings:
    where = {"ledger": world.deployment.ledger, "rpc_url": world.node.url}
    write_settings(tmp_path, agent_values(tmp_path) | where)
    return AgentSettings.load(tmp_path)


def _found(world: LedgerWorld, key: LocalKey) -> Address:
    return checksum_address(read(world.rpc, "ComputeLedger", world.deployment.ledger, "beneficiary", key.address)[0])


def test_the_owner_is_named_once(world: LedgerWorld, settings: AgentSettings) -> None:
    key = world.providers[0]
    name_beneficiary(settings, key, OWNER)
    assert _found(world, key) == OWNER
    before = world.rpc.block_number()
    name_beneficiary(settings, key, OWNER)
    assert world.rpc.block_number() == before
    with pytest.raises(AgentError, match=f"is {OWNER}, and only that one changes it"):
        name_beneficiary(settings, key, world.matcher.address)


def test_a_key_without_gas_is_named_with_the_remedy(world: LedgerWorld, settings: AgentSettings) -> None:
    key = LocalKey.create()
    for wei in (0, 1):
        world.rpc.call("anvil_setBalance", key.address, hex(wei))
        with pytest.raises(AgentError, match="cannot pay the gas"):
            name_beneficiary(settings, key, OWNER)


def test_nobody_the_key_itself_and_the_ledger_are_refused(world: LedgerWorld, settings: AgentSettings) -> None:
    key = world.providers[1]
    for address in (ZERO_ADDRESS, key.address, world.deployment.ledger):
        with pytest.raises(AgentError, match="no wallet of yours"):
            name_beneficiary(settings, key, address)
    assert _found(world, key) == ZERO_ADDRESS


def test_a_beneficiary_can_make_room_for_another(world: LedgerWorld, settings: AgentSettings) -> None:
    key, ledger = world.providers[1], world.deployment.ledger
    name_beneficiary(settings, key, world.matcher.address)
    send(world.rpc, world.matcher, "ComputeLedger", ledger, "setBeneficiary", key.address, OWNER)
    name_beneficiary(settings, key, OWNER)
    assert _found(world, key) == OWNER


def test_joining_names_it_before_the_offer_is_posted(
    world: LedgerWorld, settings: AgentSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = LocalKey.create()
    world.rpc.call("anvil_setBalance", key.address, hex(10**18))
    calibration = SimpleNamespace(work_per_second=1)
    machine = SimpleNamespace(description="a machine")
    joined = SimpleNamespace(settings=settings, key=key, machine=machine, calibration=calibration)
    seen: list[Address] = []

    def post(_folder: Path) -> str:
        seen.append(_found(world, key))
        return "0x00"

    monkeypatch.setattr("provider.joining.join", lambda _request: joined)
    monkeypatch.setattr("provider.cli._post_offer", post)
    arguments = ["join", "http://127.0.0.1:1", "--zone", "DE", "--yes", "--json", "--beneficiary"]
    done = CliRunner().invoke(app, [*arguments, OWNER])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["beneficiary"] == OWNER
    assert f"Only {OWNER} will withdraw" in done.stderr
    assert seen == [OWNER]
    with pytest.raises(BadHex, match="checksum"):
        CliRunner().invoke(app, [*arguments, OWNER.swapcase().replace("0X", "0x")], catch_exceptions=False)
