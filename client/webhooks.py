"""Webhooks: where the market sends the account's events, and what became of each."""

from collections.abc import Sequence
from urllib.parse import quote

from client.http import Http
from protocol.wire.webhooks import (
    MessageState,
    NewWebhook,
    RotateRequest,
    Webhook,
    WebhookChange,
    WebhookList,
    WebhookMessage,
    WebhookMessagePage,
    WebhookRequest,
)

EVERYTHING = ("job.*", "lease.*")


class Webhooks:
    """The account's endpoints."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, url: str, *, types: Sequence[str] = EVERYTHING, description: str = "") -> NewWebhook:
        """A new endpoint. Its secret (`whsec_…`, Standard Webhooks) is in this answer and never again."""
        request = WebhookRequest(url=url, types=list(types), description=description)
        return self._http.post("/v1/webhooks", NewWebhook, request)

    def all(self) -> list[Webhook]:
        return self._http.get("/v1/webhooks", WebhookList).data

    def get(self, webhook_id: str) -> Webhook:
        return self._http.get(_path(webhook_id), Webhook)

    def change(self, webhook_id: str, change: WebhookChange) -> Webhook:
        """Only what was set in `change`."""
        return self._http.patch(_path(webhook_id), Webhook, change)

    def rotate(self, webhook_id: str, *, overlap_seconds: int = 86_400) -> NewWebhook:
        """A new secret; messages are signed by the old one too for so long."""
        return self._http.post(_path(webhook_id, "rotate"), NewWebhook, RotateRequest(overlap_seconds=overlap_seconds))

    def ping(self, webhook_id: str) -> WebhookMessage:
        """Sends a message of type `webhook.ping`."""
        return self._http.post(_path(webhook_id, "ping"), WebhookMessage)

    def log(
        self, webhook_id: str, *, state: MessageState | None = None, limit: int = 20, page_token: str | None = None
    ) -> WebhookMessagePage:
        """What was sent or is to be, newest first, with each attempt."""
        asked = {"state": state, "page_token": page_token}
        more = {name: value for name, value in asked.items() if value is not None}
        return self._http.get(_path(webhook_id, "messages"), WebhookMessagePage, limit=limit, **more)

    def resend(self, webhook_id: str, message_id: str) -> WebhookMessage:
        """The same message again: same id, same bytes, signed anew."""
        return self._http.post(_path(webhook_id, "messages", message_id, "resend"), WebhookMessage)

    def delete(self, webhook_id: str) -> None:
        """With the log of what was sent to it."""
        self._http.request("DELETE", _path(webhook_id))


def _path(*parts: str) -> str:
    return "/".join(["/v1/webhooks", *(quote(part, safe="") for part in parts)])
