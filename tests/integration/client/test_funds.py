"""A buyer's own transactions on a real node: deposit by permit, delegate, withdraw, and what is refused."""

import subprocess
import time
from collections.abc import Iterator

import pytest

from client.errors import NotFunded
from client.funds import Funds
from gridlease.deploy import deploy_ledger
from gridlease.house import anvil_path, dev_key, free_port
from protocol import wallet
from protocol.errors import NodeUnavailable, TransactionReverted, WrongChain
from protocol.hashing import checksum_address
from protocol.keys import LocalKey
from protocol.rpc import Rpc
from protocol.wire.accounts import ChainInfo

pytestmark = pytest.mark.node

DOLLAR = 10**6
DELEGATE = LocalKey.derive(bytes(32), "delegate").address


@pytest.fixture(scope="module")
def rpc() -> Iterator[Rpc]:
    port = free_port()
    node = subprocess.Popen([anvil_path(), "--port", str(port), "--silent"])
    try:
        with Rpc(f"http://127.0.0.1:{port}") as opened:
            _until_it_answers(opened)
            yield opened
    finally:
        node.terminate()
        node.wait(timeout=10)


@pytest.fixture(scope="module")
def chain(rpc: Rpc) -> ChainInfo:
    deployed = deploy_ledger(rpc, dev_key(0), 31337, None)
    return ChainInfo(
        chain_id=31337,
        ledger=deployed.ledger,
        token=deployed.token,
        registry=deployed.registry,
        court=deployed.court,
        rpc_url=rpc.url,
        matcher=dev_key(1).address,
        fee_base=100,
        deploy_block=deployed.deploy_block,
        min_notice=deployed.min_notice,
        block_time=0,
        block_number=0,
    )


@pytest.fixture
def buyer() -> LocalKey:
    """A new wallet: no token and no gas."""
    return LocalKey.create()


@pytest.fixture
def funds(chain: ChainInfo, buyer: LocalKey, rpc: Rpc) -> Funds:
    made = Funds(chain, buyer, rpc)
    made.mint(100 * DOLLAR)
    return made


class TestDeposit:
    def test_a_permit_deposits_in_one_transaction(self, funds: Funds, buyer: LocalKey, rpc: Rpc) -> None:
        before = int(rpc.call("eth_getTransactionCount", buyer.address, "latest"), 16)
        sent = funds.deposit(5 * DOLLAR)
        assert int(rpc.call("eth_getTransactionCount", buyer.address, "latest"), 16) == before + 1
        assert (funds.free_balance(), funds.token_balance()) == (5 * DOLLAR, 95 * DOLLAR)
        assert sent.block_number == rpc.block_number()

    def test_a_second_permit_uses_the_next_nonce(self, funds: Funds) -> None:
        funds.deposit(1)
        funds.deposit(2)
        assert funds.free_balance() == 3

    def test_a_token_without_permit_is_approved_for_exactly_the_amount(
        self, funds: Funds, chain: ChainInfo, buyer: LocalKey, rpc: Rpc, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Funds, "_permit_domain", lambda _self: None)
        funds.deposit(5 * DOLLAR)
        assert funds.free_balance() == 5 * DOLLAR
        token = checksum_address(chain.token)
        assert wallet.read(rpc, "TestDollar", token, "allowance", buyer.address, chain.ledger) == (0,)

    def test_more_than_the_wallet_holds_is_not_sent(self, funds: Funds, buyer: LocalKey, rpc: Rpc) -> None:
        before = rpc.block_number()
        with pytest.raises(NotFunded, match=r"\$100\.000000"):
            funds.deposit(101 * DOLLAR)
        assert rpc.block_number() == before


class TestWithdraw:
    def test_free_money_leaves_for_the_named_address(self, funds: Funds, chain: ChainInfo, rpc: Rpc) -> None:
        funds.deposit(5 * DOLLAR)
        receiver = LocalKey.create().address
        funds.withdraw(2 * DOLLAR, receiver)
        token = checksum_address(chain.token)
        assert wallet.read(rpc, "TestDollar", token, "balanceOf", receiver) == (2 * DOLLAR,)
        assert funds.free_balance() == 3 * DOLLAR

    def test_more_than_is_free_is_not_sent(self, funds: Funds) -> None:
        with pytest.raises(NotFunded, match="are free"):
            funds.withdraw(1)


class TestDelegate:
    def test_a_cap_is_set_and_revoked(self, funds: Funds, chain: ChainInfo, buyer: LocalKey, rpc: Rpc) -> None:
        ledger = checksum_address(chain.ledger)
        until_time = funds.chain_time() + 86_400
        funds.approve_delegate(DELEGATE, 5 * DOLLAR, until_time)
        read = wallet.read(rpc, "ComputeLedger", ledger, "delegate", buyer.address, DELEGATE)
        assert read == ((5 * DOLLAR, until_time),)
        funds.approve_delegate(DELEGATE, 0, 0)
        assert wallet.read(rpc, "ComputeLedger", ledger, "delegate", buyer.address, DELEGATE) == ((0, 0),)

    def test_the_ledgers_refusal_is_named(self, funds: Funds) -> None:
        with pytest.raises(TransactionReverted, match="ZeroAddress"):
            funds.approve_delegate(checksum_address(bytes(20)), 1, 1)


class TestWrongChain:
    def test_a_node_of_another_chain_is_refused_before_anything_is_signed(
        self, chain: ChainInfo, buyer: LocalKey, rpc: Rpc
    ) -> None:
        with pytest.raises(WrongChain):
            Funds(chain.model_copy(update={"chain_id": 1}), buyer, rpc)


def _until_it_answers(rpc: Rpc) -> None:
    for _ in range(200):
        try:
            rpc.chain_id()
        except NodeUnavailable:
            time.sleep(0.05)
        else:
            return
    pytest.fail("anvil does not answer")
