"""The shipped sweeps: each valid, and what its comments say is so."""

from pathlib import Path

import pytest

from sweeps.loading import load_sweep
from sweeps.space.constraints import violations
from sweeps.space.model_cost import cached_summary
from sweeps.spec import Sweep

FOLDER = Path(__file__).parents[2] / "configs" / "sweeps"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))


def example(name: str) -> Sweep:
    return load_sweep(FOLDER / f"{name}.yaml")


def points(sweep: Sweep):
    return list(sweep.space.grid_points(every_key=True))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_shipped_sweep_is_valid_and_begins_with_its_question_and_command(path):
    assert load_sweep(path)
    header = path.read_text().split("version:")[0]
    assert "?" in header
    assert f"python -m sweeps run configs/sweeps/{path.name}" in header


@pytest.mark.parametrize(
    ("name", "num_trials"),
    [("family", 16), ("width_groups", 26), ("schedules", 17), ("batch_size", 13)],
)
def test_a_shipped_grid_has_as_many_trials_as_its_comment_says(name, num_trials):
    assert example(name).num_trials == num_trials == 1 + len(points(example(name)))


@pytest.mark.parametrize("name", ["family", "schedules"])
def test_one_point_of_the_grid_is_trial_0(name):
    sweep = example(name)
    digests = [sweep.recipe_for(point).digest() for point in points(sweep)]
    assert digests.count(sweep.recipe_for({}).digest()) == 1
    assert len(set(digests)) == len(digests)


def test_warm_up_and_decay_make_up_the_training():
    sweep = example("schedules")
    for point in points(sweep):
        recipe = sweep.recipe_for(point)
        _, decay = recipe.lr_schedulers.decay
        names = ("T_max", "T_stable", "T_decay")
        lengths = [getattr(decay, name).value for name in names if hasattr(decay, name)]
        warmup = recipe.lr_schedulers.linear_warmup.value
        assert warmup + sum(lengths) == recipe.max_duration.value


def test_the_band_of_flops_lets_the_five_of_the_resnext_paper_through():
    sweep = example("width_groups")
    costs = {
        (point["model.groups"], point["model.width_per_group"]): cached_summary(
            sweep.recipe_for(point)
        )
        for point in points(sweep)
    }
    within = {
        key: cost
        for key, cost in costs.items()
        if max(violations(sweep.spec.constraints, cost).values()) <= 0
    }
    # Xie et al. 2017, table 2: cardinality and width of equal complexity.
    assert set(within) == {(1, 64), (2, 40), (4, 24), (8, 14), (32, 4)}
    plain = costs[1, 64].forward_flops
    assert all(abs(cost.forward_flops / plain - 1) < 0.05 for cost in within.values())


def test_the_rate_of_a_larger_batch_follows_the_rule():
    sweep = example("batch_size")
    rates = {
        rule: sweep.recipe_for({"train_batch_size": 256, "lr_scaling": rule}).peak_learning_rate
        for rule in ("none", "linear", "sqrt")
    }
    assert rates == pytest.approx({"none": 0.064, "linear": 4 * 0.064, "sqrt": 2 * 0.064})
