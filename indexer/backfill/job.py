"""A backfill as one line of JSON, on the fetching process's input. Pure."""

import json

from indexer.backfill.fetch import Wanted
from indexer.blooms import Blooms
from indexer.layout import Layout
from protocol.events import LedgerHead
from protocol.hashing import from_hex, to_hex


def spell_job(rpc_url: str, wanted: Wanted) -> bytes:
    """Read by `read_job`."""
    job = {
        "rpc_url": rpc_url,
        "ledger": to_hex(wanted.blooms.ledger),
        "complete_blooms": wanted.blooms.complete,
        "first": wanted.first,
        "newest": wanted.newest,
        "parent_hash": None if wanted.parent_hash is None else to_hex(wanted.parent_hash),
        "head": hex(wanted.head.to_slot()),
        "event_count": wanted.event_count,
        "mode": wanted.mode,
        "most_blocks": wanted.most_blocks,
        "layouts": wanted.layouts,
    }
    return json.dumps(job).encode()


def read_job(line: bytes) -> tuple[str, Wanted]:
    """The node's URL and what is wanted of it."""
    job = json.loads(line)
    return job["rpc_url"], Wanted(
        blooms=Blooms(from_hex(job["ledger"], 20), job["complete_blooms"]),
        first=job["first"],
        newest=job["newest"],
        parent_hash=None if job["parent_hash"] is None else from_hex(job["parent_hash"], 32),
        head=LedgerHead.from_slot(int(job["head"], 16)),
        event_count=job["event_count"],
        mode=job["mode"],
        most_blocks=job["most_blocks"],
        layouts={name: Layout.of_json(layout) for name, layout in job["layouts"].items()},
    )
