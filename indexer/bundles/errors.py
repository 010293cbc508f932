"""Why a bundle cannot be made."""

from protocol.errors import MirrorError


class NoSuchBlock(MirrorError):
    """The mirror has no canonical block of this number."""

    code = "no_such_block"

    def __init__(self, number: int, first: int, last: int) -> None:
        self.number, self.first, self.last = number, first, last
        super().__init__(f"block {number} is not in the mirror, which has blocks {first} to {last}; name one of them")


class RangeTooLong(MirrorError):
    """So many blocks make a file that nobody wants."""

    code = "range_too_long"

    def __init__(self, blocks: int, most: int) -> None:
        super().__init__(
            f"an absence lists every block, at most {most}, asked were {blocks}; for a longer range use "
            "`gridlease indexer prove history --from-block A --to-block B`, which stays small"
        )


class BloomsIncomplete(MirrorError):
    """An absence believes the blooms of headers."""

    code = "blooms_incomplete"

    def __init__(self) -> None:
        super().__init__(
            "the header blooms of this chain leave out logs, so they cannot show that there is none; "
            "`gridlease indexer prove history --from-block A --to-block B` shows how many logs a range has"
        )


class DamagedMirror(MirrorError):
    """The stored events do not come to the stored head."""

    code = "damaged_mirror"

    def __init__(self, number: int) -> None:
        super().__init__(
            f"the events up to block {number} do not come to the ledger head that the mirror has there; "
            "run `gridlease indexer verify` to see which one, then `gridlease indexer rebuild`"
        )
