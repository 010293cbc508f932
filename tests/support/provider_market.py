"""A market and a ledger in memory, behind the interfaces that a provider's agent uses; they can be made to fail."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from protocol.chain import AccountState, BlockPoint, LeaseOnChain
from protocol.events import EndReason, LeaseState
from protocol.hashing import Address, cid_of, from_hex, sha256, to_hex
from protocol.ids import lease_id
from protocol.keys import LocalKey, recover_address
from protocol.messages import Domain, digest, from_json, recover, sign, to_json
from protocol.resources import pack_traits
from protocol.terms import Offer, Order, UsageReceipt, Voucher
from protocol.units import METER_WORK, earned_down, units_up
from protocol.wire.accounts import ChainInfo
from protocol.wire.leases import LeaseWork, Resume, SignedVoucher, UsageCommitment, UsageReport
from protocol.wire.offers import OfferInfo
from provider.errors import MarketRefused, MarketUnavailable
from provider.runtimes.model import RunSpec
from provider.runtimes.wasi_det import WasiDet
from provider.serving import Server
from provider.visit import Site

DOMAIN = Domain(chain_id=31337, ledger=Address("0x5FbDB2315678afecb367f032d93F642f64180aa3"))
OPERATOR = LocalKey(sha256(b"operator"))
VOUCHER_SIGNER = LocalKey(sha256(b"voucher signer"))
BUYER = LocalKey(sha256(b"buyer"))
NOW = 1_900_000_000
RATE = 10**9
"""High enough that every segment of a small test job earns whole base units."""


class Crash(BaseException):
    """The machine stops here: no handler of the agent may see it."""


class FakeLedger:
    """One lease on a chain whose clock stands still."""

    def __init__(self, lease: bytes, order: Order, locked_base: int) -> None:
        self.time = NOW
        self.epoch = 0
        self.lease_id = lease
        self.state: LeaseOnChain | None = LeaseOnChain(
            provider=OPERATOR.address,
            locked_base=locked_base,
            paid_base=0,
            voucher_signer=order.voucher_signer,
            deadline_time=NOW + order.duration,
            rate=RATE,
            zone=1,
            state=LeaseState.OPEN,
            reason=EndReason.NONE,
            done=False,
        )

    def change(self, **fields: object) -> None:
        """Alters the lease as stored."""
        assert self.state is not None
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]

    def lease(self, lease: bytes) -> LeaseOnChain | None:
        return self.state if lease == self.lease_id else None

    def latest(self) -> BlockPoint:
        return BlockPoint(number=1, hash=bytes(32), time=self.time, base_fee_wei=0)

    def account(self, _who: Address) -> AccountState:
        open_leases = int(self.state is not None and self.state.state is not LeaseState.CLOSED)
        return AccountState(free_base=0, bonded_base=0, open_leases=open_leases, epoch=self.epoch)


class FakeMarket:
    """Signs a voucher for each new segment, and keeps the books that a test looks into."""

    def __init__(self, job: RunSpec, ledger: FakeLedger, order: Order) -> None:
        self._ledger = ledger
        self._order = order
        self._job = job
        self.files = {cid_of(sha256(data)): data for data in (job.module, *job.inputs.values())}
        self.signer = VOUCHER_SIGNER
        self.reports: list[UsageReport] = []
        self.vouchers: list[SignedVoucher] = []
        self.commitments: list[UsageCommitment] = []
        #: times that a segment is waited for before its voucher comes
        self.waits = 0
        self.times_reported: Counter[int] = Counter()
        self.countersigned_by: Address | None = None
        #: calls that did nothing else
        self.times_countersigned = 0
        self.failures: list[str] = []
        self.offers_posted: list[Offer] = []
        self.withdrawn: list[bytes] = []
        self.times_heard = 0
        self.state = "open"
        self.base: Resume | None = None
        self.cancelled: SignedVoucher | None = None
        #: called with the sequence before and after a report is taken in; may raise
        self.before: Callable[[int], None] = lambda _: None
        self.after: Callable[[int], None] = lambda _: None
        #: what is done to a voucher before it is signed
        self.alter: Callable[[Voucher], Voucher] = lambda voucher: voucher

    def chain(self) -> ChainInfo:
        raise NotImplementedError

    def offers(self) -> list[OfferInfo]:
        return []

    def post_offer(self, offer: Offer, signature: bytes) -> None:
        assert recover(DOMAIN, offer, signature) == OPERATOR.address
        self.offers_posted.append(offer)

    def withdraw_offer(self, digest: bytes) -> None:
        self.withdrawn.append(digest)

    def hint(self) -> LeaseWork:
        return LeaseWork(
            lease=to_hex(self._ledger.lease_id),
            fill=0,
            order=to_json(self._order),
            manifest=self._job.manifest.model_dump(mode="json"),
            resume=self.base,
            state=self.state,
            last_voucher=self.cancelled,
        )

    def leases(self) -> list[LeaseWork]:
        self.times_heard += 1
        return [self.hint()]

    def fetch(self, cid: str) -> bytes:
        return self.files[cid]

    def store(self, data: bytes) -> str:
        cid = cid_of(sha256(data))
        self.files[cid] = data
        return cid

    def commit_usage(self, lease: bytes, commitment: UsageCommitment) -> bool:
        assert lease == self._ledger.lease_id
        self.commitments.append(commitment)
        # As if the other replicas were one question later.
        return len(self.commitments) % 2 == 0

    def report_usage(self, lease: bytes, report: UsageReport) -> SignedVoucher | None:
        receipt = from_json(UsageReceipt, report.usage_receipt)
        assert lease == receipt.lease == self._ledger.lease_id
        assert recover(DOMAIN, receipt, from_hex(report.signature, 65)) == OPERATOR.address
        self.before(receipt.sequence)
        self.times_reported[receipt.sequence] += 1
        first = self.base.sequence if self.base else 0
        done = first + len(self.reports)
        if receipt.sequence <= done:
            assert self.reports[receipt.sequence - first - 1] == report, "a repeated report must be the same"
        else:
            assert receipt.sequence == done + 1
            self._take(receipt, report)
        self.after(receipt.sequence)
        if self.times_reported[receipt.sequence] <= self.waits:
            return None
        return self.vouchers[receipt.sequence - first - 1]

    def _take(self, receipt: UsageReceipt, report: UsageReport) -> None:
        if report.result is None:
            assert cid_of(receipt.checkpoint) in self.files
        else:
            assert all(output.cid in self.files for output in report.result.outputs)
        on_chain = self._ledger.state
        assert on_chain is not None
        earned = min(earned_down(METER_WORK, on_chain.rate, receipt.work), on_chain.locked_base)
        voucher = Voucher(
            lease=receipt.lease,
            provider=OPERATOR.address,
            cumulative=earned,
            result=receipt.result,
            last=report.result is not None,
        )
        signed = self.alter(voucher)
        self.reports.append(report)
        self.vouchers.append(self.signed(signed))
        if report.countersignature is not None:
            who = recover(DOMAIN, signed, from_hex(report.countersignature, 65))
            self.countersigned_by = who if who == OPERATOR.address else None

    def signed(self, voucher: Voucher) -> SignedVoucher:
        return SignedVoucher(voucher=to_json(voucher), signature=to_hex(sign(DOMAIN, voucher, self.signer)))

    def countersign(self, _lease: bytes, signature: bytes) -> None:
        self.times_countersigned += 1
        last = from_json(Voucher, (self.cancelled or self.vouchers[-1]).voucher)
        self.countersigned_by = recover_address(digest(DOMAIN, last), signature)

    def report_failure(self, _lease: bytes, reason: str) -> None:
        self.failures.append(reason)


class World:
    """A lease for a job, and an agent's folder; `server()` is the agent after each start."""

    def __init__(self, job: RunSpec, folder: Path, *, locked_base: int = 10**9, order: Order | None = None) -> None:
        self.order = order or make_order(job)
        lease = lease_id(digest(DOMAIN, self.order), 0)
        self.ledger = FakeLedger(lease, self.order, locked_base)
        self.market = FakeMarket(job, self.ledger, self.order)
        self.folder = folder
        self.slept = 0.0

    def server(self) -> Server:
        """A process that starts anew over the same folder."""
        site = Site(
            key=OPERATOR,
            domain=DOMAIN,
            ledger=self.ledger,
            market=self.market,
            runtimes={"wasi-det/1": WasiDet(sandboxed=False)},
            memory_bytes=2**30,
            sleep=self._sleep,
        )
        return Server(site, self.folder)

    def serve(self) -> bool:
        return self.server().serve(self.market.hint())

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.ledger.time += max(1, round(seconds))


def make_order(job: RunSpec) -> Order:
    """An order that pays for all of the job's work limit."""
    return Order(
        buyer=BUYER.address,
        voucher_signer=VOUCHER_SIGNER.address,
        job=job.manifest.job_hash(),
        quantities=0,
        all_of=pack_traits(["wasi-det/1"]),
        meter=METER_WORK,
        max_rate=RATE,
        quantity=units_up(job.manifest.limits.work),
        duration=600,
        budget=10**12,
        max_leases=4,
        notice=60,
        matcher=BUYER.address,
        matcher_until=NOW + 3600,
        fee=0,
        expiry=NOW + 3600,
        epoch=0,
        salt=1,
    )


def unavailable(times: int) -> Callable[[int], None]:
    """Fails so often as if the network were gone, then never again."""
    left = [times]

    def fail(_sequence: int) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise MarketUnavailable("POST", "connection refused")

    return fail


def refused(_sequence: int) -> None:
    raise MarketRefused("POST", 409, "lease_not_running", "the lease was ended by the market")


def agent_values(folder: Path) -> dict[str, object]:
    """What `join` writes into an agent's folder."""
    return {
        "market_url": "http://127.0.0.1:8700",
        "name": 'a "quoted" näme',
        "zone": "FR",
        "rate": 2_400_000,
        "ledger": DOMAIN.ledger,
        "chain_id": DOMAIN.chain_id,
        "rpc_url": "http://127.0.0.1:8545",
        "password_file": folder / "password",
        "memory_bytes": 2**30,
    }
