"""Deploying on a real node: where contracts come to be, what is refused, and what `--verify` finds."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from typer.testing import CliRunner, Result

from gridlease import blueprint
from gridlease.cli import app
from gridlease.court_terms import DEV_TERMS, REAL_TERMS
from gridlease.creation import HistoryPruned, creation_block
from gridlease.deploy import TokenNeeded, TokenUnfit, WrongCode, deploy_ledger
from gridlease.factory import FACTORY, SIGNED_TRANSACTION, SIGNER, FactoryForeign, FactoryMissing
from gridlease.inspection import inspect
from indexer.errors import WrongGenesis
from protocol.deployment import Deployment, load_deployment
from protocol.errors import DeploymentOutdated, RpcRefused, TransactionReverted, WrongChain
from protocol.hashing import Address, checksum_address, to_hex
from protocol.rpc import Rpc
from protocol.wallet import read
from tests.support.anvil import CHAIN_ID, DEPLOYER, Anvil, running_anvil

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with running_anvil() as started:
        yield started


@pytest.fixture
def fresh(node: Anvil) -> Iterator[Anvil]:
    """The node as it was before the test."""
    snapshot = node.rpc.call("evm_snapshot")
    yield node
    node.rpc.call("evm_revert", snapshot)


@pytest.fixture
def deployed(fresh: Anvil) -> Deployment:
    return deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None)


class TestAddresses:
    def test_they_are_known_before_anything_is_sent(self, fresh: Anvil) -> None:
        dollar, registry = blueprint.dollar(), blueprint.registry()
        ledger = blueprint.ledger(dollar.address, registry.address, 10)
        court = blueprint.court(ledger.address, DEV_TERMS)
        made = deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None)
        expected = (dollar.address, registry.address, ledger.address, court.address)
        assert (made.token, made.registry, made.ledger, made.court) == expected

    def test_a_second_run_sends_nothing_and_finds_the_same(self, fresh: Anvil, deployed: Deployment) -> None:
        before = fresh.rpc.block_number()
        placed: list[int | None] = []
        again = deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None, say=lambda one: placed.append(one.block))
        assert again == deployed
        assert placed == [None] * 4
        assert fresh.rpc.block_number() == before

    def test_other_settings_lead_to_other_addresses(self) -> None:
        token, registry = blueprint.dollar().address, blueprint.registry().address
        addresses = {
            blueprint.ledger(token, registry, 10).address,
            blueprint.ledger(token, registry, 11).address,
            blueprint.ledger(registry, registry, 10).address,
            blueprint.ledger(token, token, 10).address,
        }
        assert len(addresses) == 4

    def test_another_court_stands_beside_the_first(self, fresh: Anvil, deployed: Deployment) -> None:
        terms = replace(DEV_TERMS, move_time=61)
        again = deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None, court_terms=terms)
        assert again.ledger == deployed.ledger
        assert again.court != deployed.court
        assert read(fresh.rpc, "ReexecutionCourt", again.court, "moveTime") == (61,)
        assert all(finding.holds for finding in inspect(fresh.rpc, again))

    def test_the_court_judges_this_ledger(self, fresh: Anvil, deployed: Deployment) -> None:
        (ledger,) = read(fresh.rpc, "ReexecutionCourt", deployed.court, "ledger")
        assert checksum_address(ledger) == deployed.ledger

    def test_real_terms_are_over_before_the_arbiters_time_is(self, fresh: Anvil) -> None:
        deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None, court_terms=REAL_TERMS)


class TestFirstBlock:
    def test_of_a_new_ledger_it_is_where_its_code_begins(self, fresh: Anvil, deployed: Deployment) -> None:
        block = deployed.deploy_block
        assert fresh.rpc.call("eth_getCode", deployed.ledger, hex(block - 1)) == "0x"
        assert fresh.rpc.call("eth_getCode", deployed.ledger, hex(block)) != "0x"

    @pytest.mark.parametrize("later", [0, 1, 37])
    def test_of_one_that_is_there_it_is_searched(self, fresh: Anvil, deployed: Deployment, later: int) -> None:
        if later:
            fresh.mine(later)
        assert creation_block(fresh.rpc, deployed.ledger) == deployed.deploy_block

    def test_without_old_states_an_earlier_file_knows_it(
        self, fresh: Anvil, deployed: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask = Rpc.call

        def forgetful(rpc: Rpc, method: str, *params: Any) -> Any:
            if method == "eth_getCode" and params[1] != "latest":
                raise RpcRefused(method, -32000, "missing trie node")
            return ask(rpc, method, *params)

        monkeypatch.setattr(Rpc, "call", forgetful)
        with pytest.raises(HistoryPruned, match="archive node"):
            deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None)
        assert deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None, known=deployed) == deployed
        foreign = replace(deployed, genesis_hash=to_hex(bytes(32)))
        with pytest.raises(HistoryPruned):
            deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None, known=foreign)


class TestFactory:
    def test_its_transaction_is_signed_by_the_account_that_pays(self) -> None:
        assert Account.recover_transaction(SIGNED_TRANSACTION) == SIGNER

    def test_a_chain_without_it_gets_it(self, fresh: Anvil) -> None:
        fresh.rpc.call("anvil_setCode", FACTORY, "0x")
        made = deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None)
        assert fresh.code(FACTORY) != "0x"
        assert made.ledger == blueprint.ledger(made.token, made.registry, 10).address

    def test_a_node_that_refuses_its_transaction_is_told_apart(
        self, fresh: Anvil, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fresh.rpc.call("anvil_setCode", FACTORY, "0x")
        ask = Rpc.call

        def protected(rpc: Rpc, method: str, *params: Any) -> Any:
            if params == (SIGNED_TRANSACTION,):
                raise RpcRefused(method, -32000, "only replay-protected (EIP-155) transactions allowed over RPC")
            return ask(rpc, method, *params)

        monkeypatch.setattr(Rpc, "call", protected)
        with pytest.raises(FactoryMissing, match=r"EIP-155.*--rpc\.allow-unprotected-txs"):
            deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None)

    def test_something_else_in_its_place_is_refused(self, fresh: Anvil) -> None:
        fresh.rpc.call("anvil_setCode", FACTORY, "0x00")
        before = fresh.rpc.block_number()
        with pytest.raises(FactoryForeign):
            deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None)
        assert fresh.rpc.block_number() == before


class TestRefused:
    def test_another_chain_than_the_one_that_is_meant(self, fresh: Anvil) -> None:
        with pytest.raises(WrongChain):
            deploy_ledger(fresh.rpc, DEPLOYER, 1, None)

    def test_a_real_chain_without_a_token(self) -> None:
        with running_anvil("--chain-id", "10") as node, pytest.raises(TokenNeeded, match="--token"):
            deploy_ledger(node.rpc, DEPLOYER, 10, None)

    def test_a_token_that_is_none(self, fresh: Anvil, deployed: Deployment) -> None:
        with pytest.raises(TokenUnfit, match="no contract"):
            deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, DEPLOYER.address)
        with pytest.raises(TokenUnfit, match="does not say"):
            deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, deployed.registry)

    def test_a_token_with_18_decimals(self, fresh: Anvil) -> None:
        token = DEPLOYER.address
        # PUSH1 18, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN
        fresh.rpc.call("anvil_setCode", token, "0x60125f5260205ff3")
        with pytest.raises(TokenUnfit, match="18 decimals"):
            deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, token)

    def test_foreign_code_where_a_contract_belongs(self, fresh: Anvil) -> None:
        fresh.rpc.call("anvil_setCode", blueprint.registry().address, "0x00")
        with pytest.raises(WrongCode, match="ProviderRegistry"):
            deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None)

    def test_a_court_whose_cases_last_too_long_with_the_contracts_reason(self, fresh: Anvil) -> None:
        terms = replace(REAL_TERMS, move_time=11 * 3600)
        with pytest.raises(TransactionReverted, match="TimesOutOfRange"):
            deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, None, court_terms=terms)


def _contracts(deployment: Deployment) -> dict[str, Address]:
    return {
        "TestDollar": deployment.token,
        "ProviderRegistry": deployment.registry,
        "ComputeLedger": deployment.ledger,
        "ReexecutionCourt": deployment.court,
    }


class TestInspection:
    def test_what_was_just_deployed_holds(self, fresh: Anvil, deployed: Deployment) -> None:
        findings = inspect(fresh.rpc, deployed)
        assert [(found.contract, found.address) for found in findings] == list(_contracts(deployed).items())
        assert [(found.holds, found.says) for found in findings] == [(True, "as committed")] * 4

    @pytest.mark.parametrize("contract", ["TestDollar", "ProviderRegistry", "ComputeLedger", "ReexecutionCourt"])
    def test_one_changed_byte_is_found_and_its_contract_named(
        self, fresh: Anvil, deployed: Deployment, contract: str
    ) -> None:
        address = _contracts(deployed)[contract]
        code = fresh.code(address)
        fresh.rpc.call("anvil_setCode", address, code[:-2] + f"{int(code[-2:], 16) ^ 1:02x}")
        assert [found.contract for found in inspect(fresh.rpc, deployed) if not found.holds] == [contract]

    def test_another_token_in_the_ledgers_immutables_is_found(self, fresh: Anvil, deployed: Deployment) -> None:
        code = fresh.code(deployed.ledger)
        changed = code.replace(deployed.token[2:].lower(), DEPLOYER.address[2:].lower())
        assert changed != code
        fresh.rpc.call("anvil_setCode", deployed.ledger, changed)
        assert "ComputeLedger" in [found.contract for found in inspect(fresh.rpc, deployed) if not found.holds]

    def test_a_ledger_at_another_address_is_not_the_one(self, fresh: Anvil, deployed: Deployment) -> None:
        elsewhere = checksum_address(b"\x11" * 20)
        fresh.rpc.call("anvil_setCode", elsewhere, fresh.code(deployed.ledger))
        found = {found.contract: found for found in inspect(fresh.rpc, replace(deployed, ledger=elsewhere))}
        assert not found["ComputeLedger"].holds
        assert f"belongs at {deployed.ledger}" in found["ComputeLedger"].says

    def test_a_contract_that_is_gone_is_named(self, fresh: Anvil, deployed: Deployment) -> None:
        fresh.rpc.call("anvil_setCode", deployed.court, "0x")
        (found,) = [found for found in inspect(fresh.rpc, deployed) if not found.holds]
        assert (found.contract, found.says) == ("ReexecutionCourt", "there is no contract")

    def test_a_token_of_others_is_only_looked_for(self, fresh: Anvil) -> None:
        token = DEPLOYER.address
        fresh.rpc.call("anvil_setCode", token, "0x60065f5260205ff3")
        made = deploy_ledger(fresh.rpc, DEPLOYER, CHAIN_ID, token)
        first, *rest = inspect(fresh.rpc, made)
        assert (first.contract, first.holds, first.abi_hash) == ("token", True, None)
        assert all(found.holds for found in rest)

    def test_a_file_of_another_abi_is_not_taken(self, fresh: Anvil, deployed: Deployment) -> None:
        (found,) = [one for one in inspect(fresh.rpc, replace(deployed, abi_hash="00")) if not one.holds]
        assert found.contract == "ComputeLedger"

    def test_another_chain_and_another_genesis_are_refused(self, fresh: Anvil, deployed: Deployment) -> None:
        with pytest.raises(WrongChain):
            inspect(fresh.rpc, replace(deployed, chain_id=1))
        with pytest.raises(WrongGenesis):
            inspect(fresh.rpc, replace(deployed, genesis_hash=to_hex(bytes(32))))


class TestCommand:
    @pytest.fixture
    def key_file(self, tmp_path: Path) -> Path:
        path = tmp_path / "deployer.key"
        path.write_text(to_hex(DEPLOYER.secret()))
        return path

    def _run(self, *arguments: object) -> Result:
        return CliRunner().invoke(app, ["deploy", *map(str, arguments)])

    def test_twice_then_verified(self, fresh: Anvil, key_file: Path, tmp_path: Path) -> None:
        options = ("--rpc", fresh.url, "--chain-id", CHAIN_ID, "--key-file", key_file, "--out", tmp_path)
        first, second = self._run(*options), self._run(*options)
        assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
        assert first.output.count("created in block") == second.output.count("already there") == 4
        file = tmp_path / f"{CHAIN_ID}.json"
        made = load_deployment(file)
        for address in _contracts(made).values():
            assert address in first.output
            assert address in second.output
        assert made.abi_hash in first.output

        verified = self._run("--rpc", fresh.url, "--verify", file)
        assert verified.exit_code == 0, verified.output
        assert verified.output.count("ok: as committed") == 4
        fresh.rpc.call("anvil_setCode", made.registry, "0x00")
        differing = self._run("--rpc", fresh.url, "--verify", file, "--json")
        assert differing.exit_code == 1
        body = json.loads(differing.stdout)
        assert [one["contract"] for one in body["contracts"] if not one["holds"]] == ["ProviderRegistry"]
        assert body["holds"] is False

    def test_the_courts_terms_are_options(self, fresh: Anvil, key_file: Path, tmp_path: Path) -> None:
        options = ("--rpc", fresh.url, "--chain-id", CHAIN_ID, "--key-file", key_file, "--out", tmp_path)
        terms = ("--court-stake", "2.5", "--court-fee", "0.5", "--court-move", 5, "--court-commit", 6)
        done = self._run(*options, *terms, "--court-reveal", 7, "--json")
        assert done.exit_code == 0, done.output
        body = json.loads(done.stdout)
        court = {one["contract"]: one["address"] for one in body["contracts"]}["ReexecutionCourt"]
        names = ("seatBond", "feePerSeat", "moveTime", "commitTime", "revealTime")
        found = [read(fresh.rpc, "ReexecutionCourt", checksum_address(court), name)[0] for name in names]
        assert found == [2_500_000, 500_000, 5, 6, 7]

    def test_a_chain_without_whole_blooms_stays_one(self, fresh: Anvil, key_file: Path, tmp_path: Path) -> None:
        options = ("--rpc", fresh.url, "--chain-id", CHAIN_ID, "--key-file", key_file, "--out", tmp_path)
        said = []
        for more in ((), ("--incomplete-blooms",), ()):
            done = self._run(*options, *more)
            assert done.exit_code == 0, done.output
            said.append(load_deployment(tmp_path / f"{CHAIN_ID}.json").complete_blooms)
        assert said == [True, False, False]

    def test_a_wrong_chain_ends_as_a_chain_error(self, fresh: Anvil, key_file: Path, tmp_path: Path) -> None:
        done = self._run("--rpc", fresh.url, "--chain-id", 5, "--key-file", key_file, "--out", tmp_path, "--json")
        assert done.exit_code == 5
        assert json.loads(done.stdout)["error"]["code"] == "wrong_chain"
        assert not (tmp_path / "5.json").exists()

    def test_a_bad_key_file_is_not_quoted(self, fresh: Anvil, key_file: Path, tmp_path: Path) -> None:
        key_file.write_text("my secret words")
        done = self._run("--rpc", fresh.url, "--chain-id", CHAIN_ID, "--key-file", key_file, "--out", tmp_path)
        assert done.exit_code == 2
        assert "secret words" not in done.output

    def test_neither_a_key_nor_a_file_is_a_usage_error(self, fresh: Anvil) -> None:
        assert self._run("--rpc", fresh.url, "--chain-id", CHAIN_ID).exit_code == 2

    def test_a_file_without_court_names_the_remedy(self, fresh: Anvil, deployed: Deployment, tmp_path: Path) -> None:
        file = tmp_path / "old.json"
        deployed.save(file)
        file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "court"}))
        with pytest.raises(DeploymentOutdated):
            load_deployment(file)
        done = self._run("--rpc", fresh.url, "--verify", file)
        assert done.exit_code == 5
        assert "run `gridlease deploy` again" in done.output
