"""One dispute, move by move: each method is what one party does, with what it truly knows."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from protocol.calls import signed_voucher, struct_of
from protocol.court import Case, Phase, read_case
from protocol.events import LeaseState
from protocol.hashing import ZERO_HASH, Address, checksum_address, keccak256
from protocol.keys import LocalKey
from protocol.messages import sign
from protocol.results import TraceLeaf
from protocol.terms import UsageReceipt, Voucher
from protocol.trace import TraceOpening, agrees, leaf_proof, open_trace, vote_commitment
from provider.juror import find_value
from provider.runtimes.wasi_det import WasiDet
from tests.support.court_job import JOB, Told, honest
from tests.support.court_world import CourtWorld
from tests.support.ledger_world import Leased
from tests.support.slow_path import NO_VOUCHER

NO_RECEIPT = (ZERO_HASH, 0, 0, 0, ZERO_HASH, ZERO_HASH)
NO_START = (0, NO_VOUCHER)


@dataclass(slots=True)
class Trial:
    """A lease whose provider says `told` of the job."""

    world: CourtWorld
    leased: Leased
    told: Told
    runtime: WasiDet
    challenger: LocalKey
    #: segments done where the lease started, and the voucher that proves it
    start: tuple[int, tuple[Any, ...]] = (0, NO_START)
    #: the usage receipt in dispute; None = the claim
    receipt: UsageReceipt | None = None

    @property
    def case(self) -> Case:
        return read_case(self.world.node.rpc, self.world.court, self.leased.id)

    @property
    def state(self) -> LeaseState:
        return LeaseState(self.world.view_ledger("stateOf", self.leased.id))

    @property
    def terms(self) -> tuple[tuple[Any, ...], int]:
        """What a call about the lease begins with."""
        return struct_of(self.leased.order), self.leased.fill

    def _court(self, key: LocalKey, name: str, *arguments: Any) -> None:
        self.world.send(key, name, *arguments)

    def _ledger(self, key: LocalKey, name: str, *arguments: Any) -> None:
        self.world.send_ledger(key, name, *arguments)

    # provider and buyer, before the ledger

    def work(self) -> int:
        """Raw units of the lease."""
        return self.told.result.work - self.told.work(self.start[0])

    def redeem(self, cumulative: int, *, result: bytes = ZERO_HASH) -> tuple[Any, ...]:
        """The buyer's side signs that much, and the provider takes it."""
        lease, provider = self.leased.id, self.leased.provider
        voucher = Voucher(lease=lease, provider=provider.address, cumulative=cumulative, result=result, last=False)
        signature = sign(self.world.ledger.deployment.domain, voucher, self.world.ledger.voucher_signer)
        signed = signed_voucher(voucher, signature)
        self._ledger(provider, "redeem", [signed])
        return signed

    def claim(self, salt: bytes = ZERO_HASH) -> None:
        """The end of the job, from where the lease started."""
        position, proof = self.start
        state = self.told.trace[position - 1].state_hash if position else ZERO_HASH
        terms = (self.work(), self.told.result.result_hash(), state, True)
        self._ledger(self.leased.provider, "claim", *self.terms, terms, salt, proof)

    def commit_claim(self, salt: bytes) -> None:
        provider = self.leased.provider
        packed = (
            self.leased.id + bytes(12) + bytes.fromhex(provider.address[2:]) + self.told.result.result_hash() + salt
        )
        self._ledger(provider, "commitClaim", *self.terms, keccak256(packed))

    def challenge(self) -> None:
        """Of the claim; of the provider's usage receipt, if there is one."""
        if self.receipt is None:
            self._ledger(self.challenger, "challenge", *self.terms, NO_RECEIPT, b"")
            return
        signature = sign(self.world.ledger.deployment.domain, self.receipt, self.leased.provider)
        self._ledger(self.challenger, "challenge", *self.terms, struct_of(self.receipt), signature)

    def finalise(self, by: LocalKey) -> None:
        self._ledger(by, "finalise", *self.terms)

    # the case

    def bring(self) -> None:
        self._court(self.world.stranger, "bring", *self.terms)

    def dispute(self) -> None:
        """Claimed, challenged and brought."""
        self.claim()
        self.challenge()
        self.bring()

    def opening(self) -> TraceOpening:
        return open_trace(self.told.trace, end=self.told.end, start_position=self.start[0])

    def open_trace(self) -> None:
        receipt = NO_RECEIPT if self.receipt is None else struct_of(self.receipt)
        opening = astuple(self.opening())
        self._court(self.leased.provider, "openTrace", *self.terms, receipt, opening, self.start[1])

    def post(self) -> None:
        position = self.case.next_position
        leaf, proof = self.told.trace[position - 1], leaf_proof(self.told.trace, position)
        self._court(self.leased.provider, "postMiddle", self.leased.id, leaf.state_hash, leaf.work, list(proof))

    def answer(self, agreed: bool) -> None:
        self._court(self.challenger, "answer", self.leased.id, agreed)

    def bisect(self, mine: Sequence[TraceLeaf] | None = None) -> None:
        """To one segment; the challenger answers by its own run, or by what it pretends to have found."""
        found = honest().trace if mine is None else mine
        while self.case.phase is Phase.POSTING:
            self.post()
            self.answer(agrees(found, self.case.mid))

    def timeout(self, by: LocalKey) -> None:
        self._court(by, "timeout", *self.terms)

    # the jury

    def draw(self) -> list[LocalKey]:
        """Draws until all seats are taken; the jurors of this round."""
        self.world.node.mine(3)
        while self.case.phase is Phase.DRAWING:
            self._court(self.world.stranger, "draw", *self.terms)
        return self.jury()

    def redraw(self, by: LocalKey) -> None:
        """One call of `draw`, which also ends a case that came too late."""
        self._court(by, "draw", *self.terms)

    def jury(self) -> list[LocalKey]:
        keys = {key.address: key for key in (*self.world.jurors, self.world.neighbour)}
        round_ = self.case.round_
        seats = self.world.view("seatsOf", self.leased.id)
        return [keys[checksum_address(seat[0])] for seat in seats if seat[1] == round_]

    def value(self) -> bytes:
        """What a juror finds that runs the segment in dispute again, from what the provider serves."""
        case = self.case
        snapshot = self.told.snapshots.get(case.lo.position) if self.told.serves else None
        return find_value(self.runtime, JOB if self.told.serves else None, case, snapshot)

    def commitment(self, juror: Address, value: bytes) -> bytes:
        return vote_commitment(
            lease=self.leased.id, round_=self.case.round_, juror=juror, value=value, salt=salt_of(juror)
        )

    def commit(self, juror: LocalKey, value: bytes) -> None:
        self._court(juror, "commit", self.leased.id, self.commitment(juror.address, value))

    def reveal(self, juror: LocalKey, value: bytes, *, salt: bytes | None = None) -> None:
        self._court(juror, "reveal", self.leased.id, value, salt or salt_of(juror.address))

    def vote(self, votes: Sequence[tuple[LocalKey, bytes]]) -> None:
        """All commit, then all reveal; whoever is not among them is silent."""
        for juror, value in votes:
            self.commit(juror, value)
        self.pass_commitments()
        for juror, value in votes:
            self.reveal(juror, value)

    def vote_truly(self, jury: Sequence[LocalKey]) -> None:
        """Each runs the segment for itself."""
        self.vote([(juror, self.value()) for juror in jury])

    def tally(self, by: LocalKey) -> None:
        self._court(by, "tally", *self.terms)

    # time

    def pass_commitments(self) -> None:
        """Nothing to wait for when all have committed."""
        self.pass_time(self.case.deadline)

    def pass_time(self, until: int) -> None:
        """The newest block is at `until`, to the second, unless it is there already."""
        latest = int(self.world.node.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        if latest < until:
            self.world.node.mine_at(until)

    @property
    def deadline(self) -> int:
        """Unix seconds; the ledger's, of the state that it is in."""
        return int(self.world.view_ledger("lease", self.leased.id)[4])


def salt_of(juror: Address) -> bytes:
    """Random enough for a test."""
    return keccak256(f"salt of {juror}".encode())
