import pytest
from pydantic import ValidationError

from resnet_core.strict import StrictModel


class Inner(StrictModel):
    nesterov: bool = False


class Model(StrictModel):
    rate: float = 0.1
    groups: int = 1
    betas: tuple[float, ...] = ()
    clip: float | None = None
    inner: Inner = Inner()
    parts: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("data", "field", "expected"),
    [
        ({"rate": "5e-4"}, "rate", 0.0005),
        ({"rate": 1}, "rate", 1.0),
        ({"groups": "64"}, "groups", 64),
        ({"groups": 64.0}, "groups", 64),
        ({"betas": [0.9, "1e-3"]}, "betas", (0.9, 0.001)),
        ({"clip": None}, "clip", None),
    ],
)
def test_numbers_are_read_however_they_are_written(data, field, expected):
    assert getattr(Model.model_validate(data), field) == expected


@pytest.mark.parametrize(
    "data",
    [
        {"rate": True},
        {"groups": False},
        {"betas": [0.9, True]},
        {"clip": True},
        {"inner": {"nesterov": 1}},
        {"inner": {"nesterov": "no"}},
        {"rate": "nan"},
        {"rate": float("inf")},
        {"groups": 64.5},
        {"rat": 1},
    ],
    ids=str,
)
def test_what_is_not_plainly_meant_is_refused(data):
    with pytest.raises(ValidationError):
        Model.model_validate(data)


def test_booleans_stay_booleans_below_a_list_of_models():
    assert Model.model_validate({"parts": [{"nesterov": True}]}).parts[0].nesterov is True


def test_a_model_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Model().rate = 1.0  # pyright: ignore[reportAttributeAccessIssue]


def test_a_default_is_checked_like_a_given_value():
    class Wrong(StrictModel):
        rate: float = True

    with pytest.raises(ValidationError, match="must be a number, got true"):
        Wrong()
