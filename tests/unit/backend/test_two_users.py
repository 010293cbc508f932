"""Two users never see or change each other's things: every route of the app is called by one with the other's ids.

The routes come from the app's own document. One that this file cannot fill in fails it: say whose its things are.
"""

from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest

from backend.files import access
from backend.leases.tables import LeaseIntention
from protocol.clock import now_time
from protocol.hashing import cid_of, from_hex, sha256, to_hex
from protocol.messages import sign, to_json
from protocol.signin import sign_text
from protocol.terms import UsageReceipt
from tests.support.accounts_market import MODULE, MarketWorld, Somebody, job_body
from tests.support.builders import make_offer, make_order
from tests.support.stored_mirror import DEPLOYMENT
from tests.unit.backend.test_files import TUS, begin, metadata

PUBLIC: Final = frozenset(
    {"livez", "readyz", "chain", "nonce", "verify", "list_offers", "get_auction", "get_book_entry", "version"}
)
"""Whoever asks gets an answer, and it names nobody's private things."""

ENDLESS: Final = frozenset({"job_events"})
"""A stream that A would read for as long as its job lives."""

QUOTES: Final = frozenset({"prepare_order"})
"""Its answer names the provider of a live offer, as `list_offers` does, and A is one."""

NAMED_BY_CONTENT: Final = frozenset({"put_file"})
"""Whoever holds the bytes may store them too; who only knows their name is refused with 400."""


@dataclass
class Things:
    """What A has, by the name that a path gives it."""

    ids: dict[str, str]

    def secrets(self, owner: Somebody) -> list[str]:
        """What no answer to B may hold, whatever B asks."""
        return [*(value for name, value in self.ids.items() if name not in ("number", "digest")), owner.address]


def things_of(owner: Somebody) -> Things:
    """One of each: key, offer, job, file, upload, lease."""
    world = owner.world
    owner.make_key()
    owner.fund()
    digest = owner.offer()
    made = owner.job(metadata={"secret": "of A"})
    assert made.status_code == 202, made.text
    job_id, lease = made.json()["id"], to_hex(sha256(owner.address.encode()))
    cid = owner.put(b"A's own bytes")
    upload = begin(owner, b"A's bytes in pieces").headers["location"].rpartition("/")[2]
    with world.market.db.write() as session:
        session.add(
            LeaseIntention(
                lease=lease,
                job_id=job_id,
                fill=0,
                provider=owner.address,
                offer_digest=digest,
                rate=1,
                state="running",
                proposed_time=now_time(),
            )
        )
        access.belongs(session, job_id, [cid], 0)
    hook = owner.call("POST", "/v1/webhooks", json={"url": "https://hooks.example/of-a"}).json()["id"]
    message = owner.call("POST", f"/v1/webhooks/{hook}/ping").json()["id"]
    ids = {
        "webhook_id": hook,
        "message_id": message,
        "key_id": owner.made["id"],
        "digest": digest,
        "job_id": job_id,
        "lease": lease,
        "cid": cid,
    }
    return Things({**ids, "upload_id": upload, "number": "1"})


def body_of(operation: str, owner: Somebody, things: Things) -> dict[str, Any]:
    """A request that would do something if it were A's; raises `KeyError` for a route that nobody filled in."""
    offer = make_offer(provider=owner.address, expiry=now_time() + 3600, salt=2)
    message = owner.world.message(owner.key, chain_id=2) if operation == "verify" else ""
    stranger_signed = to_hex(sign_text(owner.world.market.submission_key, message))
    receipt = {"lease": things.ids["lease"], "sequence": "1"}
    whole = UsageReceipt(
        lease=from_hex(things.ids["lease"], 32),
        sequence=1,
        metered_until=0,
        work=1,
        result=bytes(32),
        checkpoint=bytes(32),
    )
    signature = to_hex(sign(DEPLOYMENT.domain, whole, owner.key))
    step = {"state_hash": "0x" + "00" * 32, "work": "1"}
    cid = things.ids["cid"]
    bodies: dict[str, dict[str, Any]] = {
        "nonce": {},
        "verify": {"json": {"message": message, "signature": stranger_signed}},
        "create_key": {"json": {"name": "B's"}},
        "change_key": {"json": {"name": "taken", "cap_base": "0", "scopes": ["files"]}},
        "rotate_key": {"json": {"overlap_seconds": 0}},
        "put_file": {"content": b"not A's bytes"},
        "begin_upload": {"headers": {"upload-length": "5", "upload-metadata": metadata(cid_of(sha256(b"B's")))}},
        "upload_piece": {
            "headers": {"upload-offset": "0", "content-type": "application/offset+octet-stream"},
            "content": b"A's bytes in pieces",
        },
        "post_offer": {
            "json": {"offer": to_json(offer), "signature": to_hex(sign(DEPLOYMENT.domain, offer, owner.key))}
        },
        "submit_job": {
            "json": job_body(cid, manifest={"inputs": {"loot": cid}}),
            "headers": {"idempotency-key": "one"},
        },
        "cancel_job": {},
        "prepare_order": {"json": job_body(cid)},
        "submit_order": {"json": _order_of(owner, things)},
        "commit_usage": {"json": {"sequence": 1, "commitment": "0x" + "00" * 32}},
        "create_webhook": {"json": {"url": "https://hooks.example/of-b"}},
        "change_webhook": {"json": {"url": "https://hooks.example/of-b"}},
        "rotate_webhook": {"json": {"overlap_seconds": 0}},
        "ping_webhook": {},
        "resend_webhook_message": {},
        "report_usage": {"json": {"usage_receipt": receipt, "signature": "0x" + "00" * 65, "step": step}},
        "report_usages": {
            "json": {"reports": [{"usage_receipt": to_json(whole), "signature": signature, "step": step}]}
        },
        "countersign": {"json": {"signature": "0x" + "00" * 65}},
        "report_failure": {"json": {"reason": "taken"}},
    }
    return bodies[operation]


def _order_of(owner: Somebody, things: Things) -> dict[str, Any]:
    """An order that A signed and did not send."""
    manifest = job_body(things.ids["cid"])["manifest"]
    order = make_order(buyer=owner.address)
    return {
        "manifest": manifest,
        "order": to_json(order),
        "signature": to_hex(sign(DEPLOYMENT.domain, order, owner.key)),
    }


def operations(world: MarketWorld) -> list[tuple[str, str, str]]:
    """(operation id, method, path) of all routes but the pages of the documentation, which hold nothing."""
    paths = world.app.openapi()["paths"]
    return [(how["operationId"], method.upper(), path) for path, item in paths.items() for method, how in item.items()]


def requests_to(world: MarketWorld, owner: Somebody, things: Things) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Each route with A's ids in it, and whatever it needs to be taken seriously."""
    made = []
    for operation, method, path in operations(world):
        options: dict[str, Any] = {}
        if method in ("POST", "PUT", "PATCH"):
            options = dict(body_of(operation, owner, things))
        if path.startswith("/v1/files/uploads"):
            options["headers"] = {**TUS, **options.get("headers", {})}
        made.append((operation, method, path.format(**things.ids), options))
    return made


def of_a(rows: dict[str, list[str]], secrets: list[str]) -> dict[str, list[str]]:
    """The rows that name anything of A's."""
    return {table: [row for row in found if any(secret in row for secret in secrets)] for table, found in rows.items()}


def state_of(owner: Somebody, things: Things) -> dict[str, Any]:
    """All that A has: rows, bytes, balances."""
    files = owner.world.market.settings.files_dir
    balances = owner.call("GET", "/v1/account", by_key=True).json()
    return {
        "rows": of_a(owner.world.rows(), things.secrets(owner)),
        "bytes": {path.name: path.read_bytes() for path in files.rglob("*") if things.ids["upload_id"] == path.name},
        "file": owner.call("GET", f"/v1/files/{things.ids['cid']}").content,
        "balances": balances,
    }


@pytest.fixture
def owner(world: MarketWorld) -> Somebody:
    return world.somebody("A")


@pytest.fixture
def things(owner: Somebody) -> Things:
    return things_of(owner)


@pytest.fixture
def stranger(world: MarketWorld, things: Things) -> Somebody:
    """B has a key, money and a file too: only that the things are A's is in its way."""
    somebody = world.somebody("B")
    somebody.make_key()
    somebody.fund()
    somebody.put(MODULE)
    return somebody


@pytest.mark.parametrize("by_key", [False, True], ids=["by session", "by API key"])
def test_no_route_gives_or_changes_anything_of_somebody_else(
    world: MarketWorld, owner: Somebody, things: Things, stranger: Somebody, by_key: bool
) -> None:
    secrets = things.secrets(owner)
    asked = requests_to(world, owner, things)
    before = state_of(owner, things)
    wrong = []
    for operation, method, path, options in asked:
        answer = stranger.call(method, path, by_key=by_key, **options)
        if operation not in PUBLIC and any(
            secret in answer.text for secret in _private(operation, owner, _not_asked(secrets, path + str(options)))
        ):
            wrong.append((operation, answer.status_code, "names a thing of A's"))
        if not _is_right(operation, path, things, answer):
            wrong.append((operation, answer.status_code, answer.text[:200]))
        # Its sessions may end in between; B's own.
        if operation == "end_session" and not by_key:
            stranger.token = world.somebody("B").token
    assert wrong == []
    assert state_of(owner, things) == before
    assert stranger.call("GET", f"/v1/files/{things.ids['cid']}").status_code == 404


def _not_asked(secrets: list[str], question: str) -> list[str]:
    """A refusal may say the id that was asked for."""
    return [secret for secret in secrets if secret not in question]


def _private(operation: str, owner: Somebody, secrets: list[str]) -> list[str]:
    return [secret for secret in secrets if operation not in QUOTES or secret != owner.address]


def _is_right(operation: str, path: str, things: Things, answer: httpx.Response) -> bool:
    if operation in PUBLIC:
        return answer.status_code < 500
    if operation in NAMED_BY_CONTENT:
        return answer.status_code in (400, 403, 404)
    if any(value in path for name, value in things.ids.items() if name != "number"):
        return answer.status_code in (403, 404)
    return answer.status_code < 500


def test_no_route_but_the_public_ones_answers_nobody(world: MarketWorld, owner: Somebody, things: Things) -> None:
    before = state_of(owner, things)
    answered = {
        operation
        for operation, method, path, options in requests_to(world, owner, things)
        if world.call(method, path, **options).status_code not in (401, 403)
    }
    assert answered <= PUBLIC | {"upload_options"}
    assert state_of(owner, things) == before


def test_every_route_is_filled_in(world: MarketWorld, owner: Somebody, things: Things) -> None:
    """So that the test above is of all routes: A itself gets through with the same requests."""
    got_through = {
        operation
        for operation, method, path, options in requests_to(world, owner, things)
        if method in ("GET", "HEAD")
        and operation not in ENDLESS
        and any(owner.call(method, path, by_key=by_key, **options).status_code == 200 for by_key in (True, False))
    }
    expected = {operation for operation, method, _ in operations(world) if method in ("GET", "HEAD")}
    # No auction was held.
    assert expected - got_through == {"get_auction", *ENDLESS}
