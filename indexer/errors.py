"""What can be wrong between the mirror and the chain. Each class names the remedy."""

from protocol.errors import MirrorError


class MirrorMissing(MirrorError):
    """There is no mirror, or not yet one with tables."""

    code = "mirror_missing"

    def __init__(self, url: str) -> None:
        super().__init__(f"no mirror at {url}; start `gridlease indexer run`, or set GRIDLEASE_MIRROR_URL")


class ForeignMirror(MirrorError):
    """The mirror was filled from another chain or ledger."""

    code = "foreign_mirror"

    def __init__(self, fact: str, expected: str, found: str) -> None:
        super().__init__(
            f"the mirror was filled from another {fact}: expected {expected}, found {found}; "
            "run `gridlease indexer rebuild`, or set GRIDLEASE_MIRROR_URL to another file"
        )


class WrongGenesis(MirrorError):
    """The node serves a chain with the right id and another block 0."""

    code = "wrong_genesis"

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(
            f"block 0 is expected to be {expected}, the node says {found}: this dev chain was reset; "
            "run `gridlease deploy`, then `gridlease indexer rebuild`"
        )


class ParentMismatch(Exception):
    """The node's next block does not follow ours: one of the two is not of the chain any more."""


class BadBlock(MirrorError):
    """What the node said does not fit the block hash: nothing of it is stored."""

    code = "bad_block"

    def __init__(self, number: int, step: str, fact: str) -> None:
        self.number, self.step = number, step
        super().__init__(
            f"block {number} fails at {step}: {fact}; the node is wrong or its answers mix forks: "
            "retrying, or set GRIDLEASE_RPC_URL to another node"
        )


class CursorMoved(MirrorError):
    """Another process wrote to the mirror since this one read its cursor."""

    code = "cursor_moved"

    def __init__(self, expected: bytes | None, found: bytes | None) -> None:
        super().__init__(
            f"the mirror's cursor is expected at {_short(expected)}, found at {_short(found)}; reading it again"
        )


class LightBlock(MirrorError):
    """What is asked for was not fetched of this block yet."""

    code = "light_block"

    def __init__(self, number: int) -> None:
        super().__init__(
            f"block {number} came without its transactions and receipts, which a running indexer fetches later; "
            "try again when `gridlease indexer status` shows no light blocks, or give a node by GRIDLEASE_RPC_URL"
        )


class MisplacedLogs(MirrorError):
    """A node said of proved logs that they are of other transactions than they are."""

    code = "misplaced_logs"

    def __init__(self, number: int) -> None:
        super().__init__(
            f"the node named other transactions or places for the logs of block {number} than its receipts; the mirror "
            "is halted; run `gridlease indexer rebuild` with another node, or with GRIDLEASE_BACKFILL=whole"
        )


class ReorgTooDeep(MirrorError):
    """The chain replaced blocks that were final; the mirror must not guess."""

    code = "reorg_too_deep"

    def __init__(self, ancestor: int, finalized: int) -> None:
        super().__init__(
            f"the chain replaced blocks above {ancestor}, but up to {finalized} they were final; the mirror is halted "
            "and still serves reads; find out why, then run `gridlease indexer rebuild`"
        )


class HeadMismatch(MirrorError):
    """The contract's proved ledger head is not the mirror's."""

    code = "head_mismatch"

    def __init__(self, number: int, expected: str, found: str) -> None:
        super().__init__(
            f"the ledger head at block {number} is proved to be {expected}, the mirror has {found}; "
            "run `gridlease indexer verify` to see the first event that differs, then `gridlease indexer rebuild`"
        )


def _short(block_hash: bytes | None) -> str:
    return "the start" if block_hash is None else "0x" + block_hash.hex()[:16]
