"""Calls that the ledger takes one at a time do not keep the others waiting."""

from types import SimpleNamespace
from typing import Any

from backend.submission.sender import Sender

ROOM = 6


class _Paper(Sender):
    """Sends nothing: it counts what would go, as far as there is room."""

    def __init__(self, due: dict[str, int]) -> None:
        self._kinds = tuple(due)
        self.due, self.sent = due, list[str]()

    def _due_kinds(self) -> list[str]:
        return [kind for kind in self._kinds if self.due[kind]]

    def _outgoing(self) -> Any:
        return SimpleNamespace(answers=[])

    def _send_one(self, kind: str, outgoing: object) -> bool:
        if len(self.sent) == ROOM or not self.due[kind]:
            return False
        self.due[kind] -= 1
        self.sent.append(kind)
        return True


def test_hundreds_of_closes_leave_room_for_what_is_paid() -> None:
    sender = _Paper({"open": 1, "close": 900, "redeem": 1, "close_last": 2, "finalise": 0})
    assert sender.send_pending() == ROOM
    assert sender.sent == ["open", "close", "redeem", "close_last", "close", "close_last"]
