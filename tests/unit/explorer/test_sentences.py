"""Every event and every skip reason has its sentence."""

from dataclasses import fields

import pytest

from explorer.sentences import Kind, plain, sentence
from explorer.spelling import REASONS, SKIPS, STATES
from protocol.events import (
    EVENTS,
    DelegateApproved,
    Deposited,
    EndReason,
    LeaseClosed,
    LeaseState,
    LedgerEvent,
    Skip,
    Skipped,
    VoucherRedeemed,
    Withdrawn,
)
from tests.support.fake_mirror import BUYER, FIRST, KEY, PROVIDER, RESULT


def sample(kind: type[LedgerEvent]) -> LedgerEvent:
    """An event of this kind, for tests that need any."""
    values = {"address": BUYER, "bytes32": FIRST, "bool": True, "EndReason": EndReason.COMPLETED, "Skip": Skip.ZONE}
    return kind(*(values.get(kind.TYPES[item.name], 7) for item in fields(kind)))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_has_a_sentence(kind: type[LedgerEvent]) -> None:
    parts = sentence(sample(kind))
    assert any(part.kind is Kind.TEXT for part in parts)
    assert len(plain(parts)) > 15


def test_every_state_reason_and_skip_has_words() -> None:
    assert set(STATES) == set(LeaseState)
    assert set(REASONS) == set(EndReason)
    assert set(SKIPS) == set(Skip)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            VoucherRedeemed(FIRST, PROVIDER, 1_200, 1_200, RESULT, False),
            f"Provider {PROVIDER[:6]}…{PROVIDER[-4:]} was paid $0.001200 for lease 0x1e66…0260",
        ),
        (Deposited(BUYER, BUYER, 5), f"{BUYER[:6]}…{BUYER[-4:]} deposited $0.000005"),
        (
            Withdrawn(BUYER, PROVIDER, 5),
            f"{BUYER[:6]}…{BUYER[-4:]} withdrew $0.000005 to {PROVIDER[:6]}…{PROVIDER[-4:]}",
        ),
        (
            DelegateApproved(BUYER, KEY, 0, 0),
            f"Buyer {BUYER[:6]}…{BUYER[-4:]} revoked key {KEY[:6]}…{KEY[-4:]}",
        ),
        (
            LeaseClosed(FIRST, BUYER, PROVIDER, EndReason.RESIGNED, 3, 4, 0, 0, False),
            "Lease 0x1e66…0260 closed (the provider resigned): $0.000003 paid, $0.000004 returned to buyer "
            f"{BUYER[:6]}…{BUYER[-4:]}",
        ),
        (Skipped(FIRST, Skip.CAPACITY), "The ledger passed over 0x1e66…0260: the provider is serving all it can"),
    ],
)
def test_a_sentence_says_who_did_what(event: LedgerEvent, words: str) -> None:
    assert plain(sentence(event)) == words
