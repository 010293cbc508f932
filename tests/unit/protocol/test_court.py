import pytest

from protocol.calls import artefact
from protocol.court import Case, Outcome, Phase
from protocol.hashing import checksum_address, keccak256
from protocol.results import TraceLeaf
from protocol.trace import Point, agrees

PROVIDER, CHALLENGER = bytes(19) + b"\1", bytes(19) + b"\2"
STORED = {
    "provider": PROVIDER, "deadline": 10, "phase": 3, "outcome": 2, "seats": 9, "filled": 1, "round": 2,
    "challenger": CHALLENGER, "revealUntil": 20, "committed": 3, "revealed": 4, "anchor": 30, "places": 5, "probes": 6,
    "segments": 7, "startWork": 8, "root": bytes(32), "finalValue": keccak256(b"final"),
    "lo": (keccak256(b"lo"), 1, 2), "mid": (keccak256(b"mid"), 3, 4), "hi": (keccak256(b"hi"), 5, 7),
}  # fmt: skip
"""A value for each field of the contract's struct."""


def test_a_case_is_read_in_the_order_of_the_abi() -> None:
    [view] = [entry for entry in artefact("ReexecutionCourt")["abi"] if entry.get("name") == "caseOf"]
    names = [field["name"] for field in view["outputs"][0]["components"]]
    case = Case.of([STORED[name] for name in names])
    assert (case.provider, case.challenger) == (checksum_address(PROVIDER), checksum_address(CHALLENGER))
    assert (case.phase, case.outcome, case.seats, case.round_) == (Phase.ANSWERING, Outcome.BUYER_WINS, 9, 2)
    assert (case.deadline, case.reveal_until, case.anchor, case.segments) == (10, 20, 30, 7)
    assert case.final_value == keccak256(b"final")
    assert case.lo == Point(state=keccak256(b"lo"), work=1, position=2)
    assert case.mid == Point(state=keccak256(b"mid"), work=3, position=4)
    assert case.hi == Point(state=keccak256(b"hi"), work=5, position=7)
    assert case.next_position == 4


TRACE = [TraceLeaf(index=index, state_hash=keccak256(bytes([index])), work=10 * (index + 1)) for index in range(3)]


@pytest.mark.parametrize(
    ("posted", "answer"),
    [
        (Point(state=keccak256(b"\1"), work=20, position=2), True),
        (Point(state=keccak256(b"\2"), work=30, position=3), True),
        (Point(state=keccak256(b"\1"), work=21, position=2), False),
        (Point(state=keccak256(b"\2"), work=20, position=2), False),
        (Point(state=keccak256(b"\2"), work=30, position=4), False),
        (Point(state=keccak256(b"\2"), work=30, position=0), False),
    ],
)
def test_a_challenger_agrees_with_what_it_found_itself(posted: Point, answer: bool) -> None:
    assert agrees(TRACE, posted) is answer
