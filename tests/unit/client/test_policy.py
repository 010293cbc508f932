"""Policy words of the command line become the request's own, and what contradicts itself is refused here."""

from typing import Any

import pytest
import typer

from client.cli.policy import Policy, moment_of
from client.jobs import request_for
from protocol.errors import ProtocolError
from tests.support.builders import an_address, make_manifest

NOW = 1_700_000_000


def test_every_word_reaches_the_request() -> None:
    auditor = an_address("auditor")
    policy = Policy(
        max_price="$1,000.50",
        zones=["DE", "FR"],
        not_zones=["PL"],
        distinct_zones=True,
        max_carbon=120,
        energy=["solar", "wind"],
        replicas=3,
        quorum=2,
        attested_by=auditor,
        attested=["wasi-det/1"],
        attested_zone=True,
        deadline="2h",
        retries=3,
    )
    request = request_for(make_manifest(), policy.terms())
    needs = request.needs
    assert request.max_price == "1000.50"
    assert (needs.zones_in, needs.zones_out, needs.distinct_zones) == (["DE", "FR"], ["PL"], True)
    assert (needs.max_gco2e_per_kwh, needs.energy_sources) == (120, ["solar", "wind"])
    assert needs.attested is not None
    assert (needs.attested.by, needs.attested.traits, needs.attested.zone) == (auditor, ["wasi-det/1"], True)
    assert (request.replicas, request.quorum, request.max_leases) == (3, 2, 6)
    assert request.deadline_time is not None


def test_without_a_word_the_request_is_the_markets_default() -> None:
    plain = request_for(make_manifest(), {})
    assert request_for(make_manifest(), Policy().terms()) == plain


@pytest.mark.parametrize(
    "words",
    [
        {"retries": 1, "max_leases": 2},
        {"attested": ["wasi-det/1"]},
        {"attested_zone": True},
        {"attested_by": an_address("auditor")},
        {"energy": ["coal gas"]},
        {"deadline": "tomorrow"},
    ],
    ids="+".join,
)
def test_what_cannot_be_meant_is_a_usage_error(words: dict[str, Any]) -> None:
    with pytest.raises(typer.BadParameter):
        Policy(**words).terms()


@pytest.mark.parametrize("words", [{"zones": ["XX-YY"]}, {"not_zones": ["de"]}, {"max_price": "cheap"}])
def test_a_name_that_does_not_exist_is_refused_before_anything_is_sent(words: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        Policy(**words).terms()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("90s", NOW + 90),
        ("15m", NOW + 900),
        ("2h", NOW + 7200),
        ("1d", NOW + 86_400),
        ("2023-11-15T00:00Z", 1_700_006_400),
        ("2023-11-15T00:00", 1_700_006_400),
        ("2023-11-15T01:00+01:00", 1_700_006_400),
    ],
)
def test_a_deadline_is_a_span_from_now_or_a_moment(text: str, time: int) -> None:
    assert moment_of(text, NOW) == time
