"""Who deals with the house: a buyer who repeats each call until it is answered, and providers who never give up.

Their keys, signatures and offers are real; what they say that they worked is invented.
"""

import secrets
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from protocol.clock import now_at, now_milliseconds, now_time
from protocol.hashing import cid_of, from_hex, keccak256, sha256, to_hex
from protocol.keys import LocalKey
from protocol.manifest import Manifest
from protocol.messages import Domain, digest, from_json, sign, to_json
from protocol.resources import Quantities, pack_traits
from protocol.results import JobResult, TraceLeaf
from protocol.signin import sign_in_message, sign_text
from protocol.terms import Offer, UsageReceipt, Voucher
from protocol.units import METER_WORK, earned_down
from protocol.wire.accounts import NonceAnswer
from protocol.wire.leases import MOST_REPORTS

SEGMENTS: Final = 2
WORK: Final = 10**8
"""Raw units of a segment."""

_FILE: Final = b"\0asm\1\0\0\0"
"""Module and checkpoint of jobs that nobody runs."""
_LANES: Final = Quantities(cpu_eighths=64, memory_quarter_gib=64, disk_gib=100)
_RATE: Final = 2_000_000
_POLL_SECONDS: Final = 0.25
_CALL_SECONDS: Final = 10.0


class Line:
    """HTTP to the house. Raises `httpx.HTTPError` where it does not answer, or not well."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=_CALL_SECONDS)
        self.token = ""

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            named["Authorization"] = f"Bearer {self.token}"
        answer = self._http.request(method, path, headers=named, **content)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@dataclass(slots=True)
class Buyer:
    """One program with an API key."""

    line: Line
    #: job id of each call, by its Idempotency-Key
    accepted: dict[str, str] = field(default_factory=dict)
    repeated: int = 0

    def bring(self) -> None:
        self.line("PUT", f"/v1/files/{cid_of(sha256(_FILE))}", _FILE)

    def listen(self, url: str) -> None:
        """Whatever happens to a job in the end is sent there."""
        self.line("POST", "/v1/webhooks", {"url": url, "types": ["job.succeeded", "job.settled"]})

    def buy(self, seconds: float) -> None:
        """One job; raises `TimeoutError` if nobody takes it for so long."""
        number = len(self.accepted)
        body = {"manifest": _manifest(number), "max_price": "0.01", "max_leases": 16, "duration_seconds": 7200}
        deadline = time.monotonic() + seconds
        while True:
            try:
                job = self.line("POST", "/v1/jobs", body, Idempotency_Key=f"job-{number}")
            except httpx.HTTPError as error:
                self.repeated += 1
                if time.monotonic() > deadline:
                    raise TimeoutError(f"job {number} is not taken: {error}") from error
                time.sleep(0.2)
            else:
                self.accepted[f"job-{number}"] = job["id"]
                return


class Provider:
    """Does what the market says that is due, as often as it says so."""

    def __init__(self, number: int, line: Line, domain: Domain) -> None:
        self.key = LocalKey.derive(bytes(32), f"provider {number}")
        self._number, self._line, self._domain = number, line, domain
        #: lease → monotonic seconds of its newest segment
        self._reported: dict[str, float] = {}
        self.refused: list[str] = []

    def join(self) -> None:
        """Signs in and offers."""
        asked = NonceAnswer.model_validate(self._line("POST", "/v1/auth/nonce"))
        message = sign_in_message(asked, self.key.address, now_at())
        signed = {"message": message, "signature": to_hex(sign_text(self.key, message))}
        self._line.token = self._line("POST", "/v1/auth/verify", signed)["token"]
        self._line("PUT", f"/v1/files/{cid_of(sha256(_FILE))}", _FILE)
        offer = Offer(
            provider=self.key.address,
            quantities=_LANES.pack(),
            traits=pack_traits(["wasi-det/1"]),
            zone=1 + self._number,
            meter=METER_WORK,
            rate=_RATE + self._number,
            capacity=1000,
            min_duration=10,
            max_duration=86_400,
            notice=10,
            expiry=now_time() + 7 * 86_400,
            epoch=0,
            salt=secrets.randbits(256),
        )
        self._line(
            "POST", "/v1/offers", {"offer": to_json(offer), "signature": to_hex(sign(self._domain, offer, self.key))}
        )

    def look(self) -> None:
        """Once at all that is due."""
        try:
            found = self._line("GET", "/v1/provider/leases")["data"]
        except httpx.HTTPError:
            return
        due = []
        for lease in found:
            try:
                if self._serve(lease):
                    due.append(lease)
            except httpx.HTTPStatusError as error:
                # The mirror has not the lease, or not any longer; or the market has given it up.
                self.refused.append(error.response.text[:300])
            except httpx.HTTPError:
                continue
        self._report_together(due)

    def _serve(self, lease: dict[str, Any]) -> bool:
        """Whether a segment is still to be reported, with others."""
        path = f"/v1/provider/leases/{lease['lease']}"
        if lease["last_voucher"] is not None:
            voucher = from_json(Voucher, lease["last_voucher"]["voucher"])
            if _agrees(lease):
                signature = self.key.sign_digest(digest(self._domain, voucher))
                self._line("POST", f"{path}/countersign", {"signature": to_hex(signature)})
        elif lease["state"] == "open" and self._may_go_on(lease):
            if lease["fill"] == 0 and lease["lease"][-2] == "0":
                # One in sixteen fails: the next fill goes on.
                self._line("POST", f"{path}/failure", {"reason": "no power"})
            elif self._number == 0:
                return True
            else:
                self._line("POST", f"{path}/usage-receipts", self._report(lease))
                self._reported[lease["lease"]] = time.monotonic()
        return False

    def _report_together(self, leases: list[dict[str, Any]]) -> None:
        """One provider reports all at once, and says with the end of a job that it agrees to it."""
        for start in range(0, len(leases), MOST_REPORTS):
            some = leases[start : start + MOST_REPORTS]
            reports = [self._agreed(lease, self._report(lease)) for lease in some]
            try:
                answers = self._line("POST", "/v1/provider/usage-receipts", {"reports": reports})["data"]
            except httpx.HTTPStatusError as error:
                self.refused.append(error.response.text[:300])
                return
            except httpx.HTTPError:
                return
            for lease, answer in zip(some, answers, strict=True):
                if answer.get("problem"):
                    self.refused.append(str(answer["problem"])[:300])
                else:
                    self._reported[lease["lease"]] = time.monotonic()

    def _agreed(self, lease: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        if "result" not in report or not _agrees(lease):
            return report
        receipt = from_json(UsageReceipt, report["usage_receipt"])
        # What is locked, and vouched for before, it does not know: where that counts, it is asked again.
        last = Voucher(
            lease=receipt.lease,
            provider=self.key.address,
            cumulative=earned_down(METER_WORK, _RATE + self._number, receipt.work),
            result=receipt.result,
            last=True,
        )
        return report | {"countersignature": to_hex(sign(self._domain, last, self.key))}

    def _may_go_on(self, lease: dict[str, Any]) -> bool:
        """Every other lease waits, so that its first voucher is redeemed before the last."""
        before = self._reported.get(lease["lease"])
        return before is None or lease["lease"][-1] < "8" or time.monotonic() > before + 2

    def _report(self, lease: dict[str, Any]) -> dict[str, Any]:
        resume = lease["resume"] or {"sequence": 0, "job_work": 0, "lease_work": 0, "trace": []}
        sequence = resume["sequence"] + 1
        base_work = int(resume["job_work"]) - int(resume["lease_work"])
        # All say the same of a segment, whoever runs it.
        step = {"state_hash": to_hex(keccak256(sequence.to_bytes(8, "big"))), "work": str(sequence * WORK)}
        trace = [*resume["trace"], step]
        is_last = sequence == SEGMENTS
        result = _result_hash(lease["manifest"], trace) if is_last else from_hex(step["state_hash"])
        receipt = UsageReceipt(
            lease=from_hex(lease["lease"], 32),
            sequence=sequence,
            metered_until=now_milliseconds(),
            work=sequence * WORK - base_work,
            result=result,
            checkpoint=sha256(b"" if is_last else _FILE),
        )
        report = {
            "usage_receipt": to_json(receipt),
            "signature": to_hex(sign(self._domain, receipt, self.key)),
            "step": step,
        }
        if is_last:
            report["result"] = {
                "status": "succeeded",
                "exit_code": 0,
                "work": step["work"],
                "outputs": [],
                "trace": trace,
            }
        return report


@contextmanager
def at_work(providers: list[Provider]) -> Iterator[None]:
    """They look again and again until the block ends."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(_POLL_SECONDS):
            for provider in providers:
                try:
                    provider.look()
                except Exception:  # noqa: BLE001 -- whoever never gives up says why nothing is done
                    traceback.print_exc()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(3 * _CALL_SECONDS)


def _agrees(lease: dict[str, Any]) -> bool:
    """One in eight never does: its market closes alone."""
    return int(lease["lease"][-1], 16) % 8 != 0


def _manifest(number: int) -> dict[str, Any]:
    return {
        "version": 1,
        "runtime": "wasi-det/1",
        "module": cid_of(sha256(_FILE)),
        "arguments": [str(number)],
        "segments": SEGMENTS,
        "limits": {"memory_bytes": 2**26, "work": SEGMENTS * WORK, "wall_seconds": 3600, "output_bytes": 0},
        "verify": "none",
    }


def _result_hash(manifest: dict[str, Any], trace: list[dict[str, Any]]) -> bytes:
    leaves = (
        TraceLeaf(index=index, state_hash=from_hex(step["state_hash"], 32), work=int(step["work"]))
        for index, step in enumerate(trace)
    )
    return JobResult(
        job_hash=Manifest.parse(manifest).job_hash(),
        status="succeeded",
        exit_code=0,
        outputs=(),
        trace=tuple(leaves),
        work=int(trace[-1]["work"]),
    ).result_hash()
