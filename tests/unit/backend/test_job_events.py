"""A job's events: none missing, none twice, in order; facts of the chain are corrected when a reorg takes them back."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlmodel import col, select

from backend.events import chain
from backend.events.pulse import Pulse
from backend.events.tables import JobEventRow
from backend.jobs.tables import JobLogRow, JobRow
from backend.leases.tables import LeaseIntention, UsageRow
from protocol.events import Deposited, LedgerEvent
from protocol.hashing import to_hex
from tests.support.asgi_reader import Answer, ask
from tests.support.databases import Database
from tests.support.paper_market import BUYER, PROVIDER, STRANGER, PaperMarket, closed, paid, paper_market
from tests.support.stored_mirror import StoredMirror


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[PaperMarket]:
    with paper_market(tmp_path, heartbeat_seconds=0.2, streams_per_account=2) as made:
        yield made


def _events(paper: PaperMarket, job_id: str = "job_1") -> list[JobEventRow]:
    with paper.market.db.read() as session:
        statement = select(JobEventRow).where(JobEventRow.job_id == job_id)
        return list(session.exec(statement.order_by(col(JobEventRow.sequence))))


def _kinds(paper: PaperMarket, job_id: str = "job_1") -> list[str]:
    return [row.kind for row in _events(paper, job_id)]


def _tell(paper: PaperMarket) -> None:
    chain.tell(paper.market)


def _report(paper: PaperMarket, lease: bytes, segment: int, *, state: str = "running", text: str = "") -> None:
    """As the market stores a segment: voucher, log and job in one transaction."""
    with paper.market.db.write() as session:
        job = session.get_one(JobRow, "job_1")
        job.state, job.segments_done = state, segment
        session.add(job)
        if text:
            session.add(JobLogRow(job_id="job_1", sequence=segment, text=text))
        session.add(
            UsageRow(
                lease=to_hex(lease),
                provider=PROVIDER.address,
                sequence=segment,
                job_id="job_1",
                receipt_message="{}",
                receipt_signature="0x",
                state_hash="0x",
                job_work=segment,
                lease_work=segment,
                checkpoint_cid="",
                voucher_message="{}",
                voucher_signature="0x",
                cumulative_base=segment,
                last=state == "succeeded",
                signed_time=1,
            )
        )


class TestRecording:
    def test_whatever_changes_a_job_says_so_in_order_and_the_state_comes_last(self, paper: PaperMarket) -> None:
        paper.add_job("job_1")
        lease = paper.propose("job_1")
        _report(paper, lease, 1, text="hello\n")
        _report(paper, lease, 2, state="succeeded")
        kinds = ["job.queued", "lease.proposed", "job.log", "job.segment", "job.running"]
        assert _kinds(paper) == [*kinds, "job.segment", "job.succeeded"]
        assert [row.sequence for row in _events(paper)] == [1, 2, 3, 4, 5, 6, 7]

    def test_a_change_that_changes_nothing_says_nothing(self, paper: PaperMarket) -> None:
        paper.add_job("job_1")
        paper.change_job("job_1", state="queued", failure="still waiting")
        assert _kinds(paper) == ["job.queued"]

    def test_a_transaction_that_fails_has_said_nothing(self, paper: PaperMarket) -> None:
        def fails() -> None:
            with paper.market.db.write() as session:
                job = session.get_one(JobRow, "job_1")
                job.state = "running"
                session.add(job)
                session.flush()
                raise KeyError

        paper.add_job("job_1")
        with pytest.raises(KeyError):
            fails()
        assert _kinds(paper) == ["job.queued"]

    def test_a_lease_that_the_ledger_skipped_is_told(self, paper: PaperMarket) -> None:
        paper.add_job("job_1")
        paper.propose("job_1")
        with paper.market.db.write() as session:
            session.delete(session.exec(select(LeaseIntention)).one())
        assert _kinds(paper)[-1] == "lease.skipped"


def test_numbers_have_no_gap_whatever_runs_side_by_side(tmp_path: Path, database: Database) -> None:
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")

        def change(number: int) -> None:
            for turn in range(5):
                with paper.market.db.write() as session:
                    session.add(JobLogRow(job_id="job_1", sequence=10 * number + turn, text="x"))

        threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [row.sequence for row in _events(paper)] == list(range(1, 22))


class TestChain:
    def test_each_fact_of_a_lease_is_told_once_and_ends_the_settlement(
        self, tmp_path: Path, database: Database
    ) -> None:
        with paper_market(tmp_path, database) as paper:
            paper.add_job("job_1", state="matched")
            paper.propose("job_1")
            opened = paper.opened("job_1")
            paper.stored.grow([[opened], [paid(opened, 300)]])
            _tell(paper)
            _tell(paper)
            paper.change_job("job_1", state="succeeded", ended_ms=2)
            _tell(paper)
            assert "job.settled" not in _kinds(paper)
            paper.stored.grow([[closed(opened, 300)]])
            _tell(paper)
            told = ["lease.opened", "lease.paid", "job.succeeded", "lease.closed", "job.settled"]
            assert _kinds(paper)[2:] == told
            settled = json.loads(_events(paper)[-1].data)
            assert settled == {
                "settlement": "released",
                "paid_base": "300",
                "refunded_base": "700",
                "fee_base": "100",
            }

    def test_a_job_that_ends_without_a_lease_is_settled_at_once(self, paper: PaperMarket) -> None:
        paper.add_job("job_1")
        paper.change_job("job_1", state="canceled")
        _tell(paper)
        assert _kinds(paper)[-1] == "job.settled"

    def test_a_job_whose_lease_may_still_open_is_not_settled(self, paper: PaperMarket) -> None:
        paper.add_job("job_1")
        paper.propose("job_1")
        paper.change_job("job_1", state="canceled")
        _tell(paper)
        assert _kinds(paper)[-1] == "job.canceled"

    def test_leases_of_others_are_passed_over(self, paper: PaperMarket) -> None:
        paper.add_job("job_1")
        paper.stored.grow([[paper.opened("job_1")]])
        _tell(paper)
        assert _kinds(paper) == ["job.queued"]

    def test_a_reorg_corrects_what_was_told_and_tells_what_counts_instead(self, paper: PaperMarket) -> None:
        paper.add_job("job_1", state="succeeded")
        paper.propose("job_1")
        opened = paper.opened("job_1")
        paper.stored.grow([[opened], [paid(opened, 300)], [closed(opened, 300)]])
        _tell(paper)
        assert _kinds(paper)[-1] == "job.settled"
        # The opening stands, payment and close are replaced by another payment.
        paper.stored.replace(2, [[paid(opened, 200)]])
        _tell(paper)
        corrected = _events(paper)[-3:]
        assert [row.kind for row in corrected] == ["lease.retracted", "lease.retracted", "lease.paid"]
        before = {row.sequence: row.kind for row in _events(paper)}
        assert [before[json.loads(row.data)["retracts"]] for row in corrected[:2]] == ["lease.paid", "lease.closed"]
        with paper.market.db.read() as session:
            assert session.get_one(JobRow, "job_1").settled_ms is None
        paper.stored.grow([[closed(opened, 200)]])
        _tell(paper)
        assert _kinds(paper)[-2:] == ["lease.closed", "job.settled"]

    def test_a_mirror_built_anew_from_the_same_chain_corrects_nothing(self, paper: PaperMarket, tmp_path: Path) -> None:
        paper.add_job("job_1", state="matched")
        paper.propose("job_1")
        opened = paper.opened("job_1")
        paper.stored.grow([[]])
        paper.stored.replace(1, [[opened], [paid(opened, 300)]])
        _tell(paper)
        before = _kinds(paper)
        again = StoredMirror(tmp_path / "again")
        paper.market.mirror = again.mirror
        # Its epochs begin at 0 again, and at first it is not as far as the other was.
        again.take(paper.stored.blocks[:2])
        _tell(paper)
        again.take(paper.stored.blocks[2:])
        _tell(paper)
        assert _kinds(paper) == before
        again.grow([[closed(opened, 300)]])
        _tell(paper)
        assert _kinds(paper) == [*before, "lease.closed"]
        again.close()

    def test_many_events_of_others_are_caught_up_with(self, paper: PaperMarket, monkeypatch: Any) -> None:
        monkeypatch.setattr(chain, "_BATCH", 2)
        monkeypatch.setattr(chain, "_MOST_BATCHES", 2)
        paper.add_job("job_1", state="matched")
        paper.propose("job_1")
        other = paper.opened("job_1", fill=5)
        deposits: list[list[LedgerEvent]] = [[Deposited(BUYER.address, BUYER.address, 1)] for _ in range(4)]
        paper.stored.grow([[other], *deposits, [paper.opened("job_1")]])
        for _ in range(3):
            _tell(paper)
        assert _kinds(paper)[-1] == "lease.opened"


def _stream(paper: PaperMarket, job_id: str, after: int | None = None, **how: Any) -> Answer:
    headers = {"authorization": f"Bearer {how.pop('token', paper.secret)}"}
    if after is not None:
        headers["last-event-id"] = str(after)
    return asyncio.run(ask(paper.app, f"/v1/jobs/{job_id}/events", headers, **how))


def _parsed(body: bytes) -> list[tuple[int | None, str, dict[str, Any]]]:
    """(id, event, data) of each whole message that is no comment."""
    found = []
    for message in body.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in message.split("\n") if not line.startswith(":"))
        if fields:
            number = int(fields["id"]) if "id" in fields else None
            found.append((number, fields["event"], json.loads(fields["data"])))
    return found


class TestStream:
    def _ended(self, paper: PaperMarket, text: str = "hi\n") -> None:
        paper.add_job("job_1", state="matched")
        lease = paper.propose("job_1")
        opened = paper.opened("job_1")
        paper.stored.grow([[opened]])
        _tell(paper)
        _report(paper, lease, 1, text=text)
        _report(paper, lease, 2, state="succeeded")
        paper.stored.grow([[paid(opened, 2), closed(opened, 2)]])
        _tell(paper)

    def test_it_tells_all_and_ends_when_work_and_money_have_ended(self, paper: PaperMarket) -> None:
        self._ended(paper)
        answer = _stream(paper, "job_1")
        assert answer.complete
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = _parsed(answer.body)
        assert [kind for _, kind, _ in told] == [*_kinds(paper), "end"]
        assert [number for number, _, _ in told[:-1]] == list(range(1, len(told)))

    def test_from_any_id_on_it_tells_exactly_the_rest(self, paper: PaperMarket) -> None:
        self._ended(paper)
        whole = _parsed(_stream(paper, "job_1").body)
        for position in range(len(whole) - 1):
            assert _parsed(_stream(paper, "job_1", position).body) == whole[position:]
        assert _stream(paper, "job_1", len(whole) - 1).status == 204

    def test_what_retention_removed_is_said_to_be_gone_and_never_left_out(self, paper: PaperMarket) -> None:
        self._ended(paper)
        count = len(_events(paper))
        with paper.market.db.write() as session:
            session.exec(delete(JobEventRow).where(col(JobEventRow.sequence) <= 3))
        for position in range(3):
            answer = _stream(paper, "job_1", position)
            assert (answer.status, answer.json()["code"]) == (410, "events_gone")
        assert [number for number, _, _ in _parsed(_stream(paper, "job_1", 3).body)[:-1]] == [*range(4, count + 1)]
        with paper.market.db.write() as session:
            session.exec(delete(JobEventRow))
        assert _stream(paper, "job_1", 3).status == 410
        assert _stream(paper, "job_1", count).status == 204

    def test_what_retention_removes_meanwhile_does_not_keep_a_stream_open(self, paper: PaperMarket) -> None:
        self._ended(paper)

        def remove(_: bytes) -> None:
            with paper.market.db.write() as session:
                session.exec(delete(JobEventRow))

        assert _stream(paper, "job_1", between=remove).complete

    def test_what_happens_while_it_is_open_arrives_and_silence_is_filled(self, paper: PaperMarket) -> None:
        paper.add_job("job_1")
        turns = iter(["matched", "running"])

        def go_on(body: bytes) -> None:
            if body.endswith(b": still here\n\n") and (state := next(turns, None)):
                paper.change_job("job_1", state=state)

        answer = _stream(paper, "job_1", between=go_on, enough=lambda body: b"event: job.running" in body)
        assert [kind for _, kind, _ in _parsed(answer.body)] == ["job.queued", "job.matched", "job.running"]

    def test_what_a_provider_printed_cannot_end_a_line_or_steer_a_terminal(self, paper: PaperMarket) -> None:
        hostile = "\x1b[2J\r\n\ndata: forged\n\nid: 99\x7f\u202e\u2028</script>"
        self._ended(paper, text=hostile)
        body = _stream(paper, "job_1").body
        assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in body)
        logs = [data for _, kind, data in _parsed(body) if kind == "job.log"]
        assert [log["text"] for log in logs] == [hostile]
        assert [number for number, _, _ in _parsed(body)[:-1]] == list(range(1, len(_parsed(body))))

    def test_a_log_is_read_when_it_is_its_turn(self, paper: PaperMarket) -> None:
        self._ended(paper, text="first")
        with paper.market.db.write() as session:
            session.add(JobLogRow(job_id="job_1", sequence=9, text="second"))

        def say_it_otherwise(body: bytes) -> None:
            if b'"first"' in body:
                with paper.market.db.write() as session:
                    session.get_one(JobLogRow, ("job_1", 9)).text = "read late"

        body = _stream(paper, "job_1", between=say_it_otherwise).body
        assert [data["text"] for _, kind, data in _parsed(body) if kind == "job.log"] == ["first", "read late"]

    def test_nobody_follows_a_job_of_somebody_else(self, paper: PaperMarket) -> None:
        paper.add_job("job_1")
        assert _stream(paper, "job_1", token=paper.session_of(STRANGER)).status == 404
        assert _stream(paper, "job_1", token=paper.session_of(BUYER), enough=lambda body: True).status == 200

    def test_an_account_holds_so_many_streams_open_and_each_that_ends_gives_its_place_back(
        self, paper: PaperMarket
    ) -> None:
        paper.add_job("job_1")

        async def crowd() -> list[int]:
            headers = {"authorization": f"Bearer {paper.secret}"}
            url = "/v1/jobs/job_1/events"
            over, begun = asyncio.Event(), [asyncio.Event() for _ in range(2)]

            async def hold(began: asyncio.Event) -> None:
                def enough(_: bytes) -> bool:
                    began.set()
                    return over.is_set()

                await ask(paper.app, url, headers, enough=enough)

            held = [asyncio.create_task(hold(began)) for began in begun]
            await asyncio.gather(*(began.wait() for began in begun))
            refused = (await ask(paper.app, url, headers)).status
            over.set()
            await asyncio.gather(*held)
            again = await ask(paper.app, url, headers, enough=lambda body: True)
            return [refused, again.status]

        assert asyncio.run(crowd()) == [429, 200]

    @pytest.mark.parametrize("given", ["-1", "1.5", "x", "9" * 40, "²"])
    def test_an_id_that_is_none_is_refused(self, paper: PaperMarket, given: str) -> None:
        paper.add_job("job_1")
        url = f"/v1/jobs/job_1/events?after={'%C2%B2' if given == '²' else given}"
        assert asyncio.run(ask(paper.app, url, {"authorization": f"Bearer {paper.secret}"})).status == 400


class TestWaiting:
    def test_all_who_wait_share_one_look(self, paper: PaperMarket, monkeypatch: Any) -> None:
        looks = 0
        before = Pulse._look

        def counted(pulse: Pulse) -> None:
            nonlocal looks
            looks += 1
            before(pulse)

        monkeypatch.setattr(Pulse, "_look", counted)
        for number in range(20):
            paper.add_job(f"job_{number}")
        pulse = Pulse(paper.market.db)
        heard: list[int] = []

        async def wait(number: int) -> None:
            with pulse.listening(f"job_{number}") as news:
                await news.wait()
                heard.append(number)

        async def all_wait() -> None:
            waiting = [asyncio.create_task(wait(number)) for number in range(20)]
            await asyncio.sleep(0.25)
            assert heard == []
            for number in range(20):
                paper.change_job(f"job_{number}", state="running")
            await asyncio.wait_for(asyncio.gather(*waiting), 10)

        asyncio.run(all_wait())
        assert sorted(heard) == list(range(20))
        # Twenty waited; it was looked for the moments that passed, not for each of them.
        assert looks < 20
        assert pulse._task is None

    def test_a_server_that_commits_a_lower_number_later_is_not_missed(self, paper: PaperMarket) -> None:
        paper.add_job("job_1")
        paper.add_job("job_2")
        pulse = Pulse(paper.market.db)

        async def late() -> None:
            with pulse.listening("job_1") as news:
                with paper.market.db.write() as session:
                    session.add(JobEventRow(id=12, job_id="job_2", sequence=9, kind="x", data="{}", created_ms=1))
                pulse._look()
                assert not news.is_set()
                with paper.market.db.write() as session:
                    session.add(JobEventRow(id=11, job_id="job_1", sequence=9, kind="x", data="{}", created_ms=1))
                pulse._look()
                assert news.is_set()
                news.clear()
                pulse._look()
                assert not news.is_set()

        asyncio.run(late())
