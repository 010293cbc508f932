"""Requests to `/v1/ledger` that no honest program sends, by seed: bad encodings, absurd numbers, odd headers.

Those to the market's own routes are made in tests.support.malformed_calls.
"""

from random import Random
from typing import Any, Final

_PATHS: Final = (
    "status",
    "stats",
    "blocks",
    "blocks/{}",
    "transactions",
    "transactions/{}",
    "events",
    "reorgs",
    "audits",
    "coverage",
    "leases",
    "leases/{}",
    "payments",
    "jobs/{}",
    "accounts",
    "accounts/{}",
    "accounts/{}/statement",
    "accounts/{}/delegates",
    "providers",
    "providers/{}",
    "search",
    "stream",
    "proofs/{}/{}",
    "{}",
    "{}/{}",
    "leases/{}/{}",
)
_NAMES: Final = (
    "limit",
    "page_token",
    "total",
    "format",
    "min_block",
    "at_block",
    "lease",
    "account",
    "transaction",
    "block",
    "kind",
    "orphaned",
    "buyer",
    "provider",
    "job",
    "order",
    "state",
    "q",
    "after",
    "LIMIT",
    "limit[]",
    "__proto__",
    "",
)
NASTY: Final = (
    b"",
    b"0",
    b"-1",
    b"1e9",
    b"9" * 40,
    b"18446744073709551616",
    b"0x",
    b"0x" + b"g" * 64,
    b"0x" + b"ab" * 32,
    b"0x" + b"AB" * 20,
    b"0X" + b"ab" * 20,
    b"%00",
    b"%0d%0aSet-Cookie:%20a=b",
    b"%ff%fe",
    b"%c0%af",
    b"%ed%a0%80",
    b"%",
    b"%zz",
    b"%25%30%30",
    b"..%2f..%2fetc%2fpasswd",
    b"../../..",
    b"'%20OR%201=1--",
    b"<script>alert(1)</script>",
    b"{{7*7}}",
    b"${jndi:ldap://x}",
    b"null",
    b"NaN",
    b"true",
    b"[]",
    b"%E2%80%AE0x12",
    b"%F0%9F%92%A9" * 5,
    "٣".encode(),
    b"+",
    b"b" * 59,
    b"bafkrei" + b"a" * 52,
    b"a" * 3000,
    b"A" * 98,
    b"json",
    b"csv",
    b"ndjson",
    b"open",
    b"35",
)
_HEADERS: Final = (
    "accept",
    "accept-encoding",
    "if-none-match",
    "last-event-id",
    "range",
    "content-length",
    "content-type",
    "transfer-encoding",
    "cookie",
    "host",
    "x-forwarded-for",
    "authorization",
    "user-agent",
)
_METHODS: Final = ("GET",) * 17 + ("POST", "HEAD", "OPTIONS", "get", "PURGE", "X" * 50)


def bytes_of(random: Random) -> bytes:
    """One value: a known trap, noise, or both."""
    choice = random.random()
    if choice < 0.7:
        return random.choice(NASTY)
    noise = bytes(random.randrange(256) for _ in range(random.randrange(40)))
    return noise if choice < 0.9 else random.choice(NASTY) + noise


def request_of(random: Random) -> dict[str, Any]:
    """`method`, `path` and `query` as raw bytes, `headers` as raw pairs."""
    path = b"/v1/ledger/" + random.choice(_PATHS).encode()
    while b"{}" in path:
        path = path.replace(b"{}", bytes_of(random).replace(b"?", b"").replace(b"{}", b""), 1)
    if random.random() < 0.05:
        path = path.replace(b"/", b"//") + bytes_of(random)
    parts = [random.choice(_NAMES).encode() + b"=" + bytes_of(random) for _ in range(random.randrange(4))]
    headers = [(random.choice(_HEADERS).encode(), one_line(bytes_of(random))) for _ in range(random.randrange(3))]
    return {
        "method": random.choice(_METHODS),
        "path": path,
        "query": random.choice((b"&", b"&", b";", b"&&")).join(parts),
        "headers": headers,
    }


def one_line(value: bytes) -> bytes:
    """A header's value may hold any byte but a line's end."""
    return value.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")


def raw_request(request: dict[str, Any]) -> bytes:
    """As it goes over a socket, line ends in the path included."""
    target: bytes = request["path"] + (b"?" + request["query"] if request["query"] else b"")
    head: bytes = request["method"].encode() + b" " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    return head + b"".join(name + b": " + value + b"\r\n" for name, value in request["headers"]) + b"\r\n"
