"""A proved event reads as a sentence that says who paid whom how much."""

from client.cli.console import money_words, plain
from client.cli.words import words
from protocol.events import EndReason, EpochBumped, LeaseClosed, VoucherRedeemed
from protocol.hashing import to_hex
from tests.support.market_server import BUYER, PROVIDER

LEASE = bytes([7]) * 32


class TestWords:
    def test_a_payment_names_provider_amount_lease_and_acceptance(self) -> None:
        paid = VoucherRedeemed(LEASE, BUYER.address, 1_234, 5_000_000, LEASE, True)
        said = words(paid)
        assert said.startswith(f"Provider {BUYER.address} was paid $0.001234 under lease {to_hex(LEASE)}")
        assert "$5.000000 in all; the result was accepted" in said
        assert "accepted" not in words(VoucherRedeemed(LEASE, PROVIDER, 1, 1, LEASE, False))

    def test_an_end_says_what_came_back(self) -> None:
        said = words(LeaseClosed(LEASE, BUYER.address, PROVIDER, EndReason.COMPLETED, 3, 4, 0, 0, True))
        assert "(completed): $0.000003 paid, $0.000004 back" in said

    def test_an_event_without_a_sentence_still_shows_all_its_fields(self) -> None:
        assert words(EpochBumped(BUYER.address, 9)) == f"EpochBumped: account {BUYER.address}, epoch 9."


class TestMoneyWords:
    def test_amounts_are_said_without_losing_a_digit(self) -> None:
        assert money_words(1_000_000) == "1 dollar ($1.000000)"
        assert money_words(5_250_000) == "5.25 dollars ($5.250000)"
        assert money_words(1) == "0.000001 dollars ($0.000001)"


def test_plain_text_keeps_lines_and_drops_escapes() -> None:
    assert plain("a\tb\nc\x1b]0;title\x07\r") == "a\tb\nc�]0;title��"
