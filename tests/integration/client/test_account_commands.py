"""`gridlease account` on a real node: the money is handed to another wallet, which alone takes it from then on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gridlease.cli import app
from protocol import wallet
from protocol.hashing import ZERO_ADDRESS, checksum_address, to_hex
from protocol.keys import LocalKey
from tests.support.anvil import running_anvil
from tests.support.ledger_world import DOLLAR, LedgerWorld
from tests.support.market_server import BUYER, KEY, MarketServer, running_market

pytestmark = pytest.mark.node

OWNER = LocalKey.derive(bytes(32), "owner")


@pytest.fixture(scope="module")
def world() -> Iterator[LedgerWorld]:
    with running_anvil() as node:
        made = LedgerWorld.deploy(node)
        for key in (BUYER, OWNER):
            node.rpc.call("anvil_setBalance", key.address, hex(10**20))
        yield made


@pytest.fixture(autouse=True)
def _fresh(world: LedgerWorld) -> Iterator[None]:
    snapshot = world.rpc.call("evm_snapshot")
    yield
    world.rpc.call("evm_revert", snapshot)


@pytest.fixture
def market(world: LedgerWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MarketServer]:
    monkeypatch.setenv("GRIDLEASE_CONFIG_DIR", str(tmp_path / "config"))
    with running_market() as server:
        where = {name: getattr(world.deployment, name) for name in ("ledger", "token", "registry", "court")}
        server.state.chain = server.state.chain.model_copy(update={**where, "rpc_url": world.node.url})
        monkeypatch.setenv("GRIDLEASE_URL", server.url)
        monkeypatch.setenv("GRIDLEASE_KEY", KEY)
        yield server


def _run(tmp_path: Path, key: LocalKey, *arguments: str, yes: bool = True) -> Result:
    path = tmp_path / "wallet.key"
    path.write_text(to_hex(key.secret()))
    options = ["--private-key-file", str(path), *(["--yes"] if yes else [])]
    return CliRunner().invoke(app, ["account", *arguments, *options])


def _beneficiary(world: LedgerWorld) -> str:
    found = wallet.read(world.rpc, "ComputeLedger", world.deployment.ledger, "beneficiary", BUYER.address)
    return checksum_address(found[0])


@pytest.mark.usefixtures("market")
class TestBeneficiary:
    def test_from_then_on_only_it_withdraws_and_gives_back(self, world: LedgerWorld, tmp_path: Path) -> None:
        assert _run(tmp_path, BUYER, "faucet", "5").exit_code == 2, "faucet asks nothing, so it takes no --yes"
        wallet.send(world.rpc, BUYER, "TestDollar", world.deployment.token, "mint", BUYER.address, 5 * DOLLAR)
        assert _run(tmp_path, BUYER, "deposit", "5").exit_code == 0

        named = _run(tmp_path, BUYER, "beneficiary", OWNER.address, "--json")
        assert named.exit_code == 0, named.output
        assert json.loads(named.stdout)["tx_hash"].startswith("0x")
        assert _beneficiary(world) == OWNER.address

        for refused in (("withdraw", "1"), ("beneficiary", "--none")):
            result = _run(tmp_path, BUYER, *refused)
            assert result.exit_code == 5
            assert "NotController" in result.stderr
        taken = _run(tmp_path, OWNER, "withdraw", "2", "--of", BUYER.address)
        assert taken.exit_code == 0, taken.output
        held = wallet.read(world.rpc, "TestDollar", world.deployment.token, "balanceOf", OWNER.address)
        assert held == (2 * DOLLAR,)

        assert _run(tmp_path, OWNER, "beneficiary", "--none", "--of", BUYER.address).exit_code == 0
        assert _beneficiary(world) == ZERO_ADDRESS
        assert _run(tmp_path, BUYER, "withdraw", "3").exit_code == 0

    def test_it_says_what_it_means_and_asks(self, world: LedgerWorld, tmp_path: Path) -> None:
        result = _run(tmp_path, BUYER, "beneficiary", OWNER.address, yes=False)
        assert result.exit_code == 2
        assert f"only {OWNER.address} withdraws it or changes this" in result.stderr
        assert "neither buys nor challenges" in result.stderr
        assert "so is the money" in result.stderr
        assert _beneficiary(world) == ZERO_ADDRESS

    def test_the_account_itself_and_the_ledger_are_refused(self, world: LedgerWorld, tmp_path: Path) -> None:
        for address in (BUYER.address, world.deployment.ledger, world.deployment.token):
            assert _run(tmp_path, BUYER, "beneficiary", address).exit_code == 2
        assert _beneficiary(world) == ZERO_ADDRESS


def test_where_the_market_names_no_node_one_is_asked_for(
    market: MarketServer, world: LedgerWorld, tmp_path: Path
) -> None:
    market.state.chain = market.state.chain.model_copy(update={"rpc_url": None})
    wallet.send(world.rpc, BUYER, "TestDollar", world.deployment.token, "mint", BUYER.address, DOLLAR)
    refused = _run(tmp_path, BUYER, "deposit", "1")
    assert refused.exit_code != 0
    assert "--rpc" in refused.output
    assert _run(tmp_path, BUYER, "deposit", "1", "--rpc", world.node.url).exit_code == 0
