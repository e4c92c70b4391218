"""Every metric that the documents, the dashboard and the alert rules name is told, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest
from msgspec import structs
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from pipeline.document import Document
from pipeline.engine.counters import BUCKETS
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import Rejected
from pipeline.health.model import DestinationHealth, Health, SourceHealth, Trouble
from pipeline.hints import HintOutcome
from pipeline.ledger.ledger import open_ledger
from pipeline.monitor.cluster_metrics import cluster_metrics
from pipeline.monitor.metrics import Metrics
from pipeline.nodes import ClusterView, DatabaseView, JobCounts, NodeView, Overdue
from pipeline.stage import Stage, one_by_one
from tests.helpers.farm import Farm
from tests.helpers.imports import ROOT
from tests.helpers.services import samples

pytestmark = pytest.mark.anyio

#: A source with every character that may stand in a name.
NAME = 'a "b" \\ {c="d"} é\u202e'
TROUBLE = Trouble(5.0, "why", "what to do")
HEALTH = Health(
    100.0,
    1.0,
    99.0,
    (SourceHealth("farm", 90.0, None, 86_500.0), SourceHealth(NAME, None, TROUBLE)),
    (DestinationHealth("/srv/a", None, 7), DestinationHealth("/srv/b", TROUBLE, 5)),
    quarantined=1,
    waiting=2,
    unacknowledged=3,
    staged=4,
    ledger_bytes=5,
    disk_free=6,
    shared_free=8,
    cluster=ClusterView(
        100.0,
        DatabaseView(0.25, "on"),
        (NodeView("n1", "h", "1", 2.5, True, 1.0), NodeView("n2", "h", "1", 40.0, False, 1.0)),
        overdue=(Overdue("farm", 3, 10, 5.0), Overdue(NAME, 1, 1, 6.0)),
        staged_count=7,
        jobs=JobCounts(4, 2, 1),
        differs_since=9.0,
    ),
    node="n1",
)


async def process(document: Document[Any]) -> Document[Any]:
    await anyio.lowlevel.checkpoint()
    if document.key.id == "0":
        raise Rejected(document.entry.label, "it is so")
    return document


@pytest.fixture
async def told(tmp_path: Path) -> str:
    """What is told of an engine that has worked, with every value that may be unknown known."""
    async with open_ledger(tmp_path / "ledger") as ledger:
        stage = Stage("stage", one_by_one(process))
        engine = Engine([stage], ledger, Quarantine(tmp_path / "quarantine"))
        async with engine.running():
            for farm in (Farm(5), Farm(2, name=NAME)):
                documents = [farm.document(id_, b"bytes") for id_ in farm.open]
                await ledger.seen([(d.key, d.entry.label) for d in documents], 1.0)
                for document in documents:
                    await engine.dispatcher.submit(document)
                await engine.dispatcher.drained(farm.name)
            engine.observer.hinted("farm", HintOutcome.POLL)
            engine.observer.hinted(NAME, HintOutcome.REFUSED)
            delivered = {("farm", "sales"): 3, ("farm", "purchase"): 1}
            return Metrics().render(HEALTH, engine.observer.snapshot(), delivered).decode()


@pytest.fixture
def families(told: str) -> dict[str, Metric]:
    """The families by the names of their samples."""
    found = {}
    for family in text_string_to_metric_families(told):
        assert family.documentation, family.name
        assert family.samples, family.name
        found |= {sample.name: family for sample in family.samples}
    return found


async def test_the_values_are_those_of_the_engine_and_of_the_health(told: str) -> None:
    found = samples(told)
    name = NAME
    expected = {
        "synqup_ready": 0,
        "synqup_start_timestamp_seconds": 1,
        "synqup_progress_timestamp_seconds": 99,
        'synqup_documents_listed_total{source="farm"}': 5,
        'synqup_documents_total{end="delivered",source="farm"}': 4,
        'synqup_documents_total{end="quarantined",source="farm"}': 1,
        f'synqup_documents_total{{end="delivered",source="{name}"}}': 1,
        'synqup_delivered_bytes_total{source="farm"}': 20,
        'synqup_delivered_documents_total{kind="sales",source="farm"}': 3,
        'synqup_stage_documents_total{result="passed",stage="stage"}': 5,
        'synqup_stage_documents_total{result="quarantined",stage="stage"}': 2,
        'synqup_stage_group_seconds_count{stage="stage"}': 7,
        'synqup_queue_max_documents{queue="stage"}': 64,
        'synqup_queue_documents{queue="acknowledge"}': 0,
        'synqup_source_working{source="farm"}': 1,
        f'synqup_source_working{{source="{name}"}}': 0,
        f'synqup_source_failing_since_timestamp_seconds{{source="{name}"}}': 5,
        'synqup_source_last_good_poll_timestamp_seconds{source="farm"}': 90,
        'synqup_source_sign_in_left_seconds{source="farm"}': 86_400,
        'synqup_source_breaker_open{source="farm"}': 0,
        'synqup_hints_total{outcome="poll",source="farm"}': 1,
        f'synqup_hints_total{{outcome="refused",source="{name}"}}': 1,
        'synqup_destinations{state="working"}': 1,
        'synqup_destinations{state="failing"}': 1,
        'synqup_disk_free_bytes{disk="state"}': 6,
        'synqup_disk_free_bytes{disk="shared"}': 8,
        'synqup_disk_free_bytes{disk="destinations"}': 5,
        'synqup_ledger_documents{state="unacknowledged"}': 3,
        'synqup_ledger_documents{state="staged"}': 4,
        "synqup_ledger_bytes": 5,
        "synqup_ledger_writable": 1,
        'synqup_cluster_nodes{state="alive"}': 1,
        'synqup_cluster_nodes{state="silent"}': 1,
        "synqup_cluster_heartbeat_age_seconds": 2.5,
        "synqup_cluster_overdue_parts": 4,
        'synqup_cluster_jobs{state="waiting"}': 4,
        'synqup_cluster_jobs{state="doing"}': 2,
        'synqup_cluster_jobs{state="stalled"}': 1,
        "synqup_cluster_staged_documents": 7,
        "synqup_cluster_configurations_differ": 1,
        "synqup_cluster_round_trip_seconds": 0.25,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert 'synqup_source_last_good_poll_timestamp_seconds{source="' + name not in str(found)


def test_nothing_is_told_of_a_cluster_where_there_is_none() -> None:
    assert not list(cluster_metrics(structs.replace(HEALTH, cluster=None)))


async def test_the_buckets_add_up(told: str) -> None:
    buckets = [
        value for key, value in samples(told).items() if "_bucket" in key and 'stage="stage"' in key
    ]
    assert len(buckets) == len(BUCKETS) + 1
    assert buckets == sorted(buckets)
    assert buckets[-1] == 7


async def test_the_documents_describe_each_metric_with_its_labels(
    families: dict[str, Metric],
) -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    described = {
        row[1]: set(re.findall(r"`(\w+)`", row[2]))
        for row in re.finditer(r"(?m)^\| `(synqup_\w+)` \|([^|]*)\|", text)
    }
    expected = {}
    for family in families.values():
        if family.name.startswith("synqup_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels}
            expected[name] = labels - {"le"}
    assert described == expected


def expressions() -> Iterator[tuple[str, str]]:
    """Each expression of the dashboard and of the rules, and where it stands."""
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text("utf-8"))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                yield f"the legend of {panel['title']}", f"by ({label}) {target['expr']}"
    rules = (ROOT / "deploy" / "prometheus-rules.yml").read_text("utf-8")
    found = re.findall(r"(?m)^ +- alert: (\w+)\n +expr: (.+)$", rules)
    assert len(found) == rules.count("expr:") == rules.count("summary:") == len(dict(found))
    yield from found


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
async def test_what_the_dashboard_and_the_rules_ask_for_is_told(
    where: str, expression: str, families: dict[str, Metric]
) -> None:
    named = re.findall(r"\b((?:synqup|process)_\w+)(?:{([^}]*)})?", expression)
    assert named
    grouped = {
        label.strip()
        for inside in re.findall(r"by \(([^)]*)\)", expression)
        for label in inside.split(",")
    }
    for name, matchers in named:
        assert name in families, f"{where}: there is no {name}"
        told = [sample.labels for sample in families[name].samples if sample.name == name]
        assert all(grouped <= labels.keys() for labels in told), where
        for label, operator, value in re.findall(r'(\w+)(=|!=)"([^"]*)"', matchers):
            values = {labels[label] for labels in told}
            assert value in values, f"{where}: {label}{operator}{value}"
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)
