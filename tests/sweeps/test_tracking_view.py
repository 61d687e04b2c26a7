"""What the saved view asks for; tests/e2e/test_dashboard.py looks at it in a browser."""

import base64
import json
import zlib
from urllib.parse import parse_qs, urlsplit

from sweeps.record import SweepState
from sweeps.tracking.view import view_key, view_link, view_tag

STATE = SweepState(id="1f9c2a4b" + "0" * 24, started_at=1_700_000_000.0)
SPACE = """\
  model.name: {choice: [resnet18, resnet50]}
  model.groups: {choice: [1, 4], when: {model.name: [resnet50]}}
  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.01, 1]}
  seed: 7
"""


def view_of(sweep):
    _, value = view_tag(sweep, STATE)
    packed = json.loads(value)["state"].removeprefix("deflate;")
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def charts_of(view, kind):
    return [chart for chart in view["compareRunCharts"] if chart["type"] == kind]


def test_a_run_is_in_the_first_parallel_coordinates_whatever_conditions_hold(load):
    view = view_of(load(SPACE))
    first, second = charts_of(view, "PARALLEL")
    rate = "optimizer.decoupled_sgdw.learning_rate"
    assert first["selectedParams"] == ["model.name", rate]  # seed is fixed, so no axis
    assert second["selectedParams"] == ["model.name", "model.groups", rate]
    assert first["selectedMetrics"] == ["val_accuracy"]
    assert first["showAllRuns"] is True


def test_the_best_trial_comes_first_and_is_no_confirmation(load):
    view = view_of(load(SPACE, ["objective.metric=val_loss"]))
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`val_loss`", True)
    assert view["searchFilter"] == f"tags.`sweep.id` = '{STATE.id}' and tags.`sweep.role` = 'trial'"
    assert [chart["metricKey"] for chart in charts_of(view, "LINE")] == [
        "val_loss", "train_loss", "learning_rate",
    ]  # fmt: skip


def test_the_tag_keeps_within_mlflows_limits_and_is_the_same_each_time(load):
    long = "  optimizer.decoupled_sgdw.{}: {{loguniform: [0.001, 0.1]}}\n"
    space = SPACE + long.format("momentum") + long.format("weight_decay")
    key, value = view_tag(load(space), STATE)
    assert len(key) <= 250
    assert len(value) <= 20_000
    assert view_tag(load(space), STATE) == (key, value)


def test_the_link_leads_to_the_view_and_without_one_to_a_filter(load):
    sweep = load(SPACE)
    server = "http://127.0.0.1:5000"
    name = sweep.spec.name
    tag, value = view_tag(sweep, STATE)
    saved = view_link(server, "3", name, STATE.id, {tag: value})
    plain = view_link(server, "3", name, STATE.id, {})
    assert urlsplit(saved).fragment.startswith("/experiments/3/runs?")
    assert parse_qs(urlsplit(saved).fragment.partition("?")[2]) == {
        "compareRunsMode": ["CHART"], "viewStateShareKey": [view_key(name, STATE.id)],
    }  # fmt: skip
    assert parse_qs(urlsplit(plain).fragment.partition("?")[2]) == {
        "compareRunsMode": ["CHART"],
        "searchFilter": [f"tags.`sweep.id` = '{STATE.id}' and tags.`sweep.role` = 'trial'"],
    }
