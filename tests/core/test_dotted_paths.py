import pytest
from pydantic import Field

from resnet_core.dotted_paths import field_names_at, field_paths, get_path, set_path
from resnet_core.strict import StrictModel


class Sgd(StrictModel):
    rate: float = 0.1


class Adam(StrictModel):
    beta: float = 0.9


class Optimizer(StrictModel):
    sgd: Sgd | None = None
    adam: Adam | None = None


class Recipe(StrictModel):
    optimizer: Optimizer = Optimizer()
    parts: dict[str, Sgd | Adam] = Field(default={})
    seed: int = 0


def test_a_path_reaches_into_nested_mappings():
    assert get_path({"a": {"b": {"c": 3}}}, "a.b.c") == 3


@pytest.mark.parametrize("path", ["x", "a.x", "a.b.c"])
def test_a_path_that_leads_nowhere_is_named_whole(path):
    with pytest.raises(KeyError, match=path):
        get_path({"a": {"b": 1}}, path)


def test_setting_copies_and_makes_what_is_missing():
    data = {"a": {"b": 1}, "n": None}
    assert set_path(data, "a.c.d", 2) == {"a": {"b": 1, "c": {"d": 2}}, "n": None}
    assert set_path(data, "n.x", 2) == {"a": {"b": 1}, "n": {"x": 2}}
    assert data == {"a": {"b": 1}, "n": None}


def test_setting_through_a_value_is_refused():
    with pytest.raises(ValueError, match="'b' is 1 and holds no key 'c'"):
        set_path({"a": {"b": 1}}, "a.b.c", 2)


def test_the_paths_of_a_model_hold_every_alternative_and_section():
    assert list(field_paths(Recipe)) == [
        "optimizer", "optimizer.sgd", "optimizer.sgd.rate", "optimizer.adam",
        "optimizer.adam.beta", "parts", "seed",
    ]  # fmt: skip


def test_the_names_at_a_place_are_those_of_every_alternative():
    assert field_names_at(Recipe, ()) == ["optimizer", "parts", "seed"]
    assert field_names_at(Recipe, ("optimizer", "sgd")) == ["rate"]
    assert field_names_at(Recipe, ("parts", "any.key")) == ["beta", "rate"]
