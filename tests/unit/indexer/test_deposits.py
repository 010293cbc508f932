"""Deposits on OP stack chains (type 0x7e) are read as the chain hashes them; the `rlp` library is the oracle.

Source: the OP stack's specification, "Deposits" and, for the receipt's two fields, "Canyon".
"""

from typing import Any

import orjson
import pytest
import rlp

from indexer.backfill.read import of_receipts
from indexer.decoding import transaction_fields
from indexer.encoding import read_receipt, transaction_raw
from indexer.source import VerifiedBlock
from indexer.transactions import parse_transaction, recipient_of
from protocol.errors import BadProof
from protocol.hashing import keccak256, to_hex
from protocol.proofs import DEPOSIT_TYPE, parse_header, parse_receipt
from protocol.rlp import Item, encode, integer
from protocol.tries import ordered_root

SOURCE, SENDER, RECIPIENT, DATA = keccak256(b"source"), b"\x11" * 20, b"\x22" * 20, b"\xab\xcd\xef\x01rest"
TOPIC = keccak256(b"topic")
LOG: dict[str, Any] = {"address": to_hex(RECIPIENT), "topics": [to_hex(TOPIC)], "data": "0x05"}
RECEIPT: dict[str, Any] = {
    "type": "0x7e",
    "status": "0x1",
    "cumulativeGasUsed": "0xb4c3",
    "logsBloom": "0x" + "ff" * 256,
    "logs": [LOG],
    "transactionHash": to_hex(keccak256(b"hash")),
    "depositNonce": "0x1f4",
}


def deposit(**changes: object) -> dict[str, Any]:
    return {
        "type": "0x7e",
        "sourceHash": to_hex(SOURCE),
        "from": to_hex(SENDER),
        "to": to_hex(RECIPIENT),
        "mint": "0x64",
        "value": "0x0",
        "gas": "0xf4240",
        "isSystemTx": False,
        "input": to_hex(DATA),
        "nonce": "0x1f4",
        "gasPrice": "0x0",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "recipient", "mint", "system"),
    [
        ({}, RECIPIENT, b"\x64", b""),
        ({"mint": None}, RECIPIENT, b"", b""),
        ({"mint": "0x0", "isSystemTx": True}, RECIPIENT, b"", b"\x01"),
        ({"to": None}, b"", b"\x64", b""),
        ({"isSystemTx": None}, RECIPIENT, b"\x64", b""),
    ],
)
def test_a_deposit_is_hashed_as_its_chain_does(
    changes: dict[str, object], recipient: bytes, mint: bytes, system: bytes
) -> None:
    raw = transaction_raw(deposit(**changes))
    fields = [SOURCE, SENDER, recipient, mint, b"", b"\x0f\x42\x40", system, DATA]
    assert raw == b"\x7e" + rlp.encode(fields)
    transaction = parse_transaction(raw)
    assert transaction.hash == keccak256(raw)
    assert (transaction.sender, transaction.recipient) == (SENDER, recipient or None)
    assert (transaction.nonce, transaction.selector) == (None, DATA[:4])
    assert recipient_of(raw) == (recipient or None)
    read = transaction_fields(raw)
    assert (read["type"], read["from"], read["input"], read["gasPrice"]) == (DEPOSIT_TYPE, SENDER, DATA, 0)


@pytest.mark.parametrize("version", [None, "0x1"])
def test_its_receipt_has_two_more_fields_since_canyon(version: str | None) -> None:
    said = RECEIPT if version is None else RECEIPT | {"depositReceiptVersion": version}
    fields = [b"\x01", b"\xb4\xc3", b"\xff" * 256, [[RECIPIENT, [TOPIC], b"\x05"]]]
    more = [] if version is None else [b"\x01\xf4", b"\x01"]
    encoded, receipt = read_receipt(said)
    assert encoded == b"\x7e" + rlp.encode([*fields, *more])
    assert parse_receipt(encoded) == receipt
    header_rlp = encode(
        [
            *(bytes(32), bytes(32), bytes(20), bytes(32), bytes(32), ordered_root([encoded]), b"\xff" * 256),
            *(b"", integer(7), b"", b"", b"", b"", bytes(32), bytes(8)),
        ]
    )
    light = of_receipts(parse_header(header_rlp), header_rlp, orjson.dumps([said]), RECIPIENT)
    assert [log[3:5] for log in light.logs] == [(TOPIC, b"\x05")]
    block = VerifiedBlock.of_raw(parse_header(header_rlp), header_rlp, (), (encoded,))
    assert block.outcomes == (receipt,)


def test_no_other_type_has_more_fields() -> None:
    fields: list[Item] = [b"\x01", b"\x01", bytes(256), [], b"\x01", b"\x01"]
    assert parse_receipt(b"\x7e" + encode(fields)).logs == ()
    for kind in (b"", b"\x02"):
        with pytest.raises(BadProof, match="receipt"):
            parse_receipt(kind + encode(fields))
    with pytest.raises(BadProof, match="receipt"):
        parse_receipt(b"\x7e" + encode(fields[:5]))
    with pytest.raises(BadProof, match="canonical"):
        parse_receipt(b"\x7e" + encode([*fields[:4], b"\x00\x01", b"\x01"]))
