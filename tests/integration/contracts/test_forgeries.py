"""No message is accepted but the one that was signed, by whom it names, for this ledger, once (tests/differential)."""

from dataclasses import replace

import pytest

from tests.differential.cast import STRANGER
from tests.differential.chain import InProcessChain
from tests.differential.episodes import table
from tests.differential.forging import Accepted, Forger, forge

MESSAGES = 50_000
_HALF_ORDER = bytes.fromhex("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")


def test_no_forgery_is_accepted_and_every_genuine_message_is() -> None:
    counts, controls = forge("ci", MESSAGES)
    print(table(counts))
    print(f"genuine messages accepted: {controls}")
    assert sum(counts.values()) >= MESSAGES
    # Fourteen targets, at the begin and the end of each of 25 worlds.
    assert controls == 14 * 2 * 25
    assert min(counts.values()) > 0
    assert len({target for target, _ in counts}) == 14


def test_a_ledger_that_takes_a_high_s_is_found() -> None:
    broken = InProcessChain(patch=lambda code: code.replace(_HALF_ORDER, b"\xff" * 32))
    with pytest.raises(Accepted, match="high s"):
        Forger("broken", broken).run(20_000)


def test_the_control_group_can_fail() -> None:
    forger = Forger("control")
    target = replace(forger.gallery.targets[0], key=STRANGER.key)
    with pytest.raises(Accepted, match="was not accepted"):
        forger.control(target)
