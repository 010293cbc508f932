"""The gas that calls are tried with holds what the contract's own gas tests allow."""

import json
from pathlib import Path

import pytest

from backend.submission.batches import SIZES
from backend.submission.gas import enough
from backend.submission.plan import MAX_GAS
from backend.submission.sender import GAS_MARGIN_PERCENT

_MEASURED = json.loads(Path("contracts/snapshots/ComputeLedger.json").read_text())


@pytest.mark.parametrize(
    ("kind", "count", "case"),
    [
        ("open", 1, "open_1"),
        ("open", 1, "open_delegate_1"),
        ("open", 1, "failover_tight_1"),
        ("open", 50, "open_per_lease_50"),
        ("redeem", 1, "redeem_1"),
        ("redeem", 50, "redeem_per_voucher_50"),
        ("close_last", 50, "close_last_50"),
        ("close", 1, "close_1"),
    ],
)
def test_a_call_as_the_gas_tests_make_it_passes_at_the_first_try(kind: str, count: int, case: str) -> None:
    assert enough(kind, count) >= count * int(_MEASURED[case])


@pytest.mark.parametrize("kind", SIZES)
def test_a_full_transaction_with_its_margin_is_one_that_ethereum_takes(kind: str) -> None:
    assert enough(kind, SIZES[kind]) * GAS_MARGIN_PERCENT // 100 <= MAX_GAS
