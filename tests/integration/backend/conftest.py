"""The stacks that a market runs on: database and broker, each real, started here and gone afterwards."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.anvil import running_anvil
from tests.support.brokers import Broker, FolderBroker, RabbitBroker, RedisBroker, rabbit_server, require_rabbit
from tests.support.ledger_world import LedgerWorld
from tests.support.postgres import Postgres


@dataclass(frozen=True, slots=True)
class Stack:
    """Where a test's market keeps its rows, and what carries its wakes."""

    market_url: str
    broker: Broker


@pytest.fixture(scope="session")
def world() -> Iterator[LedgerWorld]:
    """One node with a ledger, whose blocks come with each transaction."""
    with running_anvil() as node:
        yield LedgerWorld.deploy(node)


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitBroker | None]:
    """Started when the first stack is, because it takes long; None where it is not installed."""
    broker = RabbitBroker() if rabbit_server() else None
    yield broker
    if broker is not None:
        broker.close()


@pytest.fixture(params=["sqlite+folder", "postgresql+redis", "postgresql+rabbitmq"])
def stack(request: pytest.FixtureRequest, tmp_path: Path, rabbit: RabbitBroker | None) -> Iterator[Stack]:
    """Each stack in turn; a test that takes it is marked `database` and `broker`."""
    database, _, name = request.param.partition("+")
    makers: dict[str, Callable[[], Broker]] = {
        "folder": lambda: FolderBroker(tmp_path / "broker"),
        "redis": RedisBroker,
        "rabbitmq": lambda: require_rabbit(rabbit),
    }
    broker = makers[name]()
    try:
        broker.start()
        if database == "sqlite":
            market_url = f"sqlite:///{tmp_path}/market.db"
        else:
            server: Postgres = request.getfixturevalue("postgres")
            market_url = server.new_database()
        yield Stack(market_url, broker)
    finally:
        if broker is not rabbit:
            broker.close()
