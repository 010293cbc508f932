"""Many providers in one process: real keys, sign-ins, offers, usage receipts and countersignatures; invented work."""

import asyncio
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Final

from bench.load.calls import Calls
from protocol.clock import now_at, now_milliseconds, now_time
from protocol.hashing import from_hex, keccak256, sha256, to_hex
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
from protocol.zones import zones

WORK: Final = 10**9
"""Raw work that each job claims."""
RATE: Final = 2_000_000
_LANES: Final = Quantities(cpu_eighths=64, memory_quarter_gib=64, disk_gib=100)


@dataclass(slots=True)
class Tally:
    """What all agents did."""

    reported: int = 0
    countersigned: int = 0
    refused: list[str] = field(default_factory=list)
    #: lease → monotonic seconds of its first segment's report
    began: dict[str, float] = field(default_factory=dict)


class SimulatedAgent:
    """One provider. It asks for leases, and reports one segment of each with the result and its countersignature."""

    def __init__(self, number: int, calls: Calls, domain: Domain, tally: Tally, *, capacity: int) -> None:
        self.key = LocalKey.derive(b"bench".ljust(32), f"agent/{number}")
        self._number, self._calls, self._domain, self._tally = number, calls, domain, tally
        self._capacity = capacity
        self._chance = random.Random(number)
        self._token = ""
        self._seen: set[str] = set()

    async def join(self) -> None:
        """Signs in and offers."""
        asked = NonceAnswer.model_validate_json((await self._calls("POST", "/v1/auth/nonce")).body)
        message = sign_in_message(asked, self.key.address, now_at())
        body = {"message": message, "signature": to_hex(sign_text(self.key, message))}
        self._token = (await self._calls("POST", "/v1/auth/verify", body)).json()["token"]
        offer = Offer(
            provider=self.key.address,
            quantities=_LANES.pack(),
            traits=pack_traits(["wasi-det/1"]),
            zone=zones()[self._number % len(zones())].number,
            meter=METER_WORK,
            rate=RATE + self._number,
            capacity=self._capacity,
            min_duration=10,
            max_duration=86_400,
            notice=10,
            expiry=now_time() + 24 * 3600,
            epoch=0,
            salt=secrets.randbits(256),
        )
        posted = {"offer": to_json(offer), "signature": to_hex(sign(self._domain, offer, self.key))}
        answer = await self._calls("POST", "/v1/offers", posted, self._token)
        if answer.status >= 300:
            raise SystemExit(f"no figure: an offer was refused: {answer.body[:300]!r}")

    async def serve(self, poll_seconds: float) -> None:
        """For ever."""
        # Each at its own time, whatever its price: the cheapest ones are no nearer to each other than any two.
        await asyncio.sleep(poll_seconds * self._chance.random())
        while True:
            begun = time.monotonic()
            page = await self._calls("GET", "/v1/provider/leases", token=self._token)
            if page.status == 200:
                await self._work([lease for lease in page.json()["data"] if lease["lease"] not in self._seen])
            await asyncio.sleep(max(0.0, poll_seconds - (time.monotonic() - begun)))

    async def _work(self, leases: list[dict[str, Any]]) -> None:
        """All that is due: what a page shows is reported in one call."""
        ended = [lease for lease in leases if lease["last_voucher"] is not None]
        begun = [lease for lease in leases if lease["last_voucher"] is None and lease["state"] == "open"]
        self._seen |= {lease["lease"] for lease in (*ended, *begun)}
        for start in range(0, len(begun), MOST_REPORTS):
            await self._report(begun[start : start + MOST_REPORTS])
        await asyncio.gather(*(self._countersign(lease["lease"], lease["last_voucher"]) for lease in ended))

    async def _report(self, leases: list[dict[str, Any]]) -> None:
        """The only segment of each, with the word on the voucher that ends its lease."""
        signed = [self._ended(lease) for lease in leases]
        now = time.monotonic()
        self._tally.began |= {lease["lease"]: now for lease in leases}
        body = {"reports": [report for report, _ in signed]}
        answer = await self._calls("POST", "/v1/provider/usage-receipts", body, self._token)
        answers = answer.json()["data"] if answer.status == 200 else [{"problem": answer.body}] * len(leases)
        for lease, (_, expected), one in zip(leases, signed, answers, strict=True):
            if one.get("voucher") is None:
                self._refused(lease["lease"], str(one))
                continue
            self._tally.reported += 1
            if one["voucher"]["voucher"] == to_json(expected):
                self._tally.countersigned += 1
            else:
                await self._countersign(lease["lease"], one["voucher"])

    def _ended(self, lease: dict[str, Any]) -> tuple[dict[str, Any], Voucher]:
        """The report, and the voucher that it expects."""
        manifest = Manifest.parse(lease["manifest"])
        state = keccak256(from_hex(lease["lease"]))
        result = JobResult(
            job_hash=manifest.job_hash(),
            status="succeeded",
            exit_code=0,
            outputs=(),
            trace=(TraceLeaf(index=0, state_hash=state, work=WORK),),
            work=WORK,
        )
        receipt = UsageReceipt(
            lease=from_hex(lease["lease"], 32),
            sequence=1,
            metered_until=now_milliseconds(),
            work=WORK,
            result=result.result_hash(),
            checkpoint=sha256(b""),
        )
        last = Voucher(
            lease=receipt.lease,
            provider=self.key.address,
            cumulative=earned_down(METER_WORK, RATE + self._number, WORK),
            result=receipt.result,
            last=True,
        )
        step = {"state_hash": to_hex(state), "work": str(WORK)}
        report = {
            "usage_receipt": to_json(receipt),
            "signature": to_hex(sign(self._domain, receipt, self.key)),
            "step": step,
            "result": {"status": "succeeded", "exit_code": 0, "work": str(WORK), "outputs": [], "trace": [step]},
            "countersignature": to_hex(sign(self._domain, last, self.key)),
        }
        return report, last

    async def _countersign(self, lease: str, signed: dict[str, Any]) -> None:
        voucher = from_json(Voucher, signed["voucher"])
        signature = self.key.sign_digest(digest(self._domain, voucher))
        path = f"/v1/provider/leases/{lease}/countersign"
        answer = await self._calls("POST", path, {"signature": to_hex(signature)}, self._token)
        if answer.status == 204:
            self._tally.countersigned += 1
        else:
            self._refused(lease, answer.body.decode(errors="replace"))

    def _refused(self, lease: str, why: str) -> None:
        # Seen again at the next look, as a real agent would.
        self._seen.discard(lease)
        self._tally.refused.append(why[:300])
