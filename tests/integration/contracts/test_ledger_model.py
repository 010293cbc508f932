"""The reference model and the bytecode do the same, operation by operation, to the unit (tests/differential)."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from protocol.calls import artefact
from protocol.events import TOPICS, EndReason, LeaseState, signature
from protocol.hashing import keccak256
from protocol.ledger import claims, leases, opening, state
from tests.differential.choosing import Chooser
from tests.differential.episodes import Counts, Failure, live, run, shrink, table
from tests.differential.node_chain import NODE_OPTIONS, NodeChain
from tests.differential.operations import calldata, reference_calldata
from tests.differential.outcomes import reachable
from tests.differential.twins import Twins
from tests.support.anvil import Anvil, running_anvil

OPERATIONS = 20_000
ON_NODE = 1000


def test_the_model_and_the_bytecode_agree_after_every_operation() -> None:
    try:
        counts = run("ci", OPERATIONS)
    except Failure as failure:
        pytest.fail(str(shrink(failure)))
    print(table(counts))
    missing = reachable() - set(counts)
    assert not missing, "not reached: the run says nothing about these"


@pytest.fixture
def node() -> Iterator[Anvil]:
    with running_anvil(*NODE_OPTIONS) as anvil:
        yield anvil


@pytest.mark.node
def test_they_agree_on_a_real_node(node: Anvil) -> None:
    counts: Counts = live("node", ON_NODE, NodeChain(node))
    print(table(counts))
    assert sum(counts[name, kind] for name, kind in counts if kind.startswith("done")) > ON_NODE // 4


def test_calldata_is_what_the_abi_says() -> None:
    twins = Twins()
    chooser = Chooser(twins, Random("encoding"))
    for _ in range(400):
        operation = chooser.next()
        assert calldata(operation) == reference_calldata(operation), operation
        twins.run(operation)
        chooser.note(operation)


def _no_penalty(lease: state.Lease, order: Any, extra: int) -> tuple[int, int]:
    return (max(extra, order.min_charge - lease.paid), 0) if lease.early else (extra, 0)


def _one_second_late(lease: state.Lease, time: int) -> LeaseState:
    late = lease.state is LeaseState.OPEN and time > lease.deadline
    return LeaseState.CLOSING if late else lease.state


def _fee_once(order: Any, fill: int) -> int:
    return int(order.budget + order.fee)


def _pays_the_lock(lease: state.Lease, cumulative: int) -> int:
    return max(0, cumulative - lease.paid)


BREAKS: dict[str, tuple[Any, str, Any]] = {
    "no penalty for the unresponsive": (claims, "settle_minimum", _no_penalty),
    "a deadline one second late": (state.Lease, "state_at", _one_second_late),
    "a lane charged one fee": (opening, "_lane_cost", _fee_once),
    "a voucher pays more than the lock": (state.Lease, "due", _pays_the_lock),
    "the arbiter has a second more": (claims, "ARBITER_SECONDS", state.ARBITER_SECONDS + 1),
    "a lost claim still ends its lane": (claims, "_ENDED_OTHERWISE", (*claims._ENDED_OTHERWISE, EndReason.CLAIMED)),
    "the matcher may cancel": (leases, "is_owner", lambda order, who: True),
    "a zone is free after close": (opening, "_zone_is_taken", lambda *arguments: False),
    "no minimum of the registry": (opening, "_is_attested", lambda *arguments: True),
    "work rounds up": (claims, "earned_down", lambda meter, rate, work: -(-rate * work // 10**12)),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_model_broken_in_one_place_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, attribute, broken = BREAKS[name]
    monkeypatch.setattr(place, attribute, broken)
    found: Callable[[], Counts] = lambda: run(f"broken {name}", OPERATIONS)  # noqa: E731
    with pytest.raises(Failure) as caught:
        found()
    assert len(caught.value.operations) > 0


def test_a_difference_is_shown_by_few_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state.Lease, "due", _pays_the_lock)
    with pytest.raises(Failure) as caught:
        run("few", OPERATIONS)
    shortest = shrink(caught.value)
    # Money for both sides, a lease, a voucher.
    assert len(shortest.operations) <= 5, str(shortest)


def test_the_events_of_python_are_the_events_of_the_interface() -> None:
    declared = {}
    for entry in artefact("ComputeLedger")["abi"]:
        if entry["type"] == "event":
            types = ",".join(item["type"] for item in entry["inputs"])
            declared[keccak256(f"{entry['name']}({types})".encode())] = sum(item["indexed"] for item in entry["inputs"])
    ours = {topic: kind.INDEXED for topic, kind in TOPICS.items()}
    assert {topic: declared.get(topic) for topic in ours} == ours, [signature(kind) for kind in TOPICS.values()]
