"""A job's events by the SDK and by `gridlease job events`: each once and in order, however often the line breaks."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.jobs.tables import JobLogRow
from client import events as client_events
from client.errors import BadAnswer, NotFound
from client.events import parse
from client.sdk import Client
from gridlease.cli import app
from tests.support.accounts_market import MODULE, job_body
from tests.support.breaking_line import BreakingLine
from tests.support.served_market import ServedMarket, served_market

STATES = ("matched", "running", "verifying")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_events, "FIRST_PAUSE_SECONDS", 0.01)


def bought(client: Client) -> str:
    return client.submit(job_body(client.files.put(MODULE))["manifest"]).id


def work(served: ServedMarket, job_id: str) -> None:
    """All that happens to a job."""
    for state in STATES:
        served.change_job(job_id, state=state)
    with served.market.db.write() as session:
        session.add(JobLogRow(job_id=job_id, sequence=1, text="epoch 1\n\x1b[31mred"))
    served.settle(job_id)


class Broken:
    """A market behind a line that breaks; made by `served_market`, which knows the app."""

    line: BreakingLine

    def wrap(self, application: Any) -> BreakingLine:
        self.line = BreakingLine(application, concerns=lambda scope: scope["path"].endswith("/events"))
        return self.line


@pytest.fixture
def broken() -> Broken:
    return Broken()


@pytest.fixture
def served(tmp_path: Path, broken: Broken) -> Iterator[ServedMarket]:
    (tmp_path / "served").mkdir()
    with served_market(tmp_path / "served", broken.wrap, heartbeat_seconds=0.2) as made:
        yield made


def test_a_stream_tells_everything_and_ends(served: ServedMarket) -> None:
    with served.client() as client:
        job_id = bought(client)
        worker = threading.Timer(0.5, work, (served, job_id))
        worker.start()
        events = list(client.events(job_id))
        worker.join()
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    kinds = [event.type for event in events]
    assert kinds[0] == "job.queued"
    assert [kind for kind in kinds if kind.removeprefix("job.") in STATES] == [f"job.{state}" for state in STATES]
    (log,) = [event for event in events if event.type == "job.log"]
    assert log.data["text"] == "epoch 1\n\x1b[31mred"
    with served.client() as client:
        assert list(client.events(job_id)) == events
        assert list(client.events(job_id, after=3)) == events[3:]
        assert list(client.events(job_id, after=len(events))) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_line_that_breaks_anywhere_loses_nothing_and_repeats_nothing(
    served: ServedMarket, broken: Broken, seed: int
) -> None:
    with served.client() as client:
        job_id = bought(client)
        work(served, job_id)
        whole = list(client.events(job_id))
        broken.line.seen.clear()
        # In the first comment, in the middle of an event, after some.
        broken.line.breaks_answer = [(seed * 97 + step) % 300 + 1 for step in (0, 30, 133, 150, 199, 280)]
        assert list(client.events(job_id)) == whole
    resumed = [int(headers["last-event-id"]) for _, _, headers in broken.line.seen]
    assert resumed == sorted(resumed)
    assert len(resumed) == 7
    assert resumed[-1] > 0


def test_a_stream_goes_on_as_the_job_does_and_of_a_strangers_job_there_is_none(served: ServedMarket) -> None:
    with served.client() as client:
        job_id = bought(client)
        streaming = client.events(job_id)
        assert next(streaming).type == "job.queued"
        work(served, job_id)
        assert [event.number for event in streaming][-1] > 1
        with pytest.raises(NotFound):
            next(client.events("job_of_somebody"))


def test_the_command_prints_a_line_for_each_event_and_lets_no_job_steer_the_terminal(
    served: ServedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDLEASE_URL", served.url)
    monkeypatch.setenv("GRIDLEASE_KEY", served.made.key)
    with served.client() as client:
        job_id = bought(client)
    work(served, job_id)
    shown = CliRunner().invoke(app, ["job", "events", job_id])
    assert shown.exit_code == 0, shown.output
    assert "\x1b" not in shown.stdout
    lines = shown.stdout.splitlines()
    assert [line.split()[2] for line in lines[:3]] == ["job.queued", "job.matched", "job.running"]
    told = CliRunner().invoke(app, ["job", "events", job_id, "--after", "2", "--json"])
    documents = [json.loads(line) for line in told.stdout.splitlines()]
    assert [document["number"] for document in documents] == list(range(3, len(lines) + 1))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_out_of_bytes_that_break_anywhere(size: int) -> None:
    spelt = (
        b': a comment\n\nid: 1\nevent: job.log\ndata: {"a":\ndata: 1}\n\n'
        b"id: 2\r\nevent:job.ended\r\ndata:{}\r\n\r\n: still here\n\nid: 3\nevent: cut\ndata: {"
    )
    pieces = [spelt[start : start + size] for start in range(0, len(spelt), size)]
    assert list(parse(pieces)) == [("1", "job.log", '{"a":\n1}'), ("2", "job.ended", "{}")]


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"data: " + b"x" * 100_000

    with pytest.raises(BadAnswer, match="a line of more than"):
        list(parse(endless()))
