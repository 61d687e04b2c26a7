"""What the figures draw, against what the simulated trainings have measured."""

import math
from typing import Any

import pytest

from sweeps.figures.found import read_found
from sweeps.results import (
    accuracy_against_time,
    failures,
    gains,
    importance,
    key_importances,
    learning_curves,
    open_results,
    parallel_coordinates,
    rank_correlations,
    schedule_shapes,
    slices,
    trials_frame,
)
from tests.sweeps.simulation import LR, RANDOM, STRETCH, Driver, begin

TWO_KEYS = f"""\
space:
  {LR}: {{loguniform: [0.2, 8]}}
  train_batch_size: {{choice: [32, 64, 128]}}
"""
SHAPES = """\
space:
  lr_schedulers:
    grid:
      - {linear_warmup: 1ep, cosine_decay: {T_max: 8ep}}
      - {linear_warmup: 1ep, step_decay: {milestones: [4ep], gamma: 0.1}}
"""


@pytest.fixture
def found(sweep, tmp_path):
    """A finished simulated sweep, read."""

    def found(text=RANDOM + STRETCH, *, steps=10_000, failure=lambda _: None, **options):
        made = sweep(text, **options)
        driver = Driver(made, begin(tmp_path / "s"), failure=failure)
        driver.run(steps)
        return read_found(driver.folder, made)

    return found


def drawn(figure: Any) -> Any:
    assert figure is not None
    return figure


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in drawn(figure).data}


def test_every_epoch_of_every_schedule_is_a_point_of_the_learning_curves(found):
    all_of_it = found()
    figure = drawn(learning_curves(all_of_it))
    points = [y for trace in figure.data if trace.mode == "lines" for y in trace.y if y is not None]
    assert len(points) == sum(row.epochs_trained for row in all_of_it.result.rows)
    recipe = traces(figure)["recipe"]
    assert list(recipe.x) == [*range(1, 10), None]
    history = all_of_it.folder.history(all_of_it.result.rows[0].record)
    values = [point["val_accuracy"] for point in history]
    assert list(recipe.y)[:-1] == pytest.approx(values, rel=1e-4)


def test_rungs_are_marked_where_trials_ended(found):
    figure = drawn(learning_curves(found()))
    assert [shape.x0 for shape in figure.layout.shapes] == [1, 3]
    ends = traces(figure)["end of a rung, or stop"]
    assert set(ends.x) == {1, 3}


def test_the_front_of_accuracy_and_time_holds_the_best_trial(found):
    all_of_it = found()
    front = traces(accuracy_against_time(all_of_it))["no other is better and faster"]
    best = max(row.value for row in all_of_it.result.rows if row.rank)
    # Every schedule takes 9 s here, so that nothing is faster than the best.
    assert list(front.y) == pytest.approx([best], rel=1e-4)
    assert list(front.x) == [0.15]


def test_parallel_coordinates_have_a_line_for_each_trial_with_a_value(found):
    all_of_it = found(space=TWO_KEYS)
    (lines,) = drawn(parallel_coordinates(all_of_it)).data
    assert [one.label for one in lines.dimensions] == ["lr", "batch", "epochs", "val_accuracy"]
    rates, batches, epochs, _ = (list(one["values"]) for one in lines.dimensions)
    rows = all_of_it.result.rows
    assert len(rates) == len(rows) == 12
    assert rates == pytest.approx([math.log10(row.varied[LR]) for row in rows], rel=1e-4)
    assert batches == [row.varied["train_batch_size"] for row in rows]
    assert epochs == [row.epochs for row in rows]


def test_slices_compare_only_what_was_trained_equally_long(found):
    all_of_it = found(space=TWO_KEYS)
    figure = drawn(slices(all_of_it))
    assert all_of_it.widest_rung == 1
    expected = {row.record.id for row in all_of_it.result.rows if row.record.rungs}
    for trace in figure.data:
        assert {name.split()[0] for name in trace.text} == expected
    assert "after 1 epochs" in figure.layout.meta["caption"]


def test_a_key_that_decides_everything_has_nearly_all_of_the_importance(found):
    trials = RANDOM.replace("12", "60")
    shares = key_importances(found(trials + STRETCH, space=TWO_KEYS))
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares) == ["lr", "batch"]
    assert shares["lr"] > 0.8  # the simulated objective looks at nothing else


def test_of_few_trials_no_importance_is_told(found):
    few = found("search: {algorithm: random, trials: 9, seed: 5}\n", space=TWO_KEYS)
    assert importance(few) is None


def test_the_rank_correlations_are_the_answers_own(found):
    all_of_it = found()
    (bars,) = drawn(rank_correlations(all_of_it)).data
    known = [one.value for one in all_of_it.result.correlations if one.value is not None]
    assert list(bars.y) == pytest.approx(known, rel=1e-4)


def test_failures_are_counted_by_reason(found):
    def failure(assignment):
        if assignment.record.index in (2, 5):
            return {"reason": "nan", "error": "NonFiniteLoss"}
        return {"reason": "error", "error": "boom"} if assignment.record.index == 3 else None

    (bars,) = drawn(failures(found(RANDOM, failure=failure))).data
    assert dict(zip(bars.y, bars.x, strict=True)) == {"infeasible: nan": 2, "failed: error": 1}


def test_a_schedule_is_drawn_as_it_is_defined(found):
    figure = drawn(schedule_shapes(found("search: {algorithm: grid}\n", space=SHAPES)))
    shapes = [dict(zip(trace.x, trace.y, strict=True)) for trace in figure.data]
    # The digits have 1204 training images: 9 batches of 128 an epoch, the first of them warm-up.
    warm_up = [[shape[round(step / 9, 5)] for step in range(9)] for shape in shapes]
    assert warm_up == [pytest.approx([step / 9 for step in range(9)], rel=1e-4)] * 2
    cosine, step = shapes
    assert cosine[5.0] == pytest.approx(0.5)  # half of the cosine, which begins after the warm-up
    assert (step[round(35 / 9, 4)], step[4.0]) == (1.0, pytest.approx(0.1))  # the milestone


def test_what_a_sweep_does_not_have_is_not_drawn(found):
    alone = found("search: {algorithm: random, trials: 1, seed: 5}\n")
    nothing = (gains, parallel_coordinates, slices, importance, rank_correlations, failures,
               schedule_shapes)  # fmt: skip
    assert [draw(alone) for draw in nothing] == [None] * len(nothing)


def test_every_caption_says_something(found):
    all_of_it = found(RANDOM.replace("12", "40") + STRETCH, space=TWO_KEYS)
    for draw in (learning_curves, accuracy_against_time, parallel_coordinates, slices, importance):
        assert len(drawn(draw(all_of_it)).layout.meta["caption"].split()) > 10


def test_a_notebook_gets_the_trials_as_a_frame(found, tmp_path):
    all_of_it = found(space=TWO_KEYS)
    all_of_it.folder.sweep_file.write_text(all_of_it.sweep.resolved_yaml())
    frame = trials_frame(open_results("s", tmp_path))
    assert list(frame.index) == [row.record.id for row in all_of_it.result.rows]
    assert frame["val_accuracy"].tolist() == [row.value for row in all_of_it.result.rows]
    assert frame[LR].tolist() == [row.varied[LR] for row in all_of_it.result.rows]
