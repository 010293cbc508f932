"""The live book is kept as long as nothing that it is made of is another, and no longer."""

from pathlib import Path

from backend.market import Market
from backend.matching.book import BookOffer
from backend.offers.tables import ProviderRow
from backend.operations.tables import LateSpellRow
from protocol.clock import now_time
from protocol.events import MessageCancelled
from protocol.messages import digest
from tests.support.paper_market import PROVIDER, PaperMarket, paper_market


def _book(paper: PaperMarket) -> list[BookOffer]:
    with paper.market.db.read() as session:
        return paper.market.live_book.now(session)


def test_the_same_offers_at_the_same_block_are_read_once(tmp_path: Path) -> None:
    with paper_market(tmp_path) as paper:
        paper.post_offer()
        assert _book(paper) is _book(paper)


def test_an_offer_that_comes_is_there_at_the_same_block(tmp_path: Path) -> None:
    with paper_market(tmp_path) as paper:
        first = paper.post_offer(rate=1)
        assert [entry.offer for entry in _book(paper)] == [first]
        second = paper.post_offer(rate=2)
        assert {entry.offer for entry in _book(paper)} == {first, second}


def test_an_offer_that_the_next_block_cancels_is_gone(tmp_path: Path) -> None:
    with paper_market(tmp_path) as paper:
        offer = paper.post_offer()
        assert len(_book(paper)) == 1
        paper.stored.grow([[MessageCancelled(PROVIDER.address, digest(paper.market.domain, offer))]])
        assert _book(paper) == []


def test_a_glance_has_the_cheapest_first(tmp_path: Path) -> None:
    with paper_market(tmp_path) as paper:
        for rate in (5, 2, 9):
            paper.post_offer(rate=rate)
        with paper.market.db.read() as session:
            assert [entry.offer.rate for entry in paper.market.live_book.lately(session)] == [2, 5, 9]


def test_who_could_not_be_heard_while_the_market_was_late_is_no_less_there(tmp_path: Path) -> None:
    with paper_market(tmp_path, silence_seconds=20) as paper:
        paper.post_offer()
        now = now_time()
        with paper.market.db.write() as session:
            session.get_one(ProviderRow, PROVIDER.address).heard_time = now - 30
            session.add(LateSpellRow(from_time=now - 38, until_time=now - 15))
        assert _book(paper) == []
        with paper.market.db.write() as session:
            session.add(LateSpellRow(from_time=now - 15, until_time=now))
        again = Market(paper.market.settings)
        again.mirror = paper.stored.mirror
        with again.db.read() as session:
            assert len(again.live_book.now(session)) == 1
        again.db.close()
