"""The one error tree. Each class builds its own message: fact, expected, found, remedy.

GridleaseError
├── ProtocolError            a message or a file breaks the protocol
│   ├── BadHex · BadCid · BadManifest · BadProof
│   ├── TermOutOfRange
│   └── BadSignature
├── ChainError               the node or the ledger said no
│   ├── WrongChain · NodeUnavailable · RpcRefused
│   ├── TransactionReverted · TransactionNotMined
│   └── DeploymentMissing · DeploymentOutdated
├── MirrorError              the mirror and the chain differ (room: indexer)
└── MarketError              the market refused a request (rooms: backend, client, provider)
    └── NoNodeNamed

`code` is stable: programs match it, people read the message.
"""

from urllib.parse import urlsplit


class GridleaseError(Exception):
    """Root of all expected errors."""

    code: str = "error"


class ProtocolError(GridleaseError):
    """A message, a file or a number breaks the protocol."""

    code = "protocol"


class BadHex(ProtocolError):
    """Text that should be 0x-prefixed lower- or upper-case hex of a given size is not."""

    code = "bad_hex"

    def __init__(self, text: str, size: int | None) -> None:
        self.size = size
        expected = "0x-prefixed hex" if size is None else f"0x and {2 * size} hex digits"
        super().__init__(f"expected {expected}, found {text[:80]!r}")


class BadCid(ProtocolError):
    """Text is not a CIDv1 (base32, raw, sha2-256)."""

    code = "bad_cid"

    def __init__(self, text: str) -> None:
        super().__init__(f"expected a CIDv1 in base32 (raw, sha2-256), starting with 'bafkrei', found {text[:80]!r}")


class BadManifest(ProtocolError):
    """A job manifest that no provider can run."""

    code = "bad_manifest"

    def __init__(self, field: str, fact: str, remedy: str) -> None:
        self.field = field
        self.remedy = remedy
        super().__init__(f"manifest {field}: {fact}; {remedy}")


class BadProof(ProtocolError):
    """A proof bundle fails at a named step."""

    code = "bad_proof"

    def __init__(self, step: str, fact: str) -> None:
        self.step = step
        super().__init__(f"proof fails at {step}: {fact}")


class TermOutOfRange(ProtocolError):
    """A field of a signed message does not fit its type."""

    code = "term_out_of_range"

    def __init__(self, field: str, expected: str, found: object) -> None:
        self.field = field
        super().__init__(f"{field}: expected {expected}, found {str(found)[:80]}")


class BadSignature(ProtocolError):
    """A signature is malformed, malleable, or by somebody else."""

    code = "bad_signature"

    def __init__(self, fact: str) -> None:
        super().__init__(f"signature refused: {fact}; sign the exact message with the key that it names")


class ChainError(GridleaseError):
    """The node or the ledger refused or cannot be reached."""

    code = "chain"


class WrongChain(ChainError):
    """The node serves another chain than the settings or the deployment say."""

    code = "wrong_chain"

    def __init__(self, expected: int, found: int) -> None:
        self.expected, self.found = expected, found
        super().__init__(
            f"expected chain id {expected}, the node says {found}; point GRIDLEASE_RPC_URL at chain {expected}"
        )


class NodeUnavailable(ChainError):
    """The node does not answer, or not with JSON-RPC. It names the host alone: the rest of a URL can be secret."""

    code = "node_unavailable"

    def __init__(self, url: str, fact: str) -> None:
        parts = urlsplit(url)
        host, secret = parts.netloc.rpartition("@")[2], f"{parts.path}?{parts.query}".rstrip("?")
        node = f"{parts.scheme}://{host}"
        fact = fact.replace(url, node)
        if len(secret) > 1:
            fact = fact.replace(secret, "/…")
        super().__init__(f"node at {node} does not answer: {fact}; is it running, and is GRIDLEASE_RPC_URL right?")


class RpcRefused(ChainError):
    """The node answered with a JSON-RPC error."""

    code = "rpc_refused"

    def __init__(self, method: str, rpc_code: int, message: str, data: object = None) -> None:
        self.method, self.rpc_code, self.rpc_message, self.data = method, rpc_code, message, data
        super().__init__(f"{method} refused by the node ({rpc_code}): {message[:300]}")


class TransactionReverted(ChainError):
    """A transaction was mined and reverted, or would revert."""

    code = "transaction_reverted"

    def __init__(self, what: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{what} reverted: {reason}")


class TransactionNotMined(ChainError):
    """A transaction was sent and no block holds it yet."""

    code = "transaction_not_mined"

    def __init__(self, tx_hash: str, seconds: int) -> None:
        self.tx_hash = tx_hash
        super().__init__(f"transaction {tx_hash} not in a block after {seconds} s; look it up before you send it again")


class DeploymentMissing(ChainError):
    """No deployment file, or no contract at its address."""

    code = "deployment_missing"

    def __init__(self, where: str) -> None:
        super().__init__(f"no ledger found at {where}; run `gridlease deploy` or set GRIDLEASE_DEPLOYMENT")


class DeploymentOutdated(ChainError):
    """A deployment file that an older version wrote."""

    code = "deployment_outdated"

    def __init__(self, path: str) -> None:
        self.remedy = "run `gridlease deploy` again, which keeps what is there and adds what is not"
        super().__init__(f"{path} names no court, so an older version wrote it; {self.remedy}")


class MirrorError(GridleaseError):
    """The mirror cannot follow or does not equal the chain."""

    code = "mirror"


class MarketError(GridleaseError):
    """The market refused a request."""

    code = "market"


class NoNodeNamed(MarketError):
    """The market tells nobody which node it asks, and no other was given."""

    code = "no_node_named"

    def __init__(self) -> None:
        super().__init__("the market names no node of its chain; give --rpc URL, the JSON-RPC of one that you trust")
