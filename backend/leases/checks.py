"""The market's own runs of single segments, at the edge: begun in one step, collected in a later one.

The run is a process of its own, `gridlease provider replay`: the same runtime in the same sandbox as every agent's, and
the market goes on meanwhile. It ends by itself when its time is over, whatever becomes of us; what it found is a file.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import structlog
from sqlmodel import Session, col, select

from backend.jobs.tables import JobRow
from backend.leases import lanes
from backend.leases.acting import note
from backend.leases.results import job_result
from backend.leases.segments import trace_of, usages
from backend.leases.tables import CheckRow
from backend.market import Market
from protocol.clock import now_time
from protocol.hashing import to_hex
from protocol.wire.jobs import OutputFile, TraceStep
from protocol.wire.leases import ResultReport

log = structlog.get_logger()

MOST_ATTEMPTS: Final = 3
_GRACE_SECONDS: Final = 15
"""What starting the process and writing the answer may take."""


def begin(market: Market) -> None:
    """Starts runs that are due, as far as the machine is to have at once."""
    if not _any(market, "due"):
        return
    with market.db.write() as session:
        running = len(session.exec(select(CheckRow.id).where(CheckRow.state == "running")).all())
        due = select(CheckRow).where(CheckRow.state == "due").order_by(col(CheckRow.id))
        for row in session.exec(due.limit(max(0, market.settings.checks_at_once - running))).all():
            row.state = "running"
            row.attempts += 1
            row.started_time = now_time()
            session.add(row)
            _start(market, session, row)


def collect(market: Market) -> None:
    """Takes in what the runs found, and gives up those that have not answered in time."""
    if not _any(market, "running"):
        return
    with market.db.write() as session:
        for row in session.exec(select(CheckRow).where(CheckRow.state == "running")).all():
            answer = _folder(market, row) / "answer.json"
            if answer.exists():
                _take_in(session, row, json.loads(answer.read_text()))
            elif now_time() > row.started_time + market.settings.check_seconds + _GRACE_SECONDS:
                _fail(session, row, "it gave no answer in time")


def _any(market: Market, state: str) -> bool:
    with market.db.read() as session:
        return session.exec(select(CheckRow.id).where(CheckRow.state == state).limit(1)).first() is not None


def _folder(market: Market, row: CheckRow) -> Path:
    return market.settings.files_dir.absolute() / "checks" / f"{row.id}-{row.attempts}"


def _start(market: Market, session: Session, row: CheckRow) -> None:
    folder = _folder(market, row)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "segment.json").write_text(json.dumps(_segment(market, session, row)))
    with (folder / "log").open("wb") as printed:
        subprocess.Popen(
            [sys.executable, "-m", "gridlease.cli", "provider", "replay", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
            # Its folder is its world: no key or address of the market's settings goes with it.
            env={name: value for name, value in os.environ.items() if not name.startswith("GRIDLEASE_")},
        )
    log.info("check.started", job=row.job_id, sequence=row.sequence, purpose=row.purpose, attempt=row.attempts)


def _segment(market: Market, session: Session, row: CheckRow) -> dict[str, Any]:
    """What `gridlease provider replay` reads: the job, its files, and where the segment starts."""
    job = session.get_one(JobRow, row.job_id)
    manifest = json.loads(job.manifest)
    before = [accepted for accepted in usages(session, job.id) if accepted.sequence == row.sequence - 1]
    start = None
    if before:
        start = {
            "index": before[0].sequence - 1,
            "state_hash": before[0].state_hash,
            "work": before[0].job_work,
            "checkpoint": str(market.files.path(before[0].checkpoint_cid).absolute()),
        }
    return {
        "manifest": manifest,
        "module": str(market.files.path(manifest["module"]).absolute()),
        "inputs": {name: str(market.files.path(cid).absolute()) for name, cid in manifest["inputs"].items()},
        "start": start,
        "seconds": market.settings.check_seconds,
    }


def _take_in(session: Session, row: CheckRow, answer: dict[str, Any]) -> None:
    if "failed" in answer:
        _fail(session, row, str(answer["failed"])[:500])
        return
    found: dict[str, Any] = {"start_is_wrong": answer.get("start_is_wrong", False)}
    if not found["start_is_wrong"]:
        found["value"] = _value(session, row, answer)
    row.found = json.dumps(found)
    row.state = "found"
    session.add(row)
    log.info("check.found", job=row.job_id, sequence=row.sequence, purpose=row.purpose)


def _value(session: Session, row: CheckRow, answer: dict[str, Any]) -> dict[str, Any]:
    """The run's answer in the words of a usage receipt."""
    job = session.get_one(JobRow, row.job_id)
    result, end = answer["state_hash"], answer["end"]
    if end is not None:
        before = [accepted for accepted in usages(session, job.id) if accepted.sequence < row.sequence]
        step = TraceStep(state_hash=answer["state_hash"], work=answer["work"])
        report = ResultReport(
            status=end["status"],
            exit_code=end["exit_code"],
            work=answer["work"],
            outputs=[OutputFile(**output) for output in end["outputs"]],
            trace=[*trace_of(before), step],
        )
        result = to_hex(job_result(job.job_hash, report).result_hash())
    value = lanes.Value(
        result=result,
        state_hash=answer["state_hash"],
        work=answer["work"],
        checkpoint=answer["checkpoint"],
        is_end=end is not None,
    )
    return {name: getattr(value, name) for name in lanes.Value.__slots__}


def _fail(session: Session, row: CheckRow, why: str) -> None:
    """Tried again a few times: it says something about this machine and nothing about the segment."""
    log.warning("check.failed", job=row.job_id, sequence=row.sequence, attempt=row.attempts, reason=why)
    row.why = why
    row.state = "due" if row.attempts < MOST_ATTEMPTS else "failed"
    session.add(row)
    if row.state == "failed":
        note(session, session.get_one(JobRow, row.job_id), f"the market could not run segment {row.sequence}: {why}")
