"""A bundle of kind event proves one event, has one spelling, and no other byte passes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import rfc8785

from protocol.bundle import event_member, verify_event
from protocol.errors import BadProof
from protocol.hashing import from_hex

VECTORS = Path(__file__).parents[2] / "vectors"
BUNDLE = (VECTORS / "proof.json").read_bytes()
EXPECTED = json.loads((VECTORS / "proofs.expected.json").read_text())["proof.json"]["facts"]
ANCHOR = from_hex(EXPECTED["block_hash"], 32)


def test_the_golden_bundle_verifies() -> None:
    verified = verify_event(BUNDLE, [ANCHOR])
    assert verified.trusted
    assert verified.block_hash == ANCHOR
    assert verified.block_number == EXPECTED["block_number"]
    assert verified.block_time == EXPECTED["block_time"]
    assert verified.ledger.lower() == EXPECTED["ledger"]
    assert verified.tx_index == EXPECTED["tx_index"]
    assert event_member(verified.event) == EXPECTED["event"]


def test_without_a_trusted_hash_it_says_so() -> None:
    assert not verify_event(BUNDLE).trusted


def test_another_block_hash_is_refused() -> None:
    with pytest.raises(BadProof, match="anchor"):
        verify_event(BUNDLE, [bytes(32)])


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_any_flipped_byte_fails(mask: int) -> None:
    for index in range(len(BUNDLE)):
        altered = bytearray(BUNDLE)
        altered[index] ^= mask
        with pytest.raises(BadProof):
            verify_event(bytes(altered), [ANCHOR])


@pytest.mark.parametrize("data", [b"", b"\n", b"{}", b"[]", b"null", BUNDLE[:-1], BUNDLE + b"\n", b" " + BUNDLE])
def test_more_or_less_than_the_file_fails(data: bytes) -> None:
    with pytest.raises(BadProof):
        verify_event(data, [ANCHOR])


def edit(change: Callable[[Any], object]) -> bytes:
    content = orjson.loads(BUNDLE)
    change(content)
    return rfc8785.dumps(content)


EDITS: dict[str, Callable[[Any], object]] = {
    "a member more": lambda c: c.update(note="x"),
    "a log index": lambda c: c["log"].update(log_index=0),
    "a member less": lambda c: c.pop("ledger"),
    "another version": lambda c: c.update(v=2),
    "true for one": lambda c: c.update(v=True),
    "another kind": lambda c: c.update(kind="absence"),
    "another number": lambda c: c["block"].update(number=c["block"]["number"] + 1),
    "another transaction": lambda c: c["receipt"].update(index=0),
    "a negative place": lambda c: c["log"].update(position=-1),
    "a place beyond": lambda c: c["log"].update(position=9),
    "true for a place": lambda c: c["log"].update(position=False),
    "a spare node": lambda c: c["receipt"]["nodes"].append(c["receipt"]["nodes"][-1]),
    "a node too few": lambda c: c["receipt"]["nodes"].pop(),
    "no node": lambda c: c["receipt"].update(nodes=[]),
    "nodes out of order": lambda c: c["receipt"]["nodes"].reverse(),
    "nodes that are text": lambda c: c["receipt"].update(nodes="0x"),
    "a node that is a number": lambda c: c["receipt"]["nodes"].append(1),
    "another ledger": lambda c: c.update(ledger="0x" + "11" * 20),
    "another amount": lambda c: c["event"]["fields"].update(amount="123457"),
    "a number for an amount": lambda c: c["event"]["fields"].update(amount=123456),
    "a field more": lambda c: c["event"]["fields"].update(note="x"),
    "a field less": lambda c: c["event"]["fields"].pop("paid"),
    "a nested field": lambda c: c["event"]["fields"].update(paid=["123456"]),
    "another event": lambda c: c["event"].update(kind="LeaseClosed"),
    "upper-case hex": lambda c: c["block"].update(header=c["block"]["header"].upper().replace("0X", "0x")),
    "an empty header": lambda c: c["block"].update(header="0x"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_bundle_fails_in_canonical_form_too(name: str) -> None:
    with pytest.raises(BadProof):
        verify_event(edit(EDITS[name]), [ANCHOR])


def test_deep_nesting_is_refused() -> None:
    deep = BUNDLE.replace(b'"event":{', b'"event":' + b"[" * 900 + b"]" * 900 + b',"x":{', 1)
    with pytest.raises(BadProof):
        verify_event(deep, [ANCHOR])
