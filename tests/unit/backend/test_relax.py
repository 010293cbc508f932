"""Why offers are refused, and what would admit the nearest: found by the matching rule's own predicate."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import BadRequest
from backend.jobs.order import OrderContext, build_order
from backend.jobs.relax import relaxations
from backend.matching.book import BookOffer
from backend.matching.explain import cheapest, refused
from protocol.events import Skip
from protocol.fit import mismatch
from protocol.hashing import cid_of, keccak256, sha256
from protocol.manifest import Manifest
from protocol.resources import Quantities, pack_traits
from protocol.terms import Offer, Order
from protocol.units import lock_up, units_up
from protocol.wire.jobs import JobRequest, Relaxation
from tests.support.builders import an_address, make_offer

MIN_NOTICE = 10
_WORK = 2 * 10**9


def _manifest(memory_bytes: int = 1 << 24) -> dict[str, Any]:
    limits = {"memory_bytes": memory_bytes, "work": _WORK, "wall_seconds": 60, "output_bytes": 1}
    return {"version": 1, "runtime": "wasi-det/1", "module": cid_of(sha256(b"m")), "limits": limits}


def _request(**words: Any) -> JobRequest:
    return JobRequest.model_validate({"manifest": _manifest(), **words})


def _build(request: JobRequest) -> Order:
    context = OrderContext(
        buyer=an_address("buyer"),
        voucher_signer=an_address("signer"),
        matcher=an_address("matcher"),
        fee_base=100,
        notice_seconds=60,
        now_time=1_000_000,
        epoch=0,
        market_rate=200,
    )
    return build_order(request, Manifest.parse(request.manifest), context)


def _entry(**terms: Any) -> BookOffer:
    offer = make_offer(**terms)
    return BookOffer(digest=keccak256(repr(offer).encode()), offer=offer, signature=bytes(65), open_leases=0)


def _changed(request: JobRequest, found: list[Relaxation]) -> JobRequest:
    """As a program would do it that reads only `word` and `to`."""
    document = request.model_dump(mode="json")
    for change in found:
        *path, last = change.word.split(".")
        place: Any = document
        for name in path:
            place = place[name]
        place[last] = change.to
    return JobRequest.model_validate(document)


def _relaxed(request: JobRequest, **terms: Any) -> dict[str, Any]:
    found = relaxations(request, _entry(**terms), _build, MIN_NOTICE)
    assert found is not None
    return {change.word: change.to for change in found}


def test_the_least_rate_is_named_and_one_less_would_not_do() -> None:
    request = _request(max_rate=100)
    assert _relaxed(request, rate=412) == {"max_rate": 412}
    assert mismatch(make_offer(rate=412), _build(_request(max_rate=411)), MIN_NOTICE) is Skip.RATE


def test_the_least_price_is_named_in_dollars_and_a_base_unit_less_would_not_do() -> None:
    rate = 10**6
    found = _relaxed(_request(max_price="0.000401", max_rate=rate), rate=rate)
    # Four fees of 100 and one lock.
    least = 400 + lock_up(rate, units_up(_WORK))
    assert found == {"max_price": f"0.{least:06d}"}
    poorer = _build(_request(max_price=f"0.{least - 1:06d}", max_rate=rate))
    assert mismatch(make_offer(rate=rate), poorer, MIN_NOTICE) is Skip.RATE


def test_each_policy_word_is_loosened_as_far_as_the_offer_needs_and_no_further() -> None:
    clean = Quantities(memory_quarter_gib=64, carbon_headroom=1700).pack()
    cases: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        ({"needs": {"max_gco2e_per_kwh": 100}}, {"quantities": clean}, {"needs.max_gco2e_per_kwh": 300}),
        ({"needs": {"max_gco2e_per_kwh": 100}}, {}, {"needs.max_gco2e_per_kwh": None}),
        ({"needs": {"energy_sources": ["wind"]}}, {}, {"needs.energy_sources": ["wind", "solar"]}),
        ({"needs": {"zones_in": ["FR"]}}, {}, {"needs.zones_in": ["FR", "DE"]}),
        ({"needs": {"zones_out": ["DE", "FR"]}}, {}, {"needs.zones_out": ["FR"]}),
        ({"needs": {"distinct_zones": True}}, {"zone": 0}, {"needs.distinct_zones": False}),
        ({"needs": {"quantities": {"gpu_count": 2}}}, {}, {"needs.quantities.gpu_count": 0}),
        ({"duration_seconds": 900}, {"max_duration": 600}, {"duration_seconds": 600}),
        ({"manifest": _manifest(1 << 30)}, {"quantities": 1 << 16}, {"manifest.limits.memory_bytes": 1 << 28}),
        ({"needs": {"none_of": ["solar", "home"]}}, {}, {"needs.none_of": ["home"]}),
    ]
    for words, terms, wanted in cases:
        assert _relaxed(_request(**words), **{"rate": 300, **terms}) == wanted


def test_what_no_word_can_change_has_no_remedy() -> None:
    for terms in ({"traits": pack_traits(["oci/1"])}, {"notice": 90}, {"meter": 0}, {"bond": 1, "min_charge": 1}):
        assert relaxations(_request(), _entry(rate=1, **terms), _build, MIN_NOTICE) is None


_ZONES = st.lists(st.sampled_from(["DE", "FR", "ES"]), max_size=2, unique=True)
_SOURCES = st.lists(st.sampled_from(["solar", "wind", "hydro"]), max_size=2, unique=True)
_NEEDS = st.fixed_dictionaries(
    {
        "zones_in": _ZONES,
        "zones_out": _ZONES,
        "energy_sources": _SOURCES,
        "all_of": st.lists(st.sampled_from(["home", "campus"]), max_size=1),
        "none_of": st.lists(st.sampled_from(["home", "edge", "solar"]), max_size=2, unique=True),
        "distinct_zones": st.booleans(),
        "max_gco2e_per_kwh": st.none() | st.integers(0, 1999),
        "quantities": st.dictionaries(
            st.sampled_from(["cpu_eighths", "disk_gib", "carbon_headroom"]), st.integers(0, 200)
        ),
    }
)
_OFFERS = st.builds(
    make_offer,
    rate=st.integers(1, 500),
    zone=st.integers(0, 60),
    traits=st.lists(st.sampled_from(["solar", "wind", "home", "edge"]), max_size=3).map(
        lambda names: pack_traits(["wasi-det/1", *names])
    ),
    max_duration=st.integers(60, 1000),
    notice=st.sampled_from([30, 60, 61]),
    quantities=st.builds(
        lambda cpu, memory, headroom: Quantities(
            cpu_eighths=cpu, memory_quarter_gib=memory, carbon_headroom=headroom
        ).pack(),
        st.integers(0, 64),
        st.integers(0, 4),
        st.integers(0, 2000),
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    needs=_NEEDS,
    offer=_OFFERS,
    max_rate=st.none() | st.integers(1, 500),
    max_price=st.none() | st.sampled_from(["0.000402", "0.0007", "0.002"]),
)
def test_an_offer_fits_after_exactly_what_was_named(
    needs: dict[str, Any], offer: Offer, max_rate: int | None, max_price: str | None
) -> None:
    request = _request(needs=needs, max_rate=max_rate, max_price=max_price)
    try:
        _build(request)
    except BadRequest:
        return
    entry = BookOffer(digest=bytes(32), offer=offer, signature=bytes(65), open_leases=0)
    found = relaxations(request, entry, _build, MIN_NOTICE)
    if found is None:
        # A notice, or no memory at all: not the buyer's to change.
        assert offer.notice > 60 or Quantities.unpack(offer.quantities).memory_quarter_gib == 0
        return
    assert mismatch(offer, _build(_changed(request, found)), MIN_NOTICE) is Skip.NONE
    # None of the changes is idle: without any one of them the offer is still refused.
    for number in range(len(found)):
        rest = found[:number] + found[number + 1 :]
        try:
            order = _build(_changed(request, rest))
        except BadRequest:
            continue
        assert mismatch(offer, order, MIN_NOTICE) is not Skip.NONE, found[number]


def test_each_refused_offer_is_counted_once_by_its_first_reason_and_the_nearest_comes_first() -> None:
    full = _entry(rate=5, salt=9)
    book = [
        *[_entry(rate=rate, salt=rate) for rate in (900, 412, 500)],
        _entry(zone=0, rate=1),
        BookOffer(digest=full.digest, offer=full.offer, signature=full.signature, open_leases=1),
        _entry(rate=7),
    ]
    order = _build(_request(max_rate=100, needs={"zones_in": ["DE"]}))
    classes = refused(book, order, MIN_NOTICE)
    assert {skip: len(entries) for skip, entries in classes.items()} == {Skip.RATE: 3, Skip.ZONE: 1, Skip.CAPACITY: 1}
    assert [entry.offer.rate for entry in classes[Skip.RATE]] == [412, 500, 900]
    found = cheapest(book, order, MIN_NOTICE)
    # Not the one at 1, which does not fit; the one at 5 is busy but would do.
    assert found is not None
    assert found.offer.rate == 5
