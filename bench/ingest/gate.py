"""No figure of a mirror that is not the chain: every row derived again, and the ledger head proved."""

from sqlalchemy import Engine

from indexer.commit import read_cursor
from indexer.expected import expect
from indexer.source import Contracts, Source
from protocol.deployment import Deployment
from protocol.rpc import Rpc


def require_the_chain(engine: Engine, rpc: Rpc, deployment: Deployment) -> None:
    """Exits unless the mirror is at the node's head, proved, and equal to what the blocks derive to."""
    contracts = Contracts.of(deployment)
    with engine.connect() as connection:
        cursor = read_cursor(connection)
        head = rpc.block_number()
        if cursor.number != head or cursor.proved_number != head:
            raise SystemExit(
                f"the mirror is at {cursor.number}, proved to {cursor.proved_number}, not {head}: no figure"
            )
        expected = expect(connection, Source(rpc, contracts, 64), contracts, deployment.deploy_block, head)
        found = [*expected.findings, *expected.compare(connection)]
    if found:
        raise SystemExit(f"{found[0]}: no figure")
