"""The first cycles of the campaign that `make faults-deep` runs for hours."""

from pathlib import Path
from random import Random

import pytest

from backend.crash_points import NAMES, arm
from tests.faults.submission import Submission
from tests.support.anvil import running_anvil
from tests.support.ledger_world import LedgerWorld

pytestmark = [pytest.mark.node, pytest.mark.timeout(1200)]

_CYCLES = 42
"""With those of the whole market they are sixty."""


def test_a_market_that_is_killed_among_failing_nodes_loses_doubles_and_jams_nothing(tmp_path: Path) -> None:
    with running_anvil() as node:
        campaign = Submission(tmp_path, LedgerWorld.deploy(node))
        try:
            for number in range(_CYCLES):
                campaign.cycle(number, Random(f"1/{number}"))
            campaign.settle()
        finally:
            campaign.close()
    assert set(NAMES) <= set(campaign.crashes)
    assert campaign.world.jobs >= _CYCLES


def test_a_crash_point_that_is_not_in_the_list_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no crash point .* attempt\.stored"):
        arm("attempt.stroed")


def test_every_named_crash_point_is_somewhere_in_the_code() -> None:
    backend = Path(__file__).parents[3] / "backend"
    code = "".join(path.read_text() for path in backend.rglob("*.py") if path.name != "crash_points.py")
    assert len(NAMES) == 12
    assert [name for name in NAMES if f'crash_points.reach("{name}")' not in code] == []
