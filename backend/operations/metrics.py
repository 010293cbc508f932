"""The market's figures for Prometheus, named as the indexer's are: `gridlease_market_…`, seconds, blocks, base units.

What a process counts is its own; what lies in the database is read from there when somebody asks, so that it is the
same from whichever server.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

_NAME: Final = "gridlease_market_{}".format
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

# Twice the series, for a time that the first scrape tells.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()

REQUESTS: Final = Counter(
    _NAME("requests"), "Answered HTTP requests.", ["method", "route", "status"], registry=REGISTRY
)
REQUEST_SECONDS: Final = Histogram(
    _NAME("request_seconds"), "Until the first byte of an answer.", ["route"], buckets=_BUCKETS, registry=REGISTRY
)
WORK_SECONDS: Final = Histogram(
    _NAME("work_seconds"), "One run of a work, such as market.step.", ["work"], buckets=_BUCKETS, registry=REGISTRY
)
POSTPONED: Final = Counter(
    _NAME("work_postponed"), "Runs that ended at a neighbour that is away.", ["work", "code"], registry=REGISTRY
)
RINGS: Final = Counter(
    _NAME("rings"), "Wakes handed to the broker: taken, or lost because it was away.", ["outcome"], registry=REGISTRY
)
WEBHOOK_ATTEMPTS: Final = Counter(
    _NAME("webhook_attempts"),
    "Attempts to deliver a webhook message: delivered, refused by an HTTP status, or unanswered.",
    ["outcome"],
    registry=REGISTRY,
)
PRUNED: Final = Counter(_NAME("pruned_rows"), "Rows that retention removed.", ["kind"], registry=REGISTRY)
NODE_FAILURES: Final = Gauge(
    _NAME("node_failures"),
    "Failures in a row of a node, counted from 0 in their order; while there are any it rests between them.",
    ["node"],
    registry=REGISTRY,
)
