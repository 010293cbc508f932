"""Every event and every skip reason has its sentence."""

from collections.abc import Iterator
from dataclasses import fields

import pytest

from explorer.sentences import Kind, plain, sentence, told
from explorer.spelling import REASONS, SKIPS, STATES
from protocol.events import (
    EVENTS,
    DelegateApproved,
    Deposited,
    EndReason,
    EpochBumped,
    LeaseClaimed,
    LeaseClosed,
    LeaseClosing,
    LeaseState,
    LedgerEvent,
    MessageCancelled,
    Skip,
    Skipped,
    VoucherRedeemed,
    Withdrawn,
    decode_fields,
)
from protocol.hashing import ZERO_ADDRESS
from tests.support.fake_chain import encode_event
from tests.support.fake_mirror import BUYER, FIRST, KEY, PROVIDER, RESULT


def sample(kind: type[LedgerEvent]) -> LedgerEvent:
    """An event of this kind, for tests that need any."""
    values = {"address": BUYER, "bytes32": FIRST, "bool": True, "EndReason": EndReason.COMPLETED, "Skip": Skip.ZONE}
    return kind(*(values.get(kind.TYPES[item.name], 7) for item in fields(kind)))  # type: ignore[arg-type]


def varied(kind: type[LedgerEvent]) -> Iterator[LedgerEvent]:
    """Events of this kind that differ in what a sentence can depend on."""
    for account, hash_, number, flag, reason, skip in [
        (BUYER, FIRST, 7, True, EndReason.COMPLETED, Skip.ZONE),
        (PROVIDER, bytes(32), 0, False, EndReason.NONE, Skip.NONE),
        (ZERO_ADDRESS, RESULT, 2**37, True, EndReason.FAULTY, Skip.WRONG_ORDER),
    ]:
        values = {"address": account, "bytes32": hash_, "bool": flag, "EndReason": reason, "Skip": skip}
        types = [kind.TYPES[item.name] for item in fields(kind)]
        kept = [values[name] if name in values else min(number, 2 ** int(name[4:]) - 1) for name in types]
        yield kind(*kept)  # type: ignore[arg-type]
        if kept[:2] == [account, account]:
            yield kind(KEY, *kept[1:])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_has_a_sentence(kind: type[LedgerEvent]) -> None:
    parts = sentence(sample(kind))
    assert any(part.kind is Kind.TEXT for part in parts)
    assert len(plain(parts)) > 15


@pytest.mark.parametrize("kind", EVENTS)
def test_the_text_of_a_sentence_is_its_parts_one_after_the_other(kind: type[LedgerEvent]) -> None:
    for event in varied(kind):
        topics, data = encode_event(event)
        assert told(*decode_fields(b"".join(topics), data)) == plain(sentence(event))


def test_a_page_links_what_a_sentence_names() -> None:
    closing = LeaseClosing(FIRST, BUYER, EndReason.CANCELLED, 86_400, False)
    assert sentence(closing) == (
        (Kind.ACCOUNT, BUYER),
        (Kind.TEXT, " ended lease "),
        (Kind.LEASE, FIRST),
        (Kind.TEXT, " (cancelled by the buyer); its notice runs until "),
        (Kind.TIME, 86_400),
    )
    claimed = LeaseClaimed(FIRST, PROVIDER, RESULT, RESULT, 1, 5, False, 0)
    assert sentence(claimed)[:4] == (
        (Kind.TEXT, "Provider "),
        (Kind.PROVIDER, PROVIDER),
        (Kind.TEXT, " claims "),
        (Kind.AMOUNT, 5),
    )
    assert sentence(MessageCancelled(BUYER, RESULT))[-1] == (Kind.DIGEST, RESULT)
    assert sentence(EpochBumped(BUYER, 3))[-1] == (
        Kind.TEXT,
        " voided all that it had signed; its epoch is now 3",
    )


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
