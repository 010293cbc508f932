"""What was asked: parameters by name, in any case, from the query or from a form; those that nothing reads are ignored.

Raises `NotOk` for a value that is malformed, `Malformed` for an identifier that is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request

from explorer.etherscan.replies import NotOk
from explorer.identifiers import Malformed, address_of, hash_of
from explorer.spelling import visible
from protocol.hashing import Address

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_BYTES: Final = 64 << 10
_MOST_FIELDS: Final = 64
#: what no block's number or time reaches, and every database holds
_MOST: Final = 2**62


@dataclass(frozen=True, slots=True)
class Asked:
    """Folded names and what they say; an empty value counts as none."""

    values: Mapping[str, str]

    def find(self, name: str) -> str | None:
        return self.values.get(name)

    def get(self, name: str) -> str:
        value = self.find(name)
        if value is None:
            raise NotOk(f"Error! Missing parameter: {name}")
        return value

    def choice(self, name: str, options: tuple[str, ...], default: str) -> str:
        value = (self.find(name) or default).lower()
        if value not in options:
            raise NotOk(f"Error! Invalid {name}: {_shown(value)} is none of {', '.join(options)}")
        return value

    def number(self, name: str, default: int) -> int:
        value = self.find(name)
        return default if value is None else number_of(name, value)

    def block(self, name: str, default: int, *, latest: int) -> int:
        """A block number in decimal or 0x hex, `latest`, or `earliest`."""
        value = self.find(name)
        if value is None:
            return default
        if value.lower() in ("latest", "earliest"):
            return latest if value.lower() == "latest" else 0
        return number_of(name, value)

    def address(self, name: str = "address") -> Address:
        return _address(self.get(name))

    def addresses(self, name: str, most: int) -> list[Address]:
        """Comma-separated."""
        parts = self.get(name).split(",")
        if len(parts) > most:
            raise NotOk(f"Error! Too many addresses: {len(parts)}, at most {most} at a time")
        return [_address(part) for part in parts]

    def hash(self, name: str, noun: str) -> bytes:
        return hash_of(self.get(name), noun)


async def asked_of(request: Request) -> Asked:
    """Of a GET its query; of a POST also its form, as some libraries send long calls."""
    pairs = request.query_params.multi_items()
    if request.method == "POST":
        pairs = [*pairs, *await _form(request)]
    return Asked(_folded(pairs))


def number_of(name: str, text: str) -> int:
    """A number that a block can have, in decimal or 0x hex."""
    digits, base = (text[2:], 16) if text[:2] in ("0x", "0X") else (text, 10)
    known = digits.isascii() and digits.isalnum() and len(digits) <= 19
    try:
        number = int(digits, base) if known else -1
    except ValueError:
        number = -1
    if not 0 <= number <= _MOST:
        raise NotOk(f"Error! Invalid {name}: {_shown(text)} is no number")
    return number


async def _form(request: Request) -> list[tuple[str, str]]:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise NotOk(f"Error! The form is longer than {_MOST_BYTES} bytes")
    if body and kind != _FORM:
        raise NotOk(f"Error! A POST carries {_FORM}")
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise NotOk(f"Error! The form is not ASCII, or has more than {_MOST_FIELDS} fields") from None


def _folded(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    seen = set()
    for name, value in pairs:
        folded = name.lower()
        if folded in seen:
            raise NotOk(f"Error! Parameter {_shown(name)} is given twice")
        seen.add(folded)
        if value.strip():
            values[folded] = value.strip()
    return values


def _address(text: str) -> Address:
    try:
        return address_of(text)
    except Malformed as error:
        raise NotOk(f"Error! Invalid address format: {visible(error.fact, 120)}") from error


def _shown(text: str) -> str:
    return visible(text, 60)
