"""Usage receipts of several leases in one call: each is answered as by itself, and costs less."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlmodel import Session, select

from backend.accounts.service import Principal
from backend.errors import LeaseNotRunning
from backend.jobs.pinning import pin
from backend.leases import endpoints, reading, receiving, vouchers
from backend.leases.reading import Reading, Terms
from backend.leases.tables import LeaseIntention, UsageRow
from backend.market import Market
from protocol.hashing import from_hex, to_hex
from protocol.manifest import Manifest
from protocol.messages import from_json, recover, sign
from protocol.terms import UsageReceipt, Voucher
from protocol.wire.leases import MOST_REPORTS, UsageReport
from tests.support.databases import Database
from tests.support.paper_market import BUYER, PROVIDER, PaperMarket, closed, manifest, paper_market
from tests.support.statements import heard
from tests.support.usage_reports import EARNED_BASE, countersigned, only_segment

_JOBS: Final = 6
_WAITING_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 20
_ROUTE: Final = "/v1/provider/usage-receipts"


@dataclass
class _Running:
    """Leases of PROVIDER, of a job each, under which one segment is left to report."""

    paper: PaperMarket
    manifest: Manifest
    leases: list[bytes]

    def report(self, number: int) -> dict[str, Any]:
        return only_segment(self.paper, self.manifest, self.leases[number])

    def send(self, *reports: dict[str, Any]) -> httpx.Response:
        async def post() -> httpx.Response:
            async with self.paper.http(self.paper.session_of(PROVIDER)) as http:
                body = json.dumps({"reports": reports})
                return await http.post(_ROUTE, content=body, headers={"content-type": "application/json"})

        return asyncio.run(post())

    def answers(self, *reports: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.send(*reports)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        # Exactly one of them is said of each.
        assert [len([value for value in one.values() if value is not None]) for one in found] == [1] * len(reports)
        return found

    def reported(self) -> set[str]:
        with self.paper.market.db.read() as session:
            return set(session.exec(select(UsageRow.lease)))

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """What the market's database is asked meanwhile."""
        asked: list[str] = []
        with heard(self.paper.market.db.engine, asked.append):
            yield asked


@pytest.fixture
def running(tmp_path: Path, database: Database) -> Iterator[_Running]:
    with paper_market(tmp_path, database) as paper:
        job = Manifest.parse({**manifest(), "verify": "none"})
        spelt, job_hash = json.dumps(job.model_dump(mode="json")), to_hex(job.job_hash())
        leases = []
        for number in range(_JOBS):
            paper.add_job(f"job_{number}", state="matched", segments_total=1, manifest=spelt, job_hash=job_hash)
            leases.append(paper.propose(f"job_{number}"))
        paper.stored.grow([[paper.opened(f"job_{number}") for number in range(_JOBS)]])
        yield _Running(paper, job, leases)


def test_each_is_answered_with_its_voucher_in_the_order_of_the_reports(running: _Running) -> None:
    order = [4, 0, 5, 2]
    answers = running.answers(*[running.report(number) for number in order])
    assert [answer["voucher"]["voucher"]["lease"] for answer in answers] == [
        to_hex(running.leases[number]) for number in order
    ]
    assert all(answer["voucher"]["voucher"]["last"] for answer in answers)


def test_a_call_of_many_is_judged_in_pieces_and_a_buyer_waits_for_one_of_them(
    running: _Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[int] = []
    whole = receiving.report_usages

    def noted(
        session: Session, market: Market, caller: Principal, reports: Sequence[Reading], terms: Terms | None
    ) -> Any:
        pieces.append(len(reports))
        return whole(session, market, caller, reports, terms)

    monkeypatch.setattr(receiving, "report_usages", noted)
    monkeypatch.setattr(endpoints, "_AT_ONCE", 2)
    order = [4, 0, 5, 2, 1]
    answers = running.answers(*[running.report(number) for number in order])
    assert pieces == [2, 2, 1]
    assert [answer["voucher"]["voucher"]["lease"] for answer in answers] == [
        to_hex(running.leases[number]) for number in order
    ]


def test_nothing_is_signed_recovered_or_hashed_while_others_wait_to_write(
    running: _Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = receiving.report_usages

    def refused(*_: Any) -> Any:
        raise AssertionError("the database is being written to")

    def watched(*asked: Any) -> Any:
        with pytest.MonkeyPatch.context() as meanwhile:
            for room, name in (
                (vouchers, "sign"),
                (vouchers, "recover"),
                (reading, "recover"),
                (reading, "job_result"),
            ):
                meanwhile.setattr(room, name, refused)
            return whole(*asked)

    monkeypatch.setattr(receiving, "report_usages", watched)
    reports = [countersigned(running.paper, running.report(number), EARNED_BASE) for number in range(3)]
    answers = running.answers(*reports)
    assert all(answer["voucher"]["voucher"]["last"] for answer in answers)
    with running.paper.market.db.read() as session:
        given = set(session.exec(select(LeaseIntention.countersignature)).all()) - {None}
    assert given == {report["countersignature"] for report in reports}


@pytest.mark.parametrize("key_id", ["key_1", "key_of_another_job"])
def test_a_voucher_that_was_signed_ahead_counts_only_if_it_is_the_one_that_is_due(
    running: _Running, key_id: str
) -> None:
    market, caller = running.paper.market, Principal(PROVIDER.address, None)
    report = UsageReport.model_validate(countersigned(running.paper, running.report(0), EARNED_BASE))
    one = reading.read(market.domain, report)
    assert isinstance(one, reading.Read)
    for_too_much = Voucher(
        lease=one.receipt.lease,
        provider=PROVIDER.address,
        cumulative=EARNED_BASE + (1 if key_id == "key_1" else 0),
        result=one.receipt.result,
        last=True,
    )
    one.voucher = vouchers.signed_ahead(market, for_too_much, key_id)
    with market.db.write() as session:
        answer = receiving.report_usages(session, market, caller, [one])[0]
    assert isinstance(answer, receiving.Vouched)
    voucher = from_json(Voucher, json.loads(answer.message))
    assert voucher.cumulative == EARNED_BASE
    signer = market.hosted.voucher_signer("key_1").address
    assert recover(market.domain, voucher, from_hex(answer.signature, 65)) == signer


def test_what_was_known_of_a_lease_before_the_mirror_moved_is_asked_again(running: _Running) -> None:
    market, caller = running.paper.market, Principal(PROVIDER.address, None)
    one = reading.read(market.domain, UsageReport.model_validate(running.report(0)))
    terms = reading.look(market, PROVIDER.address, [one])
    running.paper.stored.grow([[closed(running.paper.opened("job_0"), 0)]])
    with market.db.write() as session:
        answer = receiving.report_usages(session, market, caller, [one], terms)[0]
    assert isinstance(answer, LeaseNotRunning)


def test_each_may_bring_its_countersignature(running: _Running) -> None:
    reports = [countersigned(running.paper, running.report(number), EARNED_BASE) for number in range(3)]
    running.answers(*reports, running.report(3))
    with running.paper.market.db.read() as session:
        found = dict(session.exec(select(LeaseIntention.lease, LeaseIntention.countersignature)).all())
    signed = {report["usage_receipt"]["lease"]: report["countersignature"] for report in reports}
    assert {lease: signature for lease, signature in found.items() if signature is not None} == signed


def test_the_same_again_gets_the_same_vouchers_by_either_route(running: _Running) -> None:
    reports = [running.report(number) for number in range(3)]
    answers = running.answers(*reports)
    assert running.answers(*reports) == answers

    async def alone() -> httpx.Response:
        async with running.paper.http(running.paper.session_of(PROVIDER)) as http:
            return await http.post(f"/v1/provider/leases/{to_hex(running.leases[1])}/usage-receipts", json=reports[1])

    assert asyncio.run(alone()).json() == answers[1]["voucher"]


def test_one_that_is_refused_costs_the_others_nothing_and_leaves_nothing(running: _Running) -> None:
    forged = running.report(1)
    receipt = from_json(UsageReceipt, forged["usage_receipt"])
    forged["signature"] = to_hex(sign(running.paper.market.domain, receipt, BUYER))
    strange = running.report(2)
    strange["usage_receipt"]["lease"] = "0x" + "77" * 32
    unreadable = running.report(3)
    unreadable["usage_receipt"]["sequence"] = "one \ud800"
    wrong_end = running.report(4)
    wrong_end["result"]["exit_code"] = 7
    answers = running.answers(running.report(0), forged, strange, unreadable, wrong_end, running.report(5))
    problems = [answer["problem"] for answer in answers]
    assert [problem and (problem["status"], problem["code"]) for problem in problems] == [
        None,
        (422, "usage_refused"),
        (404, "not_found"),
        (422, "term_out_of_range"),
        (422, "usage_refused"),
        None,
    ]
    assert running.reported() == {to_hex(running.leases[0]), to_hex(running.leases[5])}


def test_what_another_report_of_the_call_made_so_holds_for_the_next_of_its_lease(running: _Running) -> None:
    first, again, other = running.report(0), running.report(0), running.report(0)
    other["usage_receipt"]["work"] = "1"
    answers = running.answers(first, again, running.report(1), other)
    assert answers[1] == answers[0]
    assert answers[2]["voucher"] is not None
    assert "another result" in answers[3]["problem"]["detail"]


@pytest.mark.parametrize("copies", [0, MOST_REPORTS + 1])
def test_none_and_too_many_are_refused_whole(running: _Running, copies: int) -> None:
    answer = running.send(*[running.report(0)] * copies)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert running.reported() == set()


def test_one_that_is_no_report_is_refused_with_all_others(running: _Running) -> None:
    answer = running.send(running.report(0), {**running.report(1), "signature": "0x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert running.reported() == set()


def test_as_much_is_asked_for_many_as_for_two(running: _Running) -> None:
    running.answers(running.report(0))
    with running.counted() as for_two:
        running.answers(running.report(1), running.report(2))
    with running.counted() as for_three:
        running.answers(*[running.report(number) for number in (3, 4, 5)])
    verbs = [[one.partition(" ")[0] for one in asked] for asked in (for_two, for_three)]
    assert verbs[0] == verbs[1]
    # Each segment, lease and job is stored once, and each job counts its events.
    assert sorted(verb for verb in verbs[0] if verb in ("INSERT", "UPDATE")) == ["INSERT"] * 2 + ["UPDATE"] * 3


def test_a_job_that_somebody_else_has_holds_up_nobody_who_waits_for_another_of_the_call(running: _Running) -> None:
    db = running.paper.market.db
    with ThreadPoolExecutor(1) as server:
        with db.write() as session:
            pin(session, "job_1")
            sent = server.submit(running.answers, *[running.report(number) for number in range(3)])
            assert not wait([sent], _WAITING_SECONDS).done
            # Were it held by the call, each would wait for the other.
            pin(session, "job_0")
        answers = sent.result(_LONGEST_SECONDS)
    assert all(answer["voucher"] is not None for answer in answers)
