"""`gridlease job challenge` on a real node: a lie that was signed costs its lease, and only what holds is sent."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from client.disputes import challenge_of
from client.errors import BadAnswer, NotFunded, NothingToChallenge
from client.funds import Funds
from protocol.hashing import ZERO_ADDRESS, keccak256, to_hex
from protocol.keys import LocalKey
from protocol.messages import sign, to_json
from protocol.terms import UsageReceipt
from protocol.wire.accounts import ChainInfo
from protocol.wire.evidence import Evidence, Statement
from tests.support.anvil import running_anvil
from tests.support.ledger_world import Leased, LedgerWorld
from tests.support.slow_path import BOND, SlowPath

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def slow() -> Iterator[SlowPath]:
    with running_anvil() as node:
        yield SlowPath(LedgerWorld.deploy(node))


@pytest.fixture
def leased(slow: SlowPath) -> Leased:
    return slow.open(slow.order())


def _receipt(lease: bytes) -> UsageReceipt:
    return UsageReceipt(
        lease=lease, sequence=3, metered_until=1, work=10**9, result=keccak256(b"a lie"), checkpoint=keccak256(b"")
    )


def _evidence(slow: SlowPath, leased: Leased, **changes: Any) -> Evidence:
    """As the market shows it; `changes` are a market's that lies."""
    receipt = changes.pop("receipt", _receipt(leased.id))
    signer: LocalKey = changes.pop("signer", leased.provider)
    order = replace(leased.order, **changes.pop("order", {}))
    statement = Statement(
        lease=to_hex(leased.id),
        fill=changes.pop("fill", leased.fill),
        provider=leased.provider.address,
        sequence=3,
        verdict="odd",
        usage_receipt=to_json(receipt),
        signature=to_hex(sign(slow.world.deployment.domain, receipt, signer)),
    )
    return Evidence(order=to_json(order), arbiter=order.arbiter, bond_base=order.bond, data=[statement])


def _funds(slow: SlowPath, key: LocalKey) -> Funds:
    deployed = slow.world.deployment
    chain = ChainInfo(
        chain_id=deployed.chain_id,
        ledger=deployed.ledger,
        token=deployed.token,
        registry=deployed.registry,
        court=deployed.court,
        rpc_url=slow.world.rpc.url,
        matcher=slow.world.matcher.address,
        fee_base=100,
        deploy_block=deployed.deploy_block,
        min_notice=deployed.min_notice,
        block_time=0,
        block_number=0,
    )
    return Funds(chain, key, slow.world.rpc)


def test_it_puts_the_bond_at_stake_and_the_arbiter_may_rule(slow: SlowPath, leased: Leased) -> None:
    buyer = slow.world.buyer
    made = challenge_of(_evidence(slow, leased), slow.world.deployment.domain, buyer.address)
    before = slow.free(buyer.address)
    made.send(_funds(slow, buyer))
    assert before - slow.free(buyer.address) == BOND
    slow.rule(leased, False, 0, BOND, 0)
    # Its own bond, the provider's, and the lock.
    assert slow.free(buyer.address) >= before + BOND


def test_without_the_money_for_the_bond_nothing_is_sent(slow: SlowPath, leased: Leased) -> None:
    made = challenge_of(_evidence(slow, leased), slow.world.deployment.domain, slow.world.buyer.address)
    poor = LocalKey.derive(bytes(32), "poor")
    with pytest.raises(NotFunded, match="at stake"):
        made.send(_funds(slow, poor))


@pytest.mark.parametrize(
    ("lie", "fact"),
    [
        ({"signer": LocalKey.derive(bytes(32), "somebody")}, "signed by"),
        ({"receipt": _receipt(bytes(32))}, "about another lease"),
        ({"fill": 1}, "another lease"),
        ({"order": {"bond": BOND + 1}}, "another lease"),
        ({"order": {"buyer": LocalKey.derive(bytes(32), "somebody").address}}, "the order's buyer"),
    ],
)
def test_evidence_that_does_not_hold_is_refused(slow: SlowPath, leased: Leased, lie: dict[str, Any], fact: str) -> None:
    with pytest.raises(BadAnswer, match=fact):
        challenge_of(_evidence(slow, leased, **lie), slow.world.deployment.domain, slow.world.buyer.address)


def test_where_there_is_nothing_to_challenge_it_says_why(slow: SlowPath, leased: Leased) -> None:
    domain, buyer = slow.world.deployment.domain, slow.world.buyer.address
    found = _evidence(slow, leased)
    with pytest.raises(NothingToChallenge, match="found wrong"):
        challenge_of(found.model_copy(update={"data": []}), domain, buyer)
    with pytest.raises(NothingToChallenge, match="lease 0x00"):
        challenge_of(found, domain, buyer, "0x00")
    other = _evidence(slow, slow.open(slow.order()))
    both = found.model_copy(update={"data": [*found.data, *other.data]})
    with pytest.raises(NothingToChallenge, match="--lease 0x"):
        challenge_of(both, domain, buyer)
    assert challenge_of(both, domain, buyer, to_hex(leased.id)).lease == leased.id
    free = slow.world.open()[0]
    assert free.order.arbiter == ZERO_ADDRESS
    with pytest.raises(NothingToChallenge, match="no arbiter"):
        challenge_of(_evidence(slow, free), domain, buyer)
