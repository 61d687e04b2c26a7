import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from resnet_core.data.packed.layout import Layout
from resnet_core.data.packed.resample import _by_lookup, _by_product, cut_out, taps
from resnet_core.data.packed.shard import record_of
from tests.core.packed_images import smooth

SIDE = 48
RGB = Layout(SIDE, "rgb")
BOXES = [
    (0.0, 0.0, 48.0, 48.0), (3.25, 7.5, 40.125, 30.75), (20.0, 10.0, 27.3, 16.9),
    (31.0, 0.0, 48.0, 21.0),
]  # fmt: skip


def noise(seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def records(images: list[Image.Image], layout: Layout) -> Tensor:
    joined = b"".join(record_of(image, layout) for image in images)
    return torch.frombuffer(bytearray(joined), dtype=torch.uint8).view(len(images), -1)


def cut(image: Image.Image, size_px: int, boxes=BOXES, layout=RGB) -> Tensor:
    """Boxes of one image."""
    return cut_out(records([image] * len(boxes), layout), torch.tensor(boxes), layout, size_px)


def by_pil(image: Image.Image, size_px: int) -> Tensor:
    resized = [
        image.resize((size_px, size_px), Image.Resampling.BILINEAR, box=box) for box in BOXES
    ]
    return torch.from_numpy(np.stack([np.asarray(one) for one in resized])).permute(0, 3, 1, 2)


@pytest.mark.parametrize("size_px", [12, 33, 48, 64], ids="to {} px".format)
@pytest.mark.parametrize("image", [noise(), smooth(SIDE, SIDE, seed=3)], ids=["noise", "smooth"])
def test_boxes_are_resized_as_pil_does_to_one_grey_level(image, size_px):
    difference = (cut(image, size_px).int() - by_pil(image, size_px).int()).abs()
    # PIL rounds to whole levels between its two passes, and we to eighths.
    assert difference.max() <= 1
    assert difference.float().mean() < 0.3


def test_the_whole_record_at_its_own_size_is_the_image():
    image = noise()
    (found,) = cut(image, SIDE, boxes=[(0.0, 0.0, 48.0, 48.0)])
    assert np.array_equal(found.permute(1, 2, 0).numpy(), np.asarray(image))


@pytest.mark.parametrize("pixel_format", ["rgb", "yuv420"])
def test_left_and_right_exchanged_mirror_the_box(pixel_format):
    layout = Layout(SIDE, pixel_format)
    exchanged = [(right, upper, left, lower) for left, upper, right, lower in BOXES]
    plain, flipped = (cut(noise(), 20, boxes, layout) for boxes in (BOXES, exchanged))
    # Centres that are added up from the other end differ by the last bit of a float32.
    assert (plain.flip(-1).int() - flipped.int()).abs().max() <= 1


@pytest.mark.parametrize("pixel_format", ["rgb", "yuv420"])
def test_an_image_is_the_same_to_the_bit_in_every_batch_and_with_any_number_of_threads(
    pixel_format,
):
    layout = Layout(SIDE, pixel_format)
    of_each = records([noise(seed) for seed in range(9)], layout)
    boxes = torch.tensor((BOXES * 3)[:9])
    together = cut_out(of_each, boxes, layout, 30)
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            for size in (1, 2, 4):
                parts = [
                    cut_out(of_each[at : at + size], boxes[at : at + size], layout, 30)
                    for at in range(0, 9, size)
                ]
                assert torch.equal(torch.cat(parts), together)
    finally:
        torch.set_num_threads(before)


PAIRS = [(256, 224), (256, 300), (512, 160), (64, 224), (4, 4), (8, 4)]


def edges(in_px: int) -> tuple[Tensor, Tensor]:
    """Where 50 parts of a line begin and end, every other one mirrored."""
    rng = torch.Generator().manual_seed(0)
    begin, end = (torch.rand(2, 50, generator=rng) * in_px).sort(dim=0).values
    return torch.where(torch.arange(50) % 2 == 0, begin, end), torch.where(
        torch.arange(50) % 2 == 0, end, begin
    )


@pytest.mark.parametrize(("in_px", "out_px"), PAIRS)
def test_weights_are_whole_2048ths_that_sum_to_1_within_the_line(in_px, out_px):
    firsts, weights = taps(*edges(in_px), in_px, out_px)
    weights = weights * 2**11
    assert torch.equal(weights, weights.round())
    assert weights.min() >= 0
    assert torch.equal(weights.sum(dim=2), torch.full((50, out_px), 2.0**11))
    assert firsts.min() >= 0
    assert firsts.max() + weights.shape[2] <= in_px


@pytest.mark.parametrize(("in_px", "out_px"), PAIRS)
def test_the_sums_of_the_gpu_are_those_of_the_cpu_to_the_bit(in_px, out_px):
    found = taps(*edges(in_px), in_px, out_px)
    # Eighths below 256: 11 bits.
    lines = torch.randint(2**11, (50, in_px, 7), generator=torch.Generator().manual_seed(1)) / 8
    assert torch.equal(_by_product(*found, lines), _by_lookup(*found, lines))


def test_yuv_of_grey_is_grey_within_a_level():
    grey = np.arange(SIDE**2).reshape(SIDE, SIDE).astype(np.uint8)
    image = Image.fromarray(grey).convert("RGB")
    (found,) = cut(image, SIDE, [(0.0, 0.0, 48.0, 48.0)], Layout(SIDE, "yuv420"))
    # PIL's brightness of some greys is a level too low.
    assert np.abs(found.numpy().astype(int) - grey.astype(int)).max() <= 1
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_yuv_keeps_every_colour_within_three_levels_where_neighbours_share_it():
    colours = np.random.default_rng(0).integers(0, 256, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
    image = Image.fromarray(colours.repeat(4, axis=0).repeat(4, axis=1))
    (found,) = cut(image, SIDE, [(0.0, 0.0, 48.0, 48.0)], Layout(SIDE, "yuv420"))
    difference = np.abs(found.permute(1, 2, 0).numpy().astype(int) - np.asarray(image).astype(int))
    # Away from the patches' edges, over which differences of colour are blended: each of Y, Cb and
    # Cr is off by at most 1, which the blue makes 1 + 1.772, and rounding half a level more.
    inner = difference.reshape(12, 4, 12, 4, 3)[:, 1:3, :, 1:3]
    assert inner.max() <= 3
