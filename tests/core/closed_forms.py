"""Schedules of every kind, and the closed forms that they are held against."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from resnet_core.schedule import Multiplier, SchedulesConfig, build_schedule

# Steps in one epoch, in 2.5 epochs and in half of one, to the nearest step, halves up.
SIZES = {
    "CIFAR-10 by 128": (390, 975, 195),  # 50,000 // 128
    "ImageNet by 2048": (625, 1563, 313),  # 1,281,167 // 2048; 1562.5 and 312.5
    "50 images by 16": (3, 8, 2),  # 7.5 and 1.5
    "one batch": (1, 3, 1),  # 2.5 and 0.5
}


def half_cosine(share: float) -> float:
    """(1 + cos x) / 2 = cos^2(x / 2): 1 at share 0, 0 at share 1."""
    return math.cos(math.pi / 2 * share) ** 2


def restarts(step: int, length: int, _: int) -> float:
    # Cycles of n, 2n, 4n, ... steps: number i begins at (2^i - 1) n.
    cycle = (step // length + 1).bit_length() - 1
    return 0.1 + 0.9 * half_cosine((step / length - 2**cycle + 1) / 2**cycle)


def one_cycle(step: int, length: int, _: int) -> float:
    # Smith & Topin as torch's OneCycleLR: from 1/25 up at 30% of n steps, down to 1e-4 of 1/25.
    top = 0.3 * length - 1
    if step <= top:
        return 1 - 0.96 * half_cosine(step / top)
    share = min((step - top) / (length - 1 - top), 1)
    return 4e-6 + (1 - 4e-6) * half_cosine(share)


# Each kind with lengths of 2.5 (and 0.5) epochs and, at a peak of 2, a floor of 0.1 of it; and its
# closed form: of the steps since the warm-up and the lengths in steps.
KINDS: dict[str, tuple[dict[str, Any], Callable[[int, int, int], float]]] = {
    "constant": ({}, lambda step, length, half: 1),
    "cosine_decay": (
        {"T_max": "2.5ep", "eta_min": 0.2},
        lambda step, length, half: 0.1 + 0.9 * half_cosine(min(step / length, 1)),
    ),
    "cosine_restarts": ({"T_0": "2.5ep", "T_mult": 2, "eta_min": 0.2}, restarts),
    "exponential": (
        {"gamma": 0.3, "period": "2.5ep"},
        lambda step, length, half: math.exp(step / length * math.log(0.3)),
    ),
    "linear": (
        {"T_max": "2.5ep", "eta_min": 0.2},
        lambda step, length, half: 1 - 0.9 * min(step, length) / length,
    ),
    "one_cycle": ({"T_max": "2.5ep"}, one_cycle),
    "polynomial": (
        {"T_max": "2.5ep", "eta_min": 0.2, "power": 3},
        lambda step, length, half: 0.1 + 0.9 * (max(length - step, 0) / length) ** 3,
    ),
    "step_decay": (
        {"milestones": ["0.5ep", "2.5ep"], "gamma": 0.1},
        lambda step, length, half: 0.01 if step >= length else 0.1 if step >= half else 1,
    ),
    "warmup_stable_decay": (
        {"T_stable": "0.5ep", "T_decay": "2.5ep", "eta_min": 0.2},
        lambda step, length, half: 1 - 0.9 * min(max(step - half, 0), length) / length,
    ),
}


def schedule(
    section: dict[str, Any],
    *,
    peak: float = 1.0,
    epochs: int = 90,
    per_epoch: int = 1,
    scale: Fraction = Fraction(1),
) -> Multiplier:
    return build_schedule(
        SchedulesConfig.model_validate(section),
        peak_learning_rate=peak,
        steps_per_epoch=per_epoch,
        total_steps=epochs * per_epoch,
        scale=scale,
    )
