"""One house, and cycle after cycle of faults: after each one all is done within a minute, and the books agree."""

import contextlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy.exc import DBAPIError

from gridlease.house import dev_key
from protocol.calls import sign_transaction
from protocol.errors import ChainError, MirrorError, RpcRefused
from protocol.hashing import to_hex
from tests.faults.market.books import Books, Broken
from tests.faults.market.house import FaultyHouse
from tests.faults.market.people import Buyer, Line, Provider
from tests.faults.market.plan import PROCESSES, Cycle
from tests.faults.market.stacks import Stack
from tests.faults.shards import MINUTE_SECONDS
from tests.support.receiver import Receiver

_BLOCK_SECONDS: Final = 0.15
_LOOK_SECONDS: Final = 0.1
_TEND_SECONDS: Final = 0.1
_POINT_SECONDS: Final = 60.0
_USUAL_BASE_FEE_WEI: Final = 10**9
_HELD_SECONDS: Final = 1.0
_DEEPEST: Final = 5
_PROVIDERS: Final = 3


class Campaign:
    """Everything below `folder` and in the stack; the buyer's webhooks go to `receiver`."""

    def __init__(
        self, folder: Path, stack: Stack, receiver: Receiver, patience_seconds: float = MINUTE_SECONDS
    ) -> None:
        self.house = FaultyHouse(folder, stack)
        self._stack = stack
        self.receiver = receiver
        self._patience_seconds = patience_seconds
        self._base_fee_wei = _USUAL_BASE_FEE_WEI
        self.told: Counter[str] = Counter()
        self.longest_seconds = 0.0
        #: by part of a cycle
        self.spent_seconds: defaultdict[str, float] = defaultdict(float)
        self._stop = threading.Event()
        #: whoever holds it keeps the chain as it is
        self.still = threading.Lock()
        self._threads = [
            threading.Thread(target=self._repeat, args=work, daemon=True)
            for work in ((self._mine, _BLOCK_SECONDS), (self.house.tend, _TEND_SECONDS))
        ]
        self.failed: Exception | None = None
        self._opened = contextlib.ExitStack()

    def open(self) -> None:
        """Raises `ProcessFailed`."""
        self.house.open()
        house, rpc = self.house, self.house.rpc
        rpc.call("evm_setIntervalMining", 0)
        # So deep does no reorg go.
        rpc.call("anvil_mine", hex(10))
        for thread in self._threads:
            thread.start()
        self.books = Books(house, rpc)
        self._opened.callback(self.books.close)
        self.buyer = Buyer(Line(house.url))
        self.buyer.line.token = house.api_key
        self.buyer.bring()
        self.buyer.listen(self.receiver.url)
        self.providers = [Provider(number, Line(house.url), house.ledger.domain) for number in range(_PROVIDERS)]
        for provider in self.providers:
            provider.join()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)
        self._opened.close()
        self.house.close()

    def run(self, cycle: Cycle) -> str:
        """What happened, in words. Raises `Broken`."""
        dice = cycle.dice
        with self._timed("buying"):
            self._buy(dice.randrange(1, 3))
        troubles = [*cycle.faults, "crash"]
        dice.shuffle(troubles)
        for trouble in troubles:
            with self._timed("waiting for a crash point" if trouble == "crash" else "other faults"):
                self._meet(trouble, cycle.crash_point, dice)
        self._heal()
        with self._timed("settling"):
            seconds = self._settle()
        self.longest_seconds = max(self.longest_seconds, seconds)
        return f"{', '.join(cycle.crash_point if it == 'crash' else it for it in troubles)}: {seconds:.1f} s"

    def _meet(self, trouble: str, crash_point: str, dice: Random) -> None:
        if trouble == "crash":
            self._crash(crash_point, dice)
            return
        self.told[trouble] += 1
        with contextlib.suppress(ChainError):
            self._begin(trouble, dice)
        time.sleep(dice.uniform(0, 0.3))

    @contextlib.contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.spent_seconds[part] += time.monotonic() - begun

    def finish(self) -> None:
        """Until all is final; then every row is compared. Raises `Broken`."""
        self._until(lambda: self.books.watched() == 0 and self.books.unfinished() is None, time.monotonic())
        with self.still:
            self._until(self.books.is_at_head, time.monotonic())
            self._require_exact()
            self.books.require_mirror()

    def _buy(self, count: int) -> None:
        for _ in range(count):
            try:
                self.buyer.buy(self._patience_seconds)
            except TimeoutError as error:
                raise Broken(str(error)) from error

    def _crash(self, point: str, dice: Random) -> None:
        """Some process dies there, if one comes by in time."""
        if point == "intents.released":
            self._foreign(dice)
        self.house.arm(point, dice.choice((1, 1, 2)))
        deadline = time.monotonic() + _POINT_SECONDS
        while self.house.is_armed() and time.monotonic() < deadline:
            self._buy(1)
            end = time.monotonic() + dice.uniform(2, 4)
            while self.house.is_armed() and time.monotonic() < end:
                if point == "intents.released" and dice.random() < 0.15:
                    self._foreign(dice)
                time.sleep(_LOOK_SECONDS)

    def _begin(self, fault: str, dice: Random) -> None:
        """What does not end by itself lasts until `_heal`."""
        kind, _, how = fault.partition(" ")
        {
            "kill": self._kill,
            "broker": self._lose_broker,
            "messages": self._disturb_messages,
            "database": lambda _, dice: self._stack.kill_database(self.house.kill, dice),
            "nodes": self._fail_nodes,
            "reorg": self._reorg,
            "gas": self._raise_gas,
            "foreign": lambda _, dice: self._foreign(dice),
            "pool": self._drop_from_pool,
            "clock": self._jump,
        }[kind](how, dice)

    def _kill(self, name: str, dice: Random) -> None:
        time.sleep(dice.uniform(0, 1))
        self.house.kill(name)

    def _lose_broker(self, how: str, _: Random) -> None:
        self._stack.broker.kill()
        if how == "flushed":
            self._stack.broker.start()

    def _fail_nodes(self, _: str, dice: Random) -> None:
        for node in self.house.nodes:
            node.begin(dice, share=dice.choice((0.1, 0.3)))

    def _reorg(self, _: str, dice: Random) -> None:
        for _again in range(dice.randrange(1, 4)):
            with self.still:
                self.house.rpc.call("anvil_reorg", dice.randrange(1, _DEEPEST + 1), [])
            time.sleep(dice.uniform(0.1, 0.5))

    def _raise_gas(self, _: str, dice: Random) -> None:
        # The third is over the market's cap, so that only a cancel could be mined.
        self._base_fee_wei = dice.choice((10, 100, 600)) * _USUAL_BASE_FEE_WEI
        time.sleep(dice.uniform(1, 3))

    def _jump(self, where: str, dice: Random) -> None:
        self.house.jump(dice.choice((60, 3600)) * (1 if where == "ahead" else -1))
        time.sleep(dice.uniform(0, 1))

    def _disturb_messages(self, how: str, dice: Random) -> None:
        """What comes within a second is held up, and then sent thrice, in another order, or not at all."""
        messages, held = self._stack.messages, list[Any]()
        # A worker that listens to a server is quicker than whoever looks.
        with self.house.paused("worker"):
            end = time.monotonic() + _HELD_SECONDS
            while time.monotonic() < end:
                held += messages.take()
                time.sleep(0.01)
            if how == "doubled":
                messages.put([*held, *held, *held])
            elif how == "reordered":
                dice.shuffle(held)
                messages.put(held)
        self.told["messages held"] += len(held)

    def _foreign(self, dice: Random) -> None:
        """Somebody else with the market's key is quicker."""
        key, rpc = dev_key(1), self.house.rpc
        fee_wei = 10**12 + dice.randrange(10**9)
        raw, _ = sign_transaction(
            key,
            chain_id=self.house.ledger.chain_id,
            nonce=int(rpc.call("eth_getTransactionCount", key.address, "latest"), 16),
            to=dev_key(2).address,
            data=b"",
            gas=21_000,
            max_fee_wei=fee_wei,
            priority_fee_wei=fee_wei,
        )
        # The market's own may stand there already, and pay more.
        with contextlib.suppress(RpcRefused):
            rpc.call("eth_sendRawTransaction", to_hex(raw))

    def _drop_from_pool(self, _: str, dice: Random) -> None:
        end = time.monotonic() + dice.uniform(0.5, 2)
        while time.monotonic() < end:
            for node in self.house.nodes:
                for tx_hash in node.pooled()[-4:]:
                    self.house.rpc.call("anvil_dropTransaction", tx_hash)
            time.sleep(0.05)

    def _heal(self) -> None:
        self._base_fee_wei = _USUAL_BASE_FEE_WEI
        self._stack.broker.start()
        self.house.heal()

    def _settle(self) -> float:
        """Seconds until all was done. Raises `Broken`."""
        begun = time.monotonic()
        while True:
            self._until(self._is_finished, begun)
            with self.still:
                self._until(self.books.is_at_head, begun)
                # What the newest blocks ask for is known after a step that has seen them.
                self._until(partial(self.books.has_stepped_since, self.books.last_step_ms()), begun)
                if self.books.unfinished() is None:
                    seconds = time.monotonic() - begun
                    self._require_exact()
                    return seconds

    def _is_finished(self) -> bool:
        """Nobody sits out a notice: the chain's clock goes to its end."""
        if self.books.unfinished() is None:
            return True
        with self.still:
            seconds = self.books.notice_left_seconds()
            if seconds > 0:
                self.house.rpc.call("evm_increaseTime", seconds)
                self.house.rpc.call("anvil_mine", "0x1")
        return False

    def _require_exact(self) -> None:
        self.books.require_exact(self.buyer.accepted)
        self.books.require_told({taken.headers["webhook-id"] for taken in self.receiver.taken})

    def _until(self, holds: Callable[[], bool], begun: float) -> None:
        while True:
            with contextlib.suppress(DBAPIError, MirrorError, ChainError):
                # The mirror may be missing for the moment, the database restarting.
                if holds():
                    return
            if self.failed is not None:
                raise Broken(str(self.failed)) from self.failed
            if time.monotonic() > begun + self._patience_seconds:
                raise Broken(f"after {self._patience_seconds:.0f} s: {self._left()}")
            time.sleep(_LOOK_SECONDS)

    def _left(self) -> str:
        try:
            return f"{self.books.unfinished()}, {self.books.watched()} not final"
        except (DBAPIError, MirrorError) as error:
            return f"what is left cannot be read: {error}"

    def _mine(self) -> None:
        with self.still, contextlib.suppress(ChainError):
            # Half as fast as it may: these blocks are quick. A dev node's own falls far below what is usual.
            self._base_fee_wei = max(_USUAL_BASE_FEE_WEI, self._base_fee_wei * 15 // 16)
            self.house.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(self._base_fee_wei))
            self.house.rpc.call("anvil_mine", "0x1")

    def _repeat(self, work: Callable[[], None], every_seconds: float) -> None:
        while not self._stop.wait(every_seconds):
            try:
                work()
            except Exception as error:  # noqa: BLE001 -- told to whoever waits
                self.failed = error
                return


def last_words(campaign: Campaign, lines: int) -> str:
    """The ends of the processes' logs, and why one is not started again."""
    folder = campaign.house.supervisor.log_folder
    files = {name: folder / f"{name}.log" for name in (*PROCESSES, "forks")}
    # What has never begun has no log.
    logs = {name: file.read_text(errors="replace").splitlines() for name, file in files.items() if file.exists()}
    logs["supervisor"] = [str(campaign.failed or "")]
    return "\n".join(f"--- {name}\n" + "\n".join(found[-lines:]) for name, found in logs.items())
