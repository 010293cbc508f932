"""Usage receipts of PROVIDER about leases of a paper market."""

from typing import Any, Final

from protocol.clock import now_milliseconds
from protocol.hashing import keccak256, sha256, to_hex
from protocol.manifest import Manifest
from protocol.messages import from_json, sign, to_json
from protocol.results import JobResult, TraceLeaf
from protocol.terms import UsageReceipt, Voucher
from tests.support.paper_market import PROVIDER, PaperMarket

WORK: Final = 1000
EARNED_BASE: Final = 0
"""For so little work at the paper market's rate."""


def only_segment(paper: PaperMarket, job: Manifest, lease: bytes) -> dict[str, Any]:
    """The only segment, with the result."""
    state = keccak256(lease)
    leaf = TraceLeaf(index=0, state_hash=state, work=WORK)
    result = JobResult(job_hash=job.job_hash(), status="succeeded", exit_code=0, outputs=(), trace=(leaf,), work=WORK)
    receipt = UsageReceipt(
        lease=lease,
        sequence=1,
        metered_until=now_milliseconds(),
        work=WORK,
        result=result.result_hash(),
        checkpoint=sha256(b""),
    )
    step = {"state_hash": to_hex(state), "work": str(WORK)}
    return {
        "usage_receipt": to_json(receipt),
        "signature": to_hex(sign(paper.market.domain, receipt, PROVIDER)),
        "step": step,
        "result": {"status": "succeeded", "exit_code": 0, "work": str(WORK), "outputs": [], "trace": [step]},
    }


def countersigned(paper: PaperMarket, report: dict[str, Any], cumulative_base: int) -> dict[str, Any]:
    """The report with the provider's word on the voucher that it expects."""
    receipt = from_json(UsageReceipt, report["usage_receipt"])
    last = Voucher(
        lease=receipt.lease, provider=PROVIDER.address, cumulative=cumulative_base, result=receipt.result, last=True
    )
    return report | {"countersignature": to_hex(sign(paper.market.domain, last, PROVIDER))}
