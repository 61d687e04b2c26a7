import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import horizontal_flip, pil_to_tensor, resized_crop

from resnet_core.data.crops import crop_draws, mirrored, random_boxes
from resnet_core.data.dataset import BadImage, BadSample, ImageData, Split, StreamedSplit
from resnet_core.data.loader import Batch, TrainLoader, lost_a_loader
from resnet_core.data.per_image import Policies
from resnet_core.data.section import CustomConfig, FakeConfig
from resnet_core.methods.section import MethodsConfig
from resnet_core.random_streams import Stream, derived_seed
from tests.core.pictures import assert_same, data_of, labels_of, numbered_data, streamed_data


@pytest.fixture(scope="module")
def numbered() -> ImageData:
    return numbered_data()


@pytest.fixture(scope="module")
def streamed() -> ImageData:
    return streamed_data(23)


def loader(
    data: ImageData, *, seed: int = 0, rank: int = 0, num_workers: int = 1, num_processes: int = 0,
    shift: int = 2, flip: bool = True, **methods: Any,
) -> TrainLoader:  # fmt: skip
    settings: Any = FakeConfig(max_shift_px=shift, horizontal_flip=flip)
    if isinstance(data.train, StreamedSplit):
        settings = CustomConfig(entry="a:B")
    return TrainLoader(
        data, batch_size=4, seed=seed, rank=rank, num_workers=num_workers, settings=settings,
        methods=MethodsConfig.model_validate(methods), train_px=8, num_processes=num_processes,
    )  # fmt: skip


def order_of_epoch(data: ImageData, epoch: int, seed: int = 0) -> list[int]:
    batches = loader(data, seed=seed).batches(5 * epoch, 5 * epoch + 5)
    return labels_of(batches)


# The two ways: gathered on the device, and image by image. Each is a data set and methods.
WAYS = [("numbered", {}), ("numbered", {"trivial_augment": {}}), ("streamed", {"rand_augment": {}})]
IDS = ["in memory", "in memory, image by image", "streamed"]


@pytest.fixture(params=WAYS, ids=IDS)
def way(request) -> tuple[ImageData, dict[str, Any]]:
    name, methods = request.param
    return request.getfixturevalue(name), methods


def test_an_epoch_holds_whole_batches_only(way):
    data, methods = way
    assert loader(data, **methods).steps_per_epoch == 5  # 23 // 4
    batches = list(loader(data, **methods).batches(0, 12))
    assert [batch.images.shape for batch in batches] == [(4, 3, 8, 8)] * 12
    assert all(batch.images.dtype == torch.uint8 for batch in batches)
    assert all(batch.labels.dtype == torch.int64 for batch in batches)


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_an_epoch_holds_every_image_at_most_once(numbered, epoch):
    assert len(set(order_of_epoch(numbered, epoch))) == 20


def test_the_images_left_out_differ_between_epochs(numbered):
    left_out = [set(range(23)) - set(order_of_epoch(numbered, epoch)) for epoch in range(4)]
    assert all(before != after for before, after in pairwise(left_out))


def test_the_order_differs_between_epochs_and_between_seeds(numbered):
    orders = [order_of_epoch(numbered, epoch, seed) for epoch in (0, 1) for seed in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


def test_streamed_images_come_in_the_order_of_images_in_memory(numbered, streamed):
    assert order_of_epoch(streamed, 1) == order_of_epoch(numbered, 1)


@pytest.mark.parametrize("first", [0, 3, 5, 7])
def test_a_batch_follows_from_seed_and_step_alone(way, first):
    data, methods = way
    expected = list(loader(data, **methods).batches(0, 12))[first:]
    assert_same(list(loader(data, **methods).batches(first, 12)), expected)


@pytest.mark.parametrize("num_processes", [1, 2])
def test_the_number_of_loader_processes_changes_nothing(way, num_processes):
    data, methods = way
    expected = list(loader(data, **methods).batches(3, 9))
    found = list(loader(data, num_processes=num_processes, **methods).batches(3, 9))
    assert_same(found, expected)


class ThreadCounts:
    """One picture whose colour is the number of threads that torch may use while it is read."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((3, 8, 8), torch.get_num_threads(), dtype=torch.uint8), index


@pytest.mark.parametrize("num_processes", [0, 1])
def test_images_are_read_with_one_thread_so_that_sums_do_not_depend_on_where(num_processes):
    # Torch splits sums of more than 32,768 numbers among threads. The mean brightness of 222 of 400
    # images of 256x256 pixels was another one with two.
    data = data_of(StreamedSplit(ThreadCounts()))
    (batch,) = loader(data, num_processes=num_processes).batches(0, 1)
    assert batch.images.unique().tolist() == [1]


@pytest.mark.parametrize("num_workers", [2, 4])
def test_the_workers_shares_together_are_the_batch_of_one_worker(way, num_workers):
    data, methods = way
    whole = list(loader(data, **methods).batches(0, 7))
    shares = [
        list(loader(data, rank=rank, num_workers=num_workers, **methods).batches(0, 7))
        for rank in range(num_workers)
    ]
    together = [
        Batch(
            torch.cat([batch.images for batch in batches]),
            torch.cat([batch.labels for batch in batches]),
        )
        for batches in zip(*shares, strict=True)
    ]
    assert_same(together, whole)


def test_images_and_labels_stay_together(numbered):
    for batch in loader(numbered, shift=0, flip=False).batches(0, 5):
        assert torch.equal(batch.images, numbered.train.images[batch.labels])


def test_streamed_images_are_cut_anew_in_each_epoch(streamed):
    seen = [
        {label: image for batch in loader(streamed).batches(5 * epoch, 5 * epoch + 5)
         for image, label in zip(batch.images, batch.labels.tolist(), strict=True)}
        for epoch in (0, 1)
    ]  # fmt: skip
    both = seen[0].keys() & seen[1].keys()
    # 23 images, of which 20 are in each epoch.
    assert len(both) >= 17
    assert not any(torch.equal(seen[0][label], seen[1][label]) for label in both)


@pytest.mark.parametrize("methods", [{}, {"trivial_augment": {}}], ids=["plain", "policy"])
def test_streamed_images_are_cut_and_mirrored_as_drawn_for_their_places_before_any_policy(
    streamed, methods
):
    *_, batch = loader(streamed, rank=1, num_workers=2, **methods).batches(0, 3)
    policies = Policies(MethodsConfig.model_validate(methods), mean=streamed.mean)
    # Of a batch of 4, step 2, the second worker's places.
    draws = crop_draws(slice(2, 4), seed=0, step=2)
    pixels = [pil_to_tensor(streamed.train.dataset[label][0]) for label in batch.labels.tolist()]
    sizes = np.array([[image.shape[2], image.shape[1]] for image in pixels])
    boxes = mirrored(random_boxes(sizes, draws), draws).tolist()
    cut = zip(batch.images, batch.labels.tolist(), pixels, boxes, strict=True)
    for found, index, image, (left, upper, right, lower) in cut:
        box = [upper, min(left, right), lower - upper, abs(right - left)]
        expected = resized_crop(image, *box, size=[8, 8])
        expected = horizontal_flip(expected) if left > right else expected
        seed = derived_seed(0, Stream.IMAGE, 0, index)  # of the first epoch
        assert torch.equal(found, policies(expected, seed))


def test_every_batch_is_shifted_in_its_own_way(numbered):
    # One image 23 times over: a batch shows nothing but its shifts.
    same = Split(numbered.train.images[:1].expand(23, -1, -1, -1), numbered.train.labels)
    batches = loader(replace(numbered, train=same), flip=False).batches(0, 10)
    images = [batch.images for batch in batches]
    assert not any(torch.equal(*pair) for pair in combinations(images, 2))


def test_images_in_memory_are_shifted_and_mirrored_alike_on_both_ways(numbered):
    # Erasing that never happens takes the way of single images, and changes nothing there.
    never: dict[str, Any] = {"random_erasing": {"probability": 0}}
    assert_same(list(loader(numbered, **never).batches(0, 6)), list(loader(numbered).batches(0, 6)))


def test_loading_leaves_the_callers_random_numbers_alone(way):
    data, methods = way
    before = torch.get_rng_state()
    for num_processes in (0, 1):
        list(loader(data, num_processes=num_processes, **methods).batches(0, 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_in_this_process_leaves_the_number_of_threads_alone(streamed):
    before = torch.get_num_threads()
    for _ in loader(streamed).batches(0, 2):
        assert torch.get_num_threads() == before


def test_a_batch_larger_than_the_split_is_refused():
    with pytest.raises(ValueError, match="train_batch_size 4 is more than the 3 training images"):
        loader(streamed_data(3))


def test_closing_the_batches_ends_the_loader_processes(streamed):
    batches = loader(streamed, num_processes=2).batches(0, 100)
    assert isinstance(batches, Iterator)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def test_an_error_ends_the_loader_processes_though_its_traceback_is_kept():
    batches = loader(streamed_data(23, range(23)), num_processes=2).batches(0, 100)
    with pytest.raises(BadImage) as kept:
        next(batches)
    assert kept.value.__traceback__ is not None
    assert multiprocessing.active_children() == []


def test_batches_are_read_in_a_thread_that_is_not_the_main_one(streamed):
    found: list[Batch] = []

    def read() -> None:
        found.extend(loader(streamed, num_processes=1).batches(0, 3))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert_same(found, list(loader(streamed).batches(0, 3)))


@pytest.mark.parametrize("num_processes", [0, 1])
@pytest.mark.parametrize("error", [BadImage("9.jpg: broken"), FileNotFoundError("9.jpg"),
                                   BadSample("train[9]: a label is an int")], ids=str)  # fmt: skip
def test_an_error_reaches_the_caller_as_it_was_raised(error, num_processes):
    data = streamed_data(4, range(4), lambda _: error)
    with pytest.raises(type(error)) as caught:
        list(loader(data, num_processes=num_processes).batches(0, 1))
    assert (type(caught.value), str(caught.value)) == (type(error), str(error))


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), EOFError()], ids=repr)
def test_a_loader_process_that_does_not_answer_is_lost_and_no_image_is_to_blame(
    streamed, monkeypatch, error
):
    def get(*_: Any) -> None:
        raise error

    # What the queue raises while torch still takes the dying process to be alive.
    batches = loader(streamed, num_processes=1).batches(0, 3)
    iterator = "torch.utils.data.dataloader._MultiProcessingDataLoaderIter"
    monkeypatch.setattr(f"{iterator}._get_data", get)
    with pytest.raises(RuntimeError, match="does not answer") as caught:
        next(batches)
    assert lost_a_loader(caught.value)
    assert multiprocessing.active_children() == []


def test_an_error_in_a_users_code_keeps_its_type_and_the_place_it_came_from():
    data = streamed_data(4, range(4), lambda index: [][index])
    with pytest.raises(IndexError, match="test_loader"):
        list(loader(data, num_processes=1).batches(0, 1))


@pytest.mark.parametrize("num_processes", [0, 2])
def test_the_next_readable_image_takes_the_place_of_one_that_is_skipped(num_processes):
    data = streamed_data(23, (6, 7, 22), on_bad_image="skip")
    wanted = order_of_epoch(streamed_data(23), 0) + order_of_epoch(streamed_data(23), 1)
    instead = {6: 8, 7: 8, 22: 0}
    batches = list(loader(data, num_processes=num_processes).batches(0, 10))
    assert labels_of(batches) == [instead.get(index, index) for index in wanted]
    bad = [name for batch in batches for name in batch.bad]
    assert bad == [f"{index}.jpg" for index in wanted if index in instead]
    assert bad


@pytest.mark.parametrize("num_processes", [0, 1])
def test_a_split_without_a_readable_image_ends_the_training(num_processes):
    data = streamed_data(4, range(4), on_bad_image="skip")
    with pytest.raises(BadImage, match=r"no image can be read, of 4; the first tried: \d\.jpg"):
        list(loader(data, num_processes=num_processes).batches(0, 1))
