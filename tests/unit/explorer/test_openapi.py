"""The OpenAPI document: complete, typed, and true to what the server answers (schemathesis asks it)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from explorer.app import mount
from explorer.settings import ExplorerSettings
from tests.support.stored_mirror import StoredMirror, random_events

EXAMPLES = 40


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    stored = StoredMirror(tmp_path_factory.mktemp("mirror"))
    stored.grow(random_events(7, [3] * 20))
    made = FastAPI(title="ledger", version="1")
    mount(made, stored.mirror, settings=ExplorerSettings(read_wait_seconds=0))
    yield made
    stored.close()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {path: item["get"] for path, item in document["paths"].items()}


def test_every_operation_has_a_stable_name_a_type_and_problems(app: FastAPI) -> None:
    found = operations(app.openapi())
    names = [operation["operationId"] for operation in found.values()]
    assert len(set(names)) == len(names) >= 20
    assert all(name.replace("_", "").isalnum() for name in names)
    for path, operation in found.items():
        assert operation["responses"]["200"]["content"], path
        assert "422" not in operation["responses"], path
        for status in ("400", "503", "default"):
            problem = operation["responses"][status]["content"]["application/problem+json"]
            assert problem["example"]["code"], path
            assert "code" in problem["schema"]["properties"], path
        described = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
        assert described or path == "/v1/ledger/stream", path


def test_references_lead_somewhere(app: FastAPI) -> None:
    document = app.openapi()
    text = json.dumps(document)
    for part in text.split('"$ref": "')[1:]:
        target: Any = document
        for name in part.split('"')[0].removeprefix("#/").split("/"):
            target = target[name]
        assert target


def test_what_the_document_allows_is_answered_as_the_document_says(app: FastAPI) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    asked = 0
    for result in schema.exclude(path_regex="/stream|/proofs/").get_all_operations():
        assert isinstance(result, Ok), result

        @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(result.ok().as_strategy())
        def run(case: Any) -> None:
            nonlocal asked
            asked += 1
            # An id that fits its pattern need not be on the ledger, nor a block be read yet.
            case.call_and_validate(excluded_checks=[checks.positive_data_acceptance])

        run()
    assert asked > 400
