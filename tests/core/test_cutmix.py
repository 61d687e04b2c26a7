import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from resnet_core.methods.cutmix import cutmix, draw_box


def batch(num: int, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(num, 3, size, size, generator=torch.Generator().manual_seed(0))
    return images, torch.eye(num)


def ends(part: slice) -> tuple[int, int]:
    return part.start, part.stop


def test_the_box_comes_from_the_partner_and_the_rest_from_the_image():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 3, 4)
    mixed, _ = cutmix(images, torch.eye(4), box=(slice(1, 3), slice(0, 2)))
    own_0_partner_1 = [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    own_3_partner_2 = [[3, 3, 3, 3], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert mixed[0, 0].tolist() == own_0_partner_1
    assert mixed[3, 0].tolist() == own_3_partner_2


def test_the_box_keeps_its_place_in_the_image():
    images, targets = batch(2)
    rows, columns = slice(2, 5), slice(1, 8)
    mixed, _ = cutmix(images, targets, box=(rows, columns))
    assert torch.equal(mixed[0, :, rows, columns], images[1, :, rows, columns])
    assert torch.equal(mixed[1, :, rows, columns], images[0, :, rows, columns])


def test_a_target_is_shared_as_the_area_is():
    images, targets = batch(4)
    # 2 x 6 of 64 pixels.
    _, mixed = cutmix(images, targets, box=(slice(0, 2), slice(2, 8)))
    share = 12 / 64
    expected = torch.tensor(
        [
            [1 - share, share, 0, 0],
            [share, 1 - share, 0, 0],
            [0, 0, 1 - share, share],
            [0, 0, share, 1 - share],
        ]
    )
    assert torch.equal(mixed, expected)  # 12/64 is exact in float32


def test_an_empty_box_changes_nothing():
    images, targets = batch(4)
    mixed, mixed_targets = cutmix(images, targets, box=(slice(3, 3), slice(5, 5)))
    assert torch.equal(mixed, images)
    assert torch.equal(mixed_targets, targets)


def test_a_box_of_the_whole_image_exchanges_the_partners():
    images, targets = batch(4)
    mixed, mixed_targets = cutmix(images, targets, box=(slice(0, 8), slice(0, 8)))
    assert torch.equal(mixed, images[[1, 0, 3, 2]])
    assert torch.equal(mixed_targets, targets[[1, 0, 3, 2]])


def test_the_last_image_of_an_odd_batch_is_its_own_partner():
    images, targets = batch(3)
    mixed, mixed_targets = cutmix(images, targets, box=(slice(0, 4), slice(0, 4)))
    assert torch.equal(mixed[2], images[2])
    assert mixed_targets[2].tolist() == [0, 0, 1]


def test_mixing_a_batch_is_mixing_its_halves():
    images, targets = batch(8)
    box = (slice(1, 4), slice(2, 8))
    halves = [cutmix(images[part], targets[part], box=box) for part in (slice(4), slice(4, 8))]
    mixed, mixed_targets = cutmix(images, targets, box=box)
    assert torch.equal(mixed, torch.cat([half[0] for half in halves]))
    assert torch.equal(mixed_targets, torch.cat([half[1] for half in halves]))


def test_the_inputs_are_left_as_they_were():
    images, targets = batch(4)
    cutmix(images, targets, box=(slice(0, 4), slice(0, 4)))
    assert torch.equal(images, batch(4)[0])
    assert torch.equal(targets, batch(4)[1])


def test_the_memory_layout_of_the_images_is_kept():
    images, targets = batch(4)
    images = images.to(memory_format=torch.channels_last)
    mixed, _ = cutmix(images, targets, box=(slice(0, 4), slice(0, 4)))
    assert mixed.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("seed", range(6))
def test_a_mixed_pair_is_torchvisions(seed):
    # torchvision mixes with the neighbour before, who is the same one in a batch of two.
    images, targets = batch(2, size=16)
    torch.manual_seed(seed)
    trusted, trusted_targets = v2.CutMix(num_classes=2)(images, torch.arange(2))
    rows, columns = (trusted != images)[0, 0].nonzero(as_tuple=True)
    if len(rows) == 0:
        pytest.fail("this seed draws an empty box; take another one")
    box = (
        slice(int(rows.min()), int(rows.max()) + 1),
        slice(int(columns.min()), int(columns.max()) + 1),
    )
    mixed, mixed_targets = cutmix(images, targets, box=box)
    assert torch.equal(mixed, trusted)
    torch.testing.assert_close(mixed_targets, trusted_targets, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("weight", "sides"),
    [
        (1.0, (0, 0)),
        (0.75, (16, 32)),  # half of each side
        (0.5, (22, 45)),  # sqrt(0.5) of 32 and 64: 22.6 and 45.3, downwards
        (0.0, (32, 64)),
    ],
)
def test_the_sides_of_a_box_are_the_root_of_its_share_of_the_area(weight, sides):
    rng = np.random.default_rng(0)
    boxes = [draw_box(32, 64, weight=weight, rng=rng) for _ in range(400)]
    # The largest of each, of which the edges cut nothing off.
    assert max(rows.stop - rows.start for rows, _ in boxes) == sides[0]
    assert max(columns.stop - columns.start for _, columns in boxes) == sides[1]


def test_a_box_is_around_any_pixel_and_cut_off_at_the_edges():
    rng = np.random.default_rng(0)
    boxes = [draw_box(8, 4, weight=0.75, rng=rng) for _ in range(400)]
    # 4 rows and 2 columns around each of 8 and 4 centres: from the centre less 2 (or 1).
    expected_rows = {(0, 2), (0, 3), (0, 4), (1, 5), (2, 6), (3, 7), (4, 8), (5, 8)}
    expected_columns = {(0, 1), (0, 2), (1, 3), (2, 4)}
    assert {ends(rows) for rows, _ in boxes} == expected_rows
    assert {ends(columns) for _, columns in boxes} == expected_columns


def test_a_box_has_its_mean_area_after_cutting_off():
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(4000):
        rows, columns = draw_box(8, 8, weight=0.75, rng=rng)
        areas.append((rows.stop - rows.start) * (columns.stop - columns.start))
    # Sides 2, 3, 4, 4, 4, 4, 4, 3 for the 8 centres: on average 3.5, of squares 12.75. Rows and
    # columns are independent, so the area has mean 3.5^2 and variance 12.75^2 - 3.5^4 = 12.5.
    assert np.mean(areas) == pytest.approx(3.5**2, abs=5 * (12.5 / 4000) ** 0.5)


def test_a_generator_in_the_same_state_draws_the_same_box():
    first, second = (
        [draw_box(32, 32, weight=0.5, rng=rng) for _ in range(5)]
        for rng in (np.random.default_rng(7), np.random.default_rng(7))
    )
    assert first == second
    assert len({(ends(rows), ends(columns)) for rows, columns in first}) > 1
