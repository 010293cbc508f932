"""Whatever is called after whatever, the market answers as its own document says, and never fails on its side.

Schemathesis follows the document's links: keys, files, uploads, offers, jobs, leases, webhooks and their messages that
one call made are named by later ones. `SCENARIOS=2000` goes deep.
"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi import checks

from backend.accounts import scopes
from protocol.wire.files import PIECE_MEDIA_TYPE
from tests.support.accounts_market import Somebody
from tests.support.lone_server import LoneServer, lone_server
from tests.unit.backend.test_two_users import Things, body_of, things_of

pytestmark = [pytest.mark.node, pytest.mark.timeout(3600)]

SCENARIOS: Final = int(os.environ.get("SCENARIOS", "30"))
_STEPS: Final = 25
_HANGS_SECONDS: Final = 20
_CHECKS: Final = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.use_after_free,
]
_ENDLESS: Final = "/events$"
schemathesis.serializer.alias([PIECE_MEDIA_TYPE], "application/octet-stream")
_REACHED: Final = frozenset({"get_job", "cancel_job", "job_trace", "change_webhook", "webhook_messages"})
"""By the id that an earlier call of the scenario gave."""
_UPLOAD: Final = {"path.upload_id": r"$response.header.Location#regex:/uploads/(.+)"}
"""A form of Schemathesis' own: OpenAPI has none that takes a part of a header, so the document does not say it."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneServer]:
    with lone_server(tmp_path_factory.mktemp("market")) as made:
        yield made


def document_of(served: LoneServer) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{served.url}/openapi.json", timeout=30).json()
    upload = document["paths"]["/v1/files/uploads/{upload_id}"]
    document["paths"]["/v1/files/uploads"]["post"]["responses"]["201"]["links"] = {
        operation["operationId"]: {"operationId": operation["operationId"], "parameters": _UPLOAD}
        for operation in upload.values()
    }
    return document


def test_calls_that_use_what_others_made_are_answered_as_the_document_says(served: LoneServer) -> None:
    schema = schemathesis.openapi.from_dict(document_of(served))
    schema.config.update(base_url=served.url)
    ours = schema.include(path_regex="^/v1/").exclude(path_regex=f"^/v1/ledger|{_ENDLESS}")
    seen = Counter[tuple[str, bool]]()

    class Calls(ours.as_state_machine()):  # type: ignore[misc]
        """One account for each scenario: what an earlier one revoked or ended is nothing to it."""

        accounts: ClassVar[int] = 0
        somebody: Somebody
        things: Things
        turn: int

        def setup(self) -> None:
            type(self).accounts += 1
            self.turn = 0
            self.somebody = served.world.somebody(f"account {self.accounts}")
            self.things = things_of(self.somebody)

        def before_call(self, case: Any) -> None:
            self.turn += 1
            self._say_who_calls(case)
            if self.turn % 3:
                self._be_honest(case)

        def _say_who_calls(self, case: Any) -> None:
            for_keys = scopes.needed(case.method, case.path) is not None
            by_key = case.operation.definition.raw["operationId"] == "submit_job" or (for_keys and self.turn % 2)
            token = self.somebody.made["key"] if by_key else self.somebody.token
            case.headers["Authorization"] = f"Bearer {token}"

        def _be_honest(self, case: Any) -> None:
            """What only who holds keys can say: signatures, hashes, and a job that somebody could run."""
            name = case.operation.definition.raw["operationId"]
            case.headers.update({"Tus-Resumable": "1.0.0"} if "/uploads" in case.path else {})
            if case.method not in ("POST", "PUT", "PATCH"):
                return
            sent = body_of(name, self.somebody, self.things)
            case.headers.update(sent.get("headers", {}))
            if name == "submit_job":
                case.headers["Idempotency-Key"] = f"{self.turn}"
                case.query = {}
            if name == "put_file":
                case.path_parameters["cid"] = self.things.ids["cid"]
                sent = {"content": b"A's own bytes"}
            if "json" in sent or "content" in sent:
                case.body = sent.get("json", sent.get("content"))

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"timeout": _HANGS_SECONDS}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            seen[case.operation.definition.raw["operationId"], response.status_code < 300] += 1
            case.validate_response(response, checks=_CHECKS)

    Calls.run(
        settings=settings(
            max_examples=SCENARIOS,
            stateful_step_count=_STEPS,
            phases=[Phase.generate],
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
    )
    assert served.is_alive()
    assert '"request.failed"' not in served.log.read_text()
    # Chains that break at their first link test nothing.
    assert {name for name, succeeded in seen if succeeded} >= _REACHED, seen
