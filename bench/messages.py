"""EIP-712 digests of orders: ours against eth-account's, in one run; medians of five."""

import statistics
import time
from collections.abc import Callable

from eth_account.messages import _hash_eip191_message, encode_typed_data

from bench.record import write
from protocol.hashing import checksum_address
from protocol.messages import Domain, digest, typed_data
from tests.support.builders import make_order

RUNS, CALLS = 5, 300


def _rate(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(CALLS):
        call()
    return CALLS / (time.perf_counter() - begun)


def main() -> None:
    domain = Domain(chain_id=31337, ledger=checksum_address("0x" + "11" * 20))
    order = make_order()
    data = typed_data(domain, order)

    def library() -> bytes:
        return bytes(_hash_eip191_message(encode_typed_data(full_message=data)))

    # A wrong digest voids the figure.
    if library() != digest(domain, order):
        raise SystemExit("the digests differ: no figure")
    ours = statistics.median(_rate(lambda: digest(domain, order)) for _ in range(RUNS))
    theirs = statistics.median(_rate(library) for _ in range(RUNS))
    rows = [
        {"name": "order digest, protocol.messages", "value": round(ours), "unit": "1/s"},
        {"name": "order digest, eth-account", "value": round(theirs), "unit": "1/s"},
        {"name": "ratio", "value": round(ours / theirs, 1), "unit": "×"},
    ]
    for row in rows:
        print(f"{row['name']:36} {row['value']} {row['unit']}")
    print(write("messages", rows))


if __name__ == "__main__":
    main()
