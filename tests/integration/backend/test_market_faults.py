"""The first cycles of the campaign that `make faults-deep` runs for hours: a third of them on each stack."""

from pathlib import Path

import pytest

from tests.faults.market import stacks
from tests.faults.market.campaign import Campaign, last_words
from tests.faults.market.people import at_work
from tests.faults.market.plan import CI_CYCLES_A_STACK, CI_SEED, cycles
from tests.support.anvil import require_anvil
from tests.support.brokers import RabbitBroker, require_rabbit
from tests.support.receiver import receiving

pytestmark = [pytest.mark.node, pytest.mark.database, pytest.mark.broker, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("name", stacks.NAMES)
def test_a_market_whose_processes_broker_and_database_die_loses_doubles_and_jams_nothing(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    require_anvil()
    rabbit: RabbitBroker | None = None
    if name == "postgres-rabbitmq":
        rabbit = require_rabbit(request.getfixturevalue("rabbit"))
    first = CI_CYCLES_A_STACK * stacks.NAMES.index(name)
    mine = cycles(first + CI_CYCLES_A_STACK, CI_SEED)[first:]
    with receiving() as receiver, stacks.standing(name, tmp_path / "house", rabbit) as stack:
        campaign = Campaign(tmp_path / "house", stack, receiver)
        try:
            campaign.open()
            with at_work(campaign.providers):
                for cycle in mine:
                    print(campaign.run(cycle))
                campaign.finish()
        except Exception:
            print(last_words(campaign, 40))
            raise
        finally:
            campaign.close()
    assert {cycle.crash_point for cycle in mine} <= set(campaign.house.deaths)
    assert len(campaign.buyer.accepted) >= len(mine)
