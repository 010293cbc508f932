"""What a plain Python team writes: web3.py's `get_logs` and SQLModel, nothing verified, no reorgs, one table.

`python -m bench.ingest.plain RPC_URL LEDGER DATABASE_URL` prints one JSON line.
"""

import json
import sys
import time
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, Session, SQLModel, create_engine
from web3 import HTTPProvider, Web3

from protocol.calls import artefact

BLOCKS_A_CALL = 100


class PlainLease(SQLModel, table=True):
    """The event's fields."""

    __tablename__ = "plain_lease"
    id: bytes = Field(primary_key=True)
    buyer: str = Field(index=True)
    provider: str = Field(index=True)
    order: bytes
    offer: bytes
    job: bytes
    voucher_signer: str
    opener: str
    fill: int
    meter: int
    zone: int
    rate: int = Field(sa_type=BigInteger)
    locked: int = Field(sa_type=BigInteger)
    bond: int = Field(sa_type=BigInteger)
    fee: int = Field(sa_type=BigInteger)
    deadline: int = Field(sa_type=BigInteger)
    notice: int = Field(sa_type=BigInteger)
    block: int
    tx: bytes


def _row(log: Any) -> PlainLease:
    fields = dict(log["args"])
    return PlainLease(
        id=fields.pop("lease"),
        voucher_signer=fields.pop("voucherSigner"),
        block=log["blockNumber"],
        tx=bytes(log["transactionHash"]),
        **fields,
    )


def main() -> None:
    rpc_url, ledger, database_url = sys.argv[1:4]
    begun = time.perf_counter()
    engine = create_engine(database_url)
    SQLModel.metadata.drop_all(engine, tables=[PlainLease.__table__])  # type: ignore[attr-defined]
    SQLModel.metadata.create_all(engine, tables=[PlainLease.__table__])  # type: ignore[attr-defined]
    web3 = Web3(HTTPProvider(rpc_url))
    contract = web3.eth.contract(address=Web3.to_checksum_address(ledger), abi=artefact("ComputeLedger")["abi"])
    head, count = web3.eth.block_number, 0
    for first in range(0, head + 1, BLOCKS_A_CALL):
        last = min(head, first + BLOCKS_A_CALL - 1)
        logs = contract.events.LeaseOpened.get_logs(from_block=first, to_block=last)
        with Session(engine) as session:
            session.add_all([_row(log) for log in logs])
            session.commit()
        count += len(logs)
    print(json.dumps({"ingest_s": time.perf_counter() - begun, "events": count}))


if __name__ == "__main__":
    main()
