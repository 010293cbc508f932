"""A few cycles of the campaign that `python -m tests.faults.market` runs for hours, on each stack."""

from pathlib import Path

import pytest

from tests.faults.market import stacks
from tests.faults.market.campaign import Campaign
from tests.faults.market.people import at_work
from tests.faults.market.plan import cycles
from tests.support.anvil import require_anvil
from tests.support.receiver import receiving

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("name", "first"), [("embedded", 1), ("postgres-redis", 1)])
def test_a_market_whose_processes_broker_and_database_die_loses_doubles_and_jams_nothing(
    tmp_path: Path, name: str, first: int
) -> None:
    require_anvil()
    with receiving() as receiver, stacks.standing(name, tmp_path / "house") as stack:
        campaign = Campaign(tmp_path / "house", stack, receiver)
        try:
            campaign.open()
            with at_work(campaign.providers):
                for cycle in cycles(2, "0")[first:]:
                    campaign.run(cycle)
                campaign.finish()
        finally:
            campaign.close()
    assert campaign.buyer.accepted
    assert campaign.told["database killed"] == 1
