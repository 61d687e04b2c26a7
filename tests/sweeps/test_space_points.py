"""The points of a space: those that are checked before a sweep begins, and those of a grid."""

import random

import optuna

from sweeps.space.combinations import MAX_COMBINATIONS, points_to_check
from sweeps.space.domains import canonical
from tests.sweeps.small_spaces import NESTED, space_of


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


def test_between_the_ends_of_a_range_formulas_are_tried_too():
    space = space_of(lr={"uniform": [0, 4]}, x={"derive": "floor(lr)"})
    assert {point["x"] for point in points_to_check(space)} == {0, 1, 2, 3, 4}


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
