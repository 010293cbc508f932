"""`gridlease verify` says of every kind what was proved, and says no more than that."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gridlease.cli import app

VECTORS = Path(__file__).parents[2] / "vectors"
EXPECTED: dict[str, dict[str, Any]] = json.loads((VECTORS / "proofs.expected.json").read_text())

SAYS = {
    "proof-lease.json": ("is open at block 8: $1.234567 of $3.000000 paid", "It may have changed since"),
    "proof-lease-disputed.json": ("is disputed at block 8", "dispute bond        $0.500000"),
    "proof-lease-none.json": ("does not exist at block 8", "the ledger's storage says so"),
    "proof-absence.json": ("Blocks 4 to 7: no log of the ledger", "these blocks hold no log"),
    "proof-history.json": ("The whole history up to block 8 is 11 events", "Give --events to check a list"),
    "proof-history-million.json": ("is 1,000,000 events", "after 1,000,000 events"),
    "proof-range.json": ("Blocks 4 to 8: 8 events", "Give --events"),
    "proof-range-linked.json": ("Block 8: 8 events", "Give --events"),
    "proof-range-empty.json": ("Blocks 4 to 7: no event but Skipped ones", "recorded nothing in this range"),
}


def check(name: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["verify", str(VECTORS / name), *options])


def reader_of(name: str, *, trusting: bool = True) -> list[str]:
    hashes = [f"--block-hash={anchor}" for anchor in EXPECTED[name]["anchors"]]
    return [*(hashes if trusting else []), "--ledger", EXPECTED[name]["ledger"]]


@pytest.mark.parametrize("name", SAYS)
def test_it_says_what_was_proved(name: str) -> None:
    done = check(name, *reader_of(name))
    assert done.exit_code == 0, done.output
    for words in (*SAYS[name], "Proved: "):
        assert words in done.stdout


@pytest.mark.parametrize("name", SAYS)
def test_without_an_anchor_nothing_is_called_proved(name: str) -> None:
    done = check(name, *reader_of(name, trusting=False))
    assert done.exit_code == 0
    assert "Proved" not in done.stdout
    for anchor in EXPECTED[name]["anchors"]:
        assert anchor in done.stdout


@pytest.mark.parametrize("name", SAYS)
def test_programs_get_the_facts_of_the_golden_vectors(name: str) -> None:
    answer = json.loads(check(name, *reader_of(name), "--json").stdout)
    assert answer.items() >= EXPECTED[name]["facts"].items()
    assert (answer["valid"], answer["trusted"]) == (True, True)
    assert [anchor["hash"] for anchor in answer["anchors"]] == EXPECTED[name]["anchors"]


def test_a_list_is_compared_with_the_history_and_with_nothing_else() -> None:
    events = ("--events", str(VECTORS / "proof-history.ndjson"))
    good = check("proof-history.json", *reader_of("proof-history.json"), *events)
    assert good.exit_code == 0, good.output
    assert "Proved: the 11 events of the list are all that the ledger recorded" in good.stdout
    unanchored = check("proof-history.json", *reader_of("proof-history.json", trusting=False), *events)
    assert "If so: the 11 events" in unanchored.stdout
    other = check("proof-range.json", *reader_of("proof-range.json"), *events)
    assert (other.exit_code, "proof fails at events" in other.stderr) == (1, True)
    assert check("proof-lease.json", *reader_of("proof-lease.json"), *events).exit_code == 2


def test_an_absence_asks_which_ledger_is_meant() -> None:
    done = check("proof-absence.json")
    assert done.exit_code == 1
    assert "proof fails at ledger" in done.stderr
