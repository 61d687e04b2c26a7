import multiprocessing

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from resnet_core.data.dataset import BadImage, ImageData
from resnet_core.data.loader import Batch, evaluation_batches
from resnet_core.methods.section import ResolutionConfig
from tests.core.pictures import Pictures, assert_same, labels_of, numbered_data, streamed_data


@pytest.fixture(scope="module")
def numbered() -> ImageData:
    return numbered_data()


@pytest.fixture(scope="module")
def streamed() -> ImageData:
    return streamed_data(23)


def evaluate(
    data: ImageData, *, batch_size: int = 5, rank: int = 0, num_workers: int = 1,
    resolution: ResolutionConfig | None = None, num_processes: int = 0,
) -> list[Batch]:  # fmt: skip
    return list(
        evaluation_batches(
            data.test, data=data, batch_size=batch_size, rank=rank, num_workers=num_workers,
            resolution=resolution, num_processes=num_processes,
        )
    )  # fmt: skip


@pytest.mark.parametrize("num_workers", [1, 3, 30])
@pytest.mark.parametrize("kind", ["numbered", "streamed"])
def test_evaluation_shares_cover_the_split_once_and_in_order(kind, num_workers, request):
    data = request.getfixturevalue(kind)
    shares = [evaluate(data, rank=rank, num_workers=num_workers) for rank in range(num_workers)]
    batches = [batch for share in shares for batch in share]
    assert labels_of(batches) == list(range(23))
    assert max(len(batch.labels) for batch in batches) <= 5
    assert all(batch.images.dtype == torch.uint8 for batch in batches)


def test_images_in_memory_are_evaluated_as_they_are(numbered):
    images = torch.cat([batch.images for batch in evaluate(numbered)])
    assert torch.equal(images, numbered.test.images)


@pytest.mark.parametrize(("resolution", "resized_px", "size_px"), [
    (None, 256, 224),
    (ResolutionConfig(train_px=8, evaluation_px=12, crop_ratio=0.75), 16, 12),
], ids=["default", "12 px"])  # fmt: skip
def test_streamed_images_are_evaluated_resized_and_cropped(
    streamed, resolution, resized_px, size_px
):
    (batch, *_) = evaluate(streamed, resolution=resolution)
    steps = v2.Compose([v2.Resize(resized_px), v2.CenterCrop(size_px)])
    expected = [steps(F.pil_to_tensor(Pictures(23)[index][0])) for index in range(5)]
    assert torch.equal(batch.images, torch.stack(expected))


def test_evaluation_is_the_same_with_loader_processes(streamed):
    small = ResolutionConfig(train_px=12, evaluation_px=12)
    expected = evaluate(streamed, resolution=small)
    assert_same(evaluate(streamed, resolution=small, num_processes=2), expected)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("broken", [(0, 7), (5, 6, 7, 8, 9), range(5), (*range(5), *range(20, 23))],
                         ids=["some", "a batch", "the first batch", "first and last"])  # fmt: skip
def test_evaluation_leaves_out_what_is_skipped_and_names_it(broken):
    batches = evaluate(
        streamed_data(23, broken, on_bad_image="skip"),
        resolution=ResolutionConfig(train_px=8, evaluation_px=8),
    )
    assert all(len(batch.labels) for batch in batches)
    assert labels_of(batches) == [index for index in range(23) if index not in set(broken)]
    bad = [name for batch in batches for name in batch.bad]
    assert sorted(bad) == sorted(f"{index}.jpg" for index in broken)


def test_evaluation_stops_at_a_bad_image_that_is_not_to_be_skipped():
    with pytest.raises(BadImage, match=r"^7\.jpg: broken$"):
        evaluate(streamed_data(23, (7,)))


def test_evaluation_of_a_share_without_a_readable_image_is_an_error():
    with pytest.raises(BadImage, match=r"no image can be read, of 4; the first: 0\.jpg"):
        evaluate(streamed_data(4, range(4), on_bad_image="skip"), batch_size=3)
