"""The dashboard that ``sweeps ui`` opens on a sweep, in a browser."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from tests.e2e.browser import ARGUMENTS, CHROMIUM, needs_chromium
from tests.e2e.conftest import Cluster, Home, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow, needs_chromium]
DIGITS = """\
model: {name: resnet_20, num_classes: 10, initial_stem: cifar}
optimizer:
  decoupled_sgdw: {learning_rate: 0.02, momentum: 0.9, weight_decay: 5e-4}
lr_schedulers: {linear_warmup: 1ep, cosine_decay: {T_max: 1ep}}
train_batch_size: 64
max_duration: 2ep
data: {digits: {}}
"""
# Far apart, so that their lines do not meet on the axis: with the recipe's 0.02 four trials.
SPACE = "space: {optimizer.decoupled_sgdw.learning_rate: {grid: [0.001, 0.05, 0.1]}}\n"
TIMEOUT_MS = 60_000

LINES = """canvas => {
    const {width, height} = canvas
    const {data} = canvas.getContext('2d').getImageData(0, 0, width, height)
    let most = 0
    for (let x = 0; x < width; x++) {
        const drawn = Array.from({length: height}, (_, y) => data[4 * (y * width + x) + 3] > 0)
        most = Math.max(most, drawn.filter((here, y) => here && !drawn[y - 1]).length)
    }
    return most
}"""
"""How many lines are seen apart on a canvas, where they are farthest apart."""

BRIGHTNESS = """() => {
    const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g)
    return Math.max(red, green, blue)
}"""
"""Of the page's background, 0 to 255."""


@contextmanager
def browser_page(*, dark: bool) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what goes wrong on it: errors that it logs or throws, answers that are none.

    Dark is a switch of MLflow's own page, which the browser's storage remembers.
    """
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1600, "height": 1200})
        page.add_init_script(
            f"localStorage._mlflow_dark_mode_toggle_enabled = '{str(dark).lower()}'"
        )
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if _is_error(said) else None)
        page.on(
            "response",
            lambda answer: (
                errors.append(f"{answer.status} {answer.url}")
                # MLflow asks who is logged in; without authentication there is nobody.
                if answer.status >= 400 and not answer.url.endswith("/users/current")
                else None
            ),
        )
        yield page, errors
        browser.close()


def _is_error(said: ConsoleMessage) -> bool:
    """Whether the console says that something is wrong.

    Not counted are the answer that is told apart, and the browser's remark that MLflow's page lays
    its charts out in two steps.
    """
    if said.type != "error" or said.location["url"].endswith("/users/current"):
        return False
    return "ResizeObserver loop completed" not in said.text


@contextmanager
def served(home: Home) -> Iterator[tuple[str, str]]:
    """The dashboard, as long as it is needed; the name and the link that it is announced with."""
    process = home.start("ui", "e2e", "--port", str(free_port()))
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        name, _, link = process.stdout.readline().strip().partition(": ")
        assert any("Uvicorn running on" in line for line in process.stderr)
        # Else the server stands still once its log has filled the pipe.
        reader = threading.Thread(target=process.stderr.read)
        reader.start()
        yield name, link
    finally:
        process.send_signal(signal.SIGINT)  # a killed one would leave the server behind
    reader.join()
    assert process.wait() == 0


def test_the_link_of_ui_opens_on_every_trial_with_parallel_coordinates_and_curves(
    home: Home, cluster: Cluster
):
    home.ray = cluster.ray
    home.run("run", home.write(f"{SPACE}search: {{algorithm: grid}}\n", DIGITS))
    brightness = []
    with served(home) as (name, link):
        assert name == "e2e"
        assert "viewStateShareKey=e2e-" in link
        for dark in (False, True):
            with browser_page(dark=dark) as (page, errors):
                look_at_every_chart(page, link)
                brightness.append(page.evaluate(BRIGHTNESS))
            assert errors == []
    light, dark = brightness
    assert light > 200
    assert dark < 60


def look_at_every_chart(page: Page, link: str) -> None:
    """Check that the charts hold what was trained."""
    page.goto(link)
    page.get_by_text("4 matching runs").wait_for()
    for trial in ("t0000", "t0001", "t0002", "t0003"):
        page.get_by_role("link", name=trial).wait_for()
    cards = page.get_by_test_id("experiment-view-compare-runs-card")
    parallel = cards.filter(has_text="Parallel Coordinates")
    lines = parallel.locator("canvas.foreground")
    lines.wait_for()
    page.wait_for_function(f"canvas => ({LINES})(canvas) > 0", arg=lines.element_handle())
    assert lines.evaluate(LINES) == 4
    assert parallel.locator("svg .dimension title, svg .dimension .label").count() == 2
    scatter = cards.filter(has_text="elapsed_seconds vs. val_accuracy")
    scatter.locator(".scatterlayer .point").nth(3).wait_for()
    assert scatter.locator(".scatterlayer .point").count() == 4
    for metric in ("val_accuracy", "train_loss", "learning_rate"):
        curve = cards.filter(has=page.get_by_text(metric, exact=True)).filter(has_text="Step")
        curve.scroll_into_view_if_needed()
        curve.locator(".scatterlayer .trace").nth(3).wait_for()
    assert page.get_by_text("Error loading shared view state").count() == 0
