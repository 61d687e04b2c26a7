from dataclasses import replace
from itertools import combinations, pairwise

import pytest
import torch

from resnet_core.data.loader import TrainLoader, evaluation_batches
from resnet_core.data.sources import DataConfig, ImageData, Split, load_data


@pytest.fixture(scope="module")
def numbered() -> ImageData:
    """23 images to train on and 23 to evaluate; each one's label is its place."""
    section = {"fake": {"num_train": 23, "num_evaluation": 1, "image_size_px": 8}}
    images = load_data(DataConfig.model_validate(section), 2, torch.device("cpu")).train.images
    split = Split(images, torch.arange(23))
    return ImageData(split, split, split, torch.full((3, 1, 1), 100.0), torch.ones(3, 1, 1))


def loader(data: ImageData, *, seed: int = 0, rank: int = 0, num_workers: int = 1) -> TrainLoader:
    return TrainLoader(
        data, batch_size=4, max_shift_px=2, seed=seed, rank=rank, num_workers=num_workers
    )


def order_of_epoch(data: ImageData, epoch: int, seed: int = 0) -> list[int]:
    batches = loader(data, seed=seed).batches(5 * epoch, 5 * epoch + 5)
    return torch.cat([labels for _, labels in batches]).tolist()


def test_an_epoch_holds_whole_batches_only(numbered):
    assert loader(numbered).steps_per_epoch == 5  # 23 // 4
    assert [len(labels) for _, labels in loader(numbered).batches(0, 12)] == [4] * 12


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_an_epoch_holds_every_image_at_most_once(numbered, epoch):
    assert len(set(order_of_epoch(numbered, epoch))) == 20


def test_the_images_left_out_differ_between_epochs(numbered):
    left_out = [set(range(23)) - set(order_of_epoch(numbered, epoch)) for epoch in range(4)]
    assert all(before != after for before, after in pairwise(left_out))


def test_the_order_differs_between_epochs_and_between_seeds(numbered):
    orders = [order_of_epoch(numbered, epoch, seed) for epoch in (0, 1) for seed in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


@pytest.mark.parametrize("first", [0, 3, 5, 7])
def test_a_batch_follows_from_seed_and_step_alone(numbered, first):
    expected = list(loader(numbered).batches(0, 12))[first:]
    found = list(loader(numbered).batches(first, 12))
    assert len(found) == len(expected) == 12 - first
    for (images, labels), (expected_images, expected_labels) in zip(found, expected, strict=True):
        assert torch.equal(images, expected_images)
        assert torch.equal(labels, expected_labels)


def test_images_and_labels_stay_together(numbered):
    plain = TrainLoader(numbered, batch_size=4, max_shift_px=0, seed=0, rank=0, num_workers=1)
    for images, labels in plain.batches(0, 5):
        assert torch.equal(images + 100, numbered.train.images[labels].float())  # the mean is 100


def test_every_batch_is_shifted_in_its_own_way(numbered):
    # One image 23 times over: a batch shows nothing but its shifts.
    same = Split(numbered.train.images[:1].expand(23, -1, -1, -1), numbered.train.labels)
    batches = [images for images, _ in loader(replace(numbered, train=same)).batches(0, 10)]
    assert not any(torch.equal(*pair) for pair in combinations(batches, 2))


@pytest.mark.parametrize("num_workers", [2, 4])
def test_the_workers_shares_together_are_the_batch_of_one_worker(numbered, num_workers):
    whole = list(loader(numbered).batches(0, 7))
    shares = [
        list(loader(numbered, rank=rank, num_workers=num_workers).batches(0, 7))
        for rank in range(num_workers)
    ]
    for step, (images, labels) in enumerate(whole):
        assert torch.equal(torch.cat([share[step][0] for share in shares]), images)
        assert torch.equal(torch.cat([share[step][1] for share in shares]), labels)


@pytest.mark.parametrize("num_workers", [1, 3, 30])
def test_evaluation_shares_cover_the_split_once_and_in_order(numbered, num_workers):
    batches = [
        batch
        for rank in range(num_workers)
        for batch in evaluation_batches(
            numbered, numbered.test, batch_size=5, rank=rank, num_workers=num_workers
        )
    ]
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(23))
    assert torch.equal(torch.cat([images for images, _ in batches]) + 100, numbered.test.images)
    assert max(len(labels) for _, labels in batches) <= 5
