"""What submission asks of one node, in plain JSON-RPC: few requests, each answer checked for its shape."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from backend.submission.plan import Place
from protocol.calls import decode_error
from protocol.errors import DeploymentMissing, NodeUnavailable, RpcRefused, TransactionReverted, WrongChain
from protocol.hashing import Address, to_hex
from protocol.rpc import Rpc

T = TypeVar("T")

_BATCH: Final = 100
_REMEMBERED: Final = 4096
_REVERT_BYTES: Final = 1024
"""Of what a call reverted with; more is somebody's attempt to fill our logs."""
_REVERT_CODE: Final = 3


@dataclass(frozen=True, slots=True)
class Glance:
    """The head, and how many transactions of a key the chain has up to it."""

    number: int
    hash: str
    base_fee_wei: int
    nonce: int


class Node:
    """Raises `NodeUnavailable` for whatever is no answer to the question, and `RpcRefused` with the node's words."""

    def __init__(self, url: str, timeout_seconds: int = 5) -> None:
        self.url = url
        self._rpc = Rpc(url, timeout_seconds)
        #: (number, hash) of blocks that the chain had below a head, and that head
        self._stood: set[tuple[int, str]] = set()
        self._head: tuple[int, str] | None = None
        #: by the hash of the head at which it was asked for
        self._final: tuple[str, int | None] = ("", None)

    def close(self) -> None:
        self._rpc.close()

    def require(self, chain_id: int, genesis_hash: str, ledger: Address) -> None:
        """Raises `WrongChain`, `DeploymentMissing` unless the node serves the deployment."""
        found_id, genesis, code = self._batch(
            [
                ("eth_chainId", ()),
                ("eth_getBlockByNumber", ("0x0", False)),
                ("eth_getCode", (ledger, "latest")),
            ]
        )
        if self._read(lambda: int(found_id, 16)) != chain_id:
            raise WrongChain(chain_id, self._read(lambda: int(found_id, 16)))
        found_genesis = self._read(lambda: str(genesis["hash"]))
        if found_genesis != genesis_hash:
            raise DeploymentMissing(f"a chain that begins with block {found_genesis[:66]}, not with {genesis_hash}")
        if code in ("0x", None):
            raise DeploymentMissing(f"{ledger} on chain {chain_id}")

    def glance(self, sender: Address) -> Glance:
        block, nonce = self._batch(
            [("eth_getBlockByNumber", ("latest", False)), ("eth_getTransactionCount", (sender, "latest"))]
        )
        return self._read(
            lambda: Glance(
                int(block["number"], 16), str(block["hash"]), int(block.get("baseFeePerGas", "0x0"), 16), int(nonce, 16)
            )
        )

    def block_hashes(self, numbers: Iterable[int]) -> dict[int, str]:
        """Of the blocks that the node has."""
        wanted = list(numbers)
        blocks = self._batch([("eth_getBlockByNumber", (hex(number), False)) for number in wanted])
        return self._read(
            lambda: {
                number: str(block["hash"]) for number, block in zip(wanted, blocks, strict=True) if block is not None
            }
        )

    def standing(self, blocks: Iterable[tuple[int, str]], head: Glance) -> set[str]:
        """The hashes of those (number, hash) that the chain has.

        Below a head that it still has, all stands that stood: only what is new is asked for.
        """
        wanted, now, before = set(blocks), (head.number, head.hash), self._head
        if before == now and wanted <= self._stood:
            return {block_hash for _, block_hash in wanted}
        # In one request with the head: of a chain that is another one by now nothing is remembered.
        asked = {*wanted - self._stood, now, before or now}
        found = self._standing(asked)
        if before is None or before not in found:
            self._stood.clear()
            found = self._standing({*wanted, now})
        standing = (found | self._stood) & wanted
        self._head = now if now in found else None
        self._stood = {block for block in self._stood | found if block[0] <= head.number} if self._head else set()
        if len(self._stood) > _REMEMBERED:
            self._stood = standing
        return {block_hash for _, block_hash in standing}

    def _standing(self, blocks: set[tuple[int, str]]) -> set[tuple[int, str]]:
        found = self.block_hashes({number for number, _ in blocks})
        return {block for block in blocks if found.get(block[0]) == block[1]}

    def final_number(self, head_hash: str | None = None) -> int | None:
        """The newest block that the node calls final, asked once for a head; None where it has no such word."""
        if head_hash is None or self._final[0] != head_hash:
            self._final = (head_hash or "", self._final_number())
        return self._final[1]

    def _final_number(self) -> int | None:
        try:
            block = self._rpc.call("eth_getBlockByNumber", "finalized", False)
        except RpcRefused:
            return None
        return None if block is None else self._read(lambda: int(block["number"], 16))

    def places(self, tx_hashes: Sequence[str]) -> tuple[dict[str, Place], frozenset[str]]:
        """Where those are that a block has, and which ones the node has heard of."""
        receipts = self._batch([("eth_getTransactionReceipt", (tx_hash,)) for tx_hash in tx_hashes])
        places = self._read(
            lambda: {
                tx_hash: _place(receipt)
                for tx_hash, receipt in zip(tx_hashes, receipts, strict=True)
                if receipt is not None and receipt["transactionHash"] == tx_hash
            }
        )
        # An answer is as long as the transaction: it is asked for only where there is no other sign of it.
        unseen = [tx_hash for tx_hash in tx_hashes if tx_hash not in places]
        bodies = self._batch([("eth_getTransactionByHash", (tx_hash,)) for tx_hash in unseen])
        heard = self._read(
            lambda: {tx_hash for tx_hash, body in zip(unseen, bodies, strict=True) if body and body["hash"] == tx_hash}
        )
        return places, frozenset(places.keys() | heard)

    def balance_wei(self, who: Address) -> int:
        found = self._rpc.call("eth_getBalance", who, "latest")
        return self._read(lambda: int(found, 16))

    def simulate(self, sender: Address, to: Address, data: bytes, enough_gas: int) -> int:
        """Runs the call without sending it (threat R7); raises `TransactionReverted` with the decoded reason.

        Returns the gas that it passes with: `enough_gas`, or what the node estimates where that is not enough.
        """
        request = {"from": sender, "to": to, "data": to_hex(data)}
        try:
            self._rpc.call("eth_call", request | {"gas": hex(enough_gas)}, "latest")
        except RpcRefused:
            # For want of gas or for good: nodes say it in many ways, and the estimate's word is what counts.
            return self._estimated_gas(request)
        return enough_gas

    def _estimated_gas(self, request: Mapping[str, str]) -> int:
        try:
            found = self._rpc.call("eth_estimateGas", request)
        except RpcRefused as error:
            if error.rpc_code == _REVERT_CODE or "revert" in error.rpc_message[:200].lower():
                raise TransactionReverted("simulation", _reason(error)) from error
            raise
        return self._read(lambda: int(found, 16))

    def broadcast(self, raw: str) -> None:
        """Raises `RpcRefused` with the node's words."""
        self._rpc.call("eth_sendRawTransaction", raw)

    def _batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return [
            answer
            for start in range(0, len(calls), _BATCH)
            for answer in self._rpc.batch(calls[start : start + _BATCH])
        ]

    def _read(self, reading: Callable[[], T]) -> T:
        try:
            return reading()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NodeUnavailable(self.url, f"an answer of another shape: {str(error)[:100]}") from error


def _place(receipt: Mapping[str, Any]) -> Place:
    return Place(
        block_number=int(receipt["blockNumber"], 16),
        block_hash=str(receipt["blockHash"]),
        succeeded=int(receipt["status"], 16) == 1,
        gas_used=int(receipt["gasUsed"], 16),
        price_wei=int(receipt["effectiveGasPrice"], 16),
    )


def _reason(error: RpcRefused) -> str:
    """The ledger's error, decoded; what does not decode, as it came, and not much of it."""
    if not isinstance(error.data, str) or not error.data.startswith("0x"):
        return error.rpc_message[:200]
    try:
        return decode_error("ComputeLedger", bytes.fromhex(error.data[2 : 2 + 2 * _REVERT_BYTES]))[:500]
    # Bytes that somebody else's contract chose: the decoder has many ways to dislike them.
    except Exception:  # noqa: BLE001
        return error.data[:200]
