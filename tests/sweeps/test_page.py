"""The report as a file: what it says, that it needs no network, how large it gets."""

import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.figures.found import read_found
from sweeps.page.card import COLUMNS, card_markdown, card_rows
from sweeps.page.report import report_html, write_report
from sweeps.storage import SweepFolder
from tests.sweeps.simulation import LR, RANDOM, STRETCH, Driver, begin, near_one

CONFIRM = "confirm: {top_k: 1, seeds: 3}\n"


@pytest.fixture
def driver(sweep, tmp_path):
    """A simulated sweep that has run to its end."""

    def driver(text=RANDOM + STRETCH, name="s", **options):
        folder = begin(tmp_path / name)
        found = Driver(sweep(text), folder, **options)
        for file in ("sweep.yaml", "resolved.yaml"):
            (folder.path / file).write_text("name: s\n")
        (folder.path / "environment.json").write_text('{"cpus": 2, "gpus": null}')
        for record in folder.read_records():
            folder.create_training(record, None, "")
        found.run()
        for record in folder.read_records():
            (folder.trial_folder(record) / "recipe.yaml").touch()
        return found

    return driver


def page_of(driver):
    return report_html(read_found(driver.folder, driver.sweep))


def test_nothing_is_fetched_from_anywhere(driver):
    page = page_of(driver())
    attributes = re.findall(r'\b(?:src|href|action)="([^"]*)"', page.partition('id="plotly"')[0])
    assert attributes == ["data:,"]
    assert "@import" not in page
    assert "url(" not in page.partition('id="plotly"')[0]


def test_the_answer_comes_first_and_is_the_terminals(driver):
    found = driver()
    winner = read_found(found.folder, found.sweep).result.winner
    assert winner is not None
    page = page_of(found)
    answer = re.search(r'class="answer">([^<]*)<', page)
    assert answer is not None
    assert html.unescape(answer.group(1)).startswith(f"{winner.record.name}: val_accuracy")
    assert page.index('class="answer"') < page.index("<figure>")


def test_every_figure_has_a_place_a_title_and_a_caption(driver):
    page = page_of(driver())
    places = re.findall(r'class="plot" id="figure(\d+)"', page)
    content = re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)
    assert content is not None
    figures = json.loads(content.group(1))
    assert [int(place) for place in places] == list(range(len(figures)))
    assert len(re.findall(r"<figure><h3>[^<]+</h3>", page)) == len(figures)
    assert len(re.findall(r"<figcaption>[^<]+</figcaption>", page)) == len(figures)


def test_text_of_a_failure_is_text_and_no_markup(driver):
    evil = "</script><script>alert(1)</script>"

    def failure(assignment):
        return {"reason": "error", "error": evil} if assignment.record.index == 2 else None

    page = page_of(driver(RANDOM, failure=failure))
    assert evil not in page
    assert html.escape(evil) in page


def test_a_sweep_without_a_completed_trial_says_so(driver):
    page = page_of(driver(failure=lambda _: {"reason": "nan", "error": "NonFiniteLoss"}))
    assert "No trial has completed yet." in page


@pytest.mark.long
def test_the_report_of_500_trials_is_below_5_mb(driver):
    found = driver(RANDOM.replace("12", "500") + STRETCH)
    file = write_report(found.folder, found.sweep)
    assert len(found.statuses) == 500
    assert file.stat().st_size < 5_000_000


def test_the_card_tells_means_over_fresh_seeds_and_how_sure_they_are(driver):
    values = {0: [0.80, 0.82, 0.84], 1: [0.90, 0.93, 0.96]}

    def value(record, num_epochs, epoch):
        if record.copy:
            return values[min(record.index, 1)][record.copy - 1]
        return near_one(record, num_epochs, epoch)

    found = driver("search: {algorithm: random, trials: 3, seed: 5}\n" + CONFIRM, value=value)
    best, recipe = card_rows([read_found(found.folder, found.sweep)])
    # Student's t with 2 degrees of freedom: 4.30265 at 97.5 %; deviations 0.03 and 0.02.
    assert best.accuracy.mean == pytest.approx(0.93)
    assert best.accuracy.half_width == pytest.approx(4.30265 * 0.03 / 3**0.5, rel=1e-4)
    assert recipe.accuracy.mean == pytest.approx(0.82)
    assert recipe.accuracy.half_width == pytest.approx(4.30265 * 0.02 / 3**0.5, rel=1e-4)
    assert (recipe.model, recipe.data, recipe.num_epochs) == ("resnet_20", "digits", 9)
    assert recipe.minutes == pytest.approx(9 / 60)


def test_the_card_leaves_out_what_had_one_seed_and_was_chosen(driver):
    found = driver("search: {algorithm: random, trials: 3, seed: 5}\n")
    (recipe,) = card_rows([read_found(found.folder, found.sweep)])
    assert (recipe.trials, recipe.hardware) == (["s/t0000"], "1 CPU core")
    assert recipe.accuracy.half_width is None


def test_the_card_names_the_processor_that_the_worker_has_seen(driver):
    found = driver("search: {algorithm: random, trials: 3, seed: 5}\n")
    (record, *_) = found.folder.read_records()
    (found.folder.trial_folder(record) / "data.json").write_text('{"device": "Fast One"}')
    (recipe,) = card_rows([read_found(found.folder, found.sweep)])
    assert recipe.hardware == "1 CPU core (Fast One)"


def test_what_two_sweeps_have_trained_is_one_row_over_the_seeds_of_both(driver):
    def seeded(seed):
        return f"search: {{algorithm: random, trials: 3, seed: {seed}}}\n{CONFIRM}"

    founds = [driver(seeded(5), name="s"), driver(seeded(6), name="s2")]
    founds = [read_found(one.folder, one.sweep) for one in founds]
    (recipe,) = (row for row in card_rows(founds) if "s/t0000" in row.trials)
    assert recipe.accuracy.n == 3 + 3
    assert [Path(one).parent.name for one in recipe.commands] == ["s", "s2"]


def test_a_seed_that_two_sweeps_share_is_one_training(driver, tmp_path):
    first = driver("search: {algorithm: random, trials: 3, seed: 5}\n" + CONFIRM)
    found = read_found(first.folder, first.sweep)
    shutil.copytree(first.folder.path, tmp_path / "again")
    again = replace(found, folder=SweepFolder(tmp_path / "again"))
    once, twice = card_rows([found]), card_rows([found, again])
    assert [row.accuracy for row in twice] == [row.accuracy for row in once]


def test_the_card_says_which_members_of_the_measured_kind_are_missing(driver):
    found = driver("search: {algorithm: random, trials: 3, seed: 5}\n")
    lines = card_markdown(card_rows([read_found(found.folder, found.sweep)])).splitlines()
    assert (
        lines[-1] == "Not measured on digits: resnet_9, resnet_32, resnet_44, resnet_56, resnet_110"
    )


def test_every_row_of_the_markdown_has_every_column(driver):
    found = driver("search: {algorithm: random, trials: 3, seed: 5}\n" + CONFIRM)
    header, line, *rows, _, _ = card_markdown(
        card_rows([read_found(found.folder, found.sweep)])
    ).splitlines()
    assert {text.count("|") for text in (header, line, *rows)} == {len(COLUMNS) + 1}
    assert len(rows) == 2
    assert LR not in header
