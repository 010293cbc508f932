"""The read door for proofs: bundles of every kind, and the list of events that a history is checked against."""

from indexer.bundles.errors import NoSuchBlock, RangeTooLong
from indexer.bundles.make import Bundles

__all__ = ["Bundles", "NoSuchBlock", "RangeTooLong"]
