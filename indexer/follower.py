"""The loop that keeps the mirror at the chain's head: catch up in steps, then wait for the next block.

Each look compares hashes, never heights alone: a node that is merely behind is stale and is waited for; a node with
another block at a height that we know has reorganised, and we go back to the common ancestor.
"""

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from indexer.ahead import Ahead
from indexer.audit import check_head, head_changed
from indexer.backfill.fetch import Wanted
from indexer.backfill.load import Load
from indexer.backfill.process import Fetches, FetchProcesses
from indexer.bulk import packed_layouts
from indexer.commit import CursorRow, assert_cursor, commit_blocks, initialise, move_cursor, read_cursor
from indexer.deepen import deepen, fetch_whole, light_blocks
from indexer.errors import (
    BadBlock,
    CursorMoved,
    HeadMismatch,
    MisplacedLogs,
    ParentMismatch,
    ReorgTooDeep,
    WrongGenesis,
)
from indexer.indexes import Indexes
from indexer.newheads import NewHeads
from indexer.pool import Pool
from indexer.rollback import common_ancestor, roll_back, stored_hashes
from indexer.settings import IndexerSettings
from indexer.source import Contracts, NodeHead, Source
from indexer.store import migrate, wide_cache
from indexer.watch import Watch
from protocol.clock import now_time
from protocol.deployment import Deployment
from protocol.errors import BadProof, NodeUnavailable, RpcRefused, WrongChain
from protocol.hashing import to_hex

log = structlog.get_logger(__name__)

#: catching up over fewer blocks is not worth another process
FAR_BLOCKS = 128
_LONGEST_WAIT_SECONDS = 2.0
#: how long a stop may go unseen while a subscription is waited for
_STOP_SECONDS = 0.25
#: what may pass by itself: the node restarts, changes its mind in between, or another process wrote first
PASSING = (NodeUnavailable, RpcRefused, BadBlock, BadProof, CursorMoved, OperationalError)


class Follower:
    """Follows one ledger into one mirror."""

    def __init__(
        self,
        settings: IndexerSettings,
        deployment: Deployment,
        source: Source | Pool,
        engine: Engine,
        watch: Watch | None = None,
        fetches: Fetches | None = None,
        far_blocks: int = FAR_BLOCKS,
    ) -> None:
        self._settings = settings
        self._deployment = deployment
        self._source = source
        self._engine = engine
        self._contracts = Contracts.of(deployment)
        self._ahead = Ahead(source, settings.batch_blocks)
        self._watch = watch or Watch()
        self._identified = False
        self._warned: str | None = None
        self._backfill = settings.backfill
        self._fetches, self._far_blocks = fetches or FetchProcesses(), far_blocks
        self._indexes: Indexes | None = None
        #: whether there may be light blocks
        self._light = True
        self._stop = threading.Event()
        self._progress: Callable[[int], None] = lambda _: None

    def prepare(self) -> None:
        """Brings the schema up to date; raises `ForeignMirror` if the mirror is another ledger's."""
        if self._backfill != "whole":
            self._fetches.warm()
        migrate(self._engine, loading=self._backfill != "whole")
        with self._engine.begin() as connection:
            initialise(connection, self._deployment)

    def run(self, stop: threading.Event) -> None:
        """Until `stop`. Raises what does not pass by itself: `WrongChain`, `WrongGenesis`, `ForeignMirror`."""
        self._stop = stop
        self.prepare()
        url = self._settings.announcer_url
        announcer = None if url is None else NewHeads(url)
        if announcer is not None:
            announcer.start()
        try:
            self._follow(stop, announcer)
        finally:
            self._ahead.close()
            self._fetches.close()
            if announcer is not None:
                announcer.close()

    def _follow(self, stop: threading.Event, announcer: NewHeads | None) -> None:
        failures = 0
        while not stop.is_set():
            try:
                moved = self.step()
            except (WrongChain, WrongGenesis) as error:
                # One of several nodes can be wrong; the only one is for somebody to put right.
                if not self._source.failed(error):
                    raise
                self._watch.failed(error)
                continue
            except PASSING as error:
                failures += 1
                # A restarted node may be another chain.
                self._identified = False
                switched = self._source.failed(error)
                self._watch.failed(error)
                wait = min(_LONGEST_WAIT_SECONDS, self._settings.poll_seconds * 2 ** min(failures, 8))
                log.warning("step.failed", error=str(error), failures=failures, wait_seconds=0 if switched else wait)
                if not switched:
                    stop.wait(wait)
                continue
            failures = 0
            if not moved:
                self._wait(stop, announcer)

    def _wait(self, stop: threading.Event, announcer: NewHeads | None) -> None:
        """For the next block, or until it is time to look by ourselves."""
        if announcer is None or not announcer.subscribed:
            stop.wait(self._settings.poll_seconds)
            return
        left = self._settings.idle_seconds
        while left > 0 and not stop.is_set() and not announcer.wait(min(left, _STOP_SECONDS)):
            left -= _STOP_SECONDS

    def close(self) -> None:
        self._ahead.close()
        self._fetches.close()
        self._engine.dispose()

    def catch_up(self, progress: Callable[[int], None] = lambda _: None) -> CursorRow:
        """Steps until there is nothing left to do; returns the cursor. For rebuilds and tests."""
        self._progress = progress
        while self.step():
            progress(self.cursor().number or 0)
        return self.cursor()

    def cursor(self) -> CursorRow:
        with self._engine.connect() as connection:
            return read_cursor(connection)

    def step(self) -> bool:
        """One look at the node, and at most one change of the mirror; False when there was nothing to do."""
        self._identify()
        cursor = self.cursor()
        self._watch.moved(cursor)
        if cursor.halted is not None:
            self._warn_once("mirror.halted", reason=cursor.halted)
            return False
        head = self._source.head()
        self._watch.looked(head, self._source.current)
        if cursor.number is None or head.number > cursor.number:
            return self._advance(cursor, head)
        if head.number == cursor.number and head.hash == cursor.hash:
            self._warned = None
            return self._settle(cursor, head)
        return self._compare(cursor, head)

    def _identify(self) -> None:
        if self._identified:
            return
        chain_id, genesis = self._source.identity()
        if chain_id != self._deployment.chain_id:
            raise WrongChain(self._deployment.chain_id, chain_id)
        if genesis.lower() != self._deployment.genesis_hash.lower():
            raise WrongGenesis(self._deployment.genesis_hash, genesis)
        self._identified = True
        log.info("chain.identified", chain_id=chain_id, genesis_hash=genesis)

    def _advance(self, cursor: CursorRow, head: NodeHead) -> bool:
        """Stores the next blocks; finds out that they are of another fork by their parent."""
        first = self._deployment.deploy_block if cursor.number is None else cursor.number + 1
        if head.number < first:
            return self._stale(cursor, head, first)
        if self._backfill != "whole" and head.number - first >= self._far_blocks:
            return self._load(cursor, head, first)
        self._fetches.close()
        # A light backfill may have ended without them, by a crash or a change of the settings.
        self.make_indexes()
        try:
            blocks = self._ahead.take(first, head.number, cursor.hash)
        except ParentMismatch:
            return self._compare(cursor, head)
        if not blocks:
            return False
        self._ahead.fetch(blocks[-1].header, head.number)
        begun = time.monotonic()
        with self._engine.begin() as connection:
            moved = commit_blocks(connection, cursor, blocks, self._contracts, head.finalized_number)
        self._watch.committed(time.monotonic() - begun)
        self._watch.moved(moved)
        self._log_committed(cursor, moved)
        return True

    def _load(self, cursor: CursorRow, head: NodeHead, first: int) -> bool:
        """Catches up by light blocks, until the head or a stop."""
        self._light = True
        wanted = Wanted(
            blooms=self._contracts.blooms,
            first=first,
            newest=head.number,
            parent_hash=cursor.hash,
            head=cursor.head,
            event_count=cursor.event_count,
            mode="head" if self._backfill == "head" else "receipts",
            most_blocks=self._settings.batch_blocks,
            layouts=packed_layouts(self._engine.dialect.name),
        )
        fetch = self._fetches.start(self._source.rpc.url, wanted)
        begun, before = time.monotonic(), cursor
        try:
            indexes = self._open_indexes()
            if cursor.number is None:
                indexes.drop()
            for moved in Load(self._engine, indexes, cursor, head.finalized_number).steps(fetch):
                self._watch.committed(time.monotonic() - begun)
                self._watch.moved(moved)
                self._log_committed(before, moved)
                self._progress(moved.number or 0)
                begun, before = time.monotonic(), moved
                if self._stop.is_set():
                    break
        except ParentMismatch:
            return self._compare(self.cursor(), head)
        except RpcRefused as error:
            if error.method != "eth_getProof":
                raise
            log.warning("backfill.no_old_state", said=str(error), instead="receipts")
            self._backfill = "receipts"
        finally:
            fetch.close()
        return True

    def _log_committed(self, before: CursorRow, moved: CursorRow) -> None:
        log.info(
            "blocks.committed",
            number=moved.number,
            block_hash=to_hex(moved.hash or b""),
            blocks=(moved.number or 0) - (before.number or self._deployment.deploy_block - 1),
            events=moved.event_count - before.event_count,
        )

    def _compare(self, cursor: CursorRow, head: NodeHead) -> bool:
        """The node's head is not on top of ours: is it behind, or on another fork?"""
        lowest, highest = self._deployment.deploy_block, min(head.number, cursor.number or 0)
        if highest < lowest:
            return self._stale(cursor, head, lowest)
        with self._engine.connect() as connection:
            shared = common_ancestor(
                lowest,
                highest,
                lambda numbers: [
                    said == stored
                    for said, stored in zip(
                        self._source.hashes_at(numbers), stored_hashes(connection, numbers), strict=True
                    )
                ],
            )
        if shared == highest and head.number < (cursor.number or 0):
            return self._stale(cursor, head, cursor.number or 0)
        if shared == cursor.number:
            raise BadBlock(shared + 1, "parent", "it does not follow the block before, which the node still names")
        self._roll_back(cursor, shared, head)
        return True

    def _stale(self, cursor: CursorRow, head: NodeHead, wanted: int) -> bool:
        """The node is behind: another one is asked, or it is waited for; never a reorg."""
        if self._source.behind(wanted):
            self._identified = False
            return True
        self._warn_once("source.stale", node_number=head.number, cursor_number=cursor.number, wanted=wanted)
        return False

    def _roll_back(self, cursor: CursorRow, ancestor: int, head: NodeHead) -> None:
        try:
            with self._engine.begin() as connection, wide_cache(connection):
                moved = roll_back(connection, cursor, ancestor, head, now_time())
        except ReorgTooDeep as error:
            # One of several nodes can be left on a fork; that is for somebody to look at when no other knows better.
            if not self._source.failed(error):
                self._halt(cursor, str(error))
            self._identified = False
            return
        self._watch.undone((cursor.number or 0) - ancestor)
        log.warning(
            "reorg.undone",
            ancestor=ancestor,
            depth=(cursor.number or 0) - ancestor,
            reorg_epoch=moved.reorg_epoch,
            old_hash=to_hex(cursor.hash or b""),
            new_hash=to_hex(head.hash),
        )

    def _settle(self, cursor: CursorRow, head: NodeHead) -> bool:
        """At the head: have the ledger head proved, and note what became final."""
        number, finalized = cursor.number or 0, min(head.finalized_number, cursor.number or 0)
        self._fetches.close()
        self.make_indexes()
        if self._proof_is_due(cursor):
            try:
                check_head(self._engine, self._source.rpc, self._contracts, cursor, now_time())
            except HeadMismatch as error:
                self._halt(cursor, str(error))
                return False
            log.info("head.proved", number=number, events=cursor.head.count)
        if finalized > cursor.finalized_number:
            with self._engine.begin() as connection:
                move_cursor(connection, cursor.hash, finalized_number=finalized)
        return self._light and self._deepen(cursor)

    def _deepen(self, cursor: CursorRow) -> bool:
        """Makes a few light blocks whole; False when there are none."""
        with self._engine.connect() as connection:
            wanted = light_blocks(connection)
        if not wanted:
            self._light = False
            return False
        facts = fetch_whole(self._source, self._contracts, wanted)
        try:
            with self._engine.begin() as connection:
                assert_cursor(connection, cursor)
                deepen(connection, facts)
        except MisplacedLogs as error:
            self._halt(cursor, str(error))
        return bool(facts)

    def make_indexes(self) -> None:
        """Those that a first backfill went without."""
        indexes = self._open_indexes()
        if not indexes.complete:
            log.info("indexes.making")
            indexes.make()

    def _open_indexes(self) -> Indexes:
        if self._indexes is None:
            self._indexes = Indexes(self._engine)
        return self._indexes

    def _proof_is_due(self, cursor: CursorRow) -> bool:
        proved, number = cursor.proved_number, cursor.number or 0
        if proved is None or number - proved >= self._settings.prove_every_blocks:
            return True
        with self._engine.connect() as connection:
            return proved < number and head_changed(connection, proved, cursor)

    def _halt(self, cursor: CursorRow, reason: str) -> None:
        with self._engine.begin() as connection:
            move_cursor(connection, cursor.hash, halted=reason)
        log.error("mirror.halted", reason=reason)
        self._warned = "mirror.halted"

    def _warn_once(self, event: str, **facts: object) -> None:
        if self._warned != event:
            log.warning(event, **facts)
        self._warned = event
