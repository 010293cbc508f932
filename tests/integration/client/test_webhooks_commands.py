"""`gridlease webhooks` and `client.webhooks` against the real market."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from backend.webhooks.tables import WebhookRow
from client.errors import NotFound
from gridlease.cli import app
from protocol.wire.webhooks import WebhookChange
from tests.support.served_market import ServedMarket

URL = "http://127.0.0.1:9/hook"


@pytest.fixture(autouse=True)
def _market(served: ServedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLEASE_URL", served.url)
    monkeypatch.setenv("GRIDLEASE_KEY", served.made.key)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["webhooks", *arguments])


def told(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_webhook_from_its_making_to_its_end() -> None:
    made = told("create", URL, "--type", "job.succeeded", "--type", "job.failed", "--description", "CI")
    assert made["secret"].startswith("whsec_")
    assert set(made["types"]) == {"job.succeeded", "job.failed"}
    (listed,) = told("list")
    assert (listed["id"], "secret" in listed) == (made["id"], False)
    assert made["secret"] not in run("list").output
    ping = told("ping", made["id"])
    (message,) = told("log", made["id"])["data"]
    assert (message["id"], message["type"], message["state"]) == (ping["id"], "webhook.ping", "pending")
    assert told("log", made["id"], "--state", "failed")["data"] == []
    assert told("resend", made["id"], ping["id"])["id"] == ping["id"]
    changed = told("set", made["id"], "--disable")
    assert (changed["enabled"], changed["types"]) == (False, made["types"])
    assert told("set", made["id"], "--enable", "--type", "lease.*")["types"] == ["lease.*"]
    rotated = told("rotate", made["id"])
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert told("delete", made["id"]) == {"deleted": made["id"]}
    assert told("list") == []
    assert run("log", made["id"]).exit_code == 1


def test_one_that_was_disabled_says_why_and_no_strangers_text_steers_the_terminal(served: ServedMarket) -> None:
    made = told("create", URL)
    with served.market.db.write() as session:
        row = session.get_one(WebhookRow, made["id"])
        row.disabled_ms, row.disabled_why = 1, "answered \x1b[31m410"
        session.add(row)
    shown = run("list")
    assert "disabled: answered" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_a_type_that_does_not_exist_is_named_before_anything_is_asked() -> None:
    result = run("create", URL, "--type", "job.suceeded")
    assert (result.exit_code, "'job.suceeded'" in result.output) == (2, True)
    assert run("log", "wh_1", "--state", "lost").exit_code == 2
    assert run("set", "wh_1").exit_code == 2


def test_the_sdk_pages_through_the_log(served: ServedMarket) -> None:
    with served.client() as client:
        made = client.webhooks.create(URL)
        sent = [client.webhooks.ping(made.id).id for _ in range(3)]
        first = client.webhooks.log(made.id, limit=2)
        assert first.next_page_token is not None
        rest = client.webhooks.log(made.id, limit=2, page_token=first.next_page_token)
        assert [message.id for message in (*first.data, *rest.data)] == sent[::-1]
        assert client.webhooks.change(made.id, WebhookChange(description="now with words")).description
        client.webhooks.delete(made.id)
        with pytest.raises(NotFound):
            client.webhooks.get(made.id)
