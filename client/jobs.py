"""Jobs on a market: quote, buy, follow, cancel."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final, TypedDict

from pydantic import ValidationError

from client.errors import JobNotEnded, MarketUnavailable, NotFound
from client.events import JobEvent, job_events
from client.http import Http
from protocol.errors import BadManifest
from protocol.manifest import Manifest
from protocol.units import parse_dollars
from protocol.wire.evidence import Evidence
from protocol.wire.jobs import ENDED, Job, JobRequest, Needs, Page, Quote, Trace, TraceStep

POLL_SECONDS: Final = 0.25
LONGEST_POLL_SECONDS: Final = 2.0
OUTAGE_SECONDS: Final = 120.0
"""How long `wait` bears a market that does not answer: long enough for a restart."""


class Terms(TypedDict, total=False):
    """What the buyer accepts; all optional, defaults as in `JobRequest`."""

    #: zones, traits and sizes that the machine must have
    needs: Needs
    #: dollars for the whole job at most, such as "0.05"
    max_price: str | None
    #: pico-dollars per 10⁶ work at most
    max_rate: int | None
    #: seconds from the lease's opening
    duration_seconds: int
    #: leases in all, when providers fail
    max_leases: int
    #: the same said otherwise: leases after those that are opened first
    retries: int
    #: unix seconds by which the last lease has ended
    deadline_time: int
    #: providers that run the job side by side
    replicas: int
    #: replicas that must agree about each segment
    quorum: int
    #: the buyer's own labels
    metadata: dict[str, str]


def request_for(manifest: Manifest, terms: Terms) -> JobRequest:
    """The body of a purchase; raises `TermOutOfRange` or `BadManifest` before anything is sent."""
    price = terms.get("max_price")
    if price is not None:
        parse_dollars(price)
    wall = manifest.limits.wall_seconds
    usual: dict[str, Any] = {"duration_seconds": min(max(900, wall + 120), 86_400)}
    try:
        return JobRequest.model_validate({"manifest": manifest.model_dump(mode="json"), **usual, **terms})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise BadManifest(field, first["msg"], "change that limit of the order") from None


class Jobs:
    """The account's jobs."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def quote(self, request: JobRequest) -> Quote:
        """What `submit` would do, and why each offer was refused. Nothing is signed, stored or charged."""
        return self._http.post("/v1/jobs", Quote, request, idempotency_key=_new_key(), dry_run=1)

    def submit(self, request: JobRequest, *, idempotency_key: str | None = None, wait_seconds: int = 0) -> Job:
        """Buys the job once, however often the connection breaks.

        `wait_seconds` lets the market hold the answer until the job ends. Raises `NotFunded`, `NotMatched`.
        """
        return self._http.post(
            "/v1/jobs", Job, request, idempotency_key=idempotency_key or _new_key(), wait_seconds=wait_seconds
        )

    def get(self, job_id: str) -> Job:
        return self._http.get(f"/v1/jobs/{_segment(job_id)}", Job)

    def page(self, *, limit: int = 20, page_token: str | None = None) -> Page:
        """Newest first."""
        more = {"page_token": page_token} if page_token else {}
        return self._http.get("/v1/jobs", Page, limit=limit, **more)

    def logs(self, job_id: str) -> str:
        """What the job printed so far. Untrusted text: it may hold terminal escapes."""
        return self._http.request("GET", f"/v1/jobs/{_segment(job_id)}/logs").text

    def events(self, job_id: str, *, after: int = 0) -> Iterator[JobEvent]:
        """What happens to the job, as it happens, until its work and its money have ended; after event `after`."""
        return job_events(self._http, f"/v1/jobs/{_segment(job_id)}/events", after)

    def trace(self, job_id: str) -> list[TraceStep] | None:
        """State and work after each segment; None if the market does not show it."""
        try:
            return self._http.get(f"/v1/jobs/{_segment(job_id)}/trace", Trace).data
        except NotFound:
            return None

    def evidence(self, job_id: str) -> Evidence:
        """What providers signed about the job and was found wrong."""
        return self._http.get(f"/v1/jobs/{_segment(job_id)}/evidence", Evidence)

    def cancel(self, job_id: str) -> Job:
        """Ends the job; what was metered so far is paid. Cancelling twice is one cancel."""
        return self._http.post(f"/v1/jobs/{_segment(job_id)}/cancel", Job, idempotency_key=_new_key())

    def wait(
        self, job_id: str, on_progress: Callable[[Job], object] | None = None, timeout_seconds: float | None = None
    ) -> Job:
        """Follows the job to its end, through restarts of the market of up to two minutes.

        Raises `JobNotEnded` after `timeout_seconds`; the job then goes on.
        """
        started = heard = time.monotonic()
        pause = POLL_SECONDS
        seen: Job | None = None
        while True:
            try:
                job = self.get(job_id)
            except MarketUnavailable:
                if time.monotonic() - heard > OUTAGE_SECONDS:
                    raise
            else:
                heard = time.monotonic()
                if job != seen:
                    pause = POLL_SECONDS
                    if on_progress is not None:
                        on_progress(job)
                if job.state in ENDED:
                    return job
                seen = job
            if timeout_seconds is not None and time.monotonic() - started > timeout_seconds:
                raise JobNotEnded(job_id, timeout_seconds)
            time.sleep(pause)
            pause = min(pause * 1.2, LONGEST_POLL_SECONDS)


def _new_key() -> str:
    return uuid.uuid4().hex


def _segment(job_id: str) -> str:
    if not job_id.replace("_", "").isalnum() or not job_id.isascii():
        raise NotFound("not_found", 0, f"no job {job_id[:80]!r}", "give an id such as job_01j…; `gridlease job list`")
    return job_id
