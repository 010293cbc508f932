"""The agent's own judgement of a lease and a voucher, by the chain and by signatures. Pure: nothing is asked here."""

from dataclasses import dataclass

from protocol.chain import LeaseOnChain
from protocol.errors import ProtocolError
from protocol.events import LeaseState
from protocol.hashing import Address, from_hex, to_hex
from protocol.ids import lease_id
from protocol.manifest import Manifest
from protocol.messages import Domain, digest, from_json, recover
from protocol.terms import Order, UsageReceipt, Voucher
from protocol.units import METER_WORK, earned_down, units_up
from protocol.wire.leases import LeaseWork, SignedVoucher, UsageReport
from provider.errors import LeaseRefused, VoucherRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A lease that holds: on chain, this provider's, and for exactly this job."""

    lease: bytes
    order: Order
    manifest: Manifest
    #: as the ledger stores it
    on_chain: LeaseOnChain

    def earned_base(self, lease_work: int) -> int:
        """Base units that a voucher must carry for `lease_work`: rounded down, at most the lock."""
        return min(self.full_price_base(lease_work), self.on_chain.locked_base)

    def last_voucher(self, receipt: UsageReceipt, *, paid_before: int) -> Voucher:
        """What an honest market signs for the segment that ends the job; `paid_before` in base units."""
        return Voucher(
            lease=self.lease,
            provider=self.on_chain.provider,
            cumulative=max(self.earned_base(receipt.work), paid_before),
            result=receipt.result,
            last=True,
        )

    def full_price_base(self, lease_work: int) -> int:
        """Base units that the work is worth, rounded down, whatever is locked."""
        return earned_down(METER_WORK, self.on_chain.rate, lease_work)


def agree(hint: LeaseWork, on_chain: LeaseOnChain, *, me: Address, domain: Domain, memory_bytes: int) -> Agreement:
    """The agreement behind a market's hint; raises `LeaseRefused` with the first thing that is wrong.

    The order is trusted because it hashes to the lease, the manifest because it hashes to the order's job.
    """
    try:
        lease, order = from_hex(hint.lease, 32), from_json(Order, hint.order)
        manifest = Manifest.parse(hint.manifest)
    except ProtocolError as error:
        raise LeaseRefused(str(error)) from error
    found = lease_id(digest(domain, order), hint.fill)
    units = units_up(manifest.limits.work)
    reasons = (
        (found == lease, f"the order and fill {hint.fill} give lease {to_hex(found)}, not {hint.lease}"),
        (on_chain.provider == me, f"on chain it is {on_chain.provider}'s"),
        (on_chain.state in (LeaseState.OPEN, LeaseState.CLOSING), f"on chain it is {on_chain.state.name.lower()}"),
        (on_chain.voucher_signer == order.voucher_signer, "the ledger has another voucher signer than the order"),
        (manifest.job_hash() == order.job, "the manifest does not hash to the order's job"),
        (order.meter == METER_WORK, "it is not metered by work"),
        (units <= order.quantity, f"the job may use {units} units of work, the order pays for {order.quantity}"),
        (manifest.limits.memory_bytes <= memory_bytes, f"the job may use more memory than the {memory_bytes} offered"),
    )
    for holds, fact in reasons:
        if not holds:
            raise LeaseRefused(fact)
    return Agreement(lease=lease, order=order, manifest=manifest, on_chain=on_chain)


def check_voucher(
    signed: SignedVoucher, agreement: Agreement, receipt: UsageReceipt, *, last: bool, paid_before: int, domain: Domain
) -> Voucher:
    """The voucher if the ledger would pay it in full for the receipt's work; raises `VoucherRefused`.

    `paid_before` is the cumulative of the voucher before, in base units.
    """
    voucher = _payable(signed, agreement, paid_before, domain)
    expected = agreement.earned_base(receipt.work)
    _require(
        (voucher.cumulative >= expected, f"expected {expected} base units, found {voucher.cumulative}"),
        (voucher.result == receipt.result, "it names another result than the usage receipt"),
        (voucher.last == last, "it is last too early" if voucher.last else "it does not accept the last segment"),
    )
    return voucher


def check_settled(signed: SignedVoucher, agreement: Agreement, *, paid_before: int, domain: Domain) -> Voucher:
    """The last voucher of a job that its buyer cancelled: it must keep all that was vouched for."""
    voucher = _payable(signed, agreement, paid_before, domain)
    _require((voucher.last, "it does not end the lease"))
    return voucher


def is_countersigned(report: UsageReport, last: Voucher, *, me: Address, domain: Domain) -> bool:
    """Whether the market has this provider's signature of the `last` voucher by the report that it answers."""
    if report.countersignature is None:
        return False
    try:
        return recover(domain, last, from_hex(report.countersignature, 65)) == me
    except ProtocolError:
        return False


def _payable(signed: SignedVoucher, agreement: Agreement, paid_before: int, domain: Domain) -> Voucher:
    try:
        voucher = from_json(Voucher, signed.voucher)
        signer = recover(domain, voucher, from_hex(signed.signature, 65))
    except ProtocolError as error:
        raise VoucherRefused(str(error)) from error
    _require(
        (signer == agreement.on_chain.voucher_signer, f"it is signed by {signer}"),
        (voucher.lease == agreement.lease, "it is for another lease"),
        (voucher.provider == agreement.on_chain.provider, f"it pays {voucher.provider}"),
        (voucher.cumulative >= paid_before, f"it falls below the {paid_before} base units of the one before"),
        (voucher.cumulative <= agreement.on_chain.locked_base, "it says more than the ledger has locked"),
    )
    return voucher


def _require(*reasons: tuple[bool, str]) -> None:
    for holds, fact in reasons:
        if not holds:
            raise VoucherRefused(fact)
