import copy
import random

import optuna
import pytest
from pydantic import ValidationError

from sweeps.space.combinations import MAX_COMBINATIONS, points_to_check
from sweeps.space.domains import canonical, read_domain
from sweeps.space.space import CannotDerive, Space, apply_overrides, label

RECIPE = {
    "model": {"name": "resnet18", "groups": 1},
    "optimizer": {"sgd": {"learning_rate": 1.0, "nesterov": False}},
    "stages": [1, 2],
}
COSINE = {"linear_warmup": "1ep", "cosine_decay": {"T_max": "5ep"}}
STEPS = {"linear_warmup": None, "step_decay": {"milestones": ["4ep"], "gamma": 0.1}}


def space_of(**entries):
    """A space whose paths are written with ``__`` for the dot."""
    domains = {path.replace("__", "."): read_domain(entry) for path, entry in entries.items()}
    return Space(domains, RECIPE)


def fixed(**parameters):
    return optuna.trial.FixedTrial({k.replace("__", "."): v for k, v in parameters.items()})


NESTED = {
    "c": {"choice": [1, 2], "when": {"b": 4}},
    "b": {"choice": [1, 4], "when": {"model.name": ["resnet50", "resnet101"]}},
    "model__name": {"choice": ["resnet18", "resnet50"]},
}


def test_a_key_varies_only_where_its_condition_holds():
    space = space_of(**NESTED)
    assert space.suggest(fixed(model__name="resnet18")) == {"model.name": "resnet18"}
    assert space.suggest(fixed(model__name="resnet50", b=1)) == {"b": 1, "model.name": "resnet50"}
    assert space.suggest(fixed(model__name="resnet50", b=4, c=2)) == {
        "c": 2, "b": 4, "model.name": "resnet50",
    }  # fmt: skip


def test_conditions_come_before_what_hangs_on_them():
    assert space_of(**NESTED).order == ["model.name", "b", "c"]


def test_a_condition_on_what_does_not_vary_looks_at_the_recipe():
    entry = {"choice": [1, 2]}
    space = space_of(
        x={**entry, "when": {"model.name": "resnet18"}},
        y={**entry, "when": {"model.name": "resnet50"}},
    )
    assert space.suggest(fixed(x=2, y=2)) == {"x": 2}


def test_a_condition_sees_into_a_subtree_choice():
    space = space_of(
        optimizer={"choice": [{"sgd": {"nesterov": True}}, {"sgd": {"nesterov": False}}]},
        x={"choice": [1, 2], "when": {"optimizer.sgd.nesterov": True}},
    )
    assert [set(point) for point in points_to_check(space)] == [
        {"optimizer", "x"}, {"optimizer", "x"}, {"optimizer"},
    ]  # fmt: skip


def test_conditions_in_a_circle_are_refused():
    space = space_of(a={"choice": [1, 2], "when": {"b": 1}}, b={"choice": [1, 2], "when": {"a": 1}})
    with pytest.raises(ValueError, match="depend on each other: a, b"):
        _ = space.order


def test_a_subtree_reaches_optuna_as_text_and_comes_back_whole():
    space = space_of(lr_schedulers={"choice": [COSINE, STEPS]})
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    overrides = space.suggest(trial)
    assert overrides["lr_schedulers"] in (COSINE, STEPS)
    assert space.parameters(overrides) == trial.params
    assert all(isinstance(value, str) for value in trial.params.values())


def test_the_same_seed_suggests_the_same_points():
    space = space_of(**NESTED, lr={"loguniform": [0.1, 10]}, seed={"int": [1, 9]})

    def points():
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=3))
        return [space.suggest(study.ask()) for _ in range(20)]

    assert points() == points()


@pytest.mark.parametrize(
    ("entry", "low", "high"),
    [({"uniform": [2, 3]}, 2, 3), ({"loguniform": [1e-3, 1]}, 1e-3, 1), ({"int": [4, 6]}, 4, 6)],
    ids=["uniform", "loguniform", "int"],
)
def test_a_suggestion_lies_in_its_range(entry, low, high):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = space_of(x=entry)
    values = [space.suggest(study.ask())["x"] for _ in range(100)]
    assert low <= min(values) < max(values) <= high


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"choice": []}, "at least 1 item"),
        ({"choice": [1, 2, 1.0]}, "1 stands there twice"),
        ({"choice": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}, "stands there twice"),
        ({"uniform": [3, 2]}, r"inverted; write \[2, 3\]"),
        ({"int": [3, 3]}, "both bounds are 3"),
        ({"int": [1, 2.5]}, "integer"),
        ({"loguniform": [0, 1]}, "lower bound above 0, got 0"),
        ({"loguniform": [-1, 1]}, "lower bound above 0, got -1"),
        ({"uniform": [1, float("inf")]}, "finite"),
        ({"uniform": [False, True]}, "must be a number"),
        ({"choise": [1]}, "did you mean 'choice'"),
        ({"choice": [1], "uniform": [1, 2]}, "choice and uniform together"),
        ({"when": {"a": 1}}, "must be one of"),
        ([1, 2], "must be one of"),
        ({"choice": [1], "when": {"a": []}}, "never holds"),
        ({"choice": [1], "when": {"a": {"b": 1}}}, "compares with text, numbers"),
        ({"choice": [1], "when": "a"}, "must be a mapping"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_entry_that_means_nothing_is_refused(entry, message):
    with pytest.raises((ValueError, ValidationError), match=message):
        read_domain(entry)


def test_bounds_written_as_text_are_numbers():
    domain = read_domain({"loguniform": ["1e-4", "1e-1"]})
    assert [value for _, value in domain.values_to_check()] == [0.0001, 0.1]


def test_one_and_true_are_different_choices():
    assert read_domain({"choice": [1, True]})


def test_overrides_replace_lists_and_whole_subtrees():
    overrides = {"optimizer": {"lamb": {}}, "stages": [3], "model.groups": 4}
    assert apply_overrides(RECIPE, overrides) == {
        "model": {"name": "resnet18", "groups": 4}, "optimizer": {"lamb": {}}, "stages": [3],
    }  # fmt: skip


def test_an_inner_override_holds_within_an_outer_one():
    overrides = {"optimizer.sgd.learning_rate": 2, "optimizer": {"sgd": {"nesterov": True}}}
    assert apply_overrides(RECIPE, overrides)["optimizer"] == {
        "sgd": {"nesterov": True, "learning_rate": 2}
    }


def test_overrides_leave_the_recipe_unchanged():
    before = copy.deepcopy(RECIPE)
    apply_overrides(RECIPE, {"optimizer.sgd.learning_rate": 2, "model.x.y": 1})
    assert before == RECIPE


def test_an_override_through_a_number_is_refused():
    with pytest.raises(ValueError, match="'groups' is 1 and holds no key 'x'"):
        apply_overrides(RECIPE, {"model.groups.x": 1})


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"optimizer.sgd.learning_rate": 0.8123, "model.width_per_group": 16}, "lr=0.812 width=16"),
        ({"model.name": "resnet50", "model.groups": 4}, "model=resnet50 groups=4"),
        ({"a.x.rate": 1, "b.x.rate": 2, "c.y.rate": 3}, "a.x.rate=1 b.x.rate=2 y.rate=3"),
        ({"lr_schedulers": COSINE}, "schedule=warmup1ep+cosine5ep"),
        ({"lr_schedulers": STEPS}, "schedule=step4ep,0.1"),
        ({"ema": None, "nesterov": True, "lr": 1e-5}, "ema=null nesterov=true lr=1e-05"),
        ({}, ""),
    ],
    ids=["floats", "model", "ambiguous", "cosine", "steps", "scalars", "recipe"],
)  # fmt: skip
def test_a_label_names_what_varies(overrides, text):
    assert label(overrides) == text


def test_every_combination_is_checked_at_both_ends_of_a_range():
    space = space_of(**NESTED, lr={"uniform": [1, 2]})
    points = points_to_check(space)
    # resnet18; resnet50 with b=1; with b=4 and c=1; with b=4 and c=2: each at lr 1 and 2.
    assert len(points) == 8
    assert {point["lr"] for point in points} == {1, 2}


def test_a_space_too_large_to_check_is_sampled_the_same_way_each_time():
    space = space_of(a={"int": [1, 60]}, b={"int": [1, 60]}, c={"int": [1, 60]})
    points = points_to_check(space)
    assert len(points) == MAX_COMBINATIONS + 2
    assert points[:2] == [dict.fromkeys("abc", 1), dict.fromkeys("abc", 60)]
    assert points == points_to_check(space)


def test_a_conditional_space_gives_no_key_without_its_condition_in_10000_samples():
    space = space_of(**NESTED)
    rng = random.Random(0)
    for _ in range(10_000):
        point = space.assemble(lambda _, domain: rng.choice(domain.values_to_check())[1])
        assert ("b" in point) == (point["model.name"] == "resnet50")
        assert ("c" in point) == (point.get("b") == 4)


COMPUTED = {
    "lr": {"derive": "0.1 * batch / 64"},
    "batch": {"choice": [64, 192]},
    "groups": {"value": 4, "when": {"lr": 0.3}},
    "seed": 7,
}


def test_fixed_and_derived_keys_come_after_what_they_look_at_and_stand_in_the_order_of_the_file():
    space = space_of(**COMPUTED)
    assert space.order == ["batch", "lr", "groups", "seed"]
    assert space.suggest(fixed(batch=64)) == {"lr": 0.1, "batch": 64, "seed": 7}
    assert list(space.suggest(fixed(batch=192)).items()) == [
        ("lr", 0.3), ("batch", 192), ("groups", 4), ("seed", 7),
    ]  # fmt: skip


def test_a_formula_sees_the_recipe_and_into_sub_trees():
    space = space_of(
        optimizer={"choice": [{"sgd": {"learning_rate": "2e-1"}}, {"sgd": {"learning_rate": 3}}]},
        x={"derive": "optimizer.sgd.learning_rate * model.groups"},
    )
    assert [point["x"] for point in points_to_check(space)] == [0.2, 3]


def test_a_formula_sees_the_recipes_value_where_a_key_is_not_active():
    space = space_of(
        model__groups={"choice": [4], "when": {"model.name": "resnet50"}},
        model__name={"choice": ["resnet18", "resnet50"]},
        x={"derive": "model.groups * 10"},
    )
    assert [point["x"] for point in points_to_check(space)] == [10, 40]


def test_a_point_without_a_value_for_a_formula_is_impossible():
    space = space_of(x={"derive": "1 / (b - 4)"}, b={"choice": [4, 5]})
    with pytest.raises(CannotDerive, match=r"x: 1 / \(b - 4\): divides by 0"):
        space.suggest(fixed(b=4))
    assert space.suggest(fixed(b=5)) == {"x": 1, "b": 5}


def test_formulas_in_a_circle_are_refused():
    space = space_of(a={"derive": "b + 1"}, b={"choice": [1], "when": {"a": 2}})
    with pytest.raises(ValueError, match="depend on each other: a, b"):
        _ = space.order


def test_optuna_hears_of_sampled_keys_only():
    space = space_of(**COMPUTED, s={"choice": [COSINE, STEPS]})
    overrides = space.suggest(fixed(batch=192, s=canonical(COSINE)))
    known = {**overrides, "elsewhere": 5}
    assert space.parameters(known) == {"batch": 192, "s": canonical(COSINE)}
    assert space.distributions(known) == {
        "batch": optuna.distributions.CategoricalDistribution([64, 192]),
        "s": optuna.distributions.CategoricalDistribution([canonical(COSINE), canonical(STEPS)]),
    }


def test_a_point_can_be_told_to_another_study_and_asked_for_again():
    space = space_of(**NESTED, lr={"loguniform": [0.1, 10]}, q={"quniform": [0, 0.3, 0.1]})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=4))
    for _ in range(20):
        overrides = space.suggest(study.ask())
        parameters = space.parameters(overrides)
        study.add_trial(
            optuna.trial.create_trial(
                params=parameters, distributions=space.distributions(overrides), value=1.0
            )
        )
        study.enqueue_trial(parameters)
        assert space.suggest(study.ask()) == overrides


@pytest.mark.parametrize(
    ("overrides", "is_inside"),
    [
        ({"lr": 0.1, "batch": 64, "seed": 7}, True),
        ({"batch": 64, "seed": 7, "lr": 0.1}, True),
        ({"lr": 0.3, "batch": 192, "groups": 4, "seed": 7}, True),
        ({}, False),
        ({"lr": 0.1, "seed": 7}, False),
        ({"lr": 0.1, "batch": 65, "seed": 7}, False),
        ({"lr": 0.1, "batch": 64, "seed": 7, "other": 1}, False),
        ({"lr": 0.2, "batch": 64, "seed": 7}, False),
        ({"lr": 0.1, "batch": 64, "seed": 8}, False),
        ({"lr": 0.1, "batch": 64, "groups": 4, "seed": 7}, False),
    ],
    ids=[
        "first", "other order", "conditional", "trial 0", "key missing", "not listed", "another",
        "not what the formula gives", "not the fixed value", "not active",
    ],
)  # fmt: skip
def test_a_space_contains_exactly_what_it_can_suggest(overrides, is_inside):
    assert space_of(**COMPUTED).contains(overrides) == is_inside


def test_every_suggestion_lies_in_its_space():
    space = space_of(**NESTED, **COMPUTED, q={"quniform": [0, 0.7, 0.1]}, n={"logint": [1, 99]})
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=4))
    assert all(space.contains(space.suggest(study.ask())) for _ in range(100))


def test_a_grid_goes_through_every_combination_once_the_last_key_fastest():
    space = space_of(**NESTED, x={"derive": "b + 1"})
    # c hangs on b and b on the model; x is 2 where b is the recipe's, which has none: no value.
    points = list(space_of(**NESTED).grid_points(every_key=True))
    assert points == [
        {"model.name": "resnet18"},
        {"b": 1, "model.name": "resnet50"},
        {"c": 1, "b": 4, "model.name": "resnet50"},
        {"c": 2, "b": 4, "model.name": "resnet50"},
    ]
    assert space_of(**NESTED).grid_size(every_key=True) == 4
    assert [point["x"] for point in space.grid_points(every_key=True)] == [2, 5, 5]


def test_grid_keys_alone_make_the_points_that_other_algorithms_go_round():
    space = space_of(
        lr={"loguniform": [0.1, 1]},
        model__name={"grid": ["resnet18", "resnet50"]},
        b={"grid": [1, 2], "when": {"half": 32}},
        half={"derive": "batch / 2"},
        batch={"grid": [64, 128]},
    )
    assert space.grid_keys == ["model.name", "b", "batch"]
    points = list(space.grid_points())
    assert points == [
        {"model.name": "resnet18", "b": 1, "batch": 64},
        {"model.name": "resnet18", "b": 2, "batch": 64},
        {"model.name": "resnet18", "batch": 128},
        {"model.name": "resnet50", "b": 1, "batch": 64},
        {"model.name": "resnet50", "b": 2, "batch": 64},
        {"model.name": "resnet50", "batch": 128},
    ]
    assert space.grid_size() == 6


def test_a_point_of_a_partial_grid_leaves_the_rest_to_optuna():
    space = space_of(lr={"uniform": [1, 2]}, b={"grid": [1, 2]}, x={"derive": "b * 2"})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for point in space.grid_points():
        study.enqueue_trial(space.parameters(point))
        overrides = space.suggest(study.ask())
        assert (overrides["b"], overrides["x"]) == (point["b"], 2 * point["b"])
        assert 1 <= overrides["lr"] <= 2


def test_a_million_points_are_counted_without_being_made():
    numbers = {"choice": list(range(1, 101))}
    space = space_of(a=numbers, b={"int": [1, 100]}, c={"quniform": [0.01, 1, 0.01]})
    assert space.grid_size(1, every_key=True) == 1_000_000  # after one combination


def test_the_size_of_a_conditional_grid_is_the_number_of_its_points():
    space = space_of(
        **NESTED,
        d={"choice": [1, 2, 3]},
        e={"int": [1, 5], "when": {"c": 2}},
        f={"choice": [1, 2], "when": {"d": [1, 3]}},
    )
    # resnet18, b=1, c=1 and c=2 with 5 e: 8; times d=1 and d=3 with 2 f each, d=2 with none: 5.
    assert space.grid_size(every_key=True) == 40
    points = list(space.grid_points(every_key=True))
    assert len({canonical(point) for point in points}) == len(points) == 40


def test_between_the_ends_of_a_range_formulas_are_tried_too():
    space = space_of(lr={"uniform": [0, 4]}, x={"derive": "floor(lr)"})
    assert {point["x"] for point in points_to_check(space)} == {0, 1, 2, 3, 4}
