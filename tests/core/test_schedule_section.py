"""The section `lr_schedulers`: lengths and what scales them, floors, and what is refused."""

from fractions import Fraction

import pytest
from pydantic import ValidationError

from resnet_core.schedule import SchedulesConfig
from tests.core.closed_forms import KINDS, schedule

WITH_FLOOR = [kind for kind, (section, _) in KINDS.items() if "eta_min" in section]


@pytest.mark.parametrize("kind", WITH_FLOOR)
def test_a_floor_above_the_peak_is_refused(kind):
    section = KINDS[kind][0] | {"eta_min": 3}
    with pytest.raises(ValueError, match=rf"{kind}\.eta_min 3 is above the peak learning rate 2$"):
        schedule({kind: section}, peak=2.0)


@pytest.mark.parametrize("kind", WITH_FLOOR)
def test_a_floor_as_high_as_the_peak_keeps_the_peak(kind):
    ours = schedule({kind: KINDS[kind][0] | {"eta_min": 2}}, peak=2.0)
    assert {ours(step) for step in range(90)} == {1.0}


@pytest.mark.parametrize("kind", WITH_FLOOR)
def test_a_floor_below_zero_is_refused(kind):
    with pytest.raises(ValidationError, match=rf"{kind}\.eta_min"):
        SchedulesConfig.model_validate({kind: KINDS[kind][0] | {"eta_min": -0.1}})


@pytest.mark.parametrize("kind", KINDS)
def test_a_scale_of_one_half_halves_every_length(kind):
    section, closed_form = KINDS[kind]
    ours = schedule({kind: section}, peak=2.0, per_epoch=390, scale=Fraction(1, 2))
    for step in range(2000):
        # 2.5 and 0.5 epochs of 390 steps, halved: 487.5 and 97.5, halves up.
        assert abs(ours(step) - closed_form(step, 488, 98)) < 1e-12, step


def test_a_scale_of_one_half_halves_the_warm_up():
    ours = schedule({"linear_warmup": "8ep"}, per_epoch=10, scale=Fraction(1, 2))
    assert [ours(step) for step in (0, 10, 39, 40)] == [0, 10 / 40, 39 / 40, 1]


def test_a_scale_halves_lengths_in_batches():
    section = {"step_decay": {"milestones": ["30ba", "61ba"], "gamma": 0.5}}
    ours = schedule(section, per_epoch=10, scale=Fraction(1, 2))
    # 15, and 30.5 upwards.
    assert [ours(step) for step in (14, 15, 30, 31)] == [1, 0.5, 0.5, 0.25]


def test_a_scale_leaves_shares_of_the_training_alone():
    section = {"linear_warmup": "0.1dur", "linear": {"T_max": "0.9dur"}}
    ours = schedule(section, epochs=100, scale=Fraction(1, 2))
    assert [ours(step) for step in (5, 10, 55, 100)] == pytest.approx([0.5, 1, 0.5, 0], abs=1e-12)


def test_a_length_that_rounds_to_no_step_drops_the_rate_at_once():
    # 0.04 of 10 steps.
    ours = schedule({"linear": {"T_max": "0.04ep", "eta_min": 0.25}}, per_epoch=10)
    assert [ours(step) for step in range(3)] == [1, 0.25, 0.25]


def test_a_warm_up_that_rounds_to_no_step_is_none():
    ours = schedule({"linear_warmup": "0.04ep", "linear": {"T_max": "2ba"}}, per_epoch=10)
    assert [ours(step) for step in range(3)] == [1, 0.5, 0]


def test_lengths_may_be_shares_of_the_whole_training():
    section = {"linear_warmup": "0.1dur", "cosine_decay": {"T_max": "0.9dur"}}
    ours = schedule(section, epochs=100)
    assert [ours(5), ours(10)] == [0.5, 1]
    assert ours(55) == pytest.approx(0.5, abs=1e-12)


def test_verbose_true_is_refused():
    with pytest.raises(ValidationError, match=r"cosine_decay\.verbose"):
        SchedulesConfig.model_validate({"cosine_decay": {"T_max": "82ep", "verbose": True}})


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"cosine_decay"}))
def test_two_decays_are_refused(kind):
    decays = {"cosine_decay": KINDS["cosine_decay"][0], kind: KINDS[kind][0]}
    with pytest.raises(ValidationError, match=r"choose one of constant, cosine_decay, .*, got "):
        SchedulesConfig.model_validate(decays)


def test_a_decay_of_null_is_none():
    decays = {"cosine_decay": None, "linear": {"T_max": "1ep"}}
    assert SchedulesConfig.model_validate(decays).decay[0] == "linear"


LENGTHS = [
    ("cosine_decay", "T_max"),
    ("cosine_restarts", "T_0"),
    ("exponential", "period"),
    ("linear", "T_max"),
    ("one_cycle", "T_max"),
    ("polynomial", "T_max"),
    ("warmup_stable_decay", "T_decay"),
]


@pytest.mark.parametrize("text", ["0ep", "0ba", "0.0dur"])
@pytest.mark.parametrize(("kind", "name"), LENGTHS)
def test_a_decay_of_no_length_is_refused(kind, name, text):
    with pytest.raises(ValidationError, match=rf"{kind}\.{name}\n.*must be longer than 0, got 0"):
        SchedulesConfig.model_validate({kind: KINDS[kind][0] | {name: text}})


def test_a_stable_part_of_no_length_is_allowed():
    section = {"warmup_stable_decay": {"T_stable": "0ep", "T_decay": "4ba"}}
    assert [schedule(section)(step) for step in range(5)] == [1, 0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize(("kind", "name"), [*LENGTHS, ("warmup_stable_decay", "T_stable")])
def test_a_decay_as_long_as_a_wall_clock_time_is_refused(kind, name):
    with pytest.raises(ValidationError, match=rf"{kind}\.{name}\n.*30min is wall-clock time"):
        SchedulesConfig.model_validate({kind: KINDS[kind][0] | {name: "30min"}})


@pytest.mark.parametrize(
    "section",
    [{"linear_warmup": "90sec"}, {"step_decay": {"milestones": ["1ep", "90sec"]}}],
    ids=["warm-up", "milestone"],
)
def test_a_warm_up_or_milestone_in_wall_clock_time_is_refused(section):
    with pytest.raises(ValidationError, match="90sec is wall-clock time"):
        SchedulesConfig.model_validate(section)


def test_step_decay_needs_a_milestone():
    with pytest.raises(ValidationError, match="at least 1 item"):
        SchedulesConfig.model_validate({"step_decay": {"milestones": []}})
