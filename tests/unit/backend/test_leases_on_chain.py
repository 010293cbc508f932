"""What is kept of leases between steps is what the mirror says now, whatever happened meanwhile."""

from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from backend.leases.onchain import LeasesOnChain
from protocol.events import LeaseState
from protocol.hashing import from_hex, to_hex
from tests.support.fake_chain import RandomLedger
from tests.support.stored_mirror import StoredMirror


class _History:
    """A mirror of one ledger whose blocks can be taken back."""

    def __init__(self, folder: Path, draw: Random) -> None:
        self.stored, self._draw = StoredMirror(folder), draw
        #: the ledger after each block, from none
        self._after = [RandomLedger(Random(draw.random()))]

    def grow(self) -> None:
        self.stored.grow([self._events()])

    def replace(self, depth: int) -> None:
        del self._after[-depth:]
        # The ledger goes on otherwise than it did.
        self._after[-1].random = Random(self._draw.random())
        ancestor = len(self.stored.blocks) - depth
        self.stored.replace(ancestor, [self._events() for _ in range(depth + 1)], salt=self._draw.randbytes(4))

    def _events(self) -> list[Any]:
        ledger = deepcopy(self._after[-1])
        events = [ledger.next() for _ in range(12)]
        self._after.append(ledger)
        return events


@pytest.mark.parametrize("seed", range(4))
def test_it_equals_the_mirror_through_growth_and_reorgs(tmp_path: Path, seed: int) -> None:
    draw = Random(seed)
    history = _History(tmp_path, draw)
    for _ in range(6):
        history.grow()
    mirror = history.stored.mirror
    kept = LeasesOnChain(mirror)
    known: dict[str, Any] = {}
    changed = gone = ended = 0
    for number in range(24):
        asked = [*known, *[to_hex(lease.lease) for lease in mirror.leases(limit=200)], to_hex(bytes(32))]
        status, found = kept.look(asked)
        facts = {lease: _facts(row) for lease, row in found.items()}
        assert facts == {to_hex(lease): _facts(row) for lease, row in _read(mirror, asked).items()}
        assert status == mirror.status()
        closed = {lease: row.closed_block for lease, row in found.items() if row.state is LeaseState.CLOSED}
        assert {lease: block for lease, block in kept.closed.items() if lease in found} == closed
        ended += len(closed)
        changed += sum(facts[lease] != known[lease] for lease in facts.keys() & known.keys())
        gone += len(known.keys() - facts.keys())
        known = facts
        if number == 9:
            unsettled = set(asked[5:])
            kept.keep(asked[:5], unsettled)
            assert kept.closed.keys() <= unsettled
        if number % 3 == 2:
            history.replace(draw.randrange(1, 4))
        else:
            history.grow()
    assert changed
    assert gone
    assert ended


def _read(mirror: Any, leases: list[str]) -> dict[bytes, Any]:
    found: dict[bytes, Any] = mirror.leases_by_id([from_hex(lease) for lease in leases])
    return found


def _facts(row: Any) -> dict[str, Any]:
    """All but what is as old as the row."""
    return {name: getattr(row, name) for name in row.__dataclass_fields__ if name != "finality"}
