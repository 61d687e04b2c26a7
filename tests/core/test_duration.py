import re
from fractions import Fraction

import pytest
from pydantic import ValidationError

from resnet_core.duration import Duration, PositiveLength, StepLength, WallClock
from resnet_core.strict import StrictModel


class Schedule(StrictModel):
    warmup: Duration = Duration.parse("8ep")


class Lengths(StrictModel):
    step_length: StepLength | None = None
    positive_length: PositiveLength | None = None
    wall_clock: WallClock | None = None


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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90sec", 90),
        ("30min", 1800),
        ("30 min", 1800),
        ("2h", 7200),
        ("1.5h", 5400),
        ("0.25min", 15),
        ("0sec", 0),
    ],
)
def test_wall_clock_time_is_in_seconds(text, seconds):
    assert Duration.parse(text).seconds == seconds


@pytest.mark.parametrize("text", ["8ep", "100ba", "0.1dur"])
def test_a_number_of_steps_is_no_time(text):
    with pytest.raises(ValueError, match=f"{text} is no time; write 90sec, 30min or 2h"):
        _ = Duration.parse(text).seconds


@pytest.mark.parametrize(
    ("unit", "is_time"),
    [("ep", False), ("ba", False), ("dur", False), ("sec", True), ("min", True), ("h", True)],
)
def test_only_seconds_minutes_and_hours_are_time(unit, is_time):
    assert Duration.parse(f"1{unit}").is_time is is_time


@pytest.mark.parametrize("text", ["90sec", "30min", "2h"])
def test_time_is_no_number_of_steps(text):
    with pytest.raises(ValueError, match=f"{text} is wall-clock time, which is no number of steps"):
        Duration.parse(text).steps(steps_per_epoch=10, total_steps=900)


def test_an_epoch_has_a_step_or_more():
    with pytest.raises(ValueError, match="steps_per_epoch must be at least 1, got 0"):
        Duration.parse("8ep").steps(steps_per_epoch=0)


@pytest.mark.parametrize("field", ["step_length", "positive_length"])
@pytest.mark.parametrize("text", ["90sec", "30min", "2h"])
def test_a_length_in_steps_refuses_time(field, text):
    with pytest.raises(
        ValidationError, match=f"{text} is wall-clock time, and a length is needed here: 8ep"
    ):
        Lengths.model_validate({field: text})


@pytest.mark.parametrize("text", ["8ep", "100ba", "0.1dur"])
def test_a_wall_clock_length_refuses_steps(text):
    with pytest.raises(ValidationError, match=f"{text} is no wall-clock time; write 90sec"):
        Lengths.model_validate({"wall_clock": text})


@pytest.mark.parametrize("text", ["12:30", 750, "2 fortnights"])
def test_a_wall_clock_length_that_cannot_be_read_is_shown_times(text):
    with pytest.raises(ValidationError, match="write 90sec, 30min or 2h"):
        Lengths.model_validate({"wall_clock": text})


@pytest.mark.parametrize(
    ("field", "text"),
    [("positive_length", "0ep"), ("positive_length", "0.0dur"), ("wall_clock", "0min")],
)
def test_a_length_that_must_be_positive_refuses_zero(field, text):
    with pytest.raises(ValidationError, match="must be longer than 0, got 0"):
        Lengths.model_validate({field: text})


def test_a_plain_length_in_steps_may_be_zero():
    assert Lengths.model_validate({"step_length": "0ep"}).step_length == Duration.parse("0ep")


@pytest.mark.parametrize(
    ("text", "scale", "steps"),
    [
        ("8ep", Fraction(1, 2), 40),  # 8 x 10 / 2
        ("100ba", Fraction(1, 2), 50),
        ("5ba", Fraction(1, 2), 3),  # 2.5, halves go up
        ("0.25ep", Fraction(2), 5),  # 2.5 x 2; 3 x 2 if it were rounded first
        ("7ba", Fraction(1, 10), 1),  # 0.7
        ("4ba", Fraction(1, 10), 0),  # 0.4
        ("8ep", Fraction(3, 2), 120),
    ],
)
def test_a_scale_multiplies_epochs_and_batches_before_rounding(text, scale, steps):
    assert Duration.parse(text).steps(steps_per_epoch=10, scale=scale) == steps


def test_a_scale_leaves_shares_of_the_training_alone():
    tenth = Duration.parse("0.1dur")
    assert tenth.steps(steps_per_epoch=10, total_steps=450, scale=Fraction(1, 2)) == 45


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("30 minutes", "30min"),
        ("30minute", "30min"),
        ("30 Min", "30min"),
        ("2 hours", "2h"),
        ("2hr", "2h"),
        ("2H", "2h"),
        ("90s", "90sec"),
        ("90 seconds", "90sec"),
        ("1.5 epochs", "1.5ep"),
        ("100 iterations", "100ba"),
        ("100batches", "100ba"),
        ("0.1duration", "0.1dur"),
    ],
)
def test_a_unit_written_another_way_is_refused_with_ours(text, meant):
    with pytest.raises(ValueError, match=rf"unknown unit .*; did you mean {meant}\?"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("field", "accepts"),
    [
        ("step_length", {"8ep", "100ba", "0.1dur"}),
        ("wall_clock", {"90sec", "30min", "2h", "1.5 h"}),
    ],
)
def test_the_json_schema_takes_the_units_that_the_field_takes(field, accepts):
    # jsonschema's `pattern` is a search, so the anchors have to be in it.
    branches = Lengths.model_json_schema()["properties"][field]["anyOf"]
    (pattern,) = [branch["pattern"] for branch in branches if "pattern" in branch]
    candidates = {"8ep", "100ba", "0.1dur", "90sec", "30min", "2h", "1.5 h", "8", "x8ep", "2hours"}
    assert {text for text in candidates if re.search(pattern, text)} == accepts
