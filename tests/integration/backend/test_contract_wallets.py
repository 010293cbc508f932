"""Contract wallets sign in by EIP-1271 on a real node, and none of them can make the market work for nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.clock import now_time
from tests.support.accounts_market import MarketWorld, market_world
from tests.support.anvil import Anvil, running_anvil
from tests.support.contract_wallets import CODES, OWNER, THIEF, address_of, sign_in

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    # The market's ledger in these tests says that it is of chain 1.
    with running_anvil("--chain-id", "1") as started:
        for name, code in CODES.items():
            started.rpc.call("anvil_setCode", address_of(name), code)
        yield started


@pytest.fixture
def world(tmp_path: Path, node: Anvil) -> Iterator[MarketWorld]:
    with market_world(tmp_path, rpc_url=node.url) as made:
        yield made


def test_a_contract_wallet_signs_in_by_its_owners_signature_and_by_no_other(world: MarketWorld) -> None:
    answer = sign_in(world, address_of("owned"), OWNER)
    assert answer.status_code == 200, answer.text
    assert answer.json()["address"] == address_of("owned")
    assert sign_in(world, address_of("owned"), THIEF).status_code == 401


@pytest.mark.parametrize("name", [name for name in CODES if name != "owned"])
def test_a_contract_that_does_not_say_yes_is_refused_in_time(world: MarketWorld, name: str) -> None:
    begun = now_time()
    answer = sign_in(world, address_of(name), OWNER)
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_refused"), answer.text
    assert now_time() - begun < 30


def test_a_nonce_is_used_up_by_a_signature_of_somebody_else(world: MarketWorld) -> None:
    message = world.message(OWNER)
    assert "not by" in world.sign_in(THIEF, message).json()["detail"]
    assert world.sign_in(OWNER, message).status_code == 401


def test_a_signature_for_one_wallet_signs_nobody_else_in(world: MarketWorld) -> None:
    assert sign_in(world, OWNER.address, THIEF).status_code == 401
    assert sign_in(world, THIEF.address, OWNER).status_code == 401


def test_a_node_of_another_chain_is_not_asked(tmp_path: Path) -> None:
    with running_anvil("--chain-id", "5") as other, market_world(tmp_path, rpc_url=other.url) as world:
        other.rpc.call("anvil_setCode", address_of("owned"), CODES["owned"])
        answer = sign_in(world, address_of("owned"), OWNER)
        assert answer.status_code != 200, answer.text
