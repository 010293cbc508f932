"""One attempt: a signed POST to the pinned address, of whose answer only the status is read."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ssl import SSLContext, SSLError
from typing import Final

import httpx
from standardwebhooks.webhooks import Webhook

from backend.webhooks.addresses import AddressRefused, pinned, resolve

MOST_SECONDS: Final = 5.0
"""From the look-up of the name to the status, whatever the other side does."""
_PREFIX: Final = "whsec_"
Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent where, and with which secrets it is signed, the newest first."""

    id: str
    url: httpx.URL
    body: str
    secrets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How it went."""

    #: HTTP status; None where nobody answered
    status: int | None
    #: why it did not succeed, without a word of the answer; None = it did
    fact: str | None
    took_ms: int


def spelt(secret: bytes) -> str:
    """A secret as Standard Webhooks' libraries take it."""
    return _PREFIX + base64.b64encode(secret).decode()


def signed_headers(message: Message, time_: int) -> dict[str, str]:
    """The three headers of Standard Webhooks; `time_` in unix seconds."""
    at = datetime.fromtimestamp(time_, UTC)
    signatures = [Webhook(secret).sign(message.id, at, message.body) for secret in message.secrets]
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(time_),
        "webhook-signature": " ".join(signatures),
    }


class Sender:
    """Sends; `private` allows http:// and addresses that are not public."""

    def __init__(self, *, private: bool, find: Resolve = resolve, context: SSLContext | None = None) -> None:
        self._private = private
        self._find = find
        self._context = context or httpx.create_ssl_context()

    async def send(self, message: Message, time_: int) -> Attempt:
        """Never raises for what the other side does; `time_` in unix seconds."""
        started = time.monotonic()
        status, fact = None, None
        try:
            async with asyncio.timeout(MOST_SECONDS):
                status = await self._post(message, time_)
        except TimeoutError:
            fact = f"no answer within {MOST_SECONDS:g} s"
        except AddressRefused as refusal:
            fact = str(refusal)
        except httpx.HTTPError as error:
            fact = _cause(error)
        except (OSError, UnicodeError):
            fact = "the host is not found"
        if status is not None and not 200 <= status < 300:
            # A redirect is one of them: it could lead anywhere.
            fact = f"HTTP {status}"
        return Attempt(status=status, fact=fact, took_ms=round((time.monotonic() - started) * 1000))

    async def _post(self, message: Message, time_: int) -> int:
        url = message.url
        if url.scheme != "https" and not self._private:
            raise AddressRefused("the URL is not https")
        host = url.raw_host.decode()
        address = pinned(await self._find(host, _port(url)), private=self._private)
        headers = {
            **signed_headers(message, time_),
            "host": url.netloc.decode(),
            "content-type": "application/json",
            "user-agent": "Gridlease-Webhooks/1",
        }
        # A client of its own for each: no cookie and no connection is carried from one receiver to another. No proxy
        # of the environment: it would look the name up again.
        async with httpx.AsyncClient(verify=self._context, trust_env=False, follow_redirects=False) as client:
            request = client.build_request(
                "POST",
                # The address that was looked at, whatever the name means a moment later.
                url.copy_with(host=address),
                content=message.body.encode(),
                headers=headers,
                # TLS is still with the host that the URL names.
                extensions={"sni_hostname": host},
            )
            response = await client.send(request, stream=True)
            # The body is never read, however long it is.
            await response.aclose()
            return response.status_code


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _cause(error: httpx.HTTPError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SSLError):
            return "no trusted TLS certificate for the host"
        cause = cause.__cause__ or cause.__context__
    return "no connection" if isinstance(error, httpx.ConnectError) else "the connection broke"
