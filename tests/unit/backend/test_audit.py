"""An honest auction passes its audit, and each way of cheating is named."""

import json
from dataclasses import replace

import pytest
import rfc8785

from backend.matching.audit import Fault, Outcome, audit, untold
from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.policy import match
from backend.matching.snapshot import BadSnapshot, LeftOut, Snapshot
from protocol.errors import ProtocolError
from protocol.messages import digest, sign
from tests.support.builders import make_offer, make_order
from tests.support.published import (
    DOMAIN,
    HELD_TIME,
    MATCHER,
    honest,
    key_of,
    outcome_of,
    random_snapshot,
    receipts_of,
    snapshot_of,
)

FRIEND = key_of("friend")


def _offer(name: str, rate: int) -> BookOffer:
    key = key_of(name)
    offer = make_offer(provider=key.address, rate=rate)
    return BookOffer(digest=digest(DOMAIN, offer), offer=offer, signature=sign(DOMAIN, offer, key), open_leases=0)


def _order(salt: int) -> BookOrder:
    order = make_order(salt=salt)
    return BookOrder(digest=digest(DOMAIN, order), order=order, fills=(0,), arrived=salt)


@pytest.fixture
def snapshot() -> Snapshot:
    """One order, and three offers of which the friend's is the dearest."""
    return snapshot_of([_offer("cheap", 2), _offer("middle", 3), _offer("friend", 4)], [_order(1)])


def _faults(snapshot: Snapshot, outcome: Outcome | None, **held: object) -> list[Fault]:
    return [finding.fault for finding in audit(snapshot, outcome, **held)]  # type: ignore[arg-type]


def test_a_thousand_honest_auctions_pass() -> None:
    leases = 0
    for seed in range(1000):
        snapshot = random_snapshot(seed)
        outcome = outcome_of(snapshot)
        # From its bytes, as an auditor has it.
        assert audit(Snapshot.parse(snapshot.text()), outcome) == [], f"book {seed}"
        leases += len(outcome.opened)
    assert leases > 2000


def test_receipts_of_all_that_is_in_the_book_pass(snapshot: Snapshot) -> None:
    assert audit(snapshot, outcome_of(snapshot), receipts_of(snapshot)) == []


class TestCheatingMatcher:
    def test_one_that_prefers_a_provider_is_named(self, snapshot: Snapshot) -> None:
        def prefers(book: Snapshot) -> list[Pairing]:
            friends = [entry for entry in book.offers if entry.offer.provider == FRIEND.address]
            return match(friends, book.orders, book.min_notice)

        findings = audit(snapshot, outcome_of(snapshot, prefers), receipts_of(snapshot))
        assert [finding.fault for finding in findings] == [Fault.OTHER_OFFER]
        assert FRIEND.address in findings[0].words
        assert key_of("cheap").address in findings[0].words

    def test_one_that_skips_a_cheaper_offer_is_named(self, snapshot: Snapshot) -> None:
        def skips(book: Snapshot) -> list[Pairing]:
            return match([entry for entry in book.offers if entry.offer.rate > 2], book.orders, book.min_notice)

        assert _faults(snapshot, outcome_of(snapshot, skips)) == [Fault.OTHER_OFFER]

    def test_one_that_drops_an_offer_from_its_book_is_named_by_the_receipt(self, snapshot: Snapshot) -> None:
        dropped = replace(snapshot, offers=snapshot.offers[1:])
        assert _faults(dropped, outcome_of(dropped)) == []
        assert _faults(dropped, outcome_of(dropped), receipts=receipts_of(snapshot)) == [Fault.DROPPED]

    def test_one_that_leaves_an_offer_out_must_say_so(self, snapshot: Snapshot) -> None:
        said = LeftOut(digest=snapshot.offers[0].digest, why="withdrawn")
        public = replace(snapshot, offers=snapshot.offers[1:], left_out=(said,))
        assert _faults(public, outcome_of(public), receipts=receipts_of(snapshot)) == []

    def test_one_that_told_in_an_earlier_book_that_it_left_for_good_need_not_say_so_again(
        self, snapshot: Snapshot
    ) -> None:
        later = replace(snapshot, offers=snapshot.offers[1:], held_time=HELD_TIME + 5)
        said = LeftOut(digest=snapshot.offers[0].digest, why="withdrawn", for_good=True)
        told = replace(snapshot, offers=snapshot.offers[1:], left_out=(said,))
        held = receipts_of(snapshot)
        assert untold(later, held) == [said.digest]

        def faults(book: Snapshot, *, is_committed: bool = True) -> list[Fault]:
            outcome = outcome_of(later)
            if is_committed:
                outcome = replace(outcome, roots=outcome.roots | {book.root()})
            # From its bytes, as an auditor has it.
            return _faults(later, outcome, receipts=held, earlier=[Snapshot.parse(book.text())])

        assert faults(told) == []
        assert faults(told, is_committed=False) == [Fault.DROPPED]
        assert faults(replace(told, left_out=(replace(said, for_good=False),))) == [Fault.DROPPED]
        assert faults(replace(told, held_time=later.held_time + 1)) == [Fault.DROPPED]
        assert faults(replace(told, matcher=FRIEND.address)) == [Fault.DROPPED]

    def test_one_that_lowers_its_bound_is_named(self, snapshot: Snapshot) -> None:
        lowered = replace(snapshot, offers=snapshot.offers[1:], sequence_bound=1)
        assert Fault.BOUND in _faults(lowered, outcome_of(lowered), receipts=receipts_of(snapshot)[:1])

    def test_one_that_publishes_another_book_than_it_committed_to_is_named(self, snapshot: Snapshot) -> None:
        other = replace(snapshot, offers=snapshot.offers[1:])
        assert _faults(snapshot, outcome_of(other)) == [Fault.ROOT]

    def test_one_that_invents_an_offer_is_named(self, snapshot: Snapshot) -> None:
        invented = replace(_offer("nobody", 1), signature=snapshot.offers[0].signature)
        fuller = replace(snapshot, offers=(*snapshot.offers, invented))
        assert _faults(fuller, outcome_of(fuller)) == [Fault.SIGNATURE]

    def test_one_that_holds_a_lease_back_is_named(self, snapshot: Snapshot) -> None:
        assert _faults(snapshot, outcome_of(snapshot, lambda _: [])) == [Fault.NOT_SENT]
        skipped = replace(outcome_of(snapshot, lambda _: []), skipped=frozenset({outcome_of(snapshot).opened[0].lease}))
        assert _faults(snapshot, skipped) == []

    def test_one_that_matches_more_than_the_rule_is_named(self, snapshot: Snapshot) -> None:
        def generous(book: Snapshot) -> list[Pairing]:
            return honest(replace(book, orders=(*book.orders, _order(2))))

        assert _faults(snapshot, outcome_of(snapshot, generous)) == [Fault.NOT_BY_THE_RULE]


class TestReceipt:
    def test_of_what_has_expired_or_came_later_asks_for_nothing(self, snapshot: Snapshot) -> None:
        key = key_of("late")
        for sequence, expiry, received_at in ((1, HELD_TIME, HELD_TIME - 10), (99, HELD_TIME + 10, HELD_TIME)):
            offer = make_offer(provider=key.address, expiry=expiry)
            held = receipts_of(snapshot)[0]
            terms = replace(held.receipt, hash=digest(DOMAIN, offer), sequence=sequence, received_at=received_at)
            late = replace(held, receipt=terms, message=offer, signature=sign(DOMAIN, terms, MATCHER))
            assert audit(snapshot, None, [late]) == []

    def test_that_the_matcher_did_not_sign_is_refused(self, snapshot: Snapshot) -> None:
        held = receipts_of(snapshot)[0]
        with pytest.raises(ProtocolError, match="signed by"):
            audit(snapshot, None, [replace(held, signature=sign(DOMAIN, held.receipt, FRIEND))])
        with pytest.raises(ProtocolError, match="not for the message"):
            audit(snapshot, None, [replace(held, message=make_offer())])


class TestSnapshot:
    def test_every_line_is_under_the_root(self, snapshot: Snapshot) -> None:
        roots = {snapshot.root()}
        for changed in (
            replace(snapshot, held_time=HELD_TIME + 1),
            replace(snapshot, sequence_bound=1),
            replace(snapshot, offers=snapshot.offers[:2]),
            replace(snapshot, offers=(replace(snapshot.offers[0], open_leases=1), *snapshot.offers[1:])),
            replace(snapshot, orders=(replace(snapshot.orders[0], tried=frozenset({FRIEND.address})),)),
            replace(snapshot, left_out=(LeftOut(digest=bytes(32), why="withdrawn"),)),
        ):
            roots.add(changed.root())
        assert len(roots) == 7

    def test_its_lines_are_canonical_json(self, snapshot: Snapshot) -> None:
        left_out = (LeftOut(digest=bytes(32), why='ä "quoted" \\ \u2028 word'),)
        for line in replace(snapshot, left_out=left_out).lines():
            assert line == rfc8785.dumps(json.loads(line))

    def test_its_root_does_not_depend_on_the_order_of_what_it_holds(self, snapshot: Snapshot) -> None:
        assert replace(snapshot, offers=snapshot.offers[::-1]).root() == snapshot.root()

    @pytest.mark.parametrize("spoil", ["", "{}\n", "[]\n", "not json\n"])
    def test_another_text_is_refused(self, snapshot: Snapshot, spoil: str) -> None:
        with pytest.raises(BadSnapshot):
            Snapshot.parse(spoil)

    def test_another_spelling_is_refused(self, snapshot: Snapshot) -> None:
        with pytest.raises(BadSnapshot, match="spelt otherwise"):
            Snapshot.parse(snapshot.text().replace('"minNotice":10', '"minNotice": 10'))
