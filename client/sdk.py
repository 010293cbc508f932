"""`Client`: buy compute from a market in one call.

from gridlease import Client
outcome = Client().run("train.wasm", out="results", max_price="0.05")
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, Unpack

from client.account import Keys, balances, chain_info
from client.drafts import Draft, draft_of
from client.errors import JobFailed, NotLoggedIn, NotMatched
from client.events import JobEvent
from client.files import Files, cid_of_source
from client.http import Http
from client.jobs import Jobs, Terms, request_for
from client.orders import Orders, sign_order
from client.settings import resolve
from client.verify import Check, check_job, download
from client.webhooks import Webhooks
from protocol.keys import Signer
from protocol.manifest import Manifest
from protocol.wire.accounts import AccountInfo, ChainInfo
from protocol.wire.jobs import Job, Page, Quote

AnyJob = Manifest | Draft | Mapping[str, Any] | Path | str
"""A manifest, a draft, decoded JSON, or the path of a manifest file or of a WASM module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished job, with what could be recomputed and what was downloaded."""

    job: Job
    checks: tuple[Check, ...]
    #: output name → local file; empty without `out`
    files: dict[str, Path]

    @property
    def trusted(self) -> bool:
        """No check failed. What could not be checked is in `checks` with `holds` None."""
        return all(check.holds is not False for check in self.checks)


class Client:
    """A market, as one buyer. Without arguments: GRIDLEASE_URL and GRIDLEASE_KEY, else what `gridlease login` stored.

    All errors are `protocol.errors.GridleaseError`. A client holds one connection pool; use it as a context manager
    or call `close`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        unfinished: Path | None = None,
    ) -> None:
        """`unfinished`: a folder that remembers uploads which a process did not finish, for the next one to go on."""
        access = resolve(url, key)
        self._unfinished = unfinished
        self.url = access.url
        self._has_key = access.key is not None
        self.http = Http(access.url, access.key, timeout_seconds=timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    @cached_property
    def files(self) -> Files:
        """`put`, `get`, `read`, `stat`."""
        return Files(self._keyed(), self._unfinished)

    @cached_property
    def keys(self) -> Keys:
        """API keys; to change any, the client's key must be a wallet's session token."""
        return Keys(self._keyed())

    @cached_property
    def orders(self) -> Orders:
        """Orders that your own key signs: `prepare`, `submit`."""
        return Orders(self._keyed())

    @cached_property
    def webhooks(self) -> Webhooks:
        """Where the market sends the account's events."""
        return Webhooks(self._keyed())

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self._keyed())

    def chain(self) -> ChainInfo:
        """Which ledger the market settles on, and its fee. Needs no key."""
        return chain_info(self.http)

    def account(self) -> AccountInfo:
        """Balances in base units, at a block."""
        return balances(self._keyed())

    def quote(self, job: AnyJob, **terms: Unpack[Terms]) -> Quote:
        """What the job would cost and where; nothing is uploaded, signed or charged."""
        return self.jobs.quote(request_for(draft_of(job).bind(cid_of_source), terms))

    def submit(self, job: AnyJob, *, idempotency_key: str | None = None, **terms: Unpack[Terms]) -> Job:
        """Uploads what is local and buys the job. Raises `NotFunded`, `NotMatched`, `MarketRefused`."""
        return self.submit_manifest(self.upload(job), idempotency_key=idempotency_key, **terms)

    def submit_signed(self, job: AnyJob, wallet: Signer, **terms: Unpack[Terms]) -> Job:
        """Like `submit`, by an order that `wallet` signs here: no delegate is needed, and no cap of the API key counts.

        `wallet` must be the account's own. Raises `BadAnswer` if the market's draft is not what was asked for.
        """
        request = request_for(self.upload(job), terms)
        return self.orders.submit(sign_order(self.orders.prepare(request), request, wallet, self.chain()))

    def upload(self, job: AnyJob) -> Manifest:
        """Sends the job's local files and gives its manifest."""
        return draft_of(job).bind(self.files.put)

    def submit_manifest(self, manifest: Manifest, *, idempotency_key: str | None = None, **terms: Unpack[Terms]) -> Job:
        """Buys a job whose files the market holds."""
        return self.jobs.submit(request_for(manifest, terms), idempotency_key=idempotency_key)

    def job(self, job_id: str) -> Job:
        """The job as it is now."""
        return self.jobs.get(job_id)

    def list_jobs(self, *, limit: int = 20, page_token: str | None = None) -> Page:
        """Newest first."""
        return self.jobs.page(limit=limit, page_token=page_token)

    def logs(self, job_id: str) -> str:
        """What the job printed so far."""
        return self.jobs.logs(job_id)

    def events(self, job: Job | str, *, after: int = 0) -> Iterator[JobEvent]:
        """What happens to the job, as it happens, until its work and its money have ended; after event `after`."""
        return self.jobs.events(_id(job), after=after)

    def cancel(self, job: Job | str) -> Job:
        """Ends the job; what was metered so far is paid."""
        return self.jobs.cancel(_id(job))

    def wait(
        self,
        job: Job | str,
        on_progress: Callable[[Job], object] | None = None,
        timeout_seconds: float | None = None,
    ) -> Job:
        """Follows a job to its end; raises `JobNotEnded` after `timeout_seconds`, while the job goes on."""
        return self.jobs.wait(_id(job), on_progress, timeout_seconds)

    def collect(self, job: Job, manifest: Manifest | None = None, out: Path | str | None = None) -> Outcome:
        """Recomputes the hashes of an ended job and downloads its outputs below `out`, if given."""
        checks = check_job(job, manifest, self.jobs.trace(job.id) if job.result else None)
        outputs = job.result.outputs if job.result else []
        files = download(self.files, outputs, Path(out)) if out is not None else {}
        return Outcome(job=job, checks=checks, files=files)

    def run(
        self,
        job: AnyJob,
        *,
        out: Path | str | None = None,
        on_progress: Callable[[Job], object] | None = None,
        timeout_seconds: float | None = None,
        **terms: Unpack[Terms],
    ) -> Outcome:
        """Uploads, buys, waits, checks and downloads. Raises `JobFailed`, `JobNotEnded` and what `submit` raises."""
        manifest = self.upload(job)
        bought = self.submit_manifest(manifest, **terms)
        ended = self.wait(bought, on_progress, timeout_seconds)
        require_success(ended)
        return self.collect(ended, manifest, out)

    def _keyed(self) -> Http:
        if not self._has_key:
            raise NotLoggedIn(self.url)
        return self.http


def require_success(job: Job) -> None:
    """Raises `NotMatched` for an order that no offer met in time, and `JobFailed` for any other end but success."""
    if job.state == "succeeded":
        return
    if job.state == "expired" and not job.leases:
        detail = f"job {job.id} expired: {job.failure or 'no offer met its order in time'}"
        raise NotMatched("not_matched", 0, detail, "ask `gridlease run --dry-run` why, then change the limits")
    raise JobFailed(job, job.failure or _status(job))


def _status(job: Job) -> str:
    if job.result is None:
        return "no result"
    return f"it ended as {job.result.status} with exit code {job.result.exit_code}"


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id
