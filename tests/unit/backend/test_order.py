"""The order that the market signs never costs more than the buyer said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import BadRequest
from backend.jobs.order import OrderContext, build_order, check_rate_bps, quorum_of
from backend.jobs.policy import ORDER_GRACE_SECONDS
from protocol.hashing import cid_of, sha256
from protocol.manifest import Manifest
from protocol.resources import Quantities, pack_traits
from protocol.units import lock_up, parse_dollars
from protocol.wire.jobs import Attested, JobRequest, Needs
from protocol.zones import zone_by_id
from tests.support.builders import an_address, make_order


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


@given(
    price=st.integers(401, 10**9), work=st.integers(1, 10**12), leases=st.integers(1, 16), replicas=st.integers(1, 5)
)
def test_an_order_with_a_price_can_never_cost_more_than_it(price: int, work: int, leases: int, replicas: int) -> None:
    text = f"{price // 10**6}.{price % 10**6:06d}"
    request = JobRequest(manifest=_manifest(work=work), max_price=text, max_leases=leases, replicas=replicas)
    try:
        order = build_order(request, Manifest.parse(request.manifest), _context())
    except BadRequest:
        return
    assert order.budget * order.replicas + order.fee * order.max_leases <= parse_dollars(text)


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


def test_each_replica_has_room_for_retries_and_a_lane_is_given_their_time() -> None:
    order = _build(replicas=3, needs=Needs(distinct_zones=True), duration_seconds=100)
    assert (order.replicas, order.max_leases, order.distinct_zones) == (3, 12, True)
    # Quorum and arbiter go together on chain, and hosted orders have no arbiter.
    assert order.quorum == 0
    assert order.expiry == 1_000_000 + 4 * 100 + ORDER_GRACE_SECONDS
    assert _build(replicas=5).max_leases == 16
    with pytest.raises(BadRequest, match="3 replicas need as many leases"):
        _build(replicas=3, max_leases=2)


@pytest.mark.parametrize(("replicas", "majority"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_quorum_is_more_than_half_and_at_most_all(replicas: int, majority: int) -> None:
    assert quorum_of(replicas, None) == majority
    for wrong in (majority - 1, replicas + 1):
        if wrong:
            with pytest.raises(BadRequest, match="more than half"):
                quorum_of(replicas, wrong)


@given(bond=st.integers(0, 10**9), rate=st.integers(1, 2**32 - 1), quantity=st.integers(1, 10**9))
def test_so_many_jobs_are_checked_that_a_lie_loses_what_it_gains(bond: int, rate: int, quantity: int) -> None:
    order = make_order(bond=bond, max_rate=rate, quantity=quantity, budget=2**48 - 1)
    price = lock_up(rate, quantity)
    checked = check_rate_bps(order)
    assert checked <= 10_000
    assert checked * (price + bond) >= 10_000 * price
    assert bond or checked == 10_000


def test_each_policy_word_becomes_the_term_that_the_ledger_checks() -> None:
    auditor = an_address("auditor")
    order = _build(
        needs=Needs(
            max_gco2e_per_kwh=150,
            energy_sources=["solar", "wind"],
            distinct_zones=True,
            attested=Attested(by=auditor, traits=["solar"], zone=True),
        )
    )
    assert Quantities.unpack(order.quantities).carbon_headroom == 1850
    assert order.any_of == pack_traits(["solar", "wind"])
    assert order.distinct_zones
    assert (order.auditor, order.attested) == (auditor, pack_traits(["solar"]) | 1 << 255)
    assert _build(needs=Needs(energy_sources=["hydro"])).all_of == pack_traits(["wasi-det/1", "hydro"])


@pytest.mark.parametrize(
    "needs",
    [
        Needs(energy_sources=["coal"]),
        Needs(energy_sources=["solar", "wind"], any_of=["home"]),
        Needs(attested=Attested(by=an_address("auditor"))),
    ],
)
def test_a_policy_that_an_order_cannot_say_is_refused_with_a_remedy(needs: Needs) -> None:
    with pytest.raises(BadRequest) as refusal:
        _build(needs=needs)
    assert refusal.value.said_remedy


def test_no_lease_can_outlast_the_deadline() -> None:
    order = _build(deadline_time=1_002_000, duration_seconds=900)
    # It opens before its expiry, so it has ended before the deadline.
    assert order.expiry - 1 + order.duration < 1_002_000
    assert order.matcher_until == order.expiry
    with pytest.raises(BadRequest, match="cannot end before the deadline"):
        _build(deadline_time=1_000_900, duration_seconds=900)


def test_retries_count_the_leases_after_the_first() -> None:
    assert _build(retries=2).max_leases == 3
    assert _build(retries=2, max_leases=3).max_leases == 3
    with pytest.raises(ValueError, match="retries are 3 leases"):
        _build(retries=2, max_leases=9)
