"""A small market over real HTTP, in memory: what a client meets, with faults on demand. No chain behind it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel
from siwe import SiweMessage

from protocol.hashing import cid_of, keccak256, sha256, to_hex
from protocol.keys import LocalKey
from protocol.manifest import Manifest
from protocol.results import JobResult, Output, TraceLeaf
from protocol.wire.accounts import AccountInfo, ChainInfo, DelegateInfo, NewApiKey, NonceAnswer, Session
from protocol.wire.jobs import (
    Job,
    JobLease,
    OutputFile,
    Page,
    Quote,
    Refusal,
    Relaxation,
    ResultInfo,
    Segments,
    TraceStep,
)
from protocol.wire.problems import MEDIA_TYPE

KEY = "glk_test_0123456789"
BUYER = LocalKey.derive(bytes(32), "buyer")
DELEGATE = LocalKey.derive(bytes(32), "delegate").address
PROVIDER = LocalKey.derive(bytes(32), "provider").address
LEDGER = LocalKey.derive(bytes(32), "ledger").address
TOKEN = LocalKey.derive(bytes(32), "token").address
NONCE = "abcdefgh12345678"
WEIGHTS = b"weights of the trained model"


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def chain_info() -> ChainInfo:
    """Of a ledger that no node has."""
    return ChainInfo(
        chain_id=31337,
        ledger=LEDGER,
        token=TOKEN,
        registry=TOKEN,
        court=TOKEN,
        rpc_url="http://127.0.0.1:1",
        matcher=PROVIDER,
        fee_base=100,
        deploy_block=1,
        min_notice=10,
        block_time=1_700_000_000,
        block_number=7,
    )


@dataclass(slots=True)
class MarketState:
    """What the market holds, and the faults that it is told to show."""

    files: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    #: idempotency key → job id
    replays: dict[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    #: (method, path prefix) → how many such requests are carried out and then cut off without an answer
    cut: dict[tuple[str, str], int] = field(default_factory=dict)
    #: (method, path prefix) → (status, problem members) answered instead
    problems: dict[tuple[str, str], tuple[int, dict[str, Any]]] = field(default_factory=dict)
    #: segments done per look at a job
    pace: int = 2
    #: the result hash that jobs end with is off by one bit
    lies: bool = False
    matches: bool = True
    signed_in: str | None = None
    beneficiary: str | None = None
    chain: ChainInfo = field(default_factory=chain_info)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def requests(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method and seen.path.startswith(path)]


class MarketServer(ThreadingHTTPServer):
    """The server; its state is open to the test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = MarketState()

    def handle_error(self, *_: object) -> None:
        """Connections that a test cuts are no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_market() -> Iterator[MarketServer]:
    """A market on a free port, gone at the end."""
    server = MarketServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MarketServer

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 -- the names are http.server's

    def _serve(self) -> None:
        state = self.server.state
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with state.lock:
            state.seen.append(Seen(self.command, self.path, headers, body))
            planned = next(
                (value for (method, prefix), value in state.problems.items() if self._is(method, prefix)), None
            )
            if planned is not None:
                self._problem(planned[0], **planned[1])
                return
            status, answer = self._answer(urlsplit(self.path).path, body)
            for fault, left in state.cut.items():
                if left and self._is(*fault):
                    state.cut[fault] = left - 1
                    self.close_connection = True
                    self.connection.close()
                    return
        self._send(status, answer)

    def _is(self, method: str, prefix: str) -> bool:
        return self.command == method and self.path.startswith(prefix)

    def _send(self, status: int, answer: Any, media: str = "application/json") -> None:
        if isinstance(answer, BaseModel):
            content = answer.model_dump_json().encode()
        elif isinstance(answer, bytes):
            content, media = answer, "application/octet-stream"
        else:
            content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _problem(self, status: int, **members: Any) -> None:
        self._send(status, {"title": "refused", "status": status, "detail": "no", "code": "no"} | members, MEDIA_TYPE)

    def _answer(self, path: str, body: bytes) -> tuple[int, Any]:
        _version, room, *rest = path.strip("/").split("/")
        rooms = {"files": self._files, "jobs": self._jobs}
        return rooms.get(room, self._people)(room, rest, body)

    def _people(self, room: str, rest: list[str], body: bytes) -> tuple[int, Any]:
        match (self.command, room, rest):
            case ("GET", "chain", []):
                return 200, self.server.state.chain
            case ("POST", "auth", ["nonce"]):
                return 200, self._nonce()
            case ("POST", "auth", ["verify"]):
                return 200, self._session(json.loads(body))
            case ("POST", "keys", []):
                return 201, self._key(json.loads(body)["name"])
            case ("GET", "account", []):
                return 200, self._account()
        return 404, {}

    def _files(self, _room: str, rest: list[str], body: bytes) -> tuple[int, Any]:
        files, cid = self.server.state.files, rest[0]
        if self.command != "PUT":
            return (200, files[cid]) if cid in files else (404, {})
        if cid_of(sha256(body)) != cid:
            return 400, {}
        files[cid] = body
        return 201, {"cid": cid, "sha256": to_hex(sha256(body)), "size": len(body)}

    def _jobs(self, _room: str, rest: list[str], body: bytes) -> tuple[int, Any]:
        state = self.server.state
        if rest and rest[0] not in state.jobs:
            return 404, {}
        match (self.command, rest):
            case ("POST", []):
                return self._submit(json.loads(body))
            case ("GET", []):
                return 200, Page(data=list(state.jobs.values()), has_more=False, next_page_token=None)
            case ("GET", [job_id]):
                return 200, self._advanced(job_id)
            case ("GET", [job_id, "logs"]):
                return 200, b"hello\x1b[31m from the job\n"
            case ("GET", [job_id, "trace"]):
                steps = _trace(state.manifests[job_id])
                return 200, {"data": [step.model_dump(mode="json") for step in steps]}
            case ("POST", [job_id, "cancel"]):
                state.jobs[job_id] = state.jobs[job_id].model_copy(update={"state": "canceled"})
                return 200, state.jobs[job_id]
        return 404, {}

    def _nonce(self) -> NonceAnswer:
        expires_at = datetime.now(UTC) + timedelta(minutes=5)
        host = urlsplit(self.server.url).netloc
        return NonceAnswer(nonce=NONCE, domain=host, uri=self.server.url, chain_id=31337, expires_at=expires_at)

    def _session(self, request: dict[str, str]) -> Session:
        parsed = SiweMessage.from_message(request["message"])
        host = urlsplit(self.server.url).netloc
        parsed.verify(request["signature"], domain=host, nonce=NONCE, uri=self.server.url, chain_id=31337, strict=True)
        self.server.state.signed_in = parsed.address
        return Session(token="gls_session", address=parsed.address, expires_at=datetime.now(UTC))

    def _key(self, name: str) -> NewApiKey:
        assert self.headers["authorization"] == "Bearer gls_session"
        buyer = self.server.state.signed_in
        assert buyer is not None
        now = datetime.now(UTC)
        return NewApiKey(
            id="key_1", name=name, buyer=buyer, delegate=DELEGATE, voucher_signer=DELEGATE, created_at=now, key=KEY
        )

    def _account(self) -> AccountInfo:
        return AccountInfo(
            address=BUYER.address,
            free_base=5_000_000,
            locked_base=250_000,
            bonded_base=750_000,
            open_leases=1,
            epoch=0,
            beneficiary=self.server.state.beneficiary,
            voucher_signer=DELEGATE,
            delegate=DelegateInfo(address=DELEGATE, remaining_base=2_000_000, until_time=1_800_000_000),
            block_number=7,
            block_hash=to_hex(bytes(32)),
        )

    def _submit(self, request: dict[str, Any]) -> tuple[int, Any]:
        state = self.server.state
        manifest = Manifest.parse(request["manifest"])
        if "dry_run" in parse_qs(urlsplit(self.path).query):
            return 200, self._quote(manifest)
        known = state.replays.get(self.headers["idempotency-key"])
        if known is None:
            known = f"job_{len(state.jobs) + 1}"
            state.replays[self.headers["idempotency-key"]] = known
            state.jobs[known] = _queued(known, manifest, self.server.url)
            state.manifests[known] = manifest
        return 202, state.jobs[known]

    def _quote(self, manifest: Manifest) -> Quote:
        matched = self.server.state.matches
        remedy = "raise max_rate to 100000"
        refusal = Refusal(
            reason="rate",
            offers=1,
            why="the cheapest of them asks 100000 pico-dollars, the order takes at most 1",
            relaxations=[Relaxation(word="max_rate", to=100_000, text=remedy)],
            offer=to_hex(bytes(32)),
            provider=PROVIDER,
            zone="DE",
            remedy=remedy,
        )
        return Quote(
            job_hash=to_hex(manifest.job_hash()),
            would_match=matched,
            offer=to_hex(bytes(32)) if matched else None,
            provider=PROVIDER if matched else None,
            zone="DE" if matched else None,
            rate=100_000 if matched else None,
            rate_dollars="$0.000100/10⁹ work" if matched else None,
            max_rate=200_000,
            max_rate_dollars="$0.000200/10⁹ work",
            lock_base=200 if matched else None,
            lock_dollars="$0.000200" if matched else None,
            fee_base=100,
            fee_dollars="$0.000100",
            most_base=800,
            most_dollars="$0.000800",
            offers=1,
            fitting=1 if matched else 0,
            refusals=[] if matched else [refusal],
        )

    def _advanced(self, job_id: str) -> Job:
        """Each look at a running job finds it `pace` segments further."""
        state = self.server.state
        job, manifest = state.jobs[job_id], state.manifests[job_id]
        if job.state in ("queued", "running"):
            done = min(job.segments.done + state.pace, job.segments.total)
            changed = {"state": "running", "segments": Segments(done=done, total=job.segments.total), "cost_base": done}
            job = job.model_copy(update={**changed, "leases": [_lease()], "settlement": "escrowed"})
            if done == job.segments.total:
                state.files[cid_of(sha256(WEIGHTS))] = WEIGHTS
                result = _result(manifest, lies=state.lies)
                job = job.model_copy(update={"state": "succeeded", "result": result, "settlement": "released"})
            state.jobs[job_id] = job
        return job


def _queued(job_id: str, manifest: Manifest, url: str) -> Job:
    return Job(
        id=job_id,
        job_hash=to_hex(manifest.job_hash()),
        order=to_hex(keccak256(job_id.encode())),
        state="queued",
        settlement="unfunded",
        segments=Segments(done=0, total=manifest.total_segments),
        work=0,
        cost_base=0,
        fee_base=100,
        held_base=0,
        refunded_base=0,
        leases=[],
        result=None,
        failure=None,
        metadata={},
        created_at=datetime.now(UTC),
        ended_at=None,
        settled_at=None,
        links={"explorer": f"{url}/job/{to_hex(manifest.job_hash())}"},
    )


def _lease() -> JobLease:
    return JobLease(
        lease=to_hex(keccak256(b"lease")),
        fill=0,
        provider=PROVIDER,
        zone="DE",
        state="open",
        rate=100_000,
        locked_base=200,
        paid_base=0,
        refunded_base=0,
        penalty_base=0,
        tx_hashes=[],
        block_number=7,
        level="proved",
        finality="confirmed",
    )


def _trace(manifest: Manifest) -> list[TraceStep]:
    count = manifest.total_segments
    return [TraceStep(state_hash=to_hex(keccak256(bytes([i]))), work=1000 * (i + 1)) for i in range(count)]


def _result(manifest: Manifest, *, lies: bool) -> ResultInfo:
    trace = _trace(manifest)
    cid = cid_of(sha256(WEIGHTS))
    found = JobResult(
        job_hash=manifest.job_hash(),
        status="succeeded",
        exit_code=0,
        outputs=(Output(path="weights.bin", sha256=sha256(WEIGHTS), size=len(WEIGHTS)),),
        trace=tuple(
            TraceLeaf(index=index, state_hash=bytes.fromhex(step.state_hash[2:]), work=step.work)
            for index, step in enumerate(trace)
        ),
        work=trace[-1].work,
    ).result_hash()
    return ResultInfo(
        result_hash=to_hex(bytes([found[0] ^ lies]) + found[1:]),
        status="succeeded",
        exit_code=0,
        work=trace[-1].work,
        outputs=[OutputFile(path="weights.bin", cid=cid, size=len(WEIGHTS))],
    )
