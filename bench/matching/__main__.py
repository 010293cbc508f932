"""Matched orders per second by the whole rule in one process, beside what is possible and what greedy rules lose.

The index lives between auctions, so building it is a figure of its own; every order is new to it. A market where offers
abound, one where they are scarce (optimum by scipy, outside the measured part), and a change of one offer in a million.
"""

import argparse
import gc
import statistics
import time
from dataclasses import replace
from typing import Any, Final

from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.index import OfferIndex
from backend.matching.policy import decide
from bench.matching import optimum
from bench.matching.market import MIN_NOTICE, many_offers, offers, orders
from bench.record import write

ORDERS: Final = 10_000
ABUNDANT: Final = 100_000
SCARCE: Final = 10_000
LARGE: Final = 1_000_000
CHANGES: Final = 300
ZONES: Final = 40


def _saved(pairings: list[Pairing]) -> int:
    return sum(
        (pairing.order.order.max_rate - pairing.offer.offer.rate) * pairing.order.order.quantity for pairing in pairings
    )


def _speed(name: str, book: list[BookOffer], waiting: list[BookOrder], runs: int) -> tuple[list[dict[str, Any]], Any]:
    pairings: list[Pairing] = []
    index = OfferIndex()
    builds, speeds, cpu_speeds = [], [], []
    for _ in range(runs):
        # A new index each time, so that nothing is remembered of the same orders.
        begun = time.perf_counter()
        index = OfferIndex(book)
        builds.append(time.perf_counter() - begun)
        gc.collect()
        gc.freeze()
        begun, cpu_begun = time.perf_counter(), time.process_time()
        pairings = decide(index, waiting, MIN_NOTICE)
        speeds.append(len(waiting) / (time.perf_counter() - begun))
        cpu_speeds.append(len(waiting) / (time.process_time() - cpu_begun))
        gc.unfreeze()
    speed = statistics.median(speeds)
    rows = [
        {
            "name": f"{name}: orders through the whole rule",
            "value": round(speed),
            "unit": "orders/s",
            "goal": 10_000,
            "holds": speed >= 10_000,
            "best": round(max(speeds)),
            "runs": runs,
        },
        {
            "name": f"{name}: orders through the whole rule, by CPU time",
            "value": round(statistics.median(cpu_speeds)),
            "unit": "orders/s",
            "best": round(max(cpu_speeds)),
        },
        {"name": f"{name}: orders matched", "value": len(pairings), "unit": f"of {len(waiting)}"},
        {"name": f"{name}: building the index", "value": round(statistics.median(builds), 2), "unit": "s"},
    ]
    return rows, pairings


def _quality(book: list[BookOffer], waiting: list[BookOrder], pairings: list[Pairing]) -> list[dict[str, Any]]:
    found = optimum.edges(book, waiting)
    most = optimum.optimum(found, len(book))
    by_arrival = sorted(range(len(waiting)), key=lambda number: (waiting[number].arrived, waiting[number].digest))
    by_saving = sorted(by_arrival, key=lambda number: -int(found.savings[number].max(initial=0)))
    by_choice = sorted(by_arrival, key=lambda number: len(found.offers[number]))
    share = 100 * _saved(pairings) / most
    fits = sum(len(places) for places in found.offers) / len(waiting)
    return [
        {
            "name": "scarce: saved, of the optimum",
            "value": round(share, 2),
            "unit": "%",
            "goal": 99,
            "holds": share >= 99,
        },
        {"name": "scarce: offers that fit an order", "value": round(fits, 1), "unit": "on average"},
        *(
            {
                "name": f"scarce: lost by greedy, {name}",
                "value": round(100 - 100 * optimum.greedy(found, sequence) / most, 1),
                "unit": "%",
            }
            for name, sequence in (
                ("in order of arrival", by_arrival),
                ("largest saving first", by_saving),
                ("fewest fits first", by_choice),
            )
        ),
    ]


def _changes(count: int) -> list[dict[str, Any]]:
    book = many_offers(count, 3)
    begun = time.perf_counter()
    index = OfferIndex(book)
    build = time.perf_counter() - begun
    gc.collect()
    gc.freeze()
    times = []
    for number in range(CHANGES):
        entry = book[number * (count // CHANGES)]
        # To another place: as when the provider signs another rate.
        changed = replace(entry, offer=replace(entry.offer, rate=entry.offer.rate * 3 // 2))
        begun = time.perf_counter()
        index.put(changed)
        times.append(1000 * (time.perf_counter() - begun))
    gc.unfreeze()
    slow = statistics.quantiles(times, n=100)[98]
    return [
        {
            "name": f"one changed offer among {count:,}: median",
            "value": round(statistics.median(times), 3),
            "unit": "ms",
            "goal": 1,
            "holds": statistics.median(times) <= 1,
        },
        {"name": f"one changed offer among {count:,}: 99th percentile", "value": round(slow, 3), "unit": "ms"},
        {"name": f"{count:,} offers: building the index", "value": round(build, 1), "unit": "s"},
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--large", type=int, default=LARGE, help="offers in the index that is changed")
    parser.add_argument("--no-record", action="store_true", help="try it out")
    options = parser.parse_args()
    book, waiting = offers(ABUNDANT, 1, zone_count=ZONES), orders(ORDERS, 1, zone_count=ZONES)
    rows, _ = _speed("abundant", book, waiting, options.runs)
    book, waiting = offers(SCARCE, 2, zone_count=ZONES), orders(ORDERS, 2, zone_count=ZONES)
    scarce, pairings = _speed("scarce", book, waiting, options.runs)
    rows += scarce + _quality(book, waiting, pairings) + _changes(options.large)
    for row in rows:
        print(f"{row['name']:60} {row['value']} {row['unit']}")
    if not options.no_record:
        print(write("matching", rows, f"python -m bench.matching --runs {options.runs}"))


if __name__ == "__main__":
    main()
