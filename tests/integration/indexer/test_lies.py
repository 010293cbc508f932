"""A thousand lies of a node, one at a time: none is stored, and no honest node is refused (`tests.faults.lying`)."""

import pytest
import structlog

from indexer.settings import Backfill
from tests.faults.lies import IN_ANSWERS, IN_BODIES, name_of
from tests.faults.lying import campaign, table, trials

pytestmark = [pytest.mark.node, pytest.mark.timeout(900)]

LIES: dict[Backfill, int] = {"whole": 600, "receipts": 200, "head": 200}


@pytest.mark.parametrize("mode", LIES)
def test_a_thousand_lies_are_caught_before_commit(capsys: pytest.CaptureFixture[str], mode: Backfill) -> None:
    with structlog.testing.capture_logs(), trials(mode) as made:
        counts = campaign(made, "ci", LIES[mode])
    with capsys.disabled():
        print(f"\n{mode}\n{table(counts)}")
    assert counts.total() == LIES[mode]
    told = " ".join(lie for lie, _ in counts)
    # Each kind came about, and what changes something that is read never goes by.
    for name in [*map(name_of, IN_ANSWERS), *map(name_of, IN_BODIES)]:
        assert name in told
    without_effect = {lie for lie, ended in counts if not ended.startswith("refused")}
    assert without_effect <= {
        "a head that is behind",
        # The answers about the head and about what is final, exchanged: a head that is behind.
        "swapped ids body",
        # The same transactions in another fork have the same receipts.
        "receipts of another fork",
        # Of a block that is known the rest is not read.
        "alter block in eth_getBlockByNumber",
        "alter transaction in eth_getBlockByNumber",
        "drop transaction in eth_getBlockByNumber",
        "forget field in eth_getBlockByNumber",
        "wrong type in eth_getBlockByNumber",
    }
