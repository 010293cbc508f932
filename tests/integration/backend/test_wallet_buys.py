"""A wallet that approved no delegate buys from a real market: signed, opened, run, paid and settled to the unit."""

from collections.abc import Iterator

import pytest

from backend import wake
from client.account import sign_in, with_session
from client.files import Files
from client.http import Http
from client.jobs import Jobs
from protocol.events import LeaseState
from protocol.hashing import Address, from_hex, to_hex
from protocol.messages import from_json, sign
from protocol.terms import Order
from protocol.wire.accounts import ChainInfo
from protocol.wire.jobs import ENDED, Job, JobRequest
from protocol.wire.offers import OfferPage
from protocol.wire.orders import OrderDraft, SignedOrder
from provider.runtimes.wasi_det import WasiDet
from tests.support.anvil import BUYER
from tests.support.market_world import MarketWorld, running_market_world
from tests.support.stories import until
from tests.support.wasm_jobs import COUNTER, result_of, run, spec

pytestmark = [pytest.mark.node, pytest.mark.timeout(180)]

JOB = spec(COUNTER, segments=3, work=10**8)


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarketWorld]:
    settings = {"notice_seconds": 10, "countersign_seconds": 2, "redeem_after_seconds": 2}
    with pytest.MonkeyPatch.context() as patch:
        # The loop of the world is awake anyway.
        patch.setattr(wake, "market", lambda: None)
        with running_market_world(tmp_path_factory.mktemp("market"), **settings) as found:
            found.join("DE", WasiDet(sandboxed=False), rate=2 * 10**9)
            yield found


def test_an_order_that_a_wallet_signed_is_opened_run_and_paid(world: MarketWorld) -> None:
    http = Http(world.url)
    chain = http.get("/v1/chain", ChainInfo)
    wallet = with_session(http, sign_in(http, BUYER, chain))
    until(lambda: len(http.get("/v1/offers", OfferPage).data) == 1, 60, "the offer")
    Files(wallet).put(JOB.module)
    request = JobRequest(manifest=JOB.manifest.model_dump(mode="json"))
    draft = wallet.post("/v1/orders/prepare", OrderDraft, request)
    order = from_json(Order, draft.typed_data["message"])
    body = SignedOrder(
        manifest=request.manifest,
        order=draft.typed_data["message"],
        signature=to_hex(sign(world.market.domain, order, BUYER)),
    )
    free_before = world.followed.mirror.account(BUYER.address).free_base
    job = wallet.post("/v1/orders", Job, body)
    jobs = Jobs(wallet)
    until(lambda: jobs.get(job.id).state in ENDED, 90, "the job to end")
    until(lambda: jobs.get(job.id).settlement == "released", 60, "its lease to close")
    ended = jobs.get(job.id)
    assert ended.state == "succeeded", (ended.failure, ended.notes, world.failures)
    assert ended.result is not None
    assert ended.result.result_hash == to_hex(result_of(JOB, run(JOB)).result_hash())
    (lease,) = world.followed.mirror.leases(order=from_hex(job.order, 32))
    assert lease.state is LeaseState.CLOSED
    assert lease.paid_base == ended.cost_base > 0
    assert world.followed.mirror.account(BUYER.address).free_base == free_before - lease.paid_base - lease.fee_base
    assert world.followed.mirror.delegate(BUYER.address, Address(order.voucher_signer)) is None
    assert world.failures == []
