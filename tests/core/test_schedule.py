import math

import pytest
import torch
from pydantic import ValidationError

from resnet_core.schedule import Multiplier, SchedulesConfig, build_schedule

PUBLISHED = {"linear_warmup": "8ep", "cosine_decay": {"T_max": "82ep", "eta_min": 0}}


def schedule(section: dict, *, peak: float = 1.0, epochs: int = 90, per_epoch: int = 1):
    config = SchedulesConfig.model_validate(section)
    return build_schedule(
        config,
        peak_learning_rate=peak,
        steps_per_epoch=per_epoch,
        total_steps=epochs * per_epoch,
    )


@pytest.fixture(scope="module")
def published() -> Multiplier:
    """1,280,000 images in batches of 2048: 625 steps an epoch, 5,000 of warm-up, 56,250 in all."""
    return schedule(PUBLISHED, peak=2.048, per_epoch=625)


def test_the_published_warm_up_is_a_straight_line(published):
    assert [published(step) for step in (0, 1, 625, 2500, 4999)] == pytest.approx(
        [0, 1 / 5000, 1 / 8, 1 / 2, 4999 / 5000], abs=1e-12
    )


def test_the_published_decay_is_half_a_cosine(published):
    for step in [5000, 5001, 5625, 17812, 30625, 43437, 56249]:
        # (1 + cos x) / 2 = sin^2((pi - x) / 2), x from 0 to pi over 51,250 steps.
        expected = math.sin(math.pi / 2 * (56_250 - step) / 51_250) ** 2
        assert published(step) == pytest.approx(expected, abs=1e-12)


def test_the_published_decay_begins_at_the_peak_and_passes_one_half_midway(published):
    assert published(5000) == 1
    assert published(5000 + 51_250 // 2) == pytest.approx(0.5, abs=1e-12)


def test_only_the_first_batch_has_rate_zero(published):
    assert published(0) == 0
    # One step before the end: (pi / 51,250 / 2)^2.
    assert published(56_249) == pytest.approx(9.394e-10, rel=1e-3)
    assert min(published(step) for step in range(1, 56_250)) > 0


def test_the_cosine_is_torchs(one_thread):
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=2.0)
    trusted = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.25)
    ours = schedule({"cosine_decay": {"T_max": "50ep", "eta_min": 0.25}}, peak=2.0)
    for step in range(51):
        # torch multiplies its way from step to step; 50 roundings of 1e-16 each.
        assert 2.0 * ours(step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        trusted.step()


def test_the_floor_is_a_learning_rate_and_holds_to_the_end():
    ours = schedule({"cosine_decay": {"T_max": "10ep", "eta_min": 0.5}}, peak=2.0, epochs=20)
    assert ours(5) == pytest.approx(0.25 + 0.75 / 2, abs=1e-12)
    assert [ours(10), ours(15), ours(19)] == pytest.approx([0.25] * 3, abs=1e-12)


def test_a_floor_above_the_peak_is_refused():
    with pytest.raises(ValueError, match=r"eta_min 3 is above the peak learning rate 2$"):
        schedule({"cosine_decay": {"T_max": "82ep", "eta_min": 3}}, peak=2.0)


def test_interval_epoch_keeps_the_rate_of_the_epochs_first_step():
    section = {"cosine_decay": {"T_max": "4ep", "interval": "epoch"}}
    by_epoch = schedule(section, epochs=4, per_epoch=10)
    # cos(0), cos(pi/4), cos(pi/2), cos(3pi/4)
    expected = [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125)]
    for step in range(40):
        assert by_epoch(step) == pytest.approx(expected[step // 10], abs=1e-12)


def test_step_decay_multiplies_at_each_milestone():
    ours = schedule({"step_decay": {"milestones": ["30ep", "60ep"], "gamma": 0.1}}, per_epoch=100)
    steps = [0, 2999, 3000, 5999, 6000, 8999]
    assert [ours(step) for step in steps] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01], rel=1e-12)


def test_milestones_count_from_the_beginning_of_the_warm_up():
    section = {"linear_warmup": "10ep", "step_decay": {"milestones": ["20ep"], "gamma": 0.5}}
    ours = schedule(section)
    assert [ours(step) for step in (5, 10, 19, 20)] == [0.5, 1, 1, 0.5]


def test_lengths_may_be_shares_of_the_whole_training():
    section = {"linear_warmup": "0.1dur", "cosine_decay": {"T_max": "0.9dur"}}
    ours = schedule(section, epochs=100)
    assert [ours(5), ours(10)] == [0.5, 1]
    assert ours(55) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("section", [{}, {"linear_warmup": None}, {"linear_warmup": "0ep"}])
def test_without_warm_up_and_decay_the_rate_is_the_peak(section):
    ours = schedule(section)
    assert {ours(step) for step in range(90)} == {1.0}


def test_two_decays_are_refused():
    decays = {"cosine_decay": {"T_max": "1ep"}, "step_decay": {"milestones": ["1ep"]}}
    with pytest.raises(ValidationError, match="choose one of cosine_decay and step_decay"):
        SchedulesConfig.model_validate(decays)


def test_a_cosine_of_no_length_is_refused():
    with pytest.raises(ValidationError, match="T_max is 0: a cosine needs a length"):
        SchedulesConfig.model_validate({"cosine_decay": {"T_max": "0ep"}})


def test_step_decay_needs_a_milestone():
    with pytest.raises(ValidationError, match="at least 1 item"):
        SchedulesConfig.model_validate({"step_decay": {"milestones": []}})
