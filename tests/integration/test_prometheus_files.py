"""deploy/prometheus, deploy/grafana and docs/operate/metrics.md name what Corral exposes, nothing else."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

import exposed_metrics as exposed
from corral.observe.counted import BOUNDS
from prometheus_program import promtool
from promql import labels_of, metrics_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/prometheus"

#: Made by Prometheus itself, with the labels it gives to all it scrapes.
OF_PROMETHEUS = {"up": {"job"}, "ALERTS": {"alertname", "alertstate"}}
OF_ALL = {"instance", "job"}


def read_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


RULES = read_rules()
ALERTS = [rule for rule in RULES if "alert" in rule]
BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/corral.json").read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
EXPRESSIONS = {
    **{rule.get("alert") or rule["record"]: rule["expr"] for rule in RULES},
    **{
        f"{panel['title']} {target['refId']} ({panel['id']})": target["expr"]
        for panel in PANELS
        for target in panel.get("targets", ())
    },
    **{f"annotation {a['name']}": a["expr"] for a in BOARD["annotations"]["list"]},
    **{
        f"adapter {number}": rule[key].replace("<<.LabelMatchers>>", "")
        for number, rule in enumerate(yaml.safe_load((FOLDER / "adapter.yml").read_text())["externalRules"])
        for key in ("seriesQuery", "metricsQuery")
    },
}


def known() -> dict[str, set[str]]:
    found = exposed.labels_by_sample(exposed.families())
    recorded = {rule["record"]: labels_of(rule["expr"]) for rule in RULES if "record" in rule}
    return found | recorded | OF_PROMETHEUS


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_what_an_expression_names_exists(where: str) -> None:
    names, labels = known(), labels_of(EXPRESSIONS[where])
    metrics = metrics_of(EXPRESSIONS[where])
    assert metrics
    assert metrics - names.keys() == set()
    assert labels - OF_ALL - set().union(*(names[metric] for metric in metrics)) == set()


def test_a_misspelt_name_is_found() -> None:
    """What the test above is worth."""
    names = known()
    for where, metric in (
        ("CorralQueueDeep", "corral:queue_waiting"),
        ("CorralDeadLetters", "corral_dead_letters"),
    ):
        right = EXPRESSIONS[where]
        assert metrics_of(right.replace(metric, metric + "s")) - names.keys() == {metric + "s"}
    wrong = 'sum by (queu) (corral_jobs_total{outcom="failed"})'
    assert labels_of(wrong) - names["corral_jobs_total"] == {"queu", "outcom"}


def test_the_variable_of_the_board_asks_for_a_label_that_exists() -> None:
    (queue,) = (v for v in BOARD["templating"]["list"] if v["name"] == "queue")
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", queue["definition"])
    assert found is not None
    metric, label = found.groups()
    assert label in known()[metric]
    assert queue["query"]["query"] == queue["definition"]


def test_most_of_what_is_exposed_is_on_the_board() -> None:
    """What an operator would miss."""
    shown = set().union(*(metrics_of(e) for where, e in EXPRESSIONS.items() if "(" in where))
    left = {
        name
        for name in exposed.labels_by_sample(exposed.families()).keys() - shown
        if not name.endswith(("_sum", "_count"))
    }
    assert left == {"corral_queues_left_out", "corral_queue_schedules_late", "corral_http_open_streams"}


def test_the_board_is_whole() -> None:
    ids = Counter(panel["id"] for panel in PANELS)
    assert set(ids.values()) == {1}
    for one, other in combinations(PANELS, 2):
        a, b = one["gridPos"], other["gridPos"]
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, f"{one['title']} lies over {other['title']}"
    for panel in PANELS:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["datasource"]["uid"] == "${datasource}"
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs) > 0


def test_promtool_reads_every_expression_of_board_and_adapter(tmp_path: Path) -> None:
    """As rules, since promtool checks those; the board's variables get values first."""
    values = {"$queue": ".*", "$__rate_interval": "5m"}
    rules = []
    for number, written in enumerate(EXPRESSIONS.values()):
        expression = re.sub("|".join(map(re.escape, values)), lambda found: values[found.group()], written)
        assert "$" not in expression
        rules.append({"record": f"expression:{number}", "expr": expression})
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


def test_promtool_finds_the_rules_and_the_configuration_right(tmp_path: Path) -> None:
    folder = tmp_path / "prometheus"
    shutil.copytree(FOLDER, folder)
    (folder / "corral_key").write_text("a-key-of-the-tests")
    said = promtool("check", "config", folder / "prometheus.yml")
    assert f"{len(RULES)} rules found" in said


def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", FOLDER / "tests/rules_test.yml")


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert len(rule["annotations"]["summary"]) > 20
    assert len(rule["annotations"]["description"]) > 80


def test_the_bounds_that_rules_ask_about_are_bounds() -> None:
    assert 60.0 in BOUNDS
    assert sorted(set(BOUNDS)) == list(BOUNDS)


# The page of the documentation


PAGE = (ROOT / "docs/operate/metrics.md").read_text()


def test_the_page_lists_all_metrics_with_their_labels() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([a-z, ]*) ?\|", PAGE, re.MULTILINE)
    listed = {name: set(labels.replace(" ", "").split(",")) - {""} for name, labels in rows}
    assert listed == exposed.labels_by_name(exposed.families())


def test_the_page_lists_all_alerts() -> None:
    assert re.findall(r"^\| `(Corral\w+)` \|", PAGE, re.MULTILINE) == [
        *sorted((rule["alert"] for rule in ALERTS), key=PAGE.index)
    ]
    assert {rule["alert"] for rule in ALERTS} == set(re.findall(r"Corral[A-Z]\w+", PAGE))


def test_the_page_has_the_bounds() -> None:
    told = re.search(r"have the bounds ([\d., and]+) s", PAGE)
    assert told
    assert tuple(map(float, re.findall(r"\d[\d.]*", told.group(1)))) == BOUNDS
