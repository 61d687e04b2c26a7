import pytest
from pydantic import ValidationError

from resnet_core import Recipe, Summary
from resnet_core.strict import StrictModel
from sweeps.space.constraints import Constraint, ConstraintList, violations
from sweeps.space.model_cost import cached_summary

# The figures of ResNet-50 at 224 pixels, as torchvision's weights table has them.
RESNET50 = Summary(25_557_032, 224, 8_178_000_000, 24_000_000_000, 2**30)


class Section(StrictModel):
    constraints: ConstraintList = ()


def excess(text: str) -> float:
    return Constraint.parse(text).excess(RESNET50)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("parameters <= 30M", 30_000_000),
        ("parameters<=30e6", 30_000_000),
        ("parameters < 1.5 G", 1_500_000_000),
        ("parameters > 800k", 800_000),
        ("flops <= 5e9", 5_000_000_000),
        ("training_flops >= .5T", 500_000_000_000),
        ("activation_bytes <= 1.5GiB", 1_610_612_736),
        ("activation_bytes <= 512MiB", 536_870_912),
    ],
)
def test_a_bound_is_the_number_that_is_written(text, limit):
    constraint = Constraint.parse(text)
    assert constraint.limit == limit
    assert str(constraint) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parameters <= 30M", -0.14809893333333332),  # 25,557,032 / 30,000,000 - 1
        ("parameters <= 20M", 0.2778516),
        ("parameters >= 20M", -0.2778516),
        ("flops >= 16.356e9", 0.5),
        ("flops <= 8.178e9", 0.0),
        ("flops >= 8.178e9", 0.0),
        ("flops < 8.178e9", 1 / 8.178e9),
        ("flops > 8.178e9", 1 / 8.178e9),
        ("training_flops <= 48G", -0.5),
        ("activation_bytes <= 0.5GiB", 1.0),
    ],
)
def test_the_excess_is_a_share_of_the_bound_and_above_0_only_if_violated(text, expected):
    assert excess(text) == pytest.approx(expected, rel=1e-12)


def test_one_parameter_too_many_is_too_many():
    assert excess("parameters <= 25557031") > 0
    assert excess("parameters <= 25557032") == 0


def test_violations_go_by_the_text():
    constraints = Section.model_validate({"constraints": ["parameters <= 20M", "flops <= 9e9"]})
    found = violations(constraints.constraints, RESNET50)
    assert list(found) == ["parameters <= 20M", "flops <= 9e9"]
    assert [value > 0 for value in found.values()] == [True, False]


def test_constraints_are_written_as_they_were_read():
    texts = ["parameters <= 30M", "flops>=1e9"]
    section = Section.model_validate({"constraints": texts})
    assert section.model_dump(mode="json") == {"constraints": texts}
    assert Section.model_validate(section.model_dump(mode="json")) == section


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parameter <= 30M", "unknown quantity 'parameter'; .*did you mean 'parameters'"),
        ("FLOPS <= 30M", "did you mean 'flops'"),
        ("parameters <= 30m", "unknown unit 'm' of parameters; .*did you mean 'M'"),
        ("parameters <= 30MiB", "unknown unit 'MiB'"),
        ("activation_bytes <= 3GB", "allowed: k, M, G, T, KiB, MiB, GiB; did you mean 'GiB'"),
        ("parameters = 30M", "must be a quantity, a sign and a number"),
        ("parameters <= ", "must be a quantity"),
        ("30M >= parameters", "must be a quantity"),
        ("parameters <= -1", "must be a quantity"),
        ("parameters <= 0", "the bound must be too, got 0"),
        ("parameters <= 1e999", "must be a quantity"),
        (30, "must be a quantity"),
        ("parameters <= 3" + "0" * 60, "must be a quantity"),
    ],
)
def test_what_is_no_constraint_is_refused(text, message):
    with pytest.raises(ValidationError, match=message):
        Section.model_validate({"constraints": [text]})


@pytest.mark.parametrize(
    "texts",
    [["parameters >= 30M", "parameters <= 20M"], ["flops > 5e9", "flops <= 5G"]],
    ids=["apart", "touching"],
)
def test_bounds_that_no_model_can_meet_are_refused(texts):
    with pytest.raises(ValidationError, match="nothing lies between"):
        Section.model_validate({"constraints": texts})


def test_a_band_and_a_single_value_are_possible():
    bands = ["flops >= 4e9", "flops <= 5e9", "parameters >= 1M", "parameters <= 1M"]
    assert len(Section.model_validate({"constraints": bands}).constraints) == 4


RECIPE = {
    "model": {"name": "resnet18", "num_classes": 10},
    "optimizer": {"sgd": {"learning_rate": 0.1}},
    "train_batch_size": 64,
    "max_duration": "1ep",
}


def cost(**changes):
    return cached_summary(Recipe.model_validate({**RECIPE, **changes}))


def test_the_summary_is_counted_once_for_recipes_of_one_shape():
    first = cost()
    assert cost(seed=5, train_batch_size=32, methods={"mixup": {}}) is first


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "resnet34", "num_classes": 10}},
        {"methods": {"squeeze_excite": {}}},
        {"methods": {"resolution": {"train_px": 64, "evaluation_px": 64}}},
        {"precision": "bf16"},
        {"activation_checkpointing": True},
    ],
    ids=["member", "squeeze_excite", "size", "precision", "checkpointing"],
)
def test_what_changes_the_cost_is_counted_anew(changes):
    assert cost(**changes) != cost()
