"""The versions that a step of several blocks begins and ends; what changes twice in a block is written once. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from indexer.facts import Row
from indexer.projections import Account, Changes, Claim, Delegate, Key, Lease

Subject = Account | Delegate | Lease | Claim

#: a block number and the key's cells
Ended = tuple[Any, ...]

#: projection → how long its key is, and where the cells of a version begin in its subject
_SHAPES: Final = {
    "account_versions": (1, Account._fields.index("free_base")),
    "claim_versions": (1, Claim._fields.index("result")),
    "delegate_versions": (2, Delegate._fields.index("remaining_base")),
    "lease_versions": (1, Lease._fields.index("paid_base")),
}
#: projections whose rows hold in blocks valid_from ≤ b < valid_to
VERSIONS: Final = tuple(_SHAPES)


class Versions:
    """Takes the changes of blocks in order."""

    def __init__(self) -> None:
        self._done: dict[str, list[Row]] = {name: [] for name in VERSIONS}
        #: by table and key: since which block, by which event, what holds
        self._newest: dict[str, dict[Key, tuple[int, int, Subject]]] = {name: {} for name in VERSIONS}
        self._ended: dict[str, list[Ended]] = {name: [] for name in VERSIONS}
        self._begun: set[Key] = set()

    def add(self, number: int, changes: Changes) -> None:
        """The changes of block `number`."""
        self._begun.update(changes.begun)
        self._add(number, "account_versions", changes.accounts)
        self._add(number, "claim_versions", changes.claims)
        self._add(number, "delegate_versions", changes.delegates)
        self._add(number, "lease_versions", changes.leases)

    def _add(self, number: int, name: str, changed: Mapping[Any, tuple[Subject, int]]) -> None:
        newest, done, (keys, cells) = self._newest[name], self._done[name], _SHAPES[name]
        begun = self._begun if name == "lease_versions" else ()
        for key, (subject, seq) in changed.items():
            before = newest.get(key)
            if before is not None:
                valid_from, by, old = before
                done.append((*old[:keys], valid_from, number, by, *old[cells:]))
            elif key not in begun:
                self._ended[name].append((number, *subject[:keys]))
            newest[key] = (number, seq, subject)

    def ended(self) -> Iterator[tuple[str, list[Ended]]]:
        """Of versions that may be stored already: the block that ends them, and their key's cells."""
        for name, ends in self._ended.items():
            if ends:
                yield name, ends

    def rows(self) -> dict[str, list[Row]]:
        """All versions that began, by table."""
        return {name: self._done[name] + self._open(name) for name in VERSIONS}

    def _open(self, name: str) -> list[Row]:
        keys, cells = _SHAPES[name]
        return [
            (*subject[:keys], valid_from, None, seq, *subject[cells:])
            for valid_from, seq, subject in self._newest[name].values()
        ]
