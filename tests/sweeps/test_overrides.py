"""Overrides: how they change a recipe, and the label that they give a trial."""

import copy

import pytest

from sweeps.space.space import apply_overrides, label
from tests.sweeps.small_spaces import COSINE, RECIPE, STEPS


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
