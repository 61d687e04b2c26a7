"""The report of a real sweep over digits, in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import needs_chromium, opened
from tests.e2e.conftest import Cluster, Home

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

DIGITS = """\
model: {name: resnet_20, num_classes: 10, initial_stem: cifar}
optimizer:
  decoupled_sgdw: {learning_rate: 0.05, momentum: 0.9, weight_decay: 5e-4}
lr_schedulers: {linear_warmup: 1ep, cosine_decay: {T_max: 2ep}}
train_batch_size: 64
max_duration: 3ep
data: {digits: {}}
"""
SWEEP = """\
space:
  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.001, 0.2]}
  train_batch_size: {choice: [32, 64]}
search: {algorithm: random, trials: 11, seed: 1}
early_stopping: {fidelity: stretch, asha: {grace_period: 1ep, reduction_factor: 3}}
confirm: {top_k: 1, seeds: 2}
resources: {max_concurrent_trials: 2}
tracking: {register_winner: false}
"""
# Of a plot: how many shapes it has, or for one that WebGL draws, how many pixels are not empty.
DRAWN = """
place => {
  const shapes = place.querySelectorAll('.trace path.js-line, .bars path, .point, path.point')
  let pixels = 0
  for (const canvas of place.querySelectorAll('canvas')) {
    const copy = new OffscreenCanvas(canvas.width, canvas.height)
    const brush = copy.getContext('2d')
    brush.drawImage(canvas, 0, 0)
    const data = brush.getImageData(0, 0, canvas.width || 1, canvas.height || 1).data
    pixels += data.filter((value, index) => index % 4 == 3 && value > 0).length
  }
  return shapes.length + pixels
}
"""


def scroll_through(page: Any) -> None:
    """As a reader does: figures are drawn as they come into sight."""
    for place in page.locator(".plot").all():
        place.scroll_into_view_if_needed()
        place.locator(".main-svg").first.wait_for()


@pytest.mark.long
@needs_chromium
@pytest.mark.timeout(400)
def test_the_report_of_a_digits_sweep_draws_every_figure_in_light_and_dark(
    home: Home, cluster: Cluster
):
    home.ray = cluster.ray
    home.run("run", home.write(SWEEP, DIGITS))
    report = home.path / "results/e2e/report.html"
    pictures = sorted(path.stem for path in (home.path / "results/e2e/figures").glob("*.png"))
    expected = {"accuracy_against_time", "gains", "importance", "learning_curves",
                "parallel_coordinates", "rank_correlations", "slices"}  # fmt: skip
    assert expected == set(pictures)
    everything = [*(f"figures/{name}.png" for name in pictures), "report.html"]
    assert attached(home) == everything
    before = report.stat().st_mtime_ns
    out, err = home.run("report", "e2e")
    assert out.splitlines()[0] == str(report)
    assert report.stat().st_mtime_ns > before
    assert "attached to run" in err
    assert attached(home) == everything

    colours = set()
    for scheme in ("light", "dark"):
        with opened(report.as_uri(), scheme=scheme) as (page, errors, addresses):
            scroll_through(page)
            plots = page.locator(".plot")
            assert plots.count() == len(expected)
            titles = page.locator("figure h3").all_inner_texts()
            drawn = {
                title: plot.evaluate(DRAWN) for title, plot in zip(titles, plots.all(), strict=True)
            }
            assert [title for title, shapes in drawn.items() if shapes == 0] == []
            lines = page.evaluate(
                "[...document.querySelectorAll('.plot')].flatMap(p => p.data)"
                ".filter(t => t.type == 'parcoords').map(t => t.line.color.length)"
            )
            assert lines == [11]  # a line per trial
            colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert errors == []
            elsewhere = [a for a in addresses if not a.startswith(("file:", "data:", "blob:"))]
            assert elsewhere == []
    assert colours == {"rgb(255, 255, 255)", "rgb(22, 22, 24)"}


def attached(home: Home) -> list[str]:
    """The report's files at the sweep's own run."""
    client = home.client
    experiment = client.get_experiment_by_name("e2e")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'sweep'")
    names = [file.path for file in client.list_artifacts(run.info.run_id)]
    inside = [file.path for file in client.list_artifacts(run.info.run_id, "figures")]
    return sorted([*inside, *(name for name in names if Path(name).suffix == ".html")])
