"""The view that MLflow's dashboard opens a sweep with: charts, columns and runs, saved as a tag.

MLflow keeps a saved view as a tag of the experiment, ``mlflow.sharedViewState.<key>``, and opens it
at ``viewStateShareKey=<key>``. That is how its own "Save view" works in 3.17, but it is nowhere
documented: tests/e2e/test_dashboard.py looks at it in a browser. A link with a filter alone, which
is older and plainer, does without.
"""

import base64
import json
import zlib
from typing import Any
from urllib.parse import quote, urlencode

from sweeps.record import SweepState
from sweeps.space.domains import Fixed
from sweeps.spec import Sweep
from sweeps.tracking.store import param_key

_TAG_PREFIX = "mlflow.sharedViewState."
_SECTION = "Sweep"
# Charts that MLflow adds itself go into sections of these names, which must be there.
_OWN_SECTIONS = ("Model metrics", "System metrics")
_MANY_RUNS = 1000  # a chart of MLflow's shows ten runs unless told otherwise


def view_key(sweep_name: str, sweep_id: str) -> str:
    """What the view of a sweep is called in links: its name, and what tells it from namesakes."""
    return f"{sweep_name}-{sweep_id[:8]}"


def view_tag(sweep: Sweep, state: SweepState) -> tuple[str, str]:
    """The experiment's tag that holds the view: key and value.

    The same sweep gives the same tag each time, so writing it again changes nothing.
    """
    packed = zlib.compress(json.dumps(_view(sweep, state.id)).encode(), 9)
    created = round(state.started_at * 1000)
    envelope = {
        "name": sweep.spec.name,
        "createdAt": created,
        "updatedAt": created,
        "state": f"deflate;{base64.b64encode(packed).decode()}",
    }
    return f"{_TAG_PREFIX}{view_key(sweep.spec.name, state.id)}", json.dumps(envelope)


def view_link(
    server: str, experiment_id: str, name: str, sweep_id: str, tags: dict[str, str]
) -> str:
    """Where a dashboard shows the sweep: at its view, or without one at a filter for its runs.

    Args:
        server: ``http://127.0.0.1:5000``.
        experiment_id: Of MLflow.
        name: The sweep's.
        sweep_id: The sweep's, as its runs carry it.
        tags: The experiment's.
    """
    key = view_key(name, sweep_id)
    # A filter in the link would win over the view's.
    if f"{_TAG_PREFIX}{key}" in tags:
        where = {"viewStateShareKey": key}
    else:
        where = {"searchFilter": _filter(sweep_id)}
    query = urlencode({"compareRunsMode": "CHART", **where}, quote_via=quote)
    return f"{server}/#/experiments/{experiment_id}/runs?{query}"


def _filter(sweep_id: str) -> str:
    return f"tags.`sweep.id` = '{sweep_id}' and tags.`sweep.role` = 'trial'"


def _view(sweep: Sweep, sweep_id: str) -> dict[str, Any]:
    objective = sweep.spec.objective
    varied = [path for path, domain in sweep.space.domains.items() if not isinstance(domain, Fixed)]
    keys = [param_key(path) for path in varied]
    return {
        "searchFilter": _filter(sweep_id),
        # Best first. Sorted by a metric the runs are a list; by time they would be folded up.
        "orderByKey": f"metrics.`{objective.metric}`",
        "orderByAsc": objective.mode == "min",
        "selectedColumns": [
            f"metrics.`{objective.metric}`",
            *(f"params.`{key}`" for key in keys),
            "tags.`trial.status`",
            "tags.`trial.reason`",
            "attributes.`Duration`",
        ],
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": False,
        "compareRunCharts": _charts(sweep, varied),
        "compareRunSections": [
            # Two abreast: parallel coordinates want room.
            {**_section(_SECTION, is_open=True), "columns": 2},
            *(_section(name, is_open=False) for name in _OWN_SECTIONS),
        ],
        "isAccordionReordered": True,  # else MLflow sorts the sections by name
    }


def _section(name: str, *, is_open: bool) -> dict[str, Any]:
    return {
        "uuid": name,
        "name": name,
        "display": is_open,
        "isReordered": False,
        "deleted": False,
        "isGenerated": name != _SECTION,
    }


def _charts(sweep: Sweep, varied: list[str]) -> list[dict[str, Any]]:
    """What answers comes first, then the curves."""
    metric = sweep.spec.objective.metric
    always = [path for path in varied if not sweep.space.domains[path].when]
    charts = [
        _parallel(always or varied, metric),
        {
            "type": "SCATTER",
            "xaxis": {"key": "elapsed_seconds", "type": "METRIC"},
            "yaxis": {"key": metric, "type": "METRIC"},
        },
    ]
    curves = dict.fromkeys((metric, "train_loss", "val_loss", "learning_rate"))
    charts += [_curve(name) for name in curves]
    if always and always != varied:
        # MLflow leaves a run out that lacks a key, so the conditional ones have their own chart.
        charts.append(_parallel(varied, metric))
    return [
        {
            "uuid": f"{chart['type'].lower()}-{number}",
            "metricSectionId": _SECTION,
            "runsCountToCompare": _MANY_RUNS,
            "deleted": False,
            "isGenerated": False,
            **chart,
        }
        for number, chart in enumerate(charts)
    ]


def _parallel(paths: list[str], metric: str) -> dict[str, Any]:
    return {
        "type": "PARALLEL",
        "selectedParams": [param_key(path) for path in paths],
        "selectedMetrics": [metric],
        "showAllRuns": True,
    }


def _curve(metric: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "metricKey": metric,
        "displayName": metric,
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }
