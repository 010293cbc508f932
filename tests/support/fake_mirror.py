"""A mirror in memory behind the read door's interface: three leases, a failover and a reorg, to look at pages with."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from indexer.queries import (
    AccountRow,
    BlockRow,
    ClaimRow,
    DisputeRow,
    EventRow,
    Hit,
    LeaseRow,
    Mirror,
    MirrorStatus,
    PaymentRow,
    ProviderRow,
    ReorgRow,
    Stats,
    TransactionRow,
)
from protocol.bundle import write_event
from protocol.events import (
    ClaimCommitted,
    DelegateApproved,
    DelegateCharged,
    Deposited,
    EndReason,
    LeaseClaimed,
    LeaseClosed,
    LeaseClosing,
    LeaseDisputed,
    LeaseOpened,
    LeaseState,
    LedgerEvent,
    LedgerHead,
    Skip,
    Skipped,
    VoucherRedeemed,
    signature,
)
from protocol.hashing import Address, checksum_address, from_hex, keccak256
from protocol.ids import lease_id
from protocol.rlp import Item, encode, integer
from protocol.tries import ordered_path, ordered_root
from protocol.units import METER_WORK
from tests.support.fake_chain import encode_event


def some_hash(label: str) -> bytes:
    """32 bytes that look like a hash and are the same in every run."""
    return keccak256(label.encode())


def some_address(label: str) -> Address:
    return checksum_address(some_hash(label)[:20])


LEDGER: Final = some_address("ledger")
BUYER: Final = some_address("buyer")
KEY: Final = some_address("delegate key")
SIGNER: Final = some_address("voucher signer")
MATCHER: Final = some_address("matcher")
PROVIDER: Final = some_address("provider one")
SECOND_PROVIDER: Final = some_address("provider two")
ORDER: Final = some_hash("order: train")
OTHER_ORDER: Final = some_hash("order: classify")
JOB: Final = some_hash("job: train")
OTHER_JOB: Final = some_hash("job: classify")
RESULT: Final = some_hash("result: train")
#: failed at its first segment and was re-let
FIRST: Final = lease_id(ORDER, 0)
#: took over, finished, closed
SECOND: Final = lease_id(ORDER, 1)
#: still runs
RUNNING: Final = lease_id(OTHER_ORDER, 0)
START_TIME: Final = 1_767_225_600
DEPLOY_BLOCK: Final = 2
HEAD_BLOCK: Final = 64
NOTICE_SECONDS: Final = 10


@dataclass
class FakeMirror(Mirror):
    """Rows kept in lists; filters and orders like the real one."""

    rows: list[EventRow] = field(default_factory=list)
    lease_rows: dict[bytes, LeaseRow] = field(default_factory=dict)
    claims: dict[bytes, ClaimRow] = field(default_factory=dict)
    disputes: dict[bytes, DisputeRow] = field(default_factory=dict)
    beneficiaries: dict[str, Address] = field(default_factory=dict)
    head_block: int = HEAD_BLOCK
    proved_block: int | None = HEAD_BLOCK - 1
    halted: str | None = None
    proof_error: Exception | None = None
    #: RLP headers of the canonical blocks, each naming its parent and the root of its receipts
    headers: list[bytes] = field(default_factory=list)

    def block_hash(self, number: int) -> bytes:
        """Of the canonical block; headers are made as far as they are needed and again after each event."""
        for made in range(len(self.headers), number + 1):
            parent = keccak256(self.headers[-1]) if self.headers else bytes(32)
            self.headers.append(_header(made, parent, self._receipts(made)))
        return keccak256(self.headers[number])

    def _receipts(self, number: int) -> list[bytes]:
        """Consensus-encoded transaction receipts of a block: one event each."""
        return [_receipt(row.event) for row in self.rows if row.block_number == number and row.canonical]

    def emit(self, number: int, event: LedgerEvent, *, canonical: bool = True) -> EventRow:
        """One more event, in a transaction of its own."""
        in_block = sum(row.block_number == number and row.canonical == canonical for row in self.rows)
        topics, data = encode_event(event)
        row = EventRow(
            seq=sum(row.canonical for row in self.rows) + 1,
            kind=type(event).__name__,
            topics=b"".join(topics),
            data=data,
            block_number=number,
            block_hash=some_hash(f"block {number} of another branch"),
            block_time=START_TIME + number,
            tx_hash=some_hash(f"transaction {number}.{in_block}{canonical}"),
            log_index=in_block,
            canonical=canonical,
        )
        self.rows.append(row)
        if canonical:
            self._apply(row)
            self.headers.clear()
        return row

    def _in_its_block(self, row: EventRow) -> EventRow:
        return row._replace(block_hash=self.block_hash(row.block_number)) if row.canonical else row

    def _apply(self, row: EventRow) -> None:
        event = row.event
        if isinstance(event, LeaseOpened):
            self.lease_rows[event.lease] = _opened(row, event)
        elif isinstance(event, VoucherRedeemed):
            self._change(event.lease, paid_base=event.paid, done=event.last)
        elif isinstance(event, LeaseClosing):
            self._change(
                event.lease,
                state=LeaseState.CLOSING,
                reason=event.reason,
                deadline_time=event.deadline,
                done=event.done,
            )
        elif isinstance(event, LeaseClosed):
            self._change(
                event.lease,
                state=LeaseState.CLOSED,
                reason=event.reason,
                paid_base=event.paid,
                refunded_base=event.refunded,
                penalty_base=event.penalty,
                closed_block=row.block_number,
                closed_tx=row.tx_hash,
            )

        else:
            self._apply_slow(event)

    def _apply_slow(self, event: LedgerEvent) -> None:
        if isinstance(event, ClaimCommitted):
            self.claims[event.lease] = _claim(event.lease, event.commitment, reveal_time=event.reveal_from)
            self._change(event.lease, state=LeaseState.CLAIMED, deadline_time=event.deadline)
        elif isinstance(event, LeaseClaimed):
            claim = _claim(event.lease, event.result, work=event.work, target_base=event.target, last=event.last)
            self.claims[event.lease] = claim
            self._change(event.lease, state=LeaseState.CLAIMED, deadline_time=event.deadline, responded=True)
        elif isinstance(event, LeaseDisputed):
            self.disputes[event.lease] = DisputeRow(
                lease=event.lease, challenger=event.challenger, bond_base=event.bond, receipt=event.receipt
            )
            self._change(event.lease, state=LeaseState.DISPUTED, deadline_time=event.deadline)

    def _change(self, lease: bytes, **changes: Any) -> None:
        self.lease_rows[lease] = replace(self.lease_rows[lease], **changes)

    @property
    def path(self) -> None:
        return None

    @contextmanager
    def snapshot(self) -> Iterator[Mirror]:
        yield self

    def status(self) -> MirrorStatus:
        return MirrorStatus(
            chain_id=31337,
            ledger=LEDGER,
            token=some_address("token"),
            deploy_block=DEPLOY_BLOCK,
            block_number=self.head_block,
            block_hash=self.block_hash(self.head_block),
            block_time=START_TIME + self.head_block,
            head=LedgerHead(int.from_bytes(some_hash("head")[6:], "big"), sum(row.canonical for row in self.rows)),
            proved_number=self.proved_block,
            finalized_number=None,
            reorg_epoch=1,
            halted=self.halted,
            confirmed_number=self.head_block,
            event_count=sum(row.canonical for row in self.rows),
        )

    def account(self, address: str, *, at_block: int | None = None) -> AccountRow:
        if address == BUYER:
            return AccountRow(
                address=BUYER,
                free_base=97_400_000,
                locked_base=1_200_000,
                bonded_base=0,
                open_leases=0,
                epoch=0,
                beneficiary=self.beneficiaries.get(address),
            )
        return AccountRow(
            address=Address(address),
            free_base=0,
            locked_base=0,
            bonded_base=0,
            open_leases=0,
            epoch=0,
            beneficiary=self.beneficiaries.get(address),
        )

    def lease(self, lease: bytes, *, at_block: int | None = None) -> LeaseRow | None:
        return self.lease_rows.get(lease)

    def claim(self, lease: bytes, *, at_block: int | None = None) -> ClaimRow | None:
        return self.claims.get(lease)

    def dispute(self, lease: bytes, *, at_block: int | None = None) -> DisputeRow | None:
        return self.disputes.get(lease)

    def leases(self, **wanted: Any) -> list[LeaseRow]:
        window = _window(wanted)
        return _newest([row for row in self.lease_rows.values() if _fits(row, wanted)], _place_of_lease, **window)

    def payments(self, **wanted: Any) -> list[PaymentRow]:
        window = _window(wanted)
        rows = [payment for row in self.rows if row.canonical and (payment := _payment(row)) is not None]
        return _newest([row for row in rows if _fits(row, wanted)], _place, **window)

    def results(self, leases: Iterable[bytes], *, at_block: int | None = None) -> list[bytes]:
        wanted = set(leases)
        return sorted({row.result for row in self.payments(limit=1000) if row.lease in wanted and row.last})

    def events(self, **wanted: Any) -> list[EventRow]:
        window, canonical = _window(wanted), wanted.pop("canonical", True)
        rows = [self._in_its_block(row) for row in self.rows if canonical is None or row.canonical == canonical]
        place = _place if canonical is not None else _place_in_branch
        return _newest([row for row in rows if _touches(row, wanted)], place, **window)

    def block(self, number_or_hash: int | bytes) -> BlockRow | None:
        numbers = range(DEPLOY_BLOCK, self.head_block + 1)
        number = (
            number_or_hash
            if isinstance(number_or_hash, int)
            else next((n for n in numbers if self.block_hash(n) == number_or_hash), -1)
        )
        return self._block(number) if number in numbers else None

    def _block(self, number: int) -> BlockRow:
        return BlockRow(
            number=number,
            hash=self.block_hash(number),
            parent_hash=self.block_hash(number - 1) if number else bytes(32),
            time=START_TIME + number,
            canonical=True,
        )

    def blocks(
        self, limit: int = 50, before: int | None = None, after: int | None = None, *, at_block: int | None = None
    ) -> list[BlockRow]:
        rows = [self._block(number) for number in range(DEPLOY_BLOCK, self.head_block + 1)]
        return _newest(rows, lambda row: row.number, limit=limit, before=before, after=after)

    def hashes(self, numbers: set[int]) -> dict[int, bytes]:
        return {number: self.block_hash(number) for number in numbers if number <= self.head_block}

    def is_canonical(self, block_hash: bytes) -> bool:
        return self.block(block_hash) is not None

    def transaction(self, tx_hash: bytes) -> TransactionRow | None:
        row = next((row for row in self.rows if row.tx_hash == tx_hash and row.canonical), None)
        return None if row is None else _transaction(self._in_its_block(row))

    def transactions(self, **wanted: Any) -> list[TransactionRow]:
        window = _window(wanted)
        rows = [_transaction(self._in_its_block(row)) for row in self.rows if row.canonical]
        return _newest(rows, lambda row: (row.block_number, row.tx_index), **window)

    def account_transactions(self, address: str, limit: int = 50, before: Any = None) -> list[TransactionRow]:
        return [
            _transaction(self._in_its_block(row)) for row in reversed(self.rows) if row.canonical and address == MATCHER
        ][:limit]

    def provider(self, address: str, *, at_block: int | None = None) -> ProviderRow | None:
        rows = self.leases(provider=address)
        if not rows:
            return None
        return ProviderRow(
            address=Address(address),
            leases=len(rows),
            earned_base=sum(row.paid_base for row in rows),
            open_leases=sum(row.state is not LeaseState.CLOSED for row in rows),
            zones=tuple(sorted({row.zone for row in rows})),
            first_block=rows[-1].opened_block,
            last_block=rows[0].opened_block,
        )

    def providers(
        self, limit: int = 50, *, at_block: int | None = None, before: Any = None, after: Any = None
    ) -> list[ProviderRow]:
        found = [self.provider(address) for address in dict.fromkeys(row.provider for row in self.lease_rows.values())]
        return [row for row in found if row is not None][:limit]

    def job(self, job_hash: bytes, *, at_block: int | None = None) -> list[LeaseRow]:
        return self.leases(job=job_hash)

    def stats(self, *, at_block: int | None = None) -> Stats:
        rows = self.lease_rows.values()
        return Stats(
            leases=len(rows),
            open_leases=sum(row.state is LeaseState.OPEN for row in rows),
            paid_base=sum(row.paid_base for row in rows),
            fees_base=sum(row.fee_base for row in rows),
            providers=len({row.provider for row in rows}),
            buyers=len({row.buyer for row in rows}),
            events=sum(row.canonical for row in self.rows),
            blocks=self.head_block,
        )

    def search(self, text: str) -> list[Hit]:
        return [
            Hit(kind="lease", id="0x" + lease.hex(), label=f"Lease 0x{lease.hex()}")
            for lease in self.lease_rows
            if ("0x" + lease.hex()).startswith(text)
        ]

    def reorgs(self, limit: int = 50, before: int | None = None, after: int | None = None) -> list[ReorgRow]:
        return [
            ReorgRow(
                epoch=1,
                fork_number=26,
                old_head=some_hash("block 28 of another branch"),
                new_head=self.block_hash(28),
                depth=2,
                last_kept_seq=7,
                events_undone=1,
                at=START_TIME + 29,
            )
        ][:limit]

    def proof(self, tx_hash: bytes, log_index: int) -> bytes:
        if self.proof_error is not None:
            raise self.proof_error
        row = next(row for row in self.rows if row.canonical and row.tx_hash == tx_hash and row.log_index == log_index)
        self.block_hash(row.block_number)
        path = ordered_path(self._receipts(row.block_number), log_index)
        return write_event(self.headers[row.block_number], log_index, path, 0)


def _place_of_lease(row: LeaseRow) -> tuple[int, int]:
    return row.opened_block, row.opened_log_index


def _fits(row: object, wanted: dict[str, Any]) -> bool:
    return all(value is None or getattr(row, name) == value for name, value in wanted.items())


def _place(row: Any) -> tuple[int, int]:
    return row.block_number, row.log_index


def _place_in_branch(row: EventRow) -> tuple[int, int, bytes]:
    return row.block_number, row.log_index, row.block_hash


def _window(wanted: dict[str, Any]) -> dict[str, Any]:
    """Takes the window out of what a list was asked for; the story is asked about now only."""
    wanted.pop("at_block", None)
    return {name: wanted.pop(name, default) for name, default in (("limit", 50), ("before", None), ("after", None))}


def _newest(rows: list[Any], place: Callable[[Any], Any], *, limit: int, before: Any, after: Any) -> list[Any]:
    def cut(row: Any, other: Any) -> Any:
        return place(row)[: len(other)] if isinstance(other, tuple) else place(row)

    ordered = sorted(rows, key=place, reverse=True)
    if after is not None:
        return [row for row in ordered if cut(row, after) > after][-limit:]
    return [row for row in ordered if before is None or cut(row, before) < before][:limit]


def _touches(row: EventRow, wanted: dict[str, Any]) -> bool:
    tests: dict[str, Callable[[Any], bool]] = {
        "lease": lambda lease: lease in (getattr(row.event, "lease", None), getattr(row.event, "id", None)),
        "account": lambda account: account in row.args.values(),
        "tx_hash": lambda tx_hash: row.tx_hash == tx_hash,
        "block_number": lambda number: row.block_number == number,
        "kind": lambda kind: row.kind == kind,
    }
    return all(value is None or tests[name](value) for name, value in wanted.items())


def _opened(row: EventRow, event: LeaseOpened) -> LeaseRow:
    return LeaseRow(
        lease=event.lease,
        buyer=event.buyer,
        provider=event.provider,
        order=event.order,
        offer=event.offer,
        job=event.job,
        voucher_signer=event.voucher_signer,
        opener=event.opener,
        fill=event.fill,
        meter=event.meter,
        zone=event.zone,
        rate=event.rate,
        locked_base=event.locked,
        bond_base=event.bond,
        fee_base=event.fee,
        paid_base=0,
        refunded_base=0,
        penalty_base=0,
        deadline_time=event.deadline,
        notice_seconds=event.notice,
        state=LeaseState.OPEN,
        reason=EndReason.NONE,
        done=False,
        early=False,
        responded=False,
        opened_block=row.block_number,
        opened_tx=row.tx_hash,
        opened_time=row.block_time,
        closed_block=None,
        closed_tx=None,
        finality="confirmed",
        opened_log_index=row.log_index,
    )


def _claim(lease: bytes, result: bytes, **changes: Any) -> ClaimRow:
    nothing: dict[str, Any] = {"start": bytes(32), "work": 0, "target_base": 0, "reveal_time": 0, "last": False}
    return ClaimRow(lease=lease, result=result, **nothing | changes)


def _payment(row: EventRow) -> PaymentRow | None:
    event = row.event
    if not isinstance(event, VoucherRedeemed):
        return None
    return PaymentRow(
        lease=event.lease,
        provider=event.provider,
        amount_base=event.amount,
        paid_base=event.paid,
        result=event.result,
        last=event.last,
        block_number=row.block_number,
        block_time=row.block_time,
        tx_hash=row.tx_hash,
        log_index=row.log_index,
    )


def _receipt(event: LedgerEvent) -> bytes:
    """A legacy transaction receipt with the event as its only log."""
    cells = []
    for name in event.TYPES:
        value = getattr(event, name)
        raw = value if isinstance(value, bytes) else from_hex(value) if isinstance(value, str) else integer(int(value))
        cells.append(raw.rjust(32, b"\0"))
    topics: list[Item] = [keccak256(signature(type(event)).encode()), *cells[: event.INDEXED]]
    log: list[Item] = [from_hex(LEDGER, 20), topics, b"".join(cells[event.INDEXED :])]
    return encode([integer(1), integer(50_000), bytes(256), [log]])


def _header(number: int, parent: bytes, receipts: list[bytes]) -> bytes:
    """A header of the first forks' shape; what the explorer does not read is zero."""
    roots: list[Item] = [parent, bytes(32), bytes(20), bytes(32), bytes(32), ordered_root(receipts), bytes(256)]
    numbers: list[Item] = [b"", integer(number), integer(30_000_000), b"", integer(START_TIME + number)]
    return encode([*roots, *numbers, b"", bytes(32), bytes(8)])


def _transaction(row: EventRow) -> TransactionRow:
    return TransactionRow(
        hash=row.tx_hash,
        block_number=row.block_number,
        block_hash=row.block_hash,
        tx_index=row.log_index,
        sender=MATCHER,
        to=LEDGER,
        status=1,
        gas_used=86_412,
        function={"LeaseOpened": "open", "VoucherRedeemed": "redeem", "LeaseClosed": "closeLast"}.get(row.kind),
    )


def _open(order: bytes, fill: int, provider: Address, *, zone: int, job: bytes, number: int) -> LeaseOpened:
    return LeaseOpened(
        lease=lease_id(order, fill),
        buyer=BUYER,
        provider=provider,
        order=order,
        offer=some_hash(f"offer of {provider}"),
        job=job,
        voucher_signer=SIGNER,
        opener=MATCHER,
        fill=fill,
        meter=METER_WORK,
        zone=zone,
        rate=800_000,
        locked=1_200_000,
        bond=0,
        fee=1_000,
        deadline=START_TIME + number + 600,
        notice=NOTICE_SECONDS,
    )


def story() -> FakeMirror:
    """A provider fails after one segment, a second one resumes and finishes; a reorg undid one payment on the way."""
    mirror = FakeMirror()
    emit = mirror.emit
    emit(5, Deposited(BUYER, BUYER, 100_000_000))
    emit(6, DelegateApproved(BUYER, KEY, 20_000_000, START_TIME + 86_400))
    emit(12, _open(ORDER, 0, PROVIDER, zone=1, job=JOB, number=12))
    emit(12, DelegateCharged(BUYER, KEY, ORDER, 2_402_000, 17_598_000))
    emit(16, VoucherRedeemed(FIRST, PROVIDER, 216_004, 216_004, some_hash("state 1"), False))
    emit(22, LeaseClosing(FIRST, MATCHER, EndReason.UNRESPONSIVE, START_TIME + 32, False))
    emit(23, _open(ORDER, 1, SECOND_PROVIDER, zone=2, job=JOB, number=23))
    emit(27, VoucherRedeemed(SECOND, SECOND_PROVIDER, 230_001, 230_001, some_hash("state 2"), False), canonical=False)
    emit(28, VoucherRedeemed(SECOND, SECOND_PROVIDER, 230_001, 230_001, some_hash("state 2"), False))
    emit(31, VoucherRedeemed(SECOND, SECOND_PROVIDER, 230_002, 460_003, some_hash("state 3"), False))
    emit(33, LeaseClosed(FIRST, BUYER, PROVIDER, EndReason.UNRESPONSIVE, 216_004, 983_996, 0, 0, False))
    emit(35, VoucherRedeemed(SECOND, SECOND_PROVIDER, 412_870, 872_873, RESULT, True))
    emit(35, LeaseClosed(SECOND, BUYER, SECOND_PROVIDER, EndReason.COMPLETED, 872_873, 327_127, 0, 0, True))
    emit(58, Skipped(RUNNING, Skip.CAPACITY))
    emit(60, _open(OTHER_ORDER, 0, PROVIDER, zone=1, job=OTHER_JOB, number=60))
    emit(62, VoucherRedeemed(RUNNING, PROVIDER, 160_000, 160_000, some_hash("state 1 of classify"), False))
    return mirror


@cache
def block_hash(number: int) -> bytes:
    """Of a block of the story, as long as nothing is added to it."""
    return story().block_hash(number)
