"""Our indexer on a filled chain, in a process of its own.

`python -m bench.ingest.ours RPC_URL DEPLOYMENT MIRROR_URL MODE`; MODE is one of GRIDLEASE_BACKFILL, or `trusting` for a
run that checks nothing. Prints one JSON line: seconds for the imports, and from there until the mirror is proved to the
node's head and has all its indexes.
"""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    begun = time.perf_counter()
    import structlog

    from indexer.backfill.process import FetchProcesses
    from indexer.follower import Follower
    from indexer.settings import IndexerSettings
    from indexer.source import Contracts, Source
    from indexer.store import open_writer
    from protocol.deployment import load_deployment
    from protocol.rpc import Rpc

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    rpc_url, deployment_file, mirror_url, mode = sys.argv[1:5]
    trusting = mode == "trusting"
    fetches = FetchProcesses()
    if trusting:
        fetches = FetchProcesses("bench.ingest.trusting")
    imported = time.perf_counter()
    deployment = load_deployment(Path(deployment_file))
    backfill = "head" if trusting else mode
    settings = IndexerSettings(rpc_url=rpc_url, mirror_url=mirror_url, backfill=backfill)
    engine = open_writer(mirror_url)
    with Rpc(rpc_url) as rpc:
        source = Source(rpc, Contracts.of(deployment), 64)
        follower = Follower(settings, deployment, source, engine, fetches=fetches)
        follower.prepare()
        head, cursor = rpc.block_number(), follower.cursor()
        # Fetching the transactions that a light backfill leaves out is another matter, and comes after.
        while cursor.number != head or not (cursor.proved_number == head or cursor.halted):
            follower.step()
            cursor = follower.cursor()
        follower.make_indexes()
    done = time.perf_counter()
    follower.close()
    facts = {"imports_s": imported - begun, "ingest_s": done - imported, "events": cursor.event_count}
    print(json.dumps(facts | {"proved": cursor.proved_number == cursor.number}))


if __name__ == "__main__":
    main()
