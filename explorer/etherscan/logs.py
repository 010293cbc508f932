"""`module=logs`: the ledger's events as the chain has them, filtered by topics."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

from explorer.etherscan.asked import Asked
from explorer.etherscan.call import Call
from explorer.etherscan.replies import Body, NotOk
from explorer.etherscan.spelling import lower, quantity
from explorer.etherscan.window import listed, window_of
from explorer.identifiers import hash_of
from indexer.queries import LogRow
from protocol.hashing import to_hex

MOST_LOGS: Final = 1000
_TOPICS: Final = 4

Topic = tuple[int, bytes]


def get_logs(call: Call) -> Body:
    """Logs of the ledger. Those of other contracts are not mirrored: asking for them is refused, not answered empty."""
    asked, status = call.asked, call.status
    if asked.find("address") is not None and asked.address() != status.ledger:
        raise NotOk(f"Error! Only logs of the ledger {status.ledger} are mirrored; ask a node for other contracts'")
    first = asked.block("fromblock", 0, latest=status.block_number)
    last = asked.block("toblock", status.block_number, latest=status.block_number)
    window = window_of(call, first, last, MOST_LOGS)
    rows = call.now.logs(window, {"topics": topics_of(asked)})
    ledger = lower(status.ledger)
    return listed(call, window, rows, place_of, lambda row: _fact(row, ledger), "records")


def topics_of(asked: Asked) -> Sequence[Sequence[Topic]]:
    """What must hold: all of these, of each at least one topic.

    Every operator that is given speaks of two topics, and all of them count; a topic that none names must be as said.
    """
    given = {
        place: hash_of(text, f"topic{place}")
        for place in range(_TOPICS)
        if (text := asked.find(f"topic{place}")) is not None
    }
    groups: list[list[Topic]] = []
    named: set[int] = set()
    for first, second in combinations(range(_TOPICS), 2):
        name = f"topic{first}_{second}_opr"
        if asked.find(name) is None:
            continue
        if first not in given or second not in given:
            # Libraries send an operator with an empty topic.
            continue
        pair = [(first, given[first]), (second, given[second])]
        groups += [pair] if asked.choice(name, ("and", "or"), "and") == "or" else [[topic] for topic in pair]
        named |= {first, second}
    return groups + [[(place, topic)] for place, topic in given.items() if place not in named]


def place_of(row: LogRow) -> tuple[int, int, bytes]:
    return row.block_number, row.log_index, row.block_hash


def _fact(row: LogRow, ledger: str) -> dict[str, Any]:
    transaction = row.transaction
    return {
        "address": ledger,
        "topics": [to_hex(topic) for topic in row.topics],
        "data": to_hex(row.data),
        "blockNumber": quantity(row.block_number),
        "blockHash": to_hex(row.block_hash),
        "timeStamp": quantity(row.block_time),
        "gasPrice": "0x" if transaction is None else quantity(transaction.gas_price_wei),
        "gasUsed": "0x" if transaction is None else quantity(transaction.gas_used),
        "logIndex": quantity(row.log_index),
        "transactionHash": to_hex(row.tx_hash),
        "transactionIndex": quantity(row.tx_index),
    }
