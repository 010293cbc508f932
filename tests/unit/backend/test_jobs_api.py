"""/v1/jobs over HTTP: quotes in dollars, pages with filters, waiting, and the money's word beside the work's."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from backend.events import chain
from backend.events.tables import JobEventRow
from protocol.ids import first_id, new_id
from tests.support.paper_market import STRANGER, PaperMarket, closed, manifest, paid, paper_market


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[PaperMarket]:
    with paper_market(tmp_path) as made:
        yield made


def _ask(paper: PaperMarket, method: str, url: str, token: str | None = None, **how: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with paper.http(token) as http:
            return await http.request(method, url, **how)

    return asyncio.run(ask())


def _buy(paper: PaperMarket, key: str = "k", **words: Any) -> httpx.Response:
    headers = {"idempotency-key": key, **words.pop("headers", {})}
    return _ask(paper, "POST", "/v1/jobs", json={"manifest": manifest(), **words}, headers=headers)


def _quote(paper: PaperMarket, **words: Any) -> Any:
    answer = _ask(paper, "POST", "/v1/jobs?dry_run=1", json={"manifest": manifest(), **words})
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestQuote:
    def test_it_counts_the_refused_by_reason_and_names_the_nearest_relaxation(self, paper: PaperMarket) -> None:
        paper.post_offer(rate=100, zone=0, salt=1)
        for number, rate in enumerate((900, 412), 2):
            paper.post_offer(rate=rate, salt=number)
        quote = _quote(paper, max_rate=400, needs={"zones_in": ["DE"]})
        assert not quote["would_match"]
        assert (quote["offers"], quote["fitting"]) == (3, 0)
        said = {refusal["reason"]: refusal for refusal in quote["refusals"]}
        assert said["rate"]["offers"] == 2
        assert said["rate"]["remedy"] == "raise max_rate to 412"
        assert said["zone"]["relaxations"] == [{"word": "needs.zones_in", "to": [], "text": "drop needs.zones_in"}]
        # Exactly what was named is enough.
        assert _quote(paper, max_rate=412, needs={"zones_in": ["DE"]})["rate"] == 412
        assert not _quote(paper, max_rate=411, needs={"zones_in": ["DE"]})["would_match"]

    def test_sums_come_in_base_units_and_in_dollars(self, paper: PaperMarket) -> None:
        paper.post_offer(rate=2_400_000)
        quote = _quote(paper)
        assert (quote["lock_base"], quote["lock_dollars"]) == ("4800", "$0.004800")
        assert quote["rate_dollars"] == "$0.002400/10⁹ work"
        assert (quote["fee_base"], quote["fee_dollars"]) == ("100", "$0.000100")
        # Twice the lock of twice the market's rate, and four fees.
        assert (quote["most_base"], quote["most_dollars"]) == ("19600", "$0.019600")

    def test_the_market_rate_is_that_of_an_offer_that_would_do(self, paper: PaperMarket) -> None:
        paper.post_offer(rate=10, zone=0, salt=1)
        paper.post_offer(rate=1000, salt=2)
        assert _quote(paper, needs={"zones_in": ["DE"]})["max_rate"] == 2000


class TestBuying:
    def test_an_order_that_nobody_meets_is_refused_with_what_would_help(self, paper: PaperMarket) -> None:
        paper.post_offer(rate=412)
        problem = _buy(paper, max_rate=1).json()
        assert (problem["status"], problem["code"]) == (409, "not_matched")
        assert problem["remedy"] == "raise max_rate to 412"
        assert problem["refusals"][0]["offers"] == 1

    def test_what_is_missing_is_counted_by_the_cheapest_offer_that_fits(self, tmp_path: Path) -> None:
        with paper_market(tmp_path, free_base=1000) as poor:
            poor.post_offer(rate=10, zone=0, salt=1)
            poor.post_offer(rate=2_400_000, salt=2)
            # The cheap one would have done with what is there, but it is in no zone.
            problem = _buy(poor, needs={"zones_in": ["DE"]}).json()
            assert (problem["status"], problem["needed_base"]) == (402, "4900")
            assert problem["remedy"].startswith("deposit $0.003900")

    def test_who_prefers_to_wait_hears_the_end_when_it_comes(self, paper: PaperMarket) -> None:
        paper.post_offer()

        async def buy_and_end() -> httpx.Response:
            async with paper.http() as http:
                headers = {"idempotency-key": "k", "prefer": "wait=20"}
                bought = asyncio.create_task(http.post("/v1/jobs", json={"manifest": manifest()}, headers=headers))
                page: Any = {"data": []}
                while not page["data"]:
                    await asyncio.sleep(0.02)
                    page = (await http.get("/v1/jobs")).json()
                assert not bought.done()
                paper.change_job(page["data"][0]["id"], state="failed")
                return await asyncio.wait_for(bought, 10)

        answer = asyncio.run(buy_and_end())
        assert (answer.status_code, answer.json()["state"]) == (200, "failed")

    def test_a_wait_that_is_none_is_no_wait(self, paper: PaperMarket) -> None:
        paper.post_offer()
        for number, said in enumerate(("wait=²", "wait=-1", "wait=", "respond-async")):
            assert _buy(paper, key=str(number), headers={"prefer": said.encode("latin-1")}).status_code == 202


class TestPages:
    def _many(self, paper: PaperMarket) -> list[str]:
        """Newest first; each second one has ended."""
        ids = sorted((new_id("job") for _ in range(7)), reverse=True)
        for number, job_id in enumerate(ids):
            paper.add_job(job_id, state="failed" if number % 2 else "queued")
        paper.add_job(new_id("job"), who=STRANGER)
        return ids

    def test_they_come_newest_first_without_gap_or_repetition_while_others_arrive(self, paper: PaperMarket) -> None:
        ids = self._many(paper)
        seen: list[str] = []
        token: str | None = None
        while True:
            url = "/v1/jobs?limit=3" + (f"&page_token={token}" if token else "")
            page = _ask(paper, "GET", url).json()
            seen += [job["id"] for job in page["data"]]
            paper.add_job(new_id("job"))
            token = page["next_page_token"]
            assert page["has_more"] == (token is not None)
            if token is None:
                break
        assert seen == ids

    def test_state_and_time_filter_them(self, paper: PaperMarket) -> None:
        ids = self._many(paper)
        page = _ask(paper, "GET", "/v1/jobs?state=failed&state=canceled").json()
        assert [job["id"] for job in page["data"]] == ids[1::2]
        old = first_id("job", 1_000_000)
        paper.add_job(old)
        moment = datetime.fromtimestamp(1000, UTC).isoformat().replace("+00:00", "Z")
        page = _ask(paper, "GET", f"/v1/jobs?created_after={moment}&limit=100").json()
        assert [job["id"] for job in page["data"]] == [*ids, old]
        assert _ask(paper, "GET", f"/v1/jobs?created_before={moment}").json()["data"] == []
        later = datetime.fromtimestamp(1000.001, UTC).isoformat().replace("+00:00", "Z")
        page = _ask(paper, "GET", f"/v1/jobs?created_before={later}").json()
        assert [job["id"] for job in page["data"]] == [old]

    @pytest.mark.parametrize(
        "asked", ["state=done", "page_token=zzz", "page_token=job_1", "limit=0", "created_after=now", "status=failed"]
    )
    def test_what_would_filter_nothing_is_refused(self, paper: PaperMarket, asked: str) -> None:
        assert _ask(paper, "GET", f"/v1/jobs?{asked}").status_code in (400, 422)

    def test_nobody_sees_the_jobs_of_somebody_else(self, paper: PaperMarket) -> None:
        ids = self._many(paper)
        stranger = paper.session_of(STRANGER)
        assert len(_ask(paper, "GET", "/v1/jobs", stranger).json()["data"]) == 1
        for path in ("", "/logs", "/trace", "/events"):
            assert _ask(paper, "GET", f"/v1/jobs/{ids[0]}{path}", stranger).status_code == 404
        assert _ask(paper, "POST", f"/v1/jobs/{ids[0]}/cancel", stranger).status_code == 404


def test_work_and_money_have_words_of_their_own_and_each_lease_its_level(paper: PaperMarket) -> None:
    paper.add_job("job_1", state="matched")
    paper.propose("job_1")
    shown = _ask(paper, "GET", "/v1/jobs/job_1").json()
    assert (shown["state"], shown["settlement"], shown["leases"]) == ("matched", "unfunded", [])
    opened = paper.opened("job_1", locked=1000)
    paper.stored.grow([[opened], [paid(opened, 300)]])
    paper.change_job("job_1", state="succeeded")
    shown = _ask(paper, "GET", "/v1/jobs/job_1").json()
    assert (shown["state"], shown["settlement"], shown["held_base"]) == ("succeeded", "escrowed", "700")
    paper.stored.grow([[closed(opened, 300)]])
    paper.stored.settle(proved=3, finalised=2)
    shown = _ask(paper, "GET", "/v1/jobs/job_1").json()
    assert (shown["settlement"], shown["held_base"], shown["refunded_base"]) == ("released", "0", "700")
    (lease,) = shown["leases"]
    # It was opened in a block that is finalised and proved; it counts from the one that closed it.
    assert (lease["block_number"], lease["level"], lease["finality"]) == (4, "consistent", "confirmed")
    assert (lease["paid_base"], lease["refunded_base"]) == ("300", "700")
    paper.stored.settle(proved=4, finalised=4)
    (lease,) = _ask(paper, "GET", "/v1/jobs/job_1").json()["leases"]
    assert (lease["level"], lease["finality"]) == ("proved", "finalised")
    assert shown["settled_at"] is None
    chain.tell(paper.market)
    assert _ask(paper, "GET", "/v1/jobs/job_1").json()["settled_at"] is not None


def test_a_job_that_was_just_bought_has_told_its_first_event(paper: PaperMarket) -> None:
    paper.post_offer()
    job_id = _buy(paper).json()["id"]
    with paper.market.db.read() as session:
        told = session.exec(select(JobEventRow.sequence, JobEventRow.kind).where(JobEventRow.job_id == job_id)).all()
    assert [tuple(row) for row in told] == [(1, "job.queued")]
