import numpy as np
import pytest
import torch

from resnet_core.methods.col_out import col_out


def numbered(height: int, width: int) -> torch.Tensor:
    """Two images of which each pixel tells its image, row and column."""
    pixels = 100 * torch.arange(height)[:, None] + torch.arange(width)
    return torch.stack([pixels, pixels + 10_000])[:, None].float()


@pytest.mark.parametrize(
    ("row_ratio", "column_ratio", "size"),
    [
        (0.15, 0.15, (17, 8)),  # 0.85 of 20, and of 10 (8.5 downwards)
        (0.5, 0.0, (10, 10)),
        (0.0, 0.25, (20, 7)),  # 7.5 downwards
        (0.3, 0.7, (14, 3)),  # in floats 0.7 * 20 is 14, but 0.3 * 10 is 3.0000000000000004
        (0.99, 0.99, (1, 1)),  # 0.2 and 0.1, but one stays
    ],
)
def test_the_image_loses_its_share_of_rows_and_columns(row_ratio, column_ratio, size):
    rng = np.random.default_rng(0)
    images = numbered(20, 10)
    smaller = col_out(images, row_ratio=row_ratio, column_ratio=column_ratio, rng=rng)
    assert smaller.shape == (2, 1, *size)


def test_what_is_kept_stays_in_order_and_equals_the_original():
    images = numbered(20, 10)
    smaller = col_out(images, row_ratio=0.4, column_ratio=0.3, rng=np.random.default_rng(0))
    rows, columns = smaller[0, 0, :, 0].long() // 100, smaller[0, 0, 0].long() % 100
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert columns.tolist() == sorted(set(columns.tolist()))
    assert torch.equal(smaller, images[:, :, rows][:, :, :, columns])


def test_no_share_leaves_the_images_as_they_are():
    images = numbered(20, 10)
    same = col_out(images, row_ratio=0.0, column_ratio=0.0, rng=np.random.default_rng(0))
    assert torch.equal(same, images)


def test_every_row_is_as_likely_to_be_left_out():
    rng = np.random.default_rng(0)
    images = numbered(8, 2)
    kept = torch.zeros(8)
    for _ in range(1000):
        smaller = col_out(images, row_ratio=0.25, column_ratio=0.0, rng=rng)
        kept[smaller[0, 0, :, 0].long() // 100] += 1
    # Binomial of 1000 and 0.75, whose deviation is 13.7.
    assert (kept - 750).abs().max() < 5 * 13.7


def test_a_generator_in_the_same_state_leaves_out_the_same():
    def draws(seed: int) -> list[list[float]]:
        rng = np.random.default_rng(seed)
        settings = {"row_ratio": 0.5, "column_ratio": 0.5}
        return [col_out(numbered(8, 8), **settings, rng=rng).flatten().tolist() for _ in range(3)]

    assert draws(7) == draws(7)
    assert draws(7) != draws(8)
    assert draws(7)[0] != draws(7)[1]
