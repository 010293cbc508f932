"""A node with a court and its jurors, set back to the same moment for each story."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from protocol.keys import LocalKey
from protocol.terms import Order
from provider.runtimes.wasi_det import WasiDet
from tests.support.anvil import running_anvil
from tests.support.court_job import Told
from tests.support.court_money import Money
from tests.support.court_trial import Trial
from tests.support.court_world import CourtWorld


@pytest.fixture(scope="session")
def deployed() -> Iterator[CourtWorld]:
    with running_anvil() as node:
        yield CourtWorld.deploy(node)


@pytest.fixture
def world(deployed: CourtWorld) -> Iterator[CourtWorld]:
    # Time moves by weeks in each story.
    snapshot = deployed.node.rpc.call("evm_snapshot")
    yield deployed
    deployed.node.rpc.call("evm_revert", snapshot)


@pytest.fixture
def money(world: CourtWorld, tmp_path: Path) -> Iterator[Money]:
    made = Money(world, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> WasiDet:
    """The jurors'; compiled modules are kept from one run to the next."""
    return WasiDet(tmp_path_factory.mktemp("modules"), sandboxed=False)


class Leases(Protocol):
    """Opens a lease whose provider says `told`; the buyer challenges unless another key is given."""

    def __call__(
        self, told: Told, *, order: Order | None = None, fill: int = 0, provider: int = 0,
        challenger: LocalKey | None = None,
    ) -> Trial: ...  # fmt: skip


@pytest.fixture
def lease(world: CourtWorld, money: Money, runtime: WasiDet) -> Leases:
    # `money` first: what is gained is counted from before the lease.
    def opened(
        told: Told, *, order: Order | None = None, fill: int = 0, provider: int = 0, challenger: LocalKey | None = None
    ) -> Trial:
        leased = world.open(order or world.order(), fill, provider)
        return Trial(world, leased, told, runtime, challenger or world.buyer)

    return opened
