"""The reference model against a mutated ledger: operations, then forgeries, in a process that can be ended."""

import multiprocessing
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Final

from tests.differential.chain import InProcessChain
from tests.differential.episodes import Failure, live
from tests.differential.forging import Accepted, Forger

_SECONDS: Final = 300
_FORGERIES: Final = 600


def disagreement(codes: Mapping[str, bytes], lives: range) -> str:
    """What the model and these contracts differ in, or nothing."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_look, args=(dict(codes), lives, theirs))
    process.start()
    theirs.close()
    try:
        found = mine.recv() if mine.poll(_SECONDS) else f"no end within {_SECONDS} s"
    except EOFError:
        found = "the EVM broke off"
    process.kill()
    process.join()
    return str(found)


def _look(codes: dict[str, bytes], lives: range, answer: Connection) -> None:
    try:
        for number in lives:
            live(f"mutation/{number}", chain=InProcessChain(instead=codes))
        Forger("mutation", InProcessChain(instead=codes)).run(_FORGERIES)
    except Failure as failure:
        answer.send(f"after {len(failure.operations)} operations: {failure.difference}"[:200])
    except Accepted as accepted:
        answer.send(str(accepted).split("\n", maxsplit=1)[0][:200])
    except (Exception, BaseException) as error:  # noqa: BLE001 A mutant breaks in any way, even in Rust; each is a difference.
        answer.send(f"{type(error).__name__}: {traceback.format_exception_only(error)[-1].strip()}"[:200])
    else:
        answer.send("")
