from fractions import Fraction

import pytest
from pydantic import ValidationError

from resnet_core.duration import Duration
from resnet_core.strict import StrictModel


class Schedule(StrictModel):
    warmup: Duration = Duration.parse("8ep")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("8ep", 80),  # 8 x 10
        ("0.25ep", 3),  # 2.5, halves go up
        ("0.24ep", 2),  # 2.4
        ("100ba", 100),
        ("0.1dur", 90),  # 0.1 x 900
        ("0.0005dur", 0),  # 0.45
        ("0ep", 0),
    ],
)
def test_a_duration_is_the_nearest_whole_number_of_steps(text, steps):
    assert Duration.parse(text).steps(steps_per_epoch=10, total_steps=900) == steps


def test_steps_are_exact_where_floats_are_not():
    # 1.1 * 15 is 16.500000000000004 in floats and 0.29 * 50 is 14.499999999999998.
    assert Duration.parse("1.1ep").steps(steps_per_epoch=15) == 17
    assert Duration.parse("0.29dur").steps(steps_per_epoch=1, total_steps=50) == 15


def test_a_share_of_the_training_needs_its_length():
    with pytest.raises(ValueError, match=r"0\.1dur is a share .* give total_steps"):
        Duration.parse("0.1dur").steps(steps_per_epoch=10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8", "8 has no unit; write 8ep"),
        (8, "8 has no unit; write 8ep"),
        (0.5, "0.5 has no unit"),
        ("", "is empty"),
        ("-1ep", "0 or more, got '-1ep'"),
        ("nan", "cannot read 'nan'"),
        ("nanep", "cannot read 'nanep'"),
        ("8epoch", "unknown unit 'epoch' in '8epoch'; did you mean 8ep?"),
        ("8 Steps", "did you mean 8ba?"),
        ("8tok", "unknown unit 'tok'"),
        ("10%", "unknown unit '%'"),
        ("0.5ba", "batches are whole, got 0.5ba"),
        (True, "got True"),
        (None, "got None"),
        ("9" * 5000 + "ep", "cannot read"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_way_out(text, message):
    with pytest.raises(ValueError, match="^.*" + message.replace("?", r"\?")):
        Duration.parse(text)


def test_equal_lengths_are_equal_and_hash_alike():
    assert Duration.parse("1.0ep") == Duration.parse("1ep")
    assert len({Duration.parse("0.50dur"), Duration.parse("0.5dur"), Duration.parse("5ba")}) == 2


@pytest.mark.parametrize("text", ["8ep", "2.5ep", "100ba", "0.125dur", "0ep"])
def test_a_duration_prints_as_it_was_written(text):
    assert str(Duration.parse(text)) == text


def test_a_model_field_reads_and_writes_the_text():
    model = Schedule.model_validate({"warmup": "0.10dur"})
    assert (model.warmup.value, model.warmup.unit) == (Fraction(1, 10), "dur")
    assert model.model_dump(mode="json") == {"warmup": "0.1dur"}
    assert Schedule.model_validate_json(model.model_dump_json()) == model


def test_a_model_field_refuses_a_bare_number():
    with pytest.raises(ValidationError, match="8 has no unit"):
        Schedule.model_validate({"warmup": 8})


def test_a_duration_cannot_be_changed():
    with pytest.raises(AttributeError):
        Duration.parse("8ep").unit = "ba"  # pyright: ignore[reportAttributeAccessIssue]
