import optuna
import pytest
from pydantic import ValidationError

from sweeps.space.domains import Derived, Fixed, Sampled, read_domain

ENTRIES = {
    "choice": {"choice": ["a", {"b": 1}]},
    "grid": {"grid": [1, 2]},
    "uniform": {"uniform": [0.5, 2]},
    "loguniform": {"loguniform": [1e-4, 1]},
    "quniform": {"quniform": [0.1, 0.9, 0.2]},
    "int": {"int": [1, 9]},
    "logint": {"logint": [1, 1024]},
}


def sampled(entry) -> Sampled:
    domain = read_domain(entry)
    assert isinstance(domain, Sampled)
    return domain


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_a_suggestion_can_be_rebuilt_as_a_frozen_trial(entry):
    domain = sampled(entry)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        trial = study.ask()
        value = domain.suggest("x", trial)
        assert domain.contains(value)
        frozen = optuna.trial.create_trial(
            params={"x": domain.parameter(value)}, distributions={"x": domain.distribution},
            value=1.0,
        )  # fmt: skip
        assert frozen.distributions == trial.distributions
        # Optuna keeps 0.1 + 2 * 0.2 where 0.5 is meant.
        assert frozen.params["x"] == pytest.approx(trial.params["x"], abs=1e-12)
        study.tell(trial, 1.0)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_a_rebuilt_trial_suggests_the_same_value(entry):
    domain = sampled(entry)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    for _ in range(20):
        value = domain.suggest("x", study.ask())
        study.enqueue_trial({"x": domain.parameter(value)})
        assert domain.suggest("x", study.ask()) == value


def test_quniform_gives_the_decimal_numbers_that_are_meant():
    domain = sampled({"quniform": [0.1, 0.7, 0.1]})
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert [value for _, value in domain.values_to_check()] == values
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = {domain.suggest("x", study.ask()) for _ in range(200)}
    assert seen == set(values)


def test_quniform_of_whole_numbers_gives_whole_numbers():
    domain = sampled({"quniform": [64, 256, 64]})
    values = [domain.nth_value(index) for index in range(4)]
    assert values == [64, 128, 192, 256]
    assert all(isinstance(value, int) for value in values)


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ({"choice": [1, "a", [2]]}, [1, 1.0, "a", [2]], [2, True, "b", None]),
        ({"grid": [True, 1]}, [True, 1], [False, "1"]),
        ({"uniform": [1, 2]}, [1, 1.5, 2], [0.9, 2.1, True, "1.5", float("nan"), None]),
        ({"loguniform": [1, 2]}, [1, 2], [2.1]),
        ({"quniform": [0.1, 0.7, 0.2]}, [0.1, 0.3, 0.7], [0.2, 0.9, True]),
        ({"int": [1, 3]}, [1, 2, 3.0], [0, 4, 1.5, True]),
        ({"logint": [2, 3]}, [2, 3], [1, 2.5, "2"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_domain_knows_its_values(entry, inside, outside):
    domain = sampled(entry)
    assert [domain.contains(value) for value in inside] == [True] * len(inside)
    assert [domain.contains(value) for value in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("entry", "count"),
    [({"choice": [1, 2, 3]}, 3), ({"grid": [1]}, 1), ({"uniform": [1, 2]}, None),
     ({"loguniform": [1, 2]}, None), ({"quniform": [0, 1, 0.001]}, 1001),
     ({"int": [1, 10**12]}, 10**12),
     ({"logint": [5, 8]}, 4)],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_can_be_counted_is_counted(entry, count):
    assert sampled(entry).num_values == count


def test_true_and_1_stay_apart_in_optuna():
    domain = sampled({"choice": [1, True]})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert {repr(domain.suggest("x", study.ask())) for _ in range(20)} == {"1", "True"}


@pytest.mark.parametrize("value", [5, 0.5, "bf16", True])
def test_a_plain_value_is_a_fixed_one(value):
    domain = read_domain(value)
    assert isinstance(domain, Fixed)
    assert (domain.value, domain.when) == (value, {})
    assert read_domain({"value": value}) == domain


def test_a_fixed_value_may_be_null_or_a_sub_tree_and_have_a_condition():
    domain = read_domain({"value": {"alpha": None}, "when": {"a": 1}})
    assert isinstance(domain, Fixed)
    assert (domain.value, domain.when) == ({"alpha": None}, {"a": (1,)})


def test_a_formula_is_read_when_the_file_is():
    domain = read_domain({"derive": " 2 * seed "})
    assert isinstance(domain, Derived)
    assert (domain.derive, domain.expression.names) == ("2 * seed", ("seed",))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"grid": []}, "at least 1 item"),
        ({"grid": [1, 1.0]}, "1 stands there twice"),
        ({"logint": [0, 8]}, "a logarithm needs a lower bound of at least 1, got 0"),
        ({"logint": [8, 2]}, r"inverted; write \[2, 8\]"),
        ({"logint": [1, 2.5]}, "integer"),
        ({"quniform": [0, 1]}, "Field required"),
        ({"quniform": [1, 0, 0.1]}, r"inverted; write \[0, 1, 0.1\]"),
        ({"quniform": [0, 1, 0]}, "must be above 0, got 0"),
        ({"quniform": [0, 1, -0.1]}, "must be above 0, got -0.1"),
        ({"quniform": [0, 1, 2]}, "the distance 2 is more than from 0 to 1"),
        ({"quniform": [0, 1, 0.3]}, r"write \[0, 0.9, 0.3\] or \[0, 1.2, 0.3\]"),
        ({"quniform": [1, 1, 0.1]}, "both bounds are 1"),
        ({"quniform": [0, float("inf"), 1]}, "finite"),
        ({"derive": "2 *"}, "ends too early"),
        ({"derive": 2}, "must be a formula"),
        ({"value": 1, "derive": "seed"}, "value and derive together"),
        ({"value": 1, "wen": {}}, "Extra inputs"),
        ({"vlaue": 1}, "did you mean 'value'"),
        (None, "got null, which would be {value: null}"),
        ([1, 2], "got a list"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_entry_that_means_nothing_is_refused(entry, message):
    with pytest.raises((ValueError, ValidationError), match=message):
        read_domain(entry)
