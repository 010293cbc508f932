"""What the mirror says of opens that are not final: a pure function of both."""

from typing import Any

from backend.submission.openings import Fate, Opening, decide
from indexer.queries import Holder
from protocol.events import Skip
from protocol.hashing import Address

LEASE = bytes(32)
OURS, OTHERS = "0xA", "0xB"


def _opening(**changes: Any) -> Opening:
    plain: dict[str, Any] = {
        "intent": 1,
        "lease": LEASE,
        "state": "assigned",
        "tx_hash": "0x01",
        "block_number": 5,
        "block_hash": "0x05",
        "succeeded": True,
        "is_final": False,
        "provider": OURS,
        "is_confirmed": True,
    }
    return Opening(**plain | changes)


def _fates(
    opening: Opening,
    provider: str | None = None,
    *,
    skips: dict[int, Skip | None] | None = None,
    live: bool = False,
    head: int = 9,
    final: int = 0,
) -> list[tuple[Fate, bool]]:
    holders = {LEASE: Holder(Address(provider), 5)} if provider else {}
    found = decide([opening], holders, skips or {}, {LEASE} if live else set(), head, final)
    return [(one.fate, one.is_final) for one in found]


class TestTheLeaseIsThere:
    def test_the_first_time_it_is_confirmed_and_then_there_is_nothing_to_write(self) -> None:
        assert _fates(_opening(is_confirmed=False), OURS) == [(Fate.CONFIRMED, False)]
        assert _fates(_opening(), OURS) == []

    def test_it_is_done_when_transaction_and_mirror_are_final_and_not_by_one_of_them(self) -> None:
        assert _fates(_opening(is_final=True), OURS, final=4) == []
        assert _fates(_opening(), OURS, final=9) == []
        assert _fates(_opening(is_final=True), OURS, final=5) == [(Fate.DONE, False)]

    def test_another_providers_is_followed_whatever_was_proposed(self) -> None:
        for provider in (OURS, None):
            for state in ("assigned", "skipped"):
                assert _fates(_opening(provider=provider, state=state), OTHERS) == [(Fate.OTHERWISE, False)]

    def test_one_that_was_skipped_before_is_watched_again_unless_a_newer_open_does(self) -> None:
        assert _fates(_opening(state="skipped"), OURS) == [(Fate.OTHERWISE, False)]
        assert _fates(_opening(state="skipped"), OURS, live=True) == []


class TestTheLeaseIsNotThere:
    def test_it_is_waited_for_until_the_mirror_has_the_transactions_own_block(self) -> None:
        assert _fates(_opening()) == []
        assert _fates(_opening(), skips={1: Skip.CAPACITY}, head=4) == []
        assert _fates(_opening(), skips={1: Skip.CAPACITY}) == [(Fate.SKIPPED, False)]

    def test_a_skip_is_the_last_word_when_its_block_is_final(self) -> None:
        assert _fates(_opening(is_final=True), skips={1: None}, final=5) == [(Fate.SKIPPED, True)]
        given_up = _opening(state="skipped", provider=None, is_final=True)
        assert _fates(given_up, final=4) == []
        assert _fates(given_up, final=5) == [(Fate.OVER, True)]

    def test_a_lease_that_was_not_given_up_is_held_whether_or_not_that_is_final(self) -> None:
        assert _fates(_opening(state="skipped")) == [(Fate.HELD, False)]
        assert _fates(_opening(state="skipped", is_final=True), final=5) == [(Fate.HELD, True)]

    def test_one_that_is_asked_for_anew_is_over_when_it_is_final(self) -> None:
        assert _fates(_opening(state="skipped"), live=True) == []
        assert _fates(_opening(state="skipped", is_final=True), live=True, final=5) == [(Fate.OVER, True)]
