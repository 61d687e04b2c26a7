import json
import re
from pathlib import Path

import pytest
import ray

from tests.infra.infra_files import INFRA, compose, read_yaml

GRAFANA = INFRA / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "sweeps.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
METRIC = re.compile(r"\bray_\w+(?=[{\s)\[]|$)")


@pytest.fixture(scope="module")
def ray_names() -> set[str]:
    """Metrics that panels of Ray's own dashboards show, of the installed version."""
    panels = Path(ray.__file__).parent / "dashboard" / "modules" / "metrics" / "dashboards"
    texts = [file.read_text() for file in panels.glob("*_dashboard_panels.py")]
    return {name for text in texts for name in re.findall(r"\bray_\w+(?=\{\{)", text)}


def metrics(expression: str) -> set[str]:
    """Of a query, without the names of labels that it groups by."""
    return set(METRIC.findall(re.sub(r"\bby \([^)]*\)", "", expression)))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_of_the_dashboard_is_one_that_ray_has(ray_names, expression):
    assert metrics(expression)
    assert metrics(expression) <= ray_names


def test_a_metric_that_ray_does_not_have_would_be_noticed(ray_names):
    assert not metrics('ray_node_gpu_use{instance=~"$instance"}') <= ray_names


def test_the_dashboard_says_what_each_panel_is_for_and_places_it():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == 12
    assert all(panel["title"] and panel["description"] for panel in panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_the_dashboard_asks_the_data_source_that_is_provisioned():
    (source,) = read_yaml(GRAFANA / "provisioning/datasources/prometheus.yaml")["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"


def test_grafana_finds_the_dashboard_where_it_is_mounted():
    (provider,) = read_yaml(GRAFANA / "provisioning/dashboards/sweeps.yaml")["providers"]
    mounts = dict(v.split(":")[:2] for v in compose()["services"]["grafana"]["volumes"])
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    environment = compose()["services"]["grafana"]["environment"]
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home) == Path(provider["options"]["path"], "sweeps.json")


def test_prometheus_looks_for_every_ray_node_at_the_port_where_it_serves_metrics():
    (job,) = read_yaml(INFRA / "prometheus/prometheus.yaml")["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]
    services = compose()["services"]
    nodes = {name for name in services if "ray start" in services[name].get("command", "")}
    assert set(discovery["names"]) == nodes
    for name in nodes:
        assert f"--metrics-export-port={discovery['port']}" in services[name]["command"]
        assert set(services[name]["networks"]) & set(services["prometheus"]["networks"])
