"""The page on monitoring, the dashboard and the alerts tell of the metrics that there are.

Grafana's own schema and Prometheus' own grammar read the two.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.metrics import MetricWrapperBase

from worker import metrics
from worker.endpoint import queue_families

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "reviewmill.json").read_text())
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"][0]["rules"]
#: What Prometheus adds to each series, and its client to a histogram's.
ADDED = {"instance", "job", "le"}
#: What an Info has besides: worker.process gives it its values.
OF_THE_WORKER = {"device", "queues", "version"}
_SUFFIXES = {"counter": "_total", "info": "_info"}


def known() -> dict[str, tuple[str, set[str]]]:
    """Each metric by the name that it is told under, with its type there and its labels."""
    families: list[Any] = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    found = {}
    for family in [each for one in families for each in one.describe()] + list(queue_families()):
        labels = next((one._labelnames for one in families if one._name == family.name), None)
        name = family.name + _SUFFIXES.get(family.type, "")
        kind = "gauge" if family.type == "info" else family.type
        found[name] = kind, set(family._labelnames if labels is None else labels)
    found["reviewmill_worker_info"] = "gauge", OF_THE_WORKER
    return found


def questions() -> Iterator[str]:
    """Every question that the dashboard and the alerts ask of Prometheus."""
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"].replace("$__rate_interval", "5m") for target in panel.get("targets", ()))
    yield from (rule["expr"] for rule in RULES)


def test_the_page_has_a_row_for_each_metric_with_its_type_and_labels() -> None:
    rows = re.findall(r"^\| `(reviewmill_\w+)` \| (\w+) \| (.*?) \|", PAGE, re.MULTILINE)
    assert {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows} == known()


def test_the_page_names_every_outcome_and_span() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `reviewmill_chunks_total`"))
    assert set(metrics.OUTCOMES) <= set(re.findall(r"`(\w+)`", row))
    code = "".join(path.read_text() for room in ("broker", "worker") for path in (ROOT / room).rglob("*.py"))
    spans = set(re.findall(r"(?:tracing\.step|_span)\(\"(\w+)\"", code))
    table = PAGE.partition("| span |")[2].partition("\n\n")[0]
    named = {name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == spans


def test_grafana_s_schema_knows_all_of_the_dashboard() -> None:
    plugins.register_default_plugins()
    told = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert lost(DASHBOARD, told) == []


def lost(ours: Any, theirs: Any, place: str = "") -> list[str]:
    """Where what Grafana makes of it lacks, or changes, something that we say; what it adds are its defaults."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [one for key in ours for one in lost(ours[key], theirs.get(key), f"{place}/{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [one for at, pair in enumerate(zip(ours, theirs, strict=True)) for one in lost(*pair, f"{place}/{at}")]
    return [] if ours == theirs else [place]


def test_panels_have_their_own_numbers_and_places() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize("question", list(questions()))
def test_every_question_is_promql_about_metrics_and_labels_that_there_are(question: str) -> None:
    promql_parser.parse(question)
    allowed = known()
    names = set(re.findall(r"\b((?:reviewmill|process)_\w+)", question))
    assert names
    labels = set(ADDED)
    for name in names:
        plain = re.sub(r"_(bucket|sum|count)$", "", name)
        # Prometheus' own client has those of the process.
        assert name.startswith("process_") or name in allowed or allowed.get(plain, ("",))[0] == "histogram", name
        labels |= allowed.get(name, allowed.get(plain, ("", set())))[1]
    used = [word for listed in re.findall(r"(?:by|on) \(([^)]*)\)", question) for word in listed.split(",")]
    used += re.findall(r"(\w+)(?:=|!=|=~|!~)\"", question)
    assert {word.strip() for word in used if word.strip()} <= labels


def test_every_metric_but_for_plain_facts_is_on_the_dashboard() -> None:
    asked = " ".join(questions())
    assert [name for name in known() if name not in asked] == []


def test_alerts_say_what_is_wrong() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["alert"].startswith("Reviewmill")
        assert rule["labels"]["severity"] in {"warning", "critical"}
        allowed = set().union(*(labels for _, labels in known().values())) | ADDED
        assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= allowed
