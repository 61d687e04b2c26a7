"""What Optuna's samplers suggest, one trial after another: grids first, then the algorithms."""

from typing import Any

import pytest

from sweeps.spec import Sweep
from sweeps.study import Suggester
from tests.sweeps.seen_trials import seen, told
from tests.sweeps.simulation import LR, SPACE

OTHER = "optimizer.decoupled_sgdw.momentum"
WIDE = f"{SPACE}  {OTHER}: {{uniform: [0.5, 0.99]}}\n"


# ---- grids ---------------------------------------------------------------------------------------

GRID = "space:\n  train_batch_size: {grid: [32, 64]}\n  seed: {grid: [1, 2, 3]}\n"


def suggestions(sweep, count: int) -> list[Any]:
    """Each trial completes with a value that depends on nothing but its index."""
    suggester, trials, found = Suggester(sweep), [], []
    for index in range(1, count + 1):
        suggestion = suggester.suggest(index, trials)
        if suggestion is None:
            found.append(None)
            continue
        overrides, sampler = suggestion
        found.append(overrides)
        value = (index * 7 % 10) / 10
        trials.append(seen(index, {9: value}, overrides, status="completed", sampler=sampler))
    return found


def test_a_grid_goes_through_every_point_once_and_ends(searching):
    found = suggestions(searching("grid", space=GRID), 8)
    points = [(one["train_batch_size"], one["seed"]) for one in found[:6]]
    assert points == [(32, 1), (32, 2), (32, 3), (64, 1), (64, 2), (64, 3)]
    assert found[6:] == [None, None]


def test_a_rerun_takes_no_point_of_the_grid_away(searching):
    what = searching("grid", space=GRID)
    trials = [
        seen(1, {9: 0.5}, {"train_batch_size": 32, "seed": 1}, status="completed"),
        seen(2, {9: 0.5}, {"train_batch_size": 32, "seed": 9}, status="completed",
             origin="rerun of t0001"),
    ]  # fmt: skip
    suggestion = Suggester(what).suggest(3, trials)
    assert suggestion is not None
    assert suggestion[0] == {"train_batch_size": 32, "seed": 2}


@pytest.mark.parametrize("algorithm", ["random", "tpe", "qmc"])
def test_keys_of_kind_grid_are_cycled_while_the_algorithm_chooses_the_rest(searching, algorithm):
    space = f"space:\n  train_batch_size: {{grid: [32, 64, 96]}}\n  {LR}: {{uniform: [1, 2]}}\n"
    found = suggestions(searching(algorithm, space=space), 7)
    assert [one["train_batch_size"] for one in found] == [32, 64, 96, 32, 64, 96, 32]
    assert len({one[LR] for one in found}) == 7


# ---- samplers ------------------------------------------------------------------------------------


def test_qmc_goes_on_in_its_sequence_and_never_repeats_a_point(searching):
    found = suggestions(searching("qmc", space=WIDE), 18)
    assert len({str(one) for one in found}) == 18
    # The first point is drawn at random. Of a Sobol sequence each half of a range gets half of
    # the first 16 points, and so does each quarter a quarter.
    quarters = [int((one[OTHER] - 0.5) / 0.49 * 4) for one in found[1:17]]
    assert [quarters.count(quarter) for quarter in range(4)] == [4, 4, 4, 4]


@pytest.fixture
def impossible_above(monkeypatch):
    """Makes every recipe impossible whose momentum is above a bound."""

    def impossible_above(bound: float) -> None:
        recipe_for = Sweep.recipe_for

        def picky(self: Sweep, overrides: dict[str, Any]) -> Any:
            if overrides.get(OTHER, 0) > bound:
                raise ValueError("impossible")
            return recipe_for(self, overrides)

        monkeypatch.setattr(Sweep, "recipe_for", picky)

    return impossible_above


@pytest.mark.parametrize("algorithm", ["random", "tpe", "qmc", "cmaes", "nsga2"])
def test_impossible_points_are_left_out(searching, algorithm, impossible_above):
    what = searching(algorithm, space=WIDE)
    impossible_above(0.75)
    found = suggestions(what, 12)
    assert all(one[OTHER] <= 0.75 for one in found)
    if algorithm != "nsga2":  # whose children may equal a parent
        assert len({str(one) for one in found}) == 12


def test_qmc_leaves_impossible_points_of_its_sequence_out_and_takes_the_next(
    searching, impossible_above
):
    what = searching("qmc", space=WIDE)
    sequence = suggestions(what, 25)[1:]  # the first point is drawn at random
    impossible_above(0.75)
    found = suggestions(what, 10)[1:]
    assert found == [point for point in sequence if point[OTHER] <= 0.75][:9]


def test_a_space_without_a_possible_point_is_an_error_and_no_endless_loop(
    searching, impossible_above
):
    what = searching("qmc", space=WIDE)
    impossible_above(0.4)
    with pytest.raises(ValueError, match="impossible"):
        Suggester(what).suggest(1, [])


def test_cmaes_carries_its_distribution_from_trial_to_trial(searching):
    suggester, trials = Suggester(searching("cmaes", space=WIDE)), []
    for index in range(1, 20):
        suggestion = suggester.suggest(index, trials)
        assert suggestion is not None
        overrides, sampler = suggestion
        trials.append(
            seen(index, {9: overrides[OTHER]}, overrides, status="completed", sampler=sampler)
        )
    generations = [one.record.sampler["trial"].get("cma:generation") for one in trials]
    # The first trial is drawn at random; a population of two dimensions has
    # 4 + floor(3 ln 2) = 6 members.
    assert generations == [None, *[0] * 6, *[1] * 6, *[2] * 6]


def test_a_population_of_nsga2_is_a_fifth_of_the_trials_and_generations_follow(searching):
    suggester, trials = Suggester(searching("nsga2", space=WIDE)), []
    for index in range(1, 13):
        suggestion = suggester.suggest(index, trials)
        assert suggestion is not None
        overrides, sampler = suggestion
        trials.append(
            seen(index, {9: overrides[OTHER]}, overrides, status="completed", sampler=sampler)
        )
    generations = [one.record.sampler["trial"]["NSGAIISampler:generation"] for one in trials]
    assert generations == [*[0] * 4, *[1] * 4, *[2] * 4]


def test_tpe_comes_nearer_to_what_was_good(searching):
    # The value falls with the momentum's distance from 0.9. Points drawn from 0.5 to 0.99 lie
    # (0.4 * 0.2 + 0.09 * 0.045) / 0.49 = 0.17 away on average; twenty later ones less than half.
    suggester, trials = Suggester(searching("tpe", space=WIDE)), []
    for index in range(1, 41):
        suggestion = suggester.suggest(index, trials)
        assert suggestion is not None
        distance = abs(suggestion[0][OTHER] - 0.9)
        trials.append(seen(index, {9: 1 - distance}, suggestion[0], status="completed"))
    distances = [abs(one.record.overrides[OTHER] - 0.9) for one in trials[20:]]
    assert sum(distances) / 20 < 0.085


def test_a_suggestion_does_not_depend_on_what_was_asked_before(searching):
    suggester = Suggester(searching("random"))
    first = suggester.suggest(1, [])
    suggester.suggest(2, [])
    assert suggester.suggest(1, []) == first


def test_what_a_sampler_notes_down_is_plain_data(searching):
    suggestion = Suggester(searching("cmaes", space=WIDE)).suggest(
        2, [seen(1, {9: 0.5}, {LR: 1.0, OTHER: 0.7}, status="completed")]
    )
    assert suggestion is not None
    assert suggestion[1]["trial"]["cma:generation"] == 0
    assert suggestion[1]["study"] == {}


def test_sub_trees_reach_optuna_as_text_and_come_back_as_trees(searching):
    trees = [
        {"linear_warmup": "1ep", "cosine_decay": {"T_max": "8ep"}},
        {"linear_warmup": "0ep", "cosine_decay": {"T_max": "9ep"}},
    ]
    space = f"space:\n  lr_schedulers: {{choice: {trees}}}\n"
    what = searching("tpe", space=space.replace("'", ""))
    found = suggestions(what, 8)
    assert all(one["lr_schedulers"] in trees for one in found)
    (trial,) = told(what, seen(1, {9: 0.5}, found[0], status="completed"))
    assert isinstance(trial.params["lr_schedulers"], str)
