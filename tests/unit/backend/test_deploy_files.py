"""The files for the scaled form: valid by the engines' schemas, and each setting and figure in them is a real one."""

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import compose_spec
import pytest
import yaml

from backend.operations.config import strangers
from backend.operations.gauges import DatabaseGauges
from backend.operations.metrics import REGISTRY
from backend.operations.ticks import note_done
from gridlease.operating import _OTHERS, _rooms
from indexer.watch import Watch
from tests.support.market_double import a_market

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kubernetes_validate

DEPLOY: Final = Path(__file__).parents[3] / "deploy"
MANIFESTS: Final = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
_FIGURE: Final = re.compile(r"\bgridlease_[a-z_]+")


def _documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in MANIFESTS:
        for document in yaml.safe_load_all(path.read_text()):
            yield path, document


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_kubernetes_would_take_the_manifests(version: str) -> None:
    for path, document in _documents():
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{path.name} {document['kind']}: {error.message}")


def test_what_is_no_manifest_is_refused() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}},
            "1.37",
            strict=True,
        )


def test_compose_would_take_the_file_and_every_file_that_it_names_is_there() -> None:
    content = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    found = compose_spec.PyCompose.from_json(json.dumps(content))
    assert {"serve", "worker", "indexer", "postgres", "redis"} <= set(found.services or ())
    for item in content["configs"].values():
        if "file" in item and not item["file"].startswith("$"):
            assert (DEPLOY / item["file"]).is_file(), item["file"]


def _variables(value: Any) -> Iterator[str]:
    """Names of GRIDLEASE_ settings anywhere in a document, and secrets that are files of settings."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _variables(key)
            yield from _variables(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _variables(inner)
    elif isinstance(value, str) and re.fullmatch(r"(GRIDLEASE_[A-Z_]+)|(gridlease_[a-z]+_(url|key))", value):
        yield value.upper()


def test_every_setting_that_they_use_exists() -> None:
    documents = [document for _, document in _documents()] + [yaml.safe_load((DEPLOY / "compose.yaml").read_text())]
    used = {name for document in documents for name in _variables(document)}
    assert len(used) > 10
    assert strangers(_rooms(), _OTHERS, dict.fromkeys(used, "")) == []


def _figures(tmp_path: Path) -> set[str]:
    """Every name that Prometheus gets from a market or an indexer."""
    market = a_market(tmp_path)
    note_done(market.db, "market.step", 1)
    names = set()
    for collected in (REGISTRY.collect(), DatabaseGauges(market).collect(), Watch().registry.collect()):
        for family in collected:
            names.add(family.name)
            names |= {f"{family.name}_{end}" for end in _ENDS[family.type]}
    market.db.close()
    return names


_ENDS: Final[dict[str, tuple[str, ...]]] = {"counter": ("total",), "histogram": ("bucket", "count", "sum"), "gauge": ()}


def test_dashboard_and_alerts_ask_only_for_figures_that_there_are(tmp_path: Path) -> None:
    figures = _figures(tmp_path)
    board = json.loads((DEPLOY / "grafana" / "market.json").read_text())
    asked = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    asked += [(rule["alert"], rule["expr"]) for rule in alerts]
    for title, expression in asked:
        found = _FIGURE.findall(expression)
        assert found, title
        assert set(found) <= figures, f"{title}: {set(found) - figures}"
        assert expression.count("(") == expression.count(")"), title


def test_every_alert_has_a_paragraph_for_who_is_woken() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    manual = (DEPLOY.parent / "docs" / "operations.md").read_text()
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert f"`{rule['alert']}`" in manual


def test_labels_that_alerts_choose_by_are_ones_that_are_set(tmp_path: Path) -> None:
    market = a_market(tmp_path)
    note_done(market.db, "market.step", 1)
    found = {
        (sample.name, tuple(sorted(sample.labels)))
        for family in DatabaseGauges(market).collect()
        for sample in family.samples
    }
    market.db.close()
    assert ("gridlease_market_work_age_seconds", ("work",)) in found
