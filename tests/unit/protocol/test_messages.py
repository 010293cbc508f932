"""Signed messages: the same bytes as eth-account's own EIP-712, and nobody else's signature counts."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BadSignature, TermOutOfRange
from protocol.hashing import checksum_address, from_hex, to_hex
from protocol.keys import LocalKey, recover_address
from protocol.messages import Domain, digest, from_json, recover, sign, struct_hash, to_json, typed_data
from protocol.terms import Attestation, BookReceipt, Message, Offer, Order, UsageReceipt, Voucher

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "messages.json").read_text())
KINDS: dict[str, type[Message]] = {
    "offers": Offer,
    "orders": Order,
    "vouchers": Voucher,
    "usageReceipts": UsageReceipt,
    "attestations": Attestation,
    "bookReceipts": BookReceipt,
}
DOMAIN = Domain(chain_id=VECTORS["domain"]["chainId"], ledger=checksum_address(VECTORS["domain"]["verifyingContract"]))
ENTRIES = [(kind, entry) for name, kind in KINDS.items() for entry in VECTORS[name]]


@pytest.mark.parametrize(("kind", "entry"), ENTRIES)
def test_every_vector_hashes_as_recorded_and_as_an_independent_library_says(
    kind: type[Message], entry: dict[str, Any]
) -> None:
    message: Any = from_json(kind, entry["message"])
    assert to_json(message) == entry["message"]
    assert to_hex(struct_hash(message)) == entry["structHash"]
    assert to_hex(digest(DOMAIN, message)) == entry["digest"]
    independent = _hash_eip191_message(encode_typed_data(full_message=typed_data(DOMAIN, message)))
    assert independent == digest(DOMAIN, message)


@pytest.mark.parametrize(("kind", "entry"), ENTRIES)
def test_every_vector_recovers_to_its_signer_here_and_in_an_independent_library(
    kind: type[Message], entry: dict[str, Any]
) -> None:
    message: Any = from_json(kind, entry["message"])
    signature = from_hex(entry["signature"], 65)
    assert recover(DOMAIN, message, signature) == entry["signer"]
    signable = encode_typed_data(full_message=typed_data(DOMAIN, message))
    assert Account.recover_message(signable, signature=signature) == entry["signer"]


def _voucher(cumulative: int = 5) -> Voucher:
    provider = checksum_address("0x" + "22" * 20)
    return Voucher(lease=b"\x01" * 32, provider=provider, cumulative=cumulative, result=bytes(32), last=False)


@given(bit=st.integers(0, 65 * 8 - 1))
def test_a_signature_with_one_bit_flipped_never_names_the_signer(bit: int) -> None:
    key = LocalKey(b"\x07" * 32)
    signature = bytearray(sign(DOMAIN, _voucher(), key))
    signature[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(BadSignature):
        assert recover(DOMAIN, _voucher(), bytes(signature)) != key.address


def test_a_signature_counts_on_no_other_chain_and_for_no_other_ledger() -> None:
    key = LocalKey.create()
    signature = sign(DOMAIN, _voucher(), key)
    for other in (
        Domain(chain_id=DOMAIN.chain_id + 1, ledger=DOMAIN.ledger),
        Domain(chain_id=DOMAIN.chain_id, ledger=checksum_address("0x" + "33" * 20)),
    ):
        assert recover(other, _voucher(), signature) != key.address


def test_the_malleable_twin_of_a_signature_is_refused() -> None:
    key = LocalKey(b"\x09" * 32)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    made = key.sign_digest(b"\x05" * 32)
    high = order - int.from_bytes(made[32:64], "big")
    twin = made[:32] + high.to_bytes(32, "big") + bytes([55 - made[64]])
    with pytest.raises(BadSignature, match="upper half"):
        recover_address(b"\x05" * 32, twin)
    with pytest.raises(BadSignature, match="65 bytes"):
        recover_address(b"\x05" * 32, made[:64])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cumulative", str(2**48)),
        ("cumulative", "-1"),
        ("cumulative", "1e3"),
        ("cumulative", True),
        ("cumulative", "9" * 100_000),
        ("cumulative", 1.5),
        ("last", 1),
        ("lease", "0x00"),
        ("provider", "0x" + "22" * 19),
        ("surprise", 1),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_refused_by_name(field: str, value: object) -> None:
    data = to_json(_voucher()) | {field: value}
    with pytest.raises(Exception, match=field if field in ("cumulative", "last", "surprise") else "expected"):
        from_json(Voucher, data)


def test_a_missing_field_is_named() -> None:
    data = to_json(_voucher())
    del data["result"]
    with pytest.raises(TermOutOfRange, match="result"):
        from_json(Voucher, data)
