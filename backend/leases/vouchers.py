"""Vouchers (SPEC "Vouchers"): signed once a segment, stored before they are sent, the newest replaces all before."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from backend.errors import UsageRefused
from backend.events import writing
from backend.jobs.tables import JobRow
from backend.leases.segments import is_of_lease
from backend.leases.tables import LeaseIntention, UsageRow
from backend.market import Market
from indexer import prepared
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.errors import ProtocolError
from protocol.hashing import Address, checksum_address, from_hex, to_hex
from protocol.messages import Domain, from_json, recover, sign, to_json
from protocol.terms import Voucher
from protocol.units import earned_down
from protocol.wire.leases import SignedVoucher

_spelt: Final = json.JSONEncoder(separators=(",", ":")).encode
# Built once: every job's end runs it. The last one of a lease replaces all others.
_HIGHEST: Final = (
    select(col(UsageRow.lease), col(UsageRow.voucher_message), col(UsageRow.voucher_signature), col(UsageRow.last))
    .join(LeaseIntention, is_of_lease())
    .where(
        col(UsageRow.lease).in_(bindparam("leases", expanding=True)),
        col(UsageRow.voucher_message).is_not(None),
        col(LeaseIntention.last_signed_time).is_not(None),
    )
    .order_by(col(UsageRow.cumulative_base), col(UsageRow.sequence))
)


class SignedAhead(NamedTuple):
    """A voucher that is signed and not given yet: nobody has it before its segment is accepted and it is stored."""

    voucher: Voucher
    #: whose hosted key signed it
    key_id: str
    #: camelCase JSON
    message: str
    signature: str
    #: by the provider that it pays, where that gave it already
    countersignature: str | None = None


Ahead = Mapping[tuple[str, int], SignedAhead]
"""By lease and segment."""
NONE_AHEAD: Final[Ahead] = MappingProxyType({})


def earned_voucher(lease: LeaseRow, work: int, result: bytes, *, before_base: int, last: bool) -> Voucher:
    """What is due for the work under a lease; never less than `before_base`, never more than what is locked."""
    earned_base = max(earned_down(lease.meter, lease.rate, work), before_base)
    return Voucher(
        lease=lease.lease,
        provider=lease.provider,
        cumulative=min(earned_base, lease.locked_base),
        result=result,
        last=last,
    )


def signed_ahead(market: Market, voucher: Voucher, key_id: str) -> SignedAhead:
    """Signed with the key that the job's vouchers are signed with."""
    signature = to_hex(sign(market.domain, voucher, market.hosted.voucher_signer(key_id)))
    return SignedAhead(voucher, key_id, compact(to_json(voucher)), signature)


def pay(
    session: Session, market: Market, job: JobRow, row: UsageRow, lease: LeaseRow, ahead: Ahead, *, before_base: int
) -> str | None:
    """Signs the voucher of a segment that is accepted, into its row; the countersignature that it has already, if any.

    `before_base` is what the highest one before it says. Signed before a reorg it stays good: no later one says less.
    """
    said = json.loads(row.receipt_message)
    result, is_last = from_hex(said["result"], 32), row.result_info is not None
    voucher = earned_voucher(lease, int(said["work"]), result, before_base=before_base, last=is_last)
    signed = ahead.get((row.lease, row.sequence))
    if signed is None or (signed.voucher, signed.key_id) != (voucher, job.key_id):
        signed = signed_ahead(market, voucher, job.key_id)
    writing.change(
        session,
        row,
        voucher_message=signed.message,
        voucher_signature=signed.signature,
        cumulative_base=voucher.cumulative,
        last=voucher.last,
        signed_time=now_time(),
        verdict="paid",
    )
    # It must be the voucher that replaces all others of the lease: no other says as much.
    return signed.countersignature if voucher.last and voucher.cumulative > before_base else None


def voucher_of(row: UsageRow) -> SignedVoucher | None:
    """The segment's voucher, if it was signed."""
    if row.voucher_message is None or row.voucher_signature is None:
        return None
    return SignedVoucher(voucher=json.loads(row.voucher_message), signature=row.voucher_signature)


def highest_voucher(session: Session, intention: LeaseIntention) -> UsageRow | None:
    """The segment whose voucher replaces all others of the lease to its provider; once signed, it stays good."""
    statement = select(UsageRow).where(
        UsageRow.lease == intention.lease,
        UsageRow.provider == intention.provider,
        col(UsageRow.voucher_message).is_not(None),
    )
    highest = (col(UsageRow.cumulative_base).desc(), col(UsageRow.sequence).desc())
    return session.exec(statement.order_by(*highest).limit(1)).first()


def countersign(session: Session, market: Market, intention: LeaseIntention, signature: str) -> None:
    """The provider agrees to the `last` voucher, so that the ledger closes the lease at once."""
    last = last_voucher(session, market, intention)
    if last is None:
        raise UsageRefused("no last voucher was signed for this lease")
    signer = _countersigner(market, last, signature)
    if signer != intention.provider:
        raise UsageRefused(f"the countersignature is by {signer}, not by {intention.provider}")
    writing.change(session, intention, countersignature=signature)


class Countersigned:
    """A provider's signature of a voucher that it does not have yet."""

    def __init__(self, domain: Domain, signature: str) -> None:
        self.signature = signature
        self._domain = domain
        self._signers: dict[str, Address | None] = {}

    def signer_of(self, message: str) -> Address | None:
        """Who signed it, if it is over this voucher (JSON); found once for each."""
        if message not in self._signers:
            voucher = from_json(Voucher, json.loads(message))
            try:
                self._signers[message] = recover(self._domain, voucher, from_hex(self.signature, 65))
            except ProtocolError:
                self._signers[message] = None
        return self._signers[message]


def countersign_ahead(session: Session, market: Market, given: Sequence[tuple[LeaseIntention, Countersigned]]) -> None:
    """The same of some, whose signatures came before the vouchers: one that is over something else changes nothing.

    Its segment is paid whatever the signature is, and the provider is asked for another.
    """
    ended = [one for one in given if one[0].last_signed_time is not None and one[0].countersignature is None]
    lasts = _last_messages(session, market, [intention.lease for intention, _ in ended]) if ended else {}
    with writing.together(session):
        for intention, signed in ended:
            if signed.signer_of(lasts[intention.lease][0]) == intention.provider:
                writing.change(session, intention, countersignature=signed.signature)


def _countersigner(market: Market, last: SignedVoucher, signature: str) -> Address:
    return recover(market.domain, from_json(Voucher, last.voucher), from_hex(signature, 65))


def last_voucher(session: Session, market: Market, intention: LeaseIntention) -> SignedVoucher | None:
    """The voucher that ends this lease, if the buyer's side has signed one.

    A job that ended otherwise than by this lease's result ends it with a `last` voucher over what was vouched so far.
    """
    if intention.last_signed_time is None:
        return None
    highest = highest_voucher(session, intention)
    if highest is not None and highest.last:
        return voucher_of(highest)
    job = session.get_one(JobRow, intention.job_id)
    voucher = Voucher(
        lease=from_hex(intention.lease, 32),
        provider=checksum_address(intention.provider),
        cumulative=highest.cumulative_base if highest else 0,
        result=from_hex(highest.state_hash, 32) if highest else bytes(32),
        last=True,
    )
    signature = sign(market.domain, voucher, market.hosted.voucher_signer(job.key_id))
    return SignedVoucher(voucher=to_json(voucher), signature=to_hex(signature))


def last_vouchers(session: Session, market: Market, leases: Sequence[str]) -> dict[str, SignedVoucher]:
    """`last_voucher` of many. Raises `LookupError` where one has none."""
    return {
        lease: SignedVoucher(voucher=json.loads(message), signature=signature)
        for lease, (message, signature) in _last_messages(session, market, leases).items()
    }


def _last_messages(session: Session, market: Market, leases: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The same as they are stored: (camelCase JSON, signature)."""
    rows = prepared.rows(session.connection(), _HIGHEST, {"leases": leases})
    highest = {lease: (message, signature, is_last) for lease, message, signature, is_last in rows}
    found = {}
    for lease in leases:
        message, signature, is_last = highest.get(lease, (None, None, False))
        if is_last and message is not None and signature is not None:
            found[lease] = message, signature
            continue
        signed = last_voucher(session, market, session.get_one(LeaseIntention, lease))
        if signed is None:
            raise LookupError(f"lease {lease} has no last voucher")
        found[lease] = compact(signed.voucher), signed.signature
    return found


def compact(message: dict[str, Any]) -> str:
    return _spelt(message)
