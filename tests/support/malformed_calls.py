"""Calls of the market's API that no honest program makes, by seed: an honest one, broken in one or two places.

Broken are its body, its path, its query, its headers, or how all of that is framed on the connection.
"""

import base64
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from tests.support.malformed import NASTY, bytes_of, one_line

Pairs = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. It is honest until something breaks it."""

    method: bytes
    path: bytes
    #: of the path, those parts that name somebody's things
    names: tuple[bytes, ...] = ()
    query: bytes = b""
    headers: Pairs = ()
    body: bytes = b""
    #: whether the server has all that it needs for an answer at once
    is_whole: bool = True
    #: the bytes to send, where the fault is in how they are framed
    framed: bytes | None = None

    def raw(self) -> bytes:
        """As it goes over a socket."""
        return self.framed if self.framed is not None else _head(self) + b"\r\n" + self.body


def broken(random: Random, honest: Sequence[Call]) -> Call:
    """One of the honest calls with one or two faults."""
    call = random.choice(honest)
    for _ in range(random.choice((1, 1, 2))):
        call = random.choice(_BREAKS)(random, call)
    return _framed(random, call) if random.random() < 0.15 else call


def _head(call: Call, *more: bytes) -> bytes:
    target = call.path + (b"?" + call.query if call.query else b"")
    lines = [call.method + b" " + target + b" HTTP/1.1", b"Host: market.test", b"Connection: close"]
    lines += [name + b": " + value for name, value in call.headers]
    named = {name.lower() for name, _ in call.headers}
    if not named & {b"content-length", b"transfer-encoding"} and not more:
        lines.append(b"Content-Length: %d" % len(call.body))
    return b"\r\n".join([*lines, *more, b""])


def _with(call: Call, name: bytes, value: bytes) -> Call:
    others = tuple(pair for pair in call.headers if pair[0].lower() != name.lower())
    return replace(call, headers=(*others, (name, value)))


_DEEP: Final = 20_000
_JSON: Final = (
    b"",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"0",
    b"-1",
    b"-0.0",
    b"1e400",
    b"1.5",
    b"NaN",
    b"-Infinity",
    b"9" * 30,
    b"9" * 5000,
    b"18446744073709551616",
    b'"18446744073709551616"',
    b'"' + b"9" * 78 + b'"',
    b'"-1"',
    b'"NaN"',
    b'"1e999"',
    b'"Infinity"',
    b'"\\ud800"',
    b'"\\ud83d\\ude00"',
    b'"\\u0000"',
    b'"a\\u0000b"',
    b'"\xff\xfe"',
    b'"\xed\xa0\x80"',
    b'"\\x00"',
    b'"\x01"',
    '"٣"'.encode(),
    b'"0x"',
    b'"0x' + b"00" * 32 + b'"',
    b'"0x' + b"ff" * 65 + b'"',
    b'"' + b"a" * 70_000 + b'"',
    b'"https://\\ud800.example/"',
    b'"https://[::1"',
    b'"https://user:pass@xn--/:99999"',
    b'"http://example.org:0/%00"',
    b'"' + "é".encode() * 40 + b'"',
    b"[" * _DEEP + b"]" * _DEEP,
    b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    b"[" * _DEEP,
    b'{"a":1,"a":2}',
    b'{"__proto__":{},"":0}',
    b"[" + b"0," * 20_000 + b"0]",
    b'{"1":' + b'"x"}',
    b"2024-01-01",
)
_HOLE: Final = "a hole for what is no JSON"


def _json_with_a_hole(random: Random, body: bytes, filling: bytes) -> bytes:
    """Some value, or name, of the body is another."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        # Broken before.
        return filling
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    if isinstance(document, dict | list):
        walk(document)
    if not places:
        return filling
    holder, key = random.choice(places)
    choice = random.random()
    if choice < 0.08 and isinstance(holder, dict):
        del holder[key]
        return json.dumps(document).encode()
    if choice < 0.16 and isinstance(holder, dict):
        # The same name twice, and one that nobody knows.
        holder[_HOLE] = 1
        return json.dumps(document).encode().replace(_HOLE.encode(), str(key).encode())
    holder[key] = _HOLE
    return json.dumps(document).encode().replace(json.dumps(_HOLE).encode(), filling)


def _body(random: Random, call: Call) -> Call:
    is_json = call.body.startswith(b"{")
    if is_json and random.random() < 0.7:
        return replace(call, body=_json_with_a_hole(random, call.body, random.choice(_JSON)))
    body = random.choice(
        (
            random.choice(_JSON),
            call.body[: random.randrange(len(call.body) + 1)],
            b"\xef\xbb\xbf" + call.body,
            call.body + b"\0",
            call.body * 2,
            call.body.decode("latin-1").encode("utf-16"),
            call.body.decode("latin-1").encode("utf-32"),
            bytes(random.randrange(256) for _ in range(random.randrange(60))),
            b"a=1&b=2",
            b"--x\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n",
        )
    )
    if random.random() < 0.15:
        # 4 MiB of nothing, in 4 KB.
        return _with(replace(call, body=gzip.compress(bytes(1 << 22))), b"content-encoding", b"gzip")
    return replace(call, body=body)


def _path(random: Random, call: Call) -> Call:
    if not call.names or random.random() < 0.1:
        return replace(call, path=call.path.replace(b"/", random.choice((b"//", b"/./", b"/%2e%2e/", b"/%2f"))))
    name = random.choice(call.names)
    other = random.choice((bytes_of(random), name.upper(), name[:-1], name + b"0", name + b"%00", b"%2f" + name))
    return replace(call, path=call.path.replace(name, other.replace(b"?", b"").replace(b" ", b"%20")))


_QUESTIONS: Final = (
    b"limit",
    b"page_token",
    b"state",
    b"created_after",
    b"created_before",
    b"dry_run",
    b"after",
    b"all",
    b"",
    b"limit[]",
    b"__proto__",
)
_TOKENS: Final = (
    b"job_" + b"0" * 26,
    b"job_" + b"z" * 26,
    b"msg_" + b"0" * 26,
    b"job_" + b"0" * 26 + b"%0a",
    b"job_%00",
    b"A" * 5000,
    b"eyJhIjoxfQ==",
    b"2026-13-45T99:99:99Z",
    b"9999-12-31T23:59:59%2B23:59",
    b"0001-01-01T00:00:00-23:59",
    b"0001-01-01T00:00:00%2B14:00",
    b"1e300",
    b"-99999999999999",
)


def _query(random: Random, call: Call) -> Call:
    def value() -> bytes:
        return (random.choice(_TOKENS) if random.random() < 0.6 else bytes_of(random)).replace(b" ", b"%20")

    parts = [random.choice(_QUESTIONS) + b"=" + value() for _ in range(random.choice((1, 2, 3, 200)))]
    return replace(call, query=random.choice((b"&", b"&", b";", b"&&")).join(parts))


def _metadata(cid: bytes) -> bytes:
    return b"cid " + base64.b64encode(cid)


_HEADERS: Final[tuple[tuple[bytes, tuple[bytes, ...]], ...]] = (
    (b"idempotency-key", (b"", b" ", b"x" * 256, b"x" * 9000, b"\xff\xfe", "ключ".encode(), b"\x7f", b'"a"', b"a\tb")),
    (b"prefer", (b"wait", b"wait=-1", b"wait=0", b"wait=1.5", b"wait=\xb2", b"wait=,wait=", b"," * 4000)),
    (
        b"range",
        (
            b"bytes=0-",
            b"bytes=-1",
            b"bytes=-0",
            b"bytes=9-1",
            b"bytes=0-0,2-2",
            b"bytes=" + b",".join(b"%d-%d" % (n % 9, n % 9) for n in range(1500)),
            b"bytes=" + b"0-," * 1500,
            b"bytes=" + b"9" * 400 + b"-",
            b"bytes=" + b"9" * 5000 + b"-",
            b"bytes=a-b",
            b"bytes=--1",
            b"bytes",
            b"items=0-1",
            b"bytes=0-\xb2",
        ),
    ),
    (b"if-range", (b'"x"', b"Wed, 99 Foo 2099 99:99:99 GMT", b"\xff")),
    (b"if-none-match", (b"*", b'W/"', b'"' * 3000)),
    (b"upload-length", (b"", b"-1", b"1e3", b"9" * 18, b"9" * 19, b"0", b"\xb2", b"0x10", b"1,1")),
    (b"upload-offset", (b"", b"-1", b"1", b"9" * 18, b"9" * 19, b"\xb2", b"0,0")),
    (b"upload-defer-length", (b"1", b"9")),
    (
        b"upload-metadata",
        (
            b"",
            b"cid",
            b"cid !!!",
            b"cid " + b"A" * 6000,
            _metadata(b"../../etc/passwd"),
            _metadata(b"\xff\xfe"),
            _metadata(b"b" * 59),
            b"," * 3000,
            b"cid=x",
        ),
    ),
    (b"upload-concat", (b"partial", b"final;/v1/files/uploads/a /v1/files/uploads/b")),
    (b"tus-resumable", (b"", b"0.2.2", b"1.0.0,1.0.0", b"\xff" * 30)),
    (b"x-http-method-override", (b"DELETE", b"PATCH")),
    (
        b"authorization",
        (
            b"",
            b"Bearer",
            b"Bearer ",
            b"Bearer \xff\xfe",
            b"Bearer glk_test_" + b"A" * 8000,
            b"Bearer glk_" + b"0" * 40,
            b"Bearer gls_\xc3\xa9",
            b"Bearer a b c",
            b"Basic YTpi",
            b"Digest x",
            b"bEaReR  gls_x",
        ),
    ),
    (b"last-event-id", (b"", b"-1", b"0", b"9" * 9, b"9" * 10, b"\xb2", b"1e3", b"a\x00b")),
    (
        b"content-type",
        (
            b"",
            b"text/plain",
            b"application/json; charset=utf-16",
            b"application/json; charset=nonsense",
            b"application/problem+json",
            b"application/x-www-form-urlencoded",
            b"multipart/form-data",
            b"multipart/form-data; boundary=x",
            b"application/xml",
            b"application/" + b"x" * 5000 + b"+json",
            b"/;;;=",
            b"\xff",
        ),
    ),
    (b"content-encoding", (b"gzip", b"deflate, br", b"identity", b"zstd")),
    (b"accept", (b"text/csv", b"*/*;q=nan", b"/" * 4000)),
    (b"expect", (b"100-continue", b"200-maybe")),
    (b"x-request-id", (b"", b"a b", b"x" * 500, b"\xff", b"a\tb", b"<script>")),
    (b"x-forwarded-for", (b"127.0.0.1", b"::1", b"a" * 2000)),
    (b"forwarded", (b"for=127.0.0.1",)),
    (b"host", (b"", b"evil.example", b"[::1", b"a" * 3000, b"a:b:c")),
    (b"cookie", (b"a=b", b";" * 5000)),
    (b"connection", (b"keep-alive, upgrade", b"close, close", b"\xff")),
    (b"upgrade", (b"websocket", b"h2c")),
    (b"content-length", (b"", b"-1", b"+5", b"5,5", b"0x5", b"1e3", b"9" * 30, b"\xb2")),
    (b"transfer-encoding", (b"identity", b"gzip", b"xchunked", b"chunked, identity", b"\x0bchunked")),
)


def _header(random: Random, call: Call) -> Call:
    name, values = random.choice(_HEADERS)
    value = random.choice(values) if random.random() < 0.9 else one_line(random.choice(NASTY))
    if random.random() < 0.15:
        # Said twice, not the same.
        return replace(call, headers=(*call.headers, (name, value), (name, one_line(bytes_of(random)))))
    # A body that is announced and does not come, or more than what comes, is waited for.
    waits = name in (b"content-length", b"transfer-encoding", b"expect")
    return replace(_with(call, name, value), is_whole=call.is_whole and not waits)


def _method(random: Random, call: Call) -> Call:
    other = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"get", b"PURGE", b"M" * 40)
    return replace(call, method=random.choice(other))


def _credential(random: Random, call: Call) -> Call:
    """Nobody's, or one that is cut, so that what comes before sign-in is tried too."""
    return replace(call, headers=tuple(pair for pair in call.headers if pair[0].lower() != b"authorization"))


_BREAKS: Final[tuple[Callable[[Random, Call], Call], ...]] = (
    *(_body,) * 6,
    *(_path,) * 2,
    *(_query,) * 2,
    *(_header,) * 5,
    _method,
    _credential,
)


def _framed(random: Random, call: Call) -> Call:
    """What the bytes on the connection say of where a request ends is not true, or not clear, or not HTTP."""
    body, size = call.body, b"%x" % len(call.body)
    plain = tuple(pair for pair in call.headers if pair[0].lower() not in (b"content-length", b"transfer-encoding"))
    call = replace(call, headers=plain)
    chunked, length = b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(body)
    chunks = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    hidden = b"GET /v1/account HTTP/1.1\r\nHost: market.test\r\n\r\n"
    line, rest = _head(call).split(b"\r\n", 1)
    forms: tuple[bytes, ...] = (
        _head(call, chunked) + b"\r\n" + chunks,
        _head(call, chunked) + b"\r\n" + b"zz\r\n" + body,
        _head(call, chunked) + b"\r\n" + b"F" * 17 + b"\r\n" + body,
        _head(call, chunked) + b"\r\n" + b"-1\r\n" + body,
        _head(call, chunked) + b"\r\n" + b"1;" + b"e" * 70_000 + b"\r\nx\r\n0\r\n\r\n",
        _head(call, chunked) + b"\r\n" + chunks[:-5] + b"0\r\nTrailer: " + b"x" * 70_000 + b"\r\n\r\n",
        _head(call, chunked) + b"\r\n" + chunks[: len(chunks) // 2],
        _head(call, length, chunked) + b"\r\n" + chunks,
        _head(call, b"Content-Length: 4", chunked) + b"\r\n0\r\n\r\n" + hidden,
        _head(call, b"Transfer-Encoding : chunked", length) + b"\r\n" + body,
        _head(call, length, b"Content-Length: 0") + b"\r\n" + body + hidden,
        _head(call, b"Content-Length: %d" % (len(body) + 9)) + b"\r\n" + body,
        _head(call, b"Content-Length: %d" % (len(body) // 2)) + b"\r\n" + body + hidden,
        _head(call, length) + b"X-Folded: a\r\n b\r\n\r\n" + body,
        _head(call, length) + b"X Space: a\r\n\r\n" + body,
        _head(call, length) + b"no colon\r\n\r\n" + body,
        _head(call, length) + b"X-Nul: a\0b\r\n\r\n" + body,
        _head(call, length) + b"".join(b"X-%d: y\r\n" % number for number in range(3000)) + b"\r\n" + body,
        _head(call, length) + b"X-Long: " + b"y" * 300_000 + b"\r\n\r\n" + body,
        (_head(call, length) + b"\r\n").replace(b"\r\n", b"\n") + body,
        (_head(call, length) + b"\r\n").replace(b"\r\n", b"\r") + body,
        line.replace(b"HTTP/1.1", b"HTTP/9.9") + b"\r\n" + rest + b"\r\n" + body,
        line.replace(b"HTTP/1.1", b"") + b"\r\n" + rest + b"\r\n" + body,
        line.replace(b"/v1", b"http://evil.example/v1", 1) + b"\r\n" + rest + b"\r\n" + body,
        line.replace(b" /", b"  /", 1) + b"\r\n" + rest + b"\r\n" + body,
        line.replace(call.path, b"*") + b"\r\n" + rest + b"\r\n" + body,
        line.replace(call.path, call.path + b"a" * 300_000) + b"\r\n" + rest + b"\r\n" + body,
        b"\r\n" * 50 + call.raw(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(40),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60),
        call.raw()[: random.randrange(1, len(call.raw()))],
    )
    return replace(call, framed=random.choice(forms), is_whole=False)
