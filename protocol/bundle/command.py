"""`python verifier.py FILE`: the verifier as a program of its own, for people who install nothing of ours."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from protocol.bundle.file import LARGEST_BYTES
from protocol.bundle.history import VerifiedHistory, replay
from protocol.bundle.verify import Verified, verify
from protocol.errors import BadHex, BadProof
from protocol.hashing import from_hex, to_hex


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: proved, or consistent without --block-hash; 1: not, naming the step that fails; 2: wrong usage."""
    parser = argparse.ArgumentParser(description="Check a Gridlease proof bundle offline.")
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--block-hash", action="append", default=[], help="hash of a block that you trust; may be repeated"
    )
    parser.add_argument("--ledger", help="address of the ledger that you mean; an absence needs it")
    parser.add_argument("--events", type=Path, help="exported events, to compare with a proof of kind history")
    options = parser.parse_args(arguments)
    try:
        trusted = [from_hex(text, 32) for text in options.block_hash]
        ledger = None if options.ledger is None else from_hex(options.ledger.lower(), 20)
        with options.file.open("rb") as file:
            verified = verify(file.read(LARGEST_BYTES + 1), trusted, ledger)
        replayed = None if options.events is None else _replayed(verified, options.events)
    except BadProof as error:
        print(error, file=sys.stderr)
        return 1
    except (BadHex, OSError) as error:
        parser.error(str(error))
    facts: dict[str, Any] = {"trusted": verified.trusted, **verified.facts()}
    if replayed is not None:
        facts["events_replayed"] = replayed
    print(json.dumps(facts, indent=2))
    if not verified.trusted:
        for number, block_hash in verified.anchors():
            print(f"proved only if block {number} of the chain is {to_hex(block_hash)}: look it up", file=sys.stderr)
    return 0


def _replayed(verified: Verified, events: Path) -> int:
    if not isinstance(verified, VerifiedHistory):
        raise BadProof("events", f"they go with a proof of kind history, this one is of kind {verified.KIND}")
    with events.open("rb") as lines:
        return replay(verified, lines)
