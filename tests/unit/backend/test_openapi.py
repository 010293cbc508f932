"""The market's OpenAPI document: a program is written by it, so it tells of refusals, credentials and ids."""

import json
from typing import Any, Final

from backend.openapi import SOURCES
from tests.support.accounts_market import MarketWorld
from tests.unit.backend.test_two_users import PUBLIC

NOT_FROM_A_BODY: Final = {"upload_id", "number"}
"""An upload's id is in its `Location`; an auction's number is on chain."""

Operation = dict[str, Any]


def operations(world: MarketWorld) -> dict[str, Operation]:
    paths = world.app.openapi()["paths"]
    return {operation["operationId"]: operation for item in paths.values() for operation in item.values()}


def named_by(operation: Operation, place: str = "path") -> set[str]:
    return {item["name"] for item in operation.get("parameters", ()) if item["in"] == place}


def test_every_operation_says_how_it_refuses(world: MarketWorld) -> None:
    for name, operation in operations(world).items():
        refusal = operation["responses"]["default"]["content"]
        assert list(refusal) == ["application/problem+json"], name
        assert "422" not in operation["responses"], name


def test_every_operation_but_the_public_ones_says_that_it_wants_a_credential(world: MarketWorld) -> None:
    open_to_all = {name for name, operation in operations(world).items() if "security" not in operation}
    assert open_to_all == PUBLIC | {"upload_options"}


def test_references_lead_somewhere_and_nothing_of_the_frameworks_own_problems_is_left(world: MarketWorld) -> None:
    text = json.dumps(world.app.openapi())
    assert "HTTPValidationError" not in text
    for part in text.split('"$ref": "')[1:]:
        target: Any = world.app.openapi()
        for name in part.split('"')[0].removeprefix("#/").split("/"):
            target = target[name]
        assert target


def test_whatever_a_path_names_some_answer_gave(world: MarketWorld) -> None:
    found = operations(world)
    linked = {
        (link["operationId"], name.removeprefix("path."))
        for operation in found.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
        for name in link["parameters"]
    }
    wanted = {(name, parameter) for name, operation in found.items() for parameter in named_by(operation)}
    assert {pair for pair in wanted if pair[1] not in NOT_FROM_A_BODY} <= linked, "name it in backend.openapi.SOURCES"
    assert not set(SOURCES) & NOT_FROM_A_BODY


def test_links_name_calls_and_parameters_that_there_are(world: MarketWorld) -> None:
    found = operations(world)
    for operation in found.values():
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                for name in link["parameters"]:
                    place, _, parameter = name.partition(".")
                    assert parameter in named_by(found[link["operationId"]], place), link
                path = {name.partition(".")[2] for name in link["parameters"] if name.startswith("path.")}
                assert path == named_by(found[link["operationId"]]), "all of a path, or the link leads nowhere"
