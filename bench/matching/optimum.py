"""What is possible, by other means: fits by whole-book masks, the optimum by scipy's assignment, greedy rules.

For orders of one fill and providers of one seat. Nothing here uses the index or the rule.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from backend.matching.book import BookOffer, BookOrder
from bench.matching.market import MIN_NOTICE
from protocol.terms import Order


class Edges(NamedTuple):
    """Each fit of each order: numbers of the offers, cheapest first, and what they save (pico-dollars)."""

    offers: list[NDArray[np.int64]]
    savings: list[NDArray[np.int64]]


def edges(offers: list[BookOffer], orders: list[BookOrder]) -> Edges:
    terms = [entry.offer for entry in offers]
    lanes = np.frombuffer(b"".join(one.quantities.to_bytes(32, "little") for one in terms), "<u2").reshape(-1, 16)
    columns = {
        name: np.array([getattr(one, name) for one in terms], np.int64)
        for name in ("rate", "zone", "meter", "min_duration", "max_duration", "bond", "notice", "min_charge")
    }
    traits = np.array([[one.traits >> 64 & 2**64 - 1, one.traits & 2**64 - 1] for one in terms], np.uint64)
    arbiters = np.array([one.arbiter for one in terms])
    found = Edges([], [])
    for entry in orders:
        order = entry.order
        fits = _mask(order, columns, lanes, traits) & (arbiters == order.arbiter)
        places = np.flatnonzero(fits)
        places = places[np.argsort(columns["rate"][places], kind="stable")]
        units = min(order.quantity, order.budget * 10**6 // order.max_rate)
        found.offers.append(places)
        found.savings.append((order.max_rate - columns["rate"][places]) * units)
    return found


def _mask(
    order: Order, columns: dict[str, NDArray[np.int64]], lanes: NDArray[np.uint16], traits: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    needed = np.frombuffer(order.quantities.to_bytes(32, "little"), "<u2")
    all_of, any_of, none_of = (
        np.array([mask >> 64 & 2**64 - 1, mask & 2**64 - 1], np.uint64)
        for mask in (order.all_of, order.any_of, order.none_of)
    )
    zones = np.array([bool(order.zones == 0 or order.zones >> zone & 1) for zone in range(256)])
    fits = (columns["rate"] <= order.max_rate) & zones[columns["zone"]] & (columns["meter"] == order.meter)
    fits &= (columns["min_duration"] <= order.duration) & (order.duration <= columns["max_duration"])
    fits &= (columns["bond"] >= order.bond) & (columns["min_charge"] <= order.min_charge)
    fits &= np.maximum(columns["notice"], MIN_NOTICE) <= order.notice
    fits &= ((traits & all_of) == all_of).all(axis=1) & ~((traits & none_of) != 0).any(axis=1)
    if order.any_of:
        fits &= ((traits & any_of) != 0).any(axis=1)
    return np.asarray(fits & (lanes >= needed).all(axis=1))


def optimum(found: Edges, offers: int) -> int:
    """The largest sum of savings: each order takes an offer or stays out, which saves nothing."""
    orders = len(found.offers)
    rows = np.repeat(np.arange(orders), [len(places) + 1 for places in found.offers])
    columns = np.concatenate([np.append(places, offers + row) for row, places in enumerate(found.offers)])
    # The solver takes no zeros: one more for every choice, of which each order makes one. All are exact as floats.
    savings = np.concatenate([np.append(of, 0) for of in found.savings]) + 1
    if int(savings.max()) >= 2**53:
        raise SystemExit("savings that a float does not hold exactly: no figure")
    graph = csr_matrix((savings.astype(np.float64), (rows, columns)), shape=(orders, offers + orders))
    matched_rows, matched_columns = min_weight_full_bipartite_matching(graph, maximize=True)
    return int(np.asarray(graph[matched_rows, matched_columns]).sum()) - orders


def greedy(found: Edges, sequence: list[int]) -> int:
    """What is saved if each order in turn takes its cheapest offer that is left."""
    taken: set[int] = set()
    saved = 0
    for order in sequence:
        for place, saving in zip(found.offers[order].tolist(), found.savings[order].tolist(), strict=True):
            if place not in taken:
                taken.add(place)
                saved += saving
                break
    return saved
