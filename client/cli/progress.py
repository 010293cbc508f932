"""A running job on a terminal: a bar over its segments, what it cost so far, who runs it and where."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from client.cli.console import plain, say
from client.uploads import OnProgress
from protocol.units import format_dollars
from protocol.wire.jobs import Job


class Watcher(Protocol):
    """Gets the job each time that it changed."""

    def __call__(self, job: Job) -> None: ...


def who(job: Job) -> str:
    """The provider and zone of the newest lease, or what the job waits for."""
    if not job.leases:
        return job.failure or "waiting for a provider"
    lease = job.leases[-1]
    return f"{lease.provider[:8]}… in {lease.zone or 'no zone'}"


@contextmanager
def watching(*, quiet: bool) -> Iterator[Watcher]:
    """A bar on a terminal, a line per change elsewhere, nothing when `quiet`."""
    if quiet:
        yield lambda job: None
    elif sys.stderr.isatty():
        with _bar() as progress:
            yield _drawn(progress)
    else:
        yield _told()


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.fields[state]:>9}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn("{task.fields[cost]}"),
        TextColumn("{task.fields[who]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _drawn(progress: Progress) -> Watcher:
    task = progress.add_task("job", total=None, state="queued", cost="", who="")

    def show(job: Job) -> None:
        progress.update(
            task,
            total=job.segments.total,
            completed=job.segments.done,
            state=job.state,
            cost=format_dollars(job.cost_base + job.fee_base),
            who=plain(who(job)),
        )

    return show


@contextmanager
def sending(name: str, *, quiet: bool) -> Iterator[OnProgress | None]:
    """A bar over the bytes of an upload, on a terminal; it shows only where a file goes in pieces."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=32), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(plain(name), total=None, visible=False)
        yield lambda sent, total: progress.update(task, completed=sent, total=total, visible=True)


def _told() -> Watcher:
    told: list[str] = []

    def tell(job: Job) -> None:
        cost = format_dollars(job.cost_base + job.fee_base)
        line = f"{job.state}: segment {job.segments.done} of {job.segments.total}, {cost}, {who(job)}"
        if told[-1:] != [line]:
            told[:] = [line]
            say(line)

    return tell
