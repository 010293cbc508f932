"""`gridlease verify` needs the file and one block hash, names the step that fails, and believes nothing else."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gridlease.cli import app
from protocol.bundle import write_event
from protocol.events import VoucherRedeemed, signature
from protocol.hashing import from_hex, keccak256, to_hex
from protocol.rlp import Item, encode, integer
from tests.support.market_server import LEDGER, PROVIDER

LEASE = bytes([7]) * 32
NUMBER, TIME = 12, 1_700_000_000


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def block_with_a_payment() -> tuple[bytes, bytes]:
    """(block hash, proof file): a block whose only transaction paid 1,234 base units."""
    topics: list[Item] = [keccak256(signature(VoucherRedeemed).encode()), LEASE, bytes(12) + from_hex(PROVIDER)]
    data = word(1_234) + word(5_000) + bytes(32) + word(1)
    log: list[Item] = [from_hex(LEDGER), topics, data]
    receipt = b"\x02" + encode([b"\x01", integer(50_000), bytes(256), [log]])
    # The trie of one entry is one leaf; its key is RLP(0), an even number of nibbles.
    leaf = encode([b"\x20" + encode(integer(0)), receipt])
    header: list[Item] = [bytes(32), bytes(32), bytes(20), bytes(32), bytes(32), keccak256(leaf), bytes(256), b""]
    header += [integer(NUMBER), integer(30_000_000), integer(50_000), integer(TIME), b"", bytes(32), bytes(8)]
    encoded = encode(header)
    return keccak256(encoded), write_event(encoded, 0, [leaf], 0)


BLOCK_HASH, PROOF = block_with_a_payment()


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    path = tmp_path / "proof.json"
    path.write_bytes(PROOF)
    return path


class _Node(BaseHTTPRequestHandler):
    """A node that knows one block."""

    block_hash = BLOCK_HASH

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = request["method"] == "eth_getBlockByNumber" and request["params"][0] == hex(NUMBER)
        block = {"hash": to_hex(self.block_hash)} if known else None
        answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": block}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Silence."""


class _OtherNode(_Node):
    block_hash = bytes(32)


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), getattr(request, "param", _Node))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class TestVerify:
    def test_a_payment_is_proved_against_a_trusted_block_hash(self, proof: Path) -> None:
        result = CliRunner().invoke(app, ["verify", str(proof), "--block-hash", to_hex(BLOCK_HASH), "--ledger", LEDGER])
        assert result.exit_code == 0, result.output
        assert f"Provider {PROVIDER} was paid $0.001234" in result.stdout
        assert "Proved" in result.stdout
        assert result.stderr == ""

    def test_a_node_gives_the_trusted_hash(self, proof: Path, node: str) -> None:
        answer = json.loads(CliRunner().invoke(app, ["verify", str(proof), "--rpc", node, "--json"]).stdout)
        assert (answer["valid"], answer["trusted"], answer["block_number"]) == (True, True, NUMBER)
        assert answer["args"]["amount"] == "1234"

    def test_without_an_anchor_it_says_which_hash_to_trust_and_where_to_get_it(self, proof: Path) -> None:
        result = CliRunner().invoke(app, ["verify", str(proof)])
        assert result.exit_code == 0
        assert to_hex(BLOCK_HASH) in result.stdout
        assert "--block-hash" in result.stderr
        assert "Proved" not in result.stdout

    @pytest.mark.parametrize("node", [_OtherNode], indirect=True)
    def test_another_block_on_the_chain_fails_at_the_anchor(self, proof: Path, node: str) -> None:
        result = CliRunner().invoke(app, ["verify", str(proof), "--rpc", node])
        assert result.exit_code == 1
        assert "proof fails at anchor" in result.stderr

    def test_an_event_of_another_ledger_fails(self, proof: Path) -> None:
        result = CliRunner().invoke(app, ["verify", str(proof), "--ledger", PROVIDER])
        assert result.exit_code == 1
        assert "proof fails at ledger" in result.stderr

    @pytest.mark.parametrize("position", range(0, len(PROOF), 97))
    def test_any_flipped_byte_fails(self, proof: Path, position: int) -> None:
        changed = bytearray(PROOF)
        changed[position] ^= 1
        proof.write_bytes(changed)
        result = CliRunner().invoke(app, ["verify", str(proof), "--block-hash", to_hex(BLOCK_HASH)])
        assert result.exit_code == 1
        assert "proof fails at" in result.stderr

    def test_without_a_node_that_answers_it_is_a_chain_error(self, proof: Path) -> None:
        assert CliRunner().invoke(app, ["verify", str(proof), "--rpc", "http://127.0.0.1:1"]).exit_code == 5

    def test_a_malformed_block_hash_is_a_usage_error(self, proof: Path) -> None:
        assert CliRunner().invoke(app, ["verify", str(proof), "--block-hash", "0x12"]).exit_code == 2
