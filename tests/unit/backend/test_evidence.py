"""What a provider signed and was found wrong is shown to the buyer, in a form that the ledger takes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from backend.leases.tables import UsageRow
from protocol.hashing import ZERO_ADDRESS, from_hex, sha256, to_hex
from protocol.messages import digest, from_json, recover, sign, to_json
from protocol.terms import Order, UsageReceipt
from tests.support.builders import an_address, make_order
from tests.support.paper_market import BUYER, PROVIDER, STRANGER, PaperMarket, paper_market


def _add(paper: PaperMarket, lease: bytes, sequence: int, verdict: str) -> None:
    receipt = UsageReceipt(
        lease=lease, sequence=sequence, metered_until=1, work=7, result=sha256(b"a lie"), checkpoint=sha256(b"")
    )
    with paper.market.db.write() as session:
        session.add(
            UsageRow(
                lease=to_hex(lease),
                provider=PROVIDER.address,
                sequence=sequence,
                job_id="job_1",
                verdict=verdict,
                receipt_message=json.dumps(to_json(receipt)),
                receipt_signature=to_hex(sign(paper.market.domain, receipt, PROVIDER)),
                state_hash=to_hex(bytes(32)),
                job_work=7,
                lease_work=7,
                checkpoint_cid="",
            )
        )


def _told(paper: PaperMarket, token: str | None = None) -> Any:
    async def ask() -> Any:
        async with paper.http(token) as http:
            return await http.get("/v1/jobs/job_1/evidence")

    return asyncio.run(ask())


@pytest.mark.parametrize("arbiter", [ZERO_ADDRESS, an_address("court")])
def test_only_what_was_found_wrong_is_shown_and_it_is_what_the_provider_signed(tmp_path: Path, arbiter: str) -> None:
    with paper_market(tmp_path) as paper:
        order = make_order(buyer=BUYER.address, arbiter=arbiter, bond=5 * (arbiter != ZERO_ADDRESS))
        order_digest = to_hex(digest(paper.market.domain, order))
        paper.add_job("job_1", order_message=json.dumps(to_json(order)), order_digest=order_digest)
        lease = paper.propose("job_1")
        for sequence, verdict in enumerate(("paid", "struck", "odd", "void", "waiting"), 1):
            _add(paper, lease, sequence, verdict)
        found = _told(paper).json()
        assert [(one["sequence"], one["verdict"]) for one in found["data"]] == [(2, "struck"), (3, "odd")]
        assert found["arbiter"] == (None if arbiter == ZERO_ADDRESS else arbiter)
        assert found["bond_base"] == str(order.bond)
        assert from_json(Order, found["order"]) == order
        receipt = from_json(UsageReceipt, found["data"][0]["usage_receipt"])
        assert recover(paper.market.domain, receipt, from_hex(found["data"][0]["signature"])) == PROVIDER.address
        assert _told(paper, paper.session_of(STRANGER)).status_code == 404
