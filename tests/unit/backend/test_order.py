"""The order that the market signs never costs more than the buyer said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import BadRequest
from backend.jobs.order import OrderContext, build_order
from protocol.hashing import cid_of, sha256
from protocol.manifest import Manifest
from protocol.resources import Quantities
from protocol.units import parse_dollars
from protocol.wire.jobs import JobRequest, Needs
from protocol.zones import zone_by_id
from tests.support.builders import an_address


def _manifest(work: int = 2 * 10**9, memory_bytes: int = 1 << 24) -> dict[str, Any]:
    limits = {"memory_bytes": memory_bytes, "work": work, "wall_seconds": 60, "output_bytes": 1}
    return {"version": 1, "runtime": "wasi-det/1", "module": cid_of(sha256(b"m")), "limits": limits}


def _context(market_rate: int | None = 2_000_000) -> OrderContext:
    return OrderContext(
        buyer=an_address("buyer"),
        voucher_signer=an_address("signer"),
        matcher=an_address("matcher"),
        fee_base=100,
        notice_seconds=30,
        now_time=1_000_000,
        epoch=0,
        market_rate=market_rate,
    )


def _build(market_rate: int | None = 2_000_000, **request: Any) -> Any:
    asked = JobRequest(**{"manifest": _manifest(), **request})
    return build_order(asked, Manifest.parse(asked.manifest), _context(market_rate))


@given(price=st.integers(401, 10**9), work=st.integers(1, 10**12), leases=st.integers(1, 4))
def test_an_order_with_a_price_can_never_cost_more_than_it(price: int, work: int, leases: int) -> None:
    text = f"{price // 10**6}.{price % 10**6:06d}"
    request = JobRequest(manifest=_manifest(work=work), max_price=text, max_leases=leases)
    try:
        order = build_order(request, Manifest.parse(request.manifest), _context())
    except BadRequest:
        return
    assert order.budget + order.fee * order.max_leases <= parse_dollars(text)


def test_an_order_without_a_price_is_capped_at_twice_the_market() -> None:
    assert _build().max_rate == 4_000_000
    assert _build(max_rate=7).max_rate == 7


def test_a_price_below_the_fees_says_what_to_change() -> None:
    with pytest.raises(BadRequest, match="does not cover the fees"):
        _build(max_price="0.0001")


def test_the_memory_limit_is_a_need_that_the_buyer_cannot_forget() -> None:
    order = _build(manifest=_manifest(memory_bytes=1 << 30))
    assert Quantities.unpack(order.quantities).memory_quarter_gib == 4


def test_excluded_zones_leave_the_others_and_an_empty_choice_is_refused() -> None:
    order = _build(needs=Needs(zones_out=["DE"]))
    assert order.zones >> zone_by_id("DE").number & 1 == 0
    assert order.zones >> zone_by_id("FR").number & 1 == 1
    with pytest.raises(BadRequest, match="takes away every zone"):
        _build(needs=Needs(zones_in=["DE"], zones_out=["DE"]))


def test_an_unknown_quantity_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="gpus"):
        _build(needs=Needs(quantities={"gpus": 1}))
