import pytest

from resnet_core.methods.progressive_resizing import size_at
from resnet_core.methods.section import ProgressiveResizingConfig

DEFAULT = {"initial_scale": 0.5, "delay_ratio": 0.5, "finetune_ratio": 0.2, "size_increment_px": 4}


def sizes(*, full_px: int = 224, total_steps: int = 100, **changes: float) -> list[int]:
    config = ProgressiveResizingConfig.model_validate({**DEFAULT, **changes})
    return [
        size_at(config, full_px=full_px, step=step, total_steps=total_steps)
        for step in range(total_steps)
    ]


@pytest.mark.parametrize(
    ("step", "size"),
    [
        (0, 112),  # half of 224
        (50, 112),
        (51, 116),  # 0.5 + 0.5 / 30 of 224 is 115.7, the nearest multiple of 4 is 116
        (56, 136),  # 0.6 of 224 is 134.4
        (65, 168),  # midway: 0.75 of 224
        (79, 220),  # 0.98333 of 224 is 220.3
        (80, 224),
        (99, 224),
    ],
)
def test_sizes_pass_through_hand_computed_points(step, size):
    assert sizes()[step] == size


GRID = [
    {},
    {"full_px": 32, "total_steps": 1000},
    {"full_px": 33, "initial_scale": 0.2},
    {"full_px": 224, "size_increment_px": 32},
    {"full_px": 30, "delay_ratio": 0.0, "finetune_ratio": 0.01},
]


@pytest.mark.parametrize("changes", GRID, ids=str)
def test_sizes_never_shrink_from_one_step_to_the_next(changes):
    found = sizes(**changes)
    assert found == sorted(found)
    assert len(set(found)) > 2


@pytest.mark.parametrize("changes", GRID, ids=str)
def test_a_size_is_the_full_one_or_a_multiple_of_the_increment_below(changes):
    full_px, increment = changes.get("full_px", 224), changes.get("size_increment_px", 4)
    allowed = {full_px, *range(increment, full_px, increment)}
    assert set(sizes(**changes)) <= allowed
    assert sizes(**changes)[-1] == full_px


def test_the_increment_is_the_smallest_size():
    # 0.1 of 32 is 3.2, of which the nearest multiple of 8 is 0.
    assert sizes(full_px=32, initial_scale=0.1, size_increment_px=8)[0] == 8


def test_an_increment_above_the_full_size_leaves_the_full_size():
    assert set(sizes(full_px=32, size_increment_px=64)) == {32}


@pytest.mark.parametrize(("delay", "finetune"), [(0.5, 0.5), (0.7, 0.3), (0.9, 0.1), (0.0, 1.0)])
def test_without_a_time_to_grow_the_size_jumps(delay, finetune):
    found = sizes(delay_ratio=delay, finetune_ratio=finetune)
    small = round(100 * delay)
    assert found == [112] * small + [224] * (100 - small)


def test_a_delay_of_the_whole_training_stays_small():
    assert set(sizes(delay_ratio=1.0, finetune_ratio=0.0)) == {112}


def test_a_scale_of_one_is_the_full_size_throughout():
    # Which is no multiple of 4.
    assert set(sizes(full_px=33, initial_scale=1.0)) == {33}


def test_growth_over_the_whole_training_is_a_straight_line():
    found = sizes(
        full_px=100, initial_scale=0.5, delay_ratio=0.0, finetune_ratio=0.0, size_increment_px=1,
        total_steps=50,
    )  # fmt: skip
    # From 50 by one pixel a step; the full 100 would come at step 50.
    assert found == list(range(50, 100))
