"""A space: its conditions and formulas, what it suggests to Optuna, and what lies in it."""

import optuna
import pytest
from pydantic import ValidationError

from sweeps.space.combinations import points_to_check
from sweeps.space.domains import canonical, read_domain
from sweeps.space.space import CannotDerive
from tests.sweeps.small_spaces import COSINE, NESTED, STEPS, space_of


def fixed(**parameters):
    return optuna.trial.FixedTrial({k.replace("__", "."): v for k, v in parameters.items()})


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
