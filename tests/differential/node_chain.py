"""The same operations on a real node: anvil, one block an operation."""

import time
from typing import Any

from eth_abi.abi import encode

from protocol.calls import artefact
from protocol.hashing import Address, checksum_address, from_hex, to_hex
from tests.differential.chain import GENESIS_TIME, MIN_NOTICE, Answer
from tests.support.anvil import DEPLOYER, Anvil

NODE_OPTIONS = (
    "--auto-impersonate", "--gas-price", "0", "--base-fee", "0", "--timestamp", str(GENESIS_TIME - 1000),
    "--hardfork", "cancun",
)  # fmt: skip
_GAS = hex(25_000_000)
_CHUNK = 500


class NodeChain:
    """Anvil that lets anybody send."""

    def __init__(self, node: Anvil) -> None:
        self._rpc = node.rpc
        self._time = GENESIS_TIME - 900
        self.token = self._create("TestDollar", b"")
        self.registry = self._create("ProviderRegistry", b"")
        terms = encode(["address", "address", "uint32"], [self.token, self.registry, MIN_NOTICE])
        self.ledger = self._create("ComputeLedger", terms)

    def _create(self, contract: str, arguments: bytes) -> Address:
        code = from_hex(artefact(contract)["bytecode"]) + arguments
        sent = {"from": DEPLOYER.address, "data": to_hex(code), "gas": _GAS}
        receipt = self._mined(self._rpc.call("eth_sendTransaction", sent))
        return checksum_address(receipt["contractAddress"])

    def send(self, caller: Address, to: Address, data: bytes, at: int) -> Answer:
        # A block is later than the one before.
        self._time = max(at, self._time + 1)
        transaction = {"from": caller, "to": to, "data": to_hex(data), "gas": _GAS, "gasPrice": "0x0"}
        self._rpc.call("evm_setNextBlockTimestamp", self._time)
        tx_hash = self._rpc.call("eth_sendTransaction", transaction)
        receipt = self._mined(tx_hash)
        trace, block = self._rpc.batch(
            [
                ("debug_traceTransaction", (tx_hash, {"tracer": "callTracer"})),
                ("eth_getBlockByNumber", ("latest", False)),
            ]
        )
        assert receipt["blockHash"] == block["hash"]
        return Answer(
            ok=int(receipt["status"], 16) == 1,
            output=from_hex(trace.get("output") or "0x"),
            logs=[
                (checksum_address(log["address"]), [from_hex(topic) for topic in log["topics"]], from_hex(log["data"]))
                for log in receipt["logs"]
            ],
            block=int(block["number"], 16),
            time=int(block["timestamp"], 16),
            parent_hash=from_hex(block["parentHash"]),
            randomness=from_hex(block["mixHash"]),
        )

    def _mined(self, tx_hash: str) -> dict[str, Any]:
        for _ in range(1000):
            receipt: dict[str, Any] | None = self._rpc.call("eth_getTransactionReceipt", tx_hash)
            if receipt is not None:
                return receipt
            time.sleep(0.005)
        raise AssertionError(f"{tx_hash} is in no block")

    def slots(self, wanted: list[tuple[Address, int]]) -> list[int]:
        calls = [("eth_getStorageAt", (address, f"0x{slot:064x}", "latest")) for address, slot in wanted]
        found: list[str] = []
        for start in range(0, len(calls), _CHUNK):
            found += self._rpc.batch(calls[start : start + _CHUNK])
        return [int(word, 16) for word in found]

    def view(self, to: Address, data: bytes) -> bytes:
        return from_hex(self._rpc.call("eth_call", {"to": to, "data": to_hex(data)}, "latest"))

    def install(self, address: Address, code: bytes) -> None:
        self._rpc.call("anvil_setCode", address, to_hex(code))
