import copy
import random

import optuna
import pytest
from pydantic import ValidationError

from sweeps.combinations import MAX_COMBINATIONS, points_to_check
from sweeps.domains import read_domain
from sweeps.space import Space, apply_overrides, label

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
