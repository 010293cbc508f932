"""The versions that a step of several blocks begins and ends; what changes twice in a block is written once. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from indexer.facts import AccountVersion, ClaimVersion, DelegateVersion, Fact, LeaseVersion
from indexer.projections import Account, Changes, Claim, Delegate, Key, Lease

Subject = Account | Delegate | Lease | Claim

#: projections whose rows hold in blocks valid_from ≤ b < valid_to
VERSIONS: Final = ("account_versions", "claim_versions", "delegate_versions", "lease_versions")


class Versions:
    """Takes the changes of blocks in order."""

    def __init__(self) -> None:
        self._done: dict[str, list[Fact]] = {name: [] for name in VERSIONS}
        #: by table and key: since which block, by which event, what holds
        self._newest: dict[str, dict[Key, tuple[int, int, Subject]]] = {name: {} for name in VERSIONS}
        self._ended: dict[str, list[tuple[int, Key]]] = {name: [] for name in VERSIONS}
        self._opened: set[Key] = set()

    def add(self, number: int, changes: Changes) -> None:
        """The changes of block `number`."""
        self._opened |= {(row.lease,) for row in changes.opened}
        self._add(number, "account_versions", changes.accounts)
        self._add(number, "claim_versions", changes.claims)
        self._add(number, "delegate_versions", changes.delegates)
        self._add(number, "lease_versions", changes.leases)

    def _add(self, number: int, name: str, changed: Mapping[Key, tuple[Subject, int]]) -> None:
        newest = self._newest[name]
        for key, (subject, seq) in changed.items():
            if key in newest:
                self._done[name].append(_row(*newest[key], valid_to=number))
            elif name != "lease_versions" or key not in self._opened:
                self._ended[name].append((number, key))
            newest[key] = (number, seq, subject)

    def ended(self) -> Iterator[tuple[str, list[tuple[int, Key]]]]:
        """Of versions that may be stored already: the block that ends them, and their key."""
        for name, ends in self._ended.items():
            if ends:
                yield name, ends

    def rows(self) -> dict[str, list[Fact]]:
        """All versions that began, by table."""
        return {
            name: [*self._done[name], *(_row(*version, valid_to=None) for version in newest.values())]
            for name, newest in self._newest.items()
        }


def _row(valid_from: int, seq: int, of: Subject, valid_to: int | None) -> Fact:
    if isinstance(of, Lease):
        return LeaseVersion(
            lease=of.lease,
            valid_from=valid_from,
            valid_to=valid_to,
            seq=seq,
            paid_base=of.paid_base,
            refunded_base=of.refunded_base,
            deadline_time=of.deadline_time,
            state=of.state,
            reason=of.reason,
            done=of.done,
            early=of.early,
            responded=of.responded,
            penalty_base=of.penalty_base,
            closed_block=of.closed_block,
            closed_tx=of.closed_tx,
        )
    if isinstance(of, Account):
        return AccountVersion(
            account=of.account,
            valid_from=valid_from,
            valid_to=valid_to,
            seq=seq,
            free_base=of.free_base,
            locked_base=of.locked_base,
            bonded_base=of.bonded_base,
            open_leases=of.open_leases,
            epoch=of.epoch,
            guarded=of.guarded,
            beneficiary=of.beneficiary,
        )
    if isinstance(of, Delegate):
        return DelegateVersion(of.buyer, of.key, valid_from, valid_to, seq, of.remaining_base, of.until_time)
    return ClaimVersion(
        lease=of.lease,
        valid_from=valid_from,
        valid_to=valid_to,
        seq=seq,
        result=of.result,
        start=of.start,
        work=of.work,
        target_base=of.target_base,
        reveal_time=of.reveal_time,
        last=of.last,
    )
