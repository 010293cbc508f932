"""The whole market under faults: `python -m tests.faults.market --stack embedded --cycles 60 --seed 1`.

Node, indexer, server and worker run as `gridlease dev` runs them; jobs keep coming. In each cycle a process dies at a
named crash point, and one or two other faults come (plan.py). Then, within a minute, nothing may be lost, doubled,
stuck or jammed, and the market's database, the mirror and the contract must say the same. `--record` keeps the figures
in bench/results, `--until 500` goes on with what is kept there; a failure leaves its folder, and the same seed draws
the same faults again.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import structlog

from protocol.errors import GridleaseError
from tests.faults import shards
from tests.faults.market import stacks
from tests.faults.market.books import Broken
from tests.faults.market.campaign import Campaign, last_words
from tests.faults.market.people import at_work
from tests.faults.market.plan import cycles
from tests.faults.shards import MINUTE_SECONDS, Outcome, Shard
from tests.support.receiver import receiving


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shards.add_options(parser)
    parser.add_argument("--stack", choices=stacks.NAMES, default=stacks.NAMES[0])
    parser.add_argument("--patience", type=float, default=MINUTE_SECONDS, help="seconds, for a machine that is busy")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    return shards.run(
        f"faults-{options.stack}",
        f"faults of the whole market on {options.stack}",
        f"python -m tests.faults.market --stack {options.stack}",
        options,
        lambda shard, stop: _play(options.stack, options.patience, shard, stop),
    )


def _play(stack_name: str, patience_seconds: float, shard: Shard, stop: Callable[[], bool]) -> Outcome:
    """A shard in a house of its own, whose folder is left where it broke."""
    folder, outcome, begun = Path(tempfile.mkdtemp(prefix="gridlease-faults-")), Outcome(), time.monotonic()
    with receiving() as receiver, stacks.standing(stack_name, folder / "house") as stack:
        campaign = Campaign(folder / "house", stack, receiver, patience_seconds)
        try:
            campaign.open()
            with at_work(campaign.providers):
                for cycle in cycles(shard.first + shard.count, shard.seed)[shard.first :]:
                    if stop():
                        break
                    cycle_begun = time.monotonic()
                    said = campaign.run(cycle)
                    outcome.cycle_seconds.append(time.monotonic() - cycle_begun)
                    print(f"{time.monotonic() - begun:5.0f} s  cycle {cycle.number}: {said}", flush=True)
                campaign.finish()
            outcome.told = _told(campaign)
        except (Broken, GridleaseError) as error:
            outcome.failure = f"cycle {shard.first + len(outcome.cycle_seconds)}: {error}"
            print(f"{outcome.failure}\n{last_words(campaign, 40)}\nall of it is in {folder}", file=sys.stderr)
        finally:
            campaign.close()
    outcome.longest_seconds = campaign.longest_seconds
    if outcome.failure is None:
        shutil.rmtree(folder)
    return outcome


def _told(campaign: Campaign) -> dict[str, int | dict[str, int]]:
    told = campaign.told + sum((node.told for node in campaign.house.nodes), Counter())
    return {
        "jobs": len(campaign.buyer.accepted),
        "calls_repeated": campaign.buyer.repeated,
        "deaths": dict(campaign.house.deaths),
        "faults": dict(told),
        "ends": campaign.books.ends(),
        "spent_s": {part: round(seconds) for part, seconds in campaign.spent_seconds.items()},
    }


if __name__ == "__main__":
    raise SystemExit(main())
