"""Webhooks: signed as Standard Webhooks says, sent at least once, and never to where they must not go (threat A6)."""

import asyncio
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from backend.errors import BadRequest
from backend.jobs.tables import JobRow
from backend.operations.gauges import DatabaseGauges
from backend.operations.metrics import WEBHOOK_ATTEMPTS
from backend.webhooks import delivery, sending
from backend.webhooks.addresses import is_public, target_of
from backend.webhooks.delivery import PAUSES, deliver_due
from backend.webhooks.sending import Attempt, Message, Sender, signed_headers, spelt
from backend.webhooks.tables import WebhookMessageRow, WebhookRow
from protocol.clock import now_milliseconds, now_time
from tests.support.databases import Database
from tests.support.paper_market import STRANGER, PaperMarket, paper_market
from tests.support.receiver import Receiver, certificate, drip, flood, receiving


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[PaperMarket]:
    with paper_market(tmp_path, webhooks_to_private=True) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def _ask(paper: PaperMarket, method: str, path: str = "", token: str | None = None, **how: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with paper.http(token) as http:
            return await http.request(method, f"/v1/webhooks{path}", **how)

    return asyncio.run(ask())


def _add(paper: PaperMarket, url: str, **words: Any) -> Any:
    answer = _ask(paper, "POST", json={"url": url, **words})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _log(paper: PaperMarket, webhook: Any) -> list[Any]:
    return list(_ask(paper, "GET", f"/{webhook['id']}/messages").json()["data"])


def _make_due(paper: PaperMarket) -> None:
    """As if the pause were over."""
    with paper.market.db.write() as session:
        for row in session.exec(select(WebhookMessageRow)):
            row.due_ms = 1
            session.add(row)


def _send(url: str, sender: Sender, **message: Any) -> Attempt:
    plain = {"id": "msg_1", "body": "{}", "secrets": (bytes(32),), **message}
    return asyncio.run(sender.send(Message(url=httpx.URL(url), **plain), now_time()))


def _figures(paper: PaperMarket) -> tuple[float, float]:
    """(messages to be sent, seconds that the first is late)."""
    families = DatabaseGauges(paper.market).collect()
    found = {sample.name: sample.value for family in families for sample in family.samples}
    return found["gridlease_market_webhook_messages"], round(found["gridlease_market_webhook_late_seconds"])


class TestSignature:
    def test_it_is_the_one_of_the_published_example(self) -> None:
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        message = Message(
            id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            url=httpx.URL("https://x.test"),
            body='{"test": 2432232314}',
            secrets=(Webhook(secret)._whsecret,),
        )
        headers = signed_headers(message, 1614265330)
        assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        assert spelt(message.secrets[0]) == secret

    def test_a_receiver_checks_it_with_the_secret_that_was_shown_once(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        webhook = _add(paper, receiver.url)
        paper.add_job("job_1")
        assert deliver_due(paper.market) == 1
        (taken,) = receiver.taken
        said = Webhook(webhook["secret"]).verify(taken.body, taken.headers)
        assert (said["type"], said["data"]["job"], said["data"]["sequence"]) == ("job.queued", "job_1", 1)
        with pytest.raises(WebhookVerificationError):
            Webhook(webhook["secret"]).verify(taken.body + b" ", taken.headers)
        assert "secret" not in _ask(paper, "GET", f"/{webhook['id']}").json()
        assert webhook["secret"] not in (paper.market.settings.market_url, paper.market.db.url)

    def test_while_a_rotation_overlaps_both_secrets_hold_and_afterwards_one(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        old = _add(paper, receiver.url)
        new = _ask(paper, "POST", f"/{old['id']}/rotate", json={}).json()
        assert new["secret"] != old["secret"]
        paper.add_job("job_1")
        deliver_due(paper.market)
        for secret in (old["secret"], new["secret"]):
            Webhook(secret).verify(receiver.taken[0].body, receiver.taken[0].headers)
        newest = _ask(paper, "POST", f"/{old['id']}/rotate", json={"overlap_seconds": 0}).json()
        paper.add_job("job_2")
        deliver_due(paper.market)
        Webhook(newest["secret"]).verify(receiver.taken[1].body, receiver.taken[1].headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(new["secret"]).verify(receiver.taken[1].body, receiver.taken[1].headers)


class TestOutbox:
    def test_an_event_and_its_message_are_one_transaction(self, tmp_path: Path, database: Database) -> None:
        with paper_market(tmp_path, database, webhooks_to_private=True) as paper:
            webhook = _add(paper, "http://127.0.0.1:9/")
            paper.add_job("job_1")

            def fails() -> None:
                with paper.market.db.write() as session:
                    job = session.get_one(JobRow, "job_1")
                    job.state = "running"
                    session.add(job)
                    session.flush()
                    raise KeyError

            with pytest.raises(KeyError):
                fails()
            assert [message["type"] for message in _log(paper, webhook)] == ["job.queued"]
            assert deliver_due(paper.market) == 1
            (message,) = _log(paper, webhook)
            assert (message["state"], message["attempts"][0]["fact"]) == ("pending", "no connection")

    def test_an_endpoint_gets_the_types_that_it_asked_for_of_its_own_accounts_jobs(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        some = _add(paper, receiver.url, types=["job.running", "lease.*"])
        foreign = _ask(paper, "POST", token=paper.session_of(STRANGER), json={"url": receiver.url}).json()
        paper.add_job("job_1")
        paper.propose("job_1")
        paper.change_job("job_1", state="running")
        assert [message["type"] for message in _log(paper, some)] == ["job.running", "lease.proposed"]
        with paper.market.db.read() as session:
            rows = session.exec(select(WebhookMessageRow).where(WebhookMessageRow.webhook_id == foreign["id"])).all()
        assert rows == []


class TestDelivery:
    def test_one_from_before_the_clock_was_set_back_does_not_wait_for_its_time_to_come_again(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        _add(paper, receiver.url)
        paper.add_job("job_1")
        with paper.market.db.write() as session:
            for row in session.exec(select(WebhookMessageRow)):
                row.created_ms += 3_600_000
                row.due_ms += 3_600_000
                session.add(row)
        assert deliver_due(paper.market) == 1

    def test_it_comes_again_after_growing_pauses_with_the_same_id_until_it_is_given_up(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        receiver.answers = lambda _: 500
        webhook = _add(paper, receiver.url, types=["job.queued"])
        paper.add_job("job_1")
        for pause in PAUSES:
            before = now_milliseconds()
            assert deliver_due(paper.market) == 1
            assert deliver_due(paper.market) == 0
            with paper.market.db.read() as session:
                due_ms = session.exec(select(WebhookMessageRow.due_ms)).one()
            assert before + 1000 * pause <= due_ms <= now_milliseconds() + 1000 * pause
            _make_due(paper)
        assert deliver_due(paper.market) == 1
        _make_due(paper)
        assert deliver_due(paper.market) == 0
        (message,) = _log(paper, webhook)
        assert message["state"] == "failed"
        assert [attempt["fact"] for attempt in message["attempts"]] == ["HTTP 500"] * (len(PAUSES) + 1)
        assert {taken.headers["webhook-id"] for taken in receiver.taken} == {message["id"]}
        assert sum(PAUSES) > 2 * 86_400

    def test_a_message_is_sent_again_by_hand_with_the_same_id_and_bytes(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        webhook = _add(paper, receiver.url, types=["job.queued"])
        paper.add_job("job_1")
        deliver_due(paper.market)
        (message,) = _log(paper, webhook)
        assert message["state"] == "delivered"
        again = _ask(paper, "POST", f"/{webhook['id']}/messages/{message['id']}/resend")
        assert (again.status_code, again.json()["state"]) == (202, "pending")
        assert deliver_due(paper.market) == 1
        first, second = receiver.taken
        assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
        Webhook(webhook["secret"]).verify(second.body, second.headers)

    def test_what_was_sent_and_not_noted_is_sent_again_with_the_same_id(
        self, paper: PaperMarket, receiver: Receiver, monkeypatch: Any
    ) -> None:
        _add(paper, receiver.url)
        paper.add_job("job_1")
        with monkeypatch.context() as crash:
            crash.setattr(delivery, "_store", lambda *_: exec("raise SystemExit"))  # noqa: S102
            with pytest.raises(SystemExit):
                deliver_due(paper.market)
        assert deliver_due(paper.market) == 1
        first, second = receiver.taken
        assert first.headers["webhook-id"] == second.headers["webhook-id"]

    def test_an_endpoint_that_is_gone_is_disabled_and_gets_what_waited_when_it_is_enabled(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        receiver.answers = lambda number: 410 if number == 0 else 200
        webhook = _add(paper, receiver.url, types=["job.queued"])
        paper.add_job("job_1")
        deliver_due(paper.market)
        shown = _ask(paper, "GET", f"/{webhook['id']}").json()
        assert (shown["enabled"], shown["disabled_why"]) == (False, "the endpoint answered 410 Gone")
        _make_due(paper)
        assert deliver_due(paper.market) == 0
        assert _ask(paper, "PATCH", f"/{webhook['id']}", json={"enabled": True}).json()["enabled"]
        assert deliver_due(paper.market) == 1
        assert _log(paper, webhook)[0]["state"] == "delivered"

    def test_an_endpoint_at_which_nothing_succeeds_for_days_is_disabled_and_one_success_clears_it(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        receiver.answers = lambda number: 200 if number == 1 else 503
        webhook = _add(paper, receiver.url, types=["job.queued"])

        def age() -> None:
            with paper.market.db.write() as session:
                row = session.get_one(WebhookRow, webhook["id"])
                if row.failing_ms is not None:
                    row.failing_ms -= delivery.DISABLE_AFTER_MS
                session.add(row)

        paper.add_job("job_1")
        deliver_due(paper.market)
        assert _ask(paper, "GET", f"/{webhook['id']}").json()["failing_since"] is not None
        age()
        _make_due(paper)
        deliver_due(paper.market)
        assert _ask(paper, "GET", f"/{webhook['id']}").json()["failing_since"] is None
        paper.add_job("job_2")
        deliver_due(paper.market)
        age()
        _make_due(paper)
        deliver_due(paper.market)
        shown = _ask(paper, "GET", f"/{webhook['id']}").json()
        assert not shown["enabled"]
        assert "nothing succeeded for 5 days" in shown["disabled_why"]

    def test_figures_say_how_late_what_is_due_is_and_how_attempts_went(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        def attempts(outcome: str) -> float:
            return float(WEBHOOK_ATTEMPTS.labels(outcome=outcome)._value.get())

        before = {outcome: attempts(outcome) for outcome in ("delivered", "refused", "unanswered")}
        assert _figures(paper) == (0, 0)
        receiver.answers = lambda _: 200 if len(receiver.taken) > 1 else 500
        _add(paper, receiver.url)
        paper.add_job("job_1")
        _make_due(paper)
        count, late = _figures(paper)
        assert count == 1
        assert late > 10**9, "due since 1970"
        deliver_due(paper.market)
        assert _figures(paper) == (1, 0), "it is tried again later"
        _make_due(paper)
        deliver_due(paper.market)
        _add(paper, "http://127.0.0.1:9/")
        paper.add_job("job_2")
        deliver_due(paper.market)
        assert {outcome: attempts(outcome) - count for outcome, count in before.items()} == {
            "refused": 1,
            "delivered": 2,
            "unanswered": 1,
        }

    def test_an_endpoint_that_is_disabled_is_late_for_nobody(self, paper: PaperMarket) -> None:
        webhook = _add(paper, "http://127.0.0.1:9/")
        paper.add_job("job_1")
        _ask(paper, "PATCH", f"/{webhook['id']}", json={"enabled": False})
        _make_due(paper)
        assert _figures(paper) == (0, 0)

    def test_one_that_hangs_holds_up_its_own_and_no_others(
        self, paper: PaperMarket, receiver: Receiver, monkeypatch: Any
    ) -> None:
        # Enough for the one that answers, on a busy machine too.
        monkeypatch.setattr(sending, "MOST_SECONDS", 1.5)
        with receiving() as slow:
            slow.misbehave = lambda _: time.sleep(3)
            for _ in range(delivery._BATCH // delivery._EACH - 1):
                _add(paper, slow.url, types=["job.queued"])
            _add(paper, receiver.url, types=["job.running"])
            for number in range(delivery._EACH + 1):
                paper.add_job(f"job_{number}")
            paper.change_job("job_0", state="running")
            monkeypatch.setattr(delivery, "_MOST_BATCHES", 1)
            deliver_due(paper.market)
        assert len(receiver.taken) == 1

    def test_two_do_not_deliver_at_once(self, paper: PaperMarket, receiver: Receiver) -> None:
        _add(paper, receiver.url)
        paper.add_job("job_1")
        receiver.answers = lambda _: 200 if deliver_due(paper.market) == 0 else 500
        assert deliver_due(paper.market) == 1
        assert len(receiver.taken) == 1


NOT_PUBLIC = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "192.0.2.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:db8::1",
    "2001:0:7f00:1::",
    "example.org",
]


class TestWhereItMayGo:
    @pytest.mark.parametrize("address", NOT_PUBLIC)
    def test_an_address_that_is_not_public_is_none(self, address: str) -> None:
        assert not is_public(address)

    def test_a_public_address_is_one(self) -> None:
        assert is_public("8.8.8.8")
        assert is_public("2606:4700::1111")

    @pytest.mark.parametrize(
        "url",
        [
            "http://example.org/",
            "https://127.0.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://user:secret@example.org/",
            "https://example.org/#here",
            "https:///path",
            "file:///etc/passwd",
            "gopher://example.org",
            "example.org",
            "https://exa mple.org",
            "https://example.org:99999/",
            "https://" + "a" * 2000,
            "https://\x00/",
        ],
    )
    def test_a_url_that_leads_elsewhere_is_refused_when_it_is_given(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(BadRequest):
            target_of(url, private=False)

    def test_a_name_that_means_a_private_address_is_not_connected_to(self, receiver: Receiver) -> None:
        async def find(_host: str, _port: int) -> list[str]:
            return ["8.8.8.8", "127.0.0.1"]

        attempt = _send(f"https://hooks.test:{receiver.port}/", Sender(private=False, find=find))
        assert (attempt.status, attempt.fact) == (None, "the host has an address that is not public")
        assert receiver.taken == []

    def test_a_number_that_is_an_address_in_disguise_is_looked_at_as_one(self, receiver: Receiver) -> None:
        for host in ("2130706433", "0x7f000001", "127.1", "localhost"):
            attempt = _send(f"https://{host}:{receiver.port}/", Sender(private=False))
            assert attempt.status is None
        assert receiver.taken == []

    def test_the_name_is_looked_up_once_and_tls_is_with_the_name(self, tmp_path: Path) -> None:
        looked: list[str] = []

        async def find(host: str, _port: int) -> list[str]:
            looked.append(host)
            return ["127.0.0.1"]

        both = certificate(tmp_path, "hooks.test")
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(both)
        trusting = ssl.create_default_context(cafile=both)
        with receiving(served) as receiver:
            good = _send(f"https://hooks.test:{receiver.port}/a?b=c", Sender(private=True, find=find, context=trusting))
            assert (good.status, good.fact) == (204, None)
            assert receiver.taken[0].headers["host"] == f"hooks.test:{receiver.port}"
            assert looked == ["hooks.test"]
            other = _send(f"https://other.test:{receiver.port}/", Sender(private=True, find=find, context=trusting))
            assert (other.status, other.fact) == (None, "no trusted TLS certificate for the host")
            stranger = _send(f"https://hooks.test:{receiver.port}/", Sender(private=True, find=find))
            assert stranger.fact == "no trusted TLS certificate for the host"
            assert len(receiver.taken) == 1

    def test_a_redirect_is_not_followed(self, receiver: Receiver) -> None:
        receiver.answers = lambda _: 307
        attempt = _send(receiver.url, Sender(private=True))
        assert attempt.fact == "HTTP 307"
        assert len(receiver.taken) == 1

    @pytest.mark.parametrize("behaves", [drip, lambda _: time.sleep(3)])
    def test_an_answer_that_does_not_come_is_not_waited_for(
        self, receiver: Receiver, monkeypatch: Any, behaves: Any
    ) -> None:
        monkeypatch.setattr(sending, "MOST_SECONDS", 0.5)
        receiver.misbehave = behaves
        attempt = _send(receiver.url, Sender(private=True))
        assert attempt.fact == "no answer within 0.5 s"

    def test_an_answer_without_an_end_is_not_read(self, receiver: Receiver) -> None:
        receiver.misbehave = flood
        attempt = _send(receiver.url, Sender(private=True))
        assert (attempt.status, attempt.fact) == (200, None)

    def test_no_proxy_and_no_stored_url_leads_around_it(self, receiver: Receiver, monkeypatch: Any) -> None:
        monkeypatch.setenv("HTTPS_PROXY", receiver.url)
        monkeypatch.setenv("HTTP_PROXY", receiver.url)

        async def find(_host: str, _port: int) -> list[str]:
            return ["127.0.0.1"]

        assert _send("http://hooks.test:9/", Sender(private=True, find=find)).fact == "no connection"
        # Stored while the dev setting was on.
        assert _send(receiver.url, Sender(private=False)).fact == "the URL is not https"
        assert receiver.taken == []


class TestEndpoints:
    def test_they_are_the_accounts_own(self, paper: PaperMarket, receiver: Receiver) -> None:
        webhook = _add(paper, receiver.url)
        paper.add_job("job_1")
        (message,) = _log(paper, webhook)
        stranger = paper.session_of(STRANGER)
        assert _ask(paper, "GET", token=stranger).json() == {"data": []}
        path = f"/{webhook['id']}"
        for method, rest, body in (
            ("GET", "", None),
            ("PATCH", "", {"url": receiver.url}),
            ("DELETE", "", None),
            ("POST", "/rotate", {}),
            ("POST", "/ping", None),
            ("GET", "/messages", None),
            ("POST", f"/messages/{message['id']}/resend", None),
        ):
            assert _ask(paper, method, path + rest, token=stranger, json=body).status_code == 404

    def test_a_change_keeps_what_it_does_not_name_and_a_deletion_takes_all(
        self, paper: PaperMarket, receiver: Receiver
    ) -> None:
        webhook = _add(paper, receiver.url, types=["job.*"], description="ours")
        changed = _ask(paper, "PATCH", f"/{webhook['id']}", json={"types": ["lease.closed"]}).json()
        assert (changed["url"], changed["types"], changed["description"]) == (receiver.url, ["lease.closed"], "ours")
        ping = _ask(paper, "POST", f"/{webhook['id']}/ping").json()
        deliver_due(paper.market)
        assert json.loads(receiver.taken[0].body)["type"] == "webhook.ping"
        assert [message["id"] for message in _log(paper, webhook)] == [ping["id"]]
        assert _ask(paper, "DELETE", f"/{webhook['id']}").status_code == 204
        assert _ask(paper, "GET", f"/{webhook['id']}/messages").status_code == 404
        with paper.market.db.read() as session:
            assert session.exec(select(WebhookMessageRow)).all() == []

    def test_the_log_comes_in_pages(self, paper: PaperMarket) -> None:
        webhook = _add(paper, "http://127.0.0.1:9/", types=["job.queued"])
        for number in range(5):
            paper.add_job(f"job_{number}")
        first = _ask(paper, "GET", f"/{webhook['id']}/messages?limit=3").json()
        rest = _ask(
            paper, "GET", f"/{webhook['id']}/messages?limit=3&page_token={first['next_page_token']}&state=pending"
        ).json()
        assert (first["has_more"], rest["has_more"]) == (True, False)
        ids = [message["id"] for message in first["data"] + rest["data"]]
        assert ids == sorted(ids, reverse=True)
        assert len(set(ids)) == 5

    def test_an_unknown_type_and_a_seventeenth_endpoint_are_refused(self, paper: PaperMarket) -> None:
        assert _ask(paper, "POST", json={"url": "http://x.test", "types": ["job.finished"]}).status_code == 422
        for number in range(16):
            _add(paper, f"http://127.0.0.1:9/{number}")
        assert _ask(paper, "POST", json={"url": "http://x.test"}).json()["code"] == "bad_request"

    def test_without_the_dev_setting_only_public_https_is_taken(self, tmp_path: Path) -> None:
        with paper_market(tmp_path) as strict:
            for url in ("http://example.org", "https://127.0.0.1"):
                assert _ask(strict, "POST", json={"url": url}).status_code == 400
            webhook = _add(strict, "https://example.org/hook")
            assert _ask(strict, "PATCH", f"/{webhook['id']}", json={"url": "http://x.test"}).status_code == 400


def test_each_kind_of_event_can_be_asked_for() -> None:
    from backend.events.chain import _KINDS
    from protocol.wire.webhooks import EVENT_TYPES

    assert set(_KINDS.values()) <= set(EVENT_TYPES)
