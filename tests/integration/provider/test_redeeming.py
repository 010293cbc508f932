"""A provider that holds vouchers is paid by the ledger, whatever its market does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.chain import Chain
from protocol.hashing import keccak256, to_hex
from protocol.keys import save_keystore
from protocol.messages import sign, to_json
from protocol.terms import Voucher
from protocol.wire.leases import SignedVoucher
from provider.journal import Journal, VoucherEntry
from provider.redeeming import redeem_vouchers
from provider.settings import AgentSettings, write_settings
from tests.support.anvil import Anvil
from tests.support.ledger_world import Leased, LedgerWorld
from tests.support.provider_market import agent_values

pytestmark = pytest.mark.node


@pytest.fixture
def world() -> Iterator[LedgerWorld]:
    node = Anvil().start()
    yield LedgerWorld.deploy(node)
    node.stop()


def _settings(world: LedgerWorld, folder: Path) -> AgentSettings:
    ledger = {"ledger": world.deployment.ledger, "rpc_url": world.node.url}
    write_settings(folder, agent_values(folder) | ledger)
    settings = AgentSettings.load(folder)
    settings.password_file.write_text("secret")
    settings.password_file.chmod(0o600)
    save_keystore(settings.keystore, world.providers[0], "secret")
    return settings


def _hold(world: LedgerWorld, folder: Path, leased: Leased, cumulative: int) -> None:
    voucher = Voucher(
        lease=leased.id,
        provider=leased.provider.address,
        cumulative=cumulative,
        result=keccak256(b"state"),
        last=False,
    )
    signature = sign(world.deployment.domain, voucher, world.voucher_signer)
    signed = SignedVoucher(voucher=to_json(voucher), signature=to_hex(signature))
    Journal(folder / "leases", leased.id).append(VoucherEntry(voucher=signed))


def test_held_vouchers_are_paid_once_and_to_the_unit(world: LedgerWorld, tmp_path: Path) -> None:
    settings = _settings(world, tmp_path)
    first, second, closed = world.open(0, copies=3)
    for leased, cumulative in ((first, 1000), (second, 300), (second, 700), (closed, 5)):
        _hold(world, tmp_path, leased, cumulative)
    world.redeem((second, 300))
    world.close_last(closed, 5)

    assert dict(redeem_vouchers(settings)) == {to_hex(first.id): 1000, to_hex(second.id): 400}
    chain = Chain(world.node.url, world.deployment)
    assert chain.account(world.providers[0].address).free_base == 1000 + 700 + 5
    assert redeem_vouchers(settings) == []
