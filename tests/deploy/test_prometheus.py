"""What deploy/ gives Prometheus and Grafana is right by Prometheus' own tool, and names what there is."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalix_callbacks.metrics import Metrics
from tests.deploy.prometheus_tools import DEPLOY, program
from tests.metrics.support import NAMES

FOLDER = DEPLOY / "prometheus"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
ALERTS = [rule["alert"] for rule in RULES if "alert" in rule]
DASHBOARD = json.loads((DEPLOY / "grafana" / "scalix.json").read_text())
DOCS = DEPLOY.parent / "docs" / "operations.md"


def promtool(*arguments: str) -> str:
    done = subprocess.run([program("promtool"), *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def metrics() -> set[str]:
    """Each name a query may use."""
    known: set[str] = set()
    for line in Metrics(None, NAMES).registry.exposition().decode().splitlines():
        if line.startswith("# TYPE ") and "_created " not in line:
            _, _, name, kind = line.split(" ")
            endings = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            known |= {name + ending for ending in endings}
    return known


def named(query: str) -> set[str]:
    """The metrics a query names; names with a colon are rules of ours."""
    return {
        word for word in re.findall(r"[a-z][a-z_0-9:]*", query) if word.startswith(("scalix_", "scalix:"))
    }


def queries() -> list[str]:
    variables = [each["query"] for each in DASHBOARD["templating"]["list"]]
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*variables, *shown, *(rule["expr"] for rule in RULES)]


def test_the_rules_and_the_configuration_are_valid() -> None:
    """As promtool judges."""
    assert "SUCCESS" in promtool("check", "rules", "alerts.yml")
    for file in ("prometheus.yml", "compose.yml"):
        assert "SUCCESS" in promtool("check", "config", "--syntax-only", file)


def test_each_alert_fires_when_it_should() -> None:
    """And not before, and not for its neighbour."""
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


@pytest.mark.parametrize("alert", ALERTS)
def test_no_alert_is_without_proof(alert: str) -> None:
    """One moment at which it fires, and one at which it does not."""
    tests: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    looks = [look for test in tests for look in test["alert_rule_test"] if look["alertname"] == alert]

    assert {True, False} == {bool(look.get("exp_alerts")) for look in looks}


@pytest.mark.parametrize("query", queries())
def test_every_query_names_what_there_is(query: str) -> None:
    """A panel over a metric that was renamed would stay empty without a word."""
    rules = {rule["record"] for rule in RULES if "record" in rule}

    assert set() == named(query) - metrics() - rules


def test_the_dashboards_queries_are_valid(tmp_path: Path) -> None:
    """Each as a rule, for promtool checks those; Grafana's own words replaced as Grafana does."""
    shown = [
        target["expr"].replace("$__rate_interval", "5m")
        for p in DASHBOARD["panels"]
        for target in p["targets"]
    ]
    rules = [{"record": f"panel:{i}", "expr": query} for i, query in enumerate(shown)]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}).replace("$", ""))

    assert f"{len(shown)} rules found" in promtool("check", "rules", str(path))


def test_every_metric_and_alert_is_documented() -> None:
    """With what it says, and what to do."""
    text = DOCS.read_text()
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in metrics()}

    assert set() == {name for name in families if f"`{name}" not in text}
    assert set() == {alert for alert in ALERTS if f"`{alert}`" not in text}
