"""Our indexer on a filled chain, in a process of its own: `python -m bench.ingest.ours RPC_URL DEPLOYMENT MIRROR_URL`.

Prints one JSON line: seconds for the imports, and from there until the mirror is proved to the node's head.
"""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    begun = time.perf_counter()
    import structlog

    from indexer.follower import Follower
    from indexer.settings import IndexerSettings
    from indexer.source import Contracts, Source
    from indexer.store import open_writer
    from protocol.deployment import load_deployment
    from protocol.rpc import Rpc

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    imported = time.perf_counter()
    rpc_url, deployment_file, mirror_url, mode = sys.argv[1:5]
    deployment = load_deployment(Path(deployment_file))
    settings = IndexerSettings(rpc_url=rpc_url, mirror_url=mirror_url, backfill=mode)
    engine = open_writer(mirror_url)
    with Rpc(rpc_url) as rpc:
        follower = Follower(settings, deployment, Source(rpc, Contracts.of(deployment), 64), engine)
        follower.prepare()
        cursor = follower.cursor()
        # Fetching the transactions that a backfill leaves out is another matter, and comes after.
        while cursor.number is None or cursor.proved_number != cursor.number:
            follower.step()
            cursor = follower.cursor()
    done = time.perf_counter()
    follower.close()
    facts = {"imports_s": imported - begun, "ingest_s": done - imported, "events": cursor.event_count}
    print(json.dumps(facts | {"proved": cursor.proved_number == cursor.number}))


if __name__ == "__main__":
    main()
