"""A node's JSON → the very bytes that the chain hashed. What a node adds beside them is never read.

Header fields up to Prague, transactions of types 0 to 4 and deposits on OP stack chains, receipts of the same types.
Pure.
"""

from typing import Any, Final, NamedTuple

from protocol.hashing import from_hex
from protocol.proofs import DEPOSIT_TYPE, ReceiptLog, TransactionReceipt
from protocol.rlp import Item, encode, encode_list, integer

Json = dict[str, Any]

HEADER: Final = (
    ("parentHash", "bytes"),
    ("sha3Uncles", "bytes"),
    ("miner", "bytes"),
    ("stateRoot", "bytes"),
    ("transactionsRoot", "bytes"),
    ("receiptsRoot", "bytes"),
    ("logsBloom", "bytes"),
    ("difficulty", "number"),
    ("number", "number"),
    ("gasLimit", "number"),
    ("gasUsed", "number"),
    ("timestamp", "number"),
    ("extraData", "bytes"),
    ("mixHash", "bytes"),
    ("nonce", "bytes"),
)
LATER_HEADER: Final = (
    ("baseFeePerGas", "number"),
    ("withdrawalsRoot", "bytes"),
    ("blobGasUsed", "number"),
    ("excessBlobGas", "number"),
    ("parentBeaconBlockRoot", "bytes"),
    ("requestsHash", "bytes"),
)

_CALL: Final = (("gas", "number"), ("to", "bytes"), ("value", "number"), ("input", "bytes"))
_FEES: Final = (("maxPriorityFeePerGas", "number"), ("maxFeePerGas", "number"))
_SIGNATURE: Final = (("yParity", "number"), ("r", "number"), ("s", "number"))
_START: Final = (("chainId", "number"), ("nonce", "number"))
TRANSACTIONS: Final = {
    0: (("nonce", "number"), ("gasPrice", "number"), *_CALL, ("v", "number"), ("r", "number"), ("s", "number")),
    1: (*_START, ("gasPrice", "number"), *_CALL, ("accessList", "access"), *_SIGNATURE),
    2: (*_START, *_FEES, *_CALL, ("accessList", "access"), *_SIGNATURE),
    3: (
        *_START,
        *_FEES,
        *_CALL,
        ("accessList", "access"),
        ("maxFeePerBlobGas", "number"),
        ("blobVersionedHashes", "hashes"),
        *_SIGNATURE,
    ),
    4: (*_START, *_FEES, *_CALL, ("accessList", "access"), ("authorizationList", "authorizations"), *_SIGNATURE),
    DEPOSIT_TYPE: (
        ("sourceHash", "bytes"),
        ("from", "bytes"),
        ("to", "bytes"),
        ("mint", "number"),
        ("value", "number"),
        ("gas", "number"),
        ("isSystemTx", "number"),
        ("input", "bytes"),
    ),
}
#: fields that a node leaves out where they are nothing
_NOTHING: Final = {"mint": "0x0", "isSystemTx": False}
AUTHORIZATION: Final = (("chainId", "number"), ("address", "bytes"), ("nonce", "number"), *_SIGNATURE)


class UnknownType(ValueError):
    """A transaction type whose encoding we do not know."""


def header_rlp(block: Json) -> bytes:
    """The header of a block's JSON; later forks' fields follow while they are present."""
    fields = [_field(block[name], kind) for name, kind in HEADER]
    for name, kind in LATER_HEADER:
        if block.get(name) is None:
            break
        fields.append(_field(block[name], kind))
    return encode(fields)


def transaction_raw(transaction: Json) -> bytes:
    """The signed transaction as it was sent; its keccak is its hash. Raises `UnknownType`."""
    kind = int(transaction.get("type", "0x0"), 16)
    if kind not in TRANSACTIONS:
        raise UnknownType(f"transaction type {kind:#x}")
    if kind == DEPOSIT_TYPE:
        said = {name: value for name, value in transaction.items() if value is not None or name == "to"}
        transaction = _NOTHING | said
    return _typed(kind, [_field(transaction[name], spelling) for name, spelling in TRANSACTIONS[kind]])


def read_receipt(receipt: Json) -> tuple[bytes, TransactionReceipt]:
    """A transaction receipt as the receipts root binds it, and what it says. Raises `UnknownType`."""
    frame = receipt_frame(
        receipt.get("type", "0x0"),
        receipt["status"],
        receipt["cumulativeGasUsed"],
        receipt["logsBloom"],
        receipt.get("depositNonce"),
        receipt.get("depositReceiptVersion"),
    )
    logs = tuple([_read_log(log) for log in receipt["logs"]])
    spelt = [log_rlp(log.address, b"".join(log.topics), log.data) for log in logs]
    return receipt_rlp(frame, spelt), TransactionReceipt(
        type=int.from_bytes(frame.kind, "big"),
        succeeded=int(receipt["status"], 16) == 1,
        cumulative_gas=int(receipt["cumulativeGasUsed"], 16),
        logs=logs,
    )


class ReceiptFrame(NamedTuple):
    """All of a receipt but its logs, encoded."""

    #: its type byte, or none
    kind: bytes
    before: bytes
    after: bytes


def receipt_frame(
    kind: str, status: str, gas: str, bloom: str, deposit_nonce: str | None, deposit_version: str | None
) -> ReceiptFrame:
    """From a node's spellings. Raises `UnknownType`."""
    number = int(kind, 16)
    if number not in TRANSACTIONS:
        raise UnknownType(f"receipt type {number:#x}")
    before = encode(integer(int(status, 16))) + encode(integer(int(gas, 16))) + encode(from_hex(bloom, 256))
    after = b""
    # The nonce was hashed only once there was a version beside it (Canyon).
    if number == DEPOSIT_TYPE and deposit_version is not None:
        if deposit_nonce is None:
            raise ValueError("a deposit's receipt has a version but no nonce")
        after = encode(integer(int(deposit_nonce, 16))) + encode(integer(int(deposit_version, 16)))
    return ReceiptFrame(bytes([number]) if number else b"", before, after)


def receipt_rlp(frame: ReceiptFrame, logs: list[bytes]) -> bytes:
    """With its logs, each as `log_rlp` spells it."""
    return frame.kind + encode_list([frame.before, encode_list(logs), frame.after])


def _read_log(log: Json) -> ReceiptLog:
    topics = tuple([from_hex(topic, 32) for topic in log["topics"]])
    return ReceiptLog(from_hex(log["address"], 20), topics, from_hex(log["data"]))


def log_rlp(address: bytes, topics: bytes, data: bytes) -> bytes:
    """[address, topics, data], of topics that are joined: strings of 20 and 32 bytes have one prefix each."""
    words = [b"\xa0" + topics[at : at + 32] for at in range(0, len(topics), 32)]
    return encode_list([b"\x94", address, encode_list(words), encode(data)])


def _typed(kind: int, fields: list[Item]) -> bytes:
    return (bytes([kind]) if kind else b"") + encode(fields)


def _field(value: Any, kind: str) -> Item:
    if kind == "number":
        return integer(value if isinstance(value, bool) else int(value, 16))
    if kind == "bytes":
        # Only a contract's creation has no address to call.
        return b"" if value is None else from_hex(value)
    if kind == "hashes":
        return [from_hex(item, 32) for item in value]
    if kind == "access":
        return [
            [from_hex(entry["address"], 20), [from_hex(key, 32) for key in entry["storageKeys"]]] for entry in value
        ]
    return [[_field(entry[name], spelling) for name, spelling in AUTHORIZATION] for entry in value]
