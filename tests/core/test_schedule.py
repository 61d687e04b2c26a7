"""What a schedule multiplies the rate by: the published one, closed forms, torch's schedules."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from resnet_core.core_yaml import read_document
from resnet_core.schedule import Multiplier, SchedulesConfig
from tests.core.closed_forms import KINDS, SIZES, half_cosine, schedule

PUBLISHED = {"linear_warmup": "8ep", "cosine_decay": {"T_max": "82ep", "eta_min": 0}}
FROM_THE_WARM_UP = [kind for kind in KINDS if kind != "step_decay"]


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


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_is_its_closed_form(kind, size):
    per_epoch, length, half = SIZES[size]
    section, closed_form = KINDS[kind]
    ours = schedule({kind: section}, peak=2.0, per_epoch=per_epoch)
    for step in range(4 * length):
        # Roundings of 1e-16 in numbers around 1.
        assert abs(ours(step) - closed_form(step, length, half)) < 1e-12, step


def test_the_closed_forms_are_of_every_kind_there_is():
    assert {*KINDS, "linear_warmup"} == SchedulesConfig.model_fields.keys()


# Each over 50 steps from a peak of 2.
TORCHS: dict[str, tuple[dict[str, Any], Callable[..., lr_scheduler.LRScheduler]]] = {
    "CosineAnnealingLR": (
        {"cosine_decay": {"T_max": "50ba", "eta_min": 0.25}},
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.25),
    ),
    "CosineAnnealingWarmRestarts": (
        {"cosine_restarts": {"T_0": "4ba", "T_mult": 3, "eta_min": 0.25}},
        lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(
            optimizer, T_0=4, T_mult=3, eta_min=0.25
        ),
    ),
    "CosineAnnealingWarmRestarts of one length": (
        {"cosine_restarts": {"T_0": "7ba"}},
        lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=7),
    ),
    "ExponentialLR": (
        {"exponential": {"gamma": 0.9, "period": "1ba"}},
        lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma=0.9),
    ),
    "LinearLR": (
        {"linear": {"T_max": "40ba", "eta_min": 0.5}},
        lambda optimizer: lr_scheduler.LinearLR(
            optimizer, start_factor=1, end_factor=0.25, total_iters=40
        ),
    ),
    "MultiStepLR": (
        {"step_decay": {"milestones": ["10ba", "30ba"], "gamma": 0.3}},
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones=[10, 30], gamma=0.3),
    ),
    "OneCycleLR": (
        {"one_cycle": {"T_max": "50ba", "pct_start": 0.25, "div_factor": 10,
                       "final_div_factor": 100}},
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, max_lr=2.0, total_steps=50, pct_start=0.25, div_factor=10,
            final_div_factor=100, cycle_momentum=False,
        ),
    ),
    "PolynomialLR": (
        {"polynomial": {"T_max": "40ba", "power": 1.5}},
        lambda optimizer: lr_scheduler.PolynomialLR(optimizer, total_iters=40, power=1.5),
    ),
}  # fmt: skip


def torchs_rates(make: Callable[..., lr_scheduler.LRScheduler], num_steps: int) -> list[float]:
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=2.0)
    trusted = make(optimizer)
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        trusted.step()
    return rates


@pytest.mark.parametrize("name", TORCHS)
def test_a_schedule_is_torchs(name):
    section, make = TORCHS[name]
    ours = schedule(section, peak=2.0)
    # torch multiplies its way from step to step; 50 roundings of 1e-16 each.
    expected = pytest.approx(torchs_rates(make, 50), rel=1e-12, abs=1e-12)
    assert [2.0 * ours(step) for step in range(50)] == expected


def test_an_exponential_by_the_epoch_is_torchs_stepped_once_an_epoch():
    ours = schedule({"exponential": {"gamma": 0.9, "interval": "epoch"}}, peak=2.0, per_epoch=4)
    trusted = torchs_rates(lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma=0.9), 10)
    expected = [trusted[step // 4] for step in range(40)]
    assert [2.0 * ours(step) for step in range(40)] == pytest.approx(expected, rel=1e-12)


def test_a_cycle_whose_rise_ends_at_its_first_step_begins_at_the_peak():
    # 0.1 of 10 steps end at step 0; torch's own divides by zero here.
    ours = schedule({"one_cycle": {"T_max": "10ba", "pct_start": 0.1}})
    expected = [4e-6 + (1 - 4e-6) * half_cosine(step / 9) for step in range(10)]
    assert [ours(step) for step in range(10)] == pytest.approx(expected, abs=1e-12)


def test_the_floor_is_a_learning_rate_and_holds_to_the_end():
    ours = schedule({"cosine_decay": {"T_max": "10ep", "eta_min": 0.5}}, peak=2.0, epochs=20)
    assert ours(5) == pytest.approx(0.25 + 0.75 / 2, abs=1e-12)
    assert [ours(10), ours(15), ours(19)] == pytest.approx([0.25] * 3, abs=1e-12)


def test_interval_epoch_keeps_the_rate_of_the_epochs_first_step():
    section = {"cosine_decay": {"T_max": "4ep", "interval": "epoch"}}
    by_epoch = schedule(section, epochs=4, per_epoch=10)
    # cos(0), cos(pi/4), cos(pi/2), cos(3pi/4)
    expected = [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125)]
    for step in range(40):
        assert by_epoch(step) == pytest.approx(expected[step // 10], abs=1e-12)


@pytest.mark.parametrize("warmup", ["0ep", "12ba"])
@pytest.mark.parametrize("kind", KINDS)
def test_interval_epoch_keeps_the_rate_throughout_an_epoch(kind, warmup):
    section = KINDS[kind][0] | {"interval": "epoch"}
    ours = schedule({"linear_warmup": warmup, kind: section}, peak=2.0, per_epoch=10)
    for epoch in range(2, 20):  # the warm-up ends within the second one
        assert len({ours(step) for step in range(10 * epoch, 10 * epoch + 10)}) == 1, epoch


@pytest.mark.parametrize("kind", KINDS)
def test_interval_epoch_takes_the_closed_form_at_each_epochs_first_step(kind):
    section, closed_form = KINDS[kind]
    ours = schedule({kind: section | {"interval": "epoch"}}, peak=2.0, per_epoch=10)
    for step in range(150):
        # 2.5 and 0.5 epochs are 25 and 5 steps.
        assert abs(ours(step) - closed_form(step // 10 * 10, 25, 5)) < 1e-12, step


def test_the_warm_up_climbs_at_each_step_whatever_the_decays_interval():
    cosine = {"T_max": "2ep", "interval": "epoch"}
    ours = schedule({"linear_warmup": "1.5ep", "cosine_decay": cosine}, per_epoch=4)
    # 6 steps of warm-up; the epoch it ends in keeps the peak, the next begins 2 of 8 steps later.
    expected = [*(step / 6 for step in range(6)), 1, 1, *[0.5 + math.sqrt(0.125)] * 4]
    assert [ours(step) for step in range(12)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", FROM_THE_WARM_UP)
def test_a_decay_follows_the_warm_up_with_its_own_curve(kind, size):
    per_epoch, length, half = SIZES[size]
    section, closed_form = KINDS[kind]
    ours = schedule({"linear_warmup": "0.5ep", kind: section}, peak=2.0, per_epoch=per_epoch)
    for step in range(half):
        assert abs(ours(step) - step / half) < 1e-12, step
    for step in range(half, 4 * length):
        assert abs(ours(step) - closed_form(step - half, length, half)) < 1e-12, step


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_up_trains_the_first_batch_alone_at_rate_zero(kind):
    ours = schedule({"linear_warmup": "1ep", kind: KINDS[kind][0]}, peak=2.0, per_epoch=5)
    assert [step for step in range(450) if ours(step) == 0] == [0]


def test_the_published_block_reads_as_it_stands():
    text = """
linear_warmup: 8ep
cosine_decay:
  T_max: 82ep
  eta_min: 0
  verbose: false
  interval: step
"""
    document = read_document(text)
    assert document.faults == []
    published = SchedulesConfig.model_validate(document.data)
    assert published == SchedulesConfig.model_validate(PUBLISHED)


def test_step_decay_multiplies_at_each_milestone():
    ours = schedule({"step_decay": {"milestones": ["30ep", "60ep"], "gamma": 0.1}}, per_epoch=100)
    steps = [0, 2999, 3000, 5999, 6000, 8999]
    assert [ours(step) for step in steps] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01], rel=1e-12)


def test_milestones_count_from_the_beginning_of_the_warm_up():
    section = {"linear_warmup": "10ep", "step_decay": {"milestones": ["20ep"], "gamma": 0.5}}
    ours = schedule(section)
    assert [ours(step) for step in (5, 10, 19, 20)] == [0.5, 1, 1, 0.5]


@pytest.mark.parametrize("section", [{}, {"linear_warmup": None}, {"linear_warmup": "0ep"}])
def test_without_warm_up_and_decay_the_rate_is_the_peak(section):
    ours = schedule(section)
    assert {ours(step) for step in range(90)} == {1.0}
