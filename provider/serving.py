"""Decides what to do with each lease that the market hints at, by the chain and by the journal."""

from pathlib import Path

import structlog
from structlog.contextvars import bound_contextvars

from protocol.chain import LeaseOnChain
from protocol.errors import BadManifest, GridleaseError
from protocol.events import LeaseState
from protocol.hashing import from_hex
from protocol.messages import digest, from_json
from protocol.terms import Voucher
from protocol.wire.leases import LeaseWork
from provider.errors import LeaseRefused, MarketRefused, MarketUnavailable
from provider.journal import EndEntry, Journal
from provider.runtimes.faults import CheckpointRefused, ModuleRefused, ProviderFault
from provider.terms import agree, check_settled, is_countersigned
from provider.visit import LONGEST_PAUSE_SECONDS, LeaseLapsed, Site, Visit, pauses

_log = structlog.get_logger()


class Server:
    """Serves leases from one folder of journals."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder

    def serve(self, hint: LeaseWork) -> bool:
        """Serves the lease to its end; False if there is nothing to do (yet) for it.

        Raises `MarketUnavailable`, `MarketRefused`, `VoucherRefused`, `ChainError`: try the lease again later.
        """
        with bound_contextvars(lease=hint.lease):
            lease = from_hex(hint.lease, 32)
            on_chain = self._site.ledger.lease(lease)
            # Until the market's own mirror has the lease it gives no vouchers.
            if on_chain is None or hint.state == "proposed":
                return False
            journal = Journal(self._folder, lease)
            if journal.progress.end is not None:
                self._countersign_again(hint, journal)
                return False
            if on_chain.state is LeaseState.CLOSED:
                self._end(journal, "lapsed", "closed on chain")
                return False
            return self._visit(hint, on_chain, journal)

    def _visit(self, hint: LeaseWork, on_chain: LeaseOnChain, journal: Journal) -> bool:
        site, progress = self._site, journal.progress
        lease = from_hex(hint.lease, 32)
        try:
            agreement = agree(hint, on_chain, me=site.key.address, domain=site.domain, memory_bytes=site.memory_bytes)
            if hint.last_voucher is not None and not progress.has_result:
                last = check_settled(hint.last_voucher, agreement, paid_before=progress.paid_base, domain=site.domain)
            elif on_chain.state is not LeaseState.OPEN and progress.unpaid is None:
                return False
            else:
                _log.info("lease.serving", job=agreement.order.job.hex(), segments=len(progress.segments))
                last = Visit(site, agreement, journal, hint.resume).run()
        except (LeaseRefused, ModuleRefused, CheckpointRefused, ProviderFault, BadManifest) as error:
            self._give_up(journal, lease, error)
        except LeaseLapsed as error:
            self._end(journal, "lapsed", str(error))
        else:
            newest = progress.segments[-1].report if progress.segments else None
            if newest is None or not is_countersigned(newest, last, me=site.key.address, domain=site.domain):
                self._countersign(lease, last)
            self._end(journal, "completed")
        return True

    def _give_up(self, journal: Journal, lease: bytes, error: GridleaseError) -> None:
        """The market may let the rest of the job to another provider at once."""
        self._end(journal, "refused" if isinstance(error, LeaseRefused) else "failed", str(error))
        try:
            self._site.market.report_failure(lease, str(error))
        except (MarketUnavailable, MarketRefused) as refused:
            # The market notices the silence too; it only takes longer.
            _log.warning("failure.not_reported", reason=str(refused))

    def _end(self, journal: Journal, outcome: str, reason: str = "") -> None:
        journal.append(EndEntry.model_validate({"outcome": outcome, "reason": reason[:500]}))
        journal.drop_all_but(set())
        _log.info("lease.ended", outcome=outcome, reason=reason)

    def _countersign(self, lease: bytes, voucher: Voucher) -> None:
        """Lets the market end the lease at once. Without it the notice runs first, and nothing is lost."""
        signature = self._site.key.sign_digest(digest(self._site.domain, voucher))
        for pause in pauses():
            try:
                self._site.market.countersign(lease, signature)
            except MarketUnavailable as error:
                _log.warning("countersignature.waiting", reason=str(error))
                if pause >= LONGEST_PAUSE_SECONDS:
                    return
                self._site.sleep(pause)
            except MarketRefused as error:
                _log.info("countersignature.refused", reason=str(error))
                return
            else:
                return

    def _countersign_again(self, hint: LeaseWork, journal: Journal) -> None:
        """The market still waits for a countersignature that it may have lost."""
        vouchers = journal.progress.vouchers
        if hint.last_voucher is not None and vouchers and hint.last_voucher == vouchers[-1]:
            self._countersign(from_hex(hint.lease, 32), from_json(Voucher, hint.last_voucher.voucher))
