"""Where a webhook may go (threat A6): to public addresses only, and to the very one that was looked at."""

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import httpx

from backend.errors import BadRequest

MOST_CHARACTERS: Final = 2000
_REMEDY: Final = "give a public https:// URL without a user name or a fragment"
_HOST: Final = re.compile(rb"[0-9A-Za-z._-]+|[0-9A-Fa-f:.]+")
#: IPv4 addresses in the clothes of IPv6 ones; no public server needs to be named by one
_DISGUISES: Final = tuple(
    ip_network(text) for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)


class AddressRefused(Exception):
    """The host has no address that a webhook may go to."""


def target_of(text: str, *, private: bool) -> httpx.URL:
    """The URL if a webhook may be sent to it; `private` allows http:// and any address. Raises `BadRequest`."""
    if len(text) > MOST_CHARACTERS:
        raise BadRequest(f"url is over {MOST_CHARACTERS} characters", remedy=_REMEDY)
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise BadRequest("url is none", remedy=_REMEDY) from None
    schemes = ("https", "http") if private else ("https",)
    named = _HOST.fullmatch(url.raw_host) is not None and (url.port is None or 0 < url.port < 1 << 16)
    if url.scheme not in schemes or not named or url.userinfo or url.fragment:
        raise BadRequest(f"url must begin with {schemes[0]}:// and name only a host, a port and a path", remedy=_REMEDY)
    if not private and _is_literal(url.host) and not is_public(url.host):
        raise BadRequest("url names an address that is not public", remedy=_REMEDY)
    return url


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system finds them; raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def pinned(addresses: list[str], *, private: bool) -> str:
    """The address to connect to. One that is not public spoils them all: who names it means no good."""
    if not addresses:
        raise AddressRefused("the host has no address")
    if not private and not all(is_public(address) for address in addresses):
        raise AddressRefused("the host has an address that is not public")
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether packets to the address leave for the internet and nowhere else."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and any(address in network for network in _DISGUISES):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or _is_scoped(address))


def _is_scoped(address: IPv4Address | IPv6Address) -> bool:
    return isinstance(address, IPv6Address) and address.scope_id is not None


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
