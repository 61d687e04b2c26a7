import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from resnet_core import Recipe, fit
from resnet_core.data.dataset import ImageData, StreamedSplit
from resnet_core.data.loader import Batch, TrainLoader, evaluation_batches
from resnet_core.data.packed.images import PackedImages
from resnet_core.data.packed.layout import Layout
from resnet_core.data.packed.pack import pack
from resnet_core.data.per_image import resize_and_crop
from resnet_core.data.section import DataConfig, PackedConfig
from resnet_core.data.sources import load_data
from resnet_core.methods.section import MethodsConfig, ResolutionConfig
from tests.core.packed_images import SIZES, make_packed, smooth
from tests.core.pictures import assert_same

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["rgb", "yuv420"])
def packed(request, tmp_path_factory) -> tuple[Path, ImageData]:
    """24 training images of two classes, 10 to validate on and 6 to test on, as 32 px."""
    folder, _ = make_packed(tmp_path_factory.mktemp("feed"), pixel_format=request.param)
    return folder, load(folder)


def load(folder: Path) -> ImageData:
    config = DataConfig.model_validate({"packed": {"path": str(folder)}})
    return load_data(config, 2, CPU)


def batches(
    data: ImageData, first: int = 0, end: int = 9, *, seed: int = 3, rank: int = 0,
    num_workers: int = 1, num_processes: int = 0, **methods: Any,
) -> list[Batch]:  # fmt: skip
    """Of 8 images of 16 px; 3 steps an epoch."""
    loader = TrainLoader(
        data, batch_size=8, seed=seed, rank=rank, num_workers=num_workers,
        settings=PackedConfig(path="-"), methods=MethodsConfig.model_validate(methods),
        train_px=16, num_processes=num_processes,
    )  # fmt: skip
    return list(loader.batches(first, end))


def evaluated(data: ImageData, rank: int = 0, num_workers: int = 1) -> list[Batch]:
    return list(
        evaluation_batches(
            data.validation, data=data, batch_size=4, rank=rank, num_workers=num_workers,
            resolution=ResolutionConfig(train_px=16, evaluation_px=24, crop_ratio=0.75),
            num_processes=0,
        )
    )  # fmt: skip


@pytest.mark.parametrize("num_workers", [2, 4])
def test_the_workers_shares_together_are_the_batch_of_one_worker(packed, num_workers):
    _, data = packed
    shares = [batches(data, rank=rank, num_workers=num_workers) for rank in range(num_workers)]
    together = [
        Batch(
            torch.cat([share.images for share in of_step]),
            torch.cat([share.labels for share in of_step]),
        )
        for of_step in zip(*shares, strict=True)
    ]
    assert_same(together, batches(data))


@pytest.mark.parametrize("first", [1, 3, 7])
def test_a_training_resumed_at_a_step_sees_what_it_would_have_seen(packed, first):
    _, data = packed
    assert_same(batches(data, first), batches(data)[first:])


def test_an_epoch_holds_every_image_once_with_its_label(packed):
    _, data = packed
    labels = torch.cat([batch.labels for batch in batches(data, 3, 6)])
    assert labels.bincount().tolist() == [12, 12]


def test_images_are_cut_anew_in_every_epoch_and_each_in_its_own_way(tmp_path):
    # One picture 24 times over, so that a batch shows nothing but its boxes.
    source = tmp_path / "images"
    for split, count in (("train", 24), ("val", 1)):
        (source / split / "a").mkdir(parents=True)
        for index in range(count):
            smooth(300, 240, seed=0).save(source / split / "a" / f"{index:02d}.png")
    pack(source, tmp_path / "packed", Layout(32, "rgb"))
    config = DataConfig.model_validate({"packed": {"path": str(tmp_path / "packed")}})
    with pytest.warns(UserWarning, match=r"set data\.packed\.validation_ratio"):
        data = load_data(config, 1, CPU)
    images = torch.cat([batch.images for batch in batches(data, 0, 6)])
    assert len(images.flatten(1).unique(dim=0)) == 48
    other = torch.cat([batch.images for batch in batches(data, 0, 6, seed=4)])
    assert not torch.equal(images, other)


def test_a_folder_and_what_it_was_packed_into_are_cut_at_the_same_boxes(tmp_path):
    # As large as a record, so that packing changes no pixel.
    source = tmp_path / "images"
    for split, count in (("train", 24), ("val", 2)):
        (source / split / "a").mkdir(parents=True)
        for index in range(count):
            smooth(32, 32, seed=index).save(source / split / "a" / f"{index:02d}.png")
    pack(source, tmp_path / "packed", Layout(32, "rgb"))
    found = {}
    for kind, path in (("image_folder", source), ("packed", tmp_path / "packed")):
        config = DataConfig.model_validate({kind: {"path": str(path)}})
        with pytest.warns(UserWarning, match="validation_ratio"):
            data = load_data(config, 1, CPU)
        found[kind] = torch.cat([batch.images.int() for batch in batches(data, 0, 6)])
    # A record's filter sees beyond the edges of a box; inside, both round in different places.
    apart = (found["packed"] - found["image_folder"])[:, :, 2:-2, 2:-2].abs()
    assert apart.max() <= 2


def test_evaluation_shares_cover_the_split_once_and_in_order(packed):
    _, data = packed
    whole = evaluated(data)
    assert torch.cat([batch.labels for batch in whole]).tolist() == [0] * 5 + [1] * 5
    shares = [batch for rank in range(3) for batch in evaluated(data, rank, 3)]
    pixels = [torch.cat([batch.images for batch in found]) for found in (shares, whole)]
    assert torch.equal(*pixels)


def test_evaluation_looks_at_what_the_folder_looks_at(packed):
    _, data = packed
    found = torch.cat([batch.images for batch in evaluated(data)])
    resolution = ResolutionConfig(train_px=16, evaluation_px=24, crop_ratio=0.75)
    expected = torch.stack(
        [
            resize_and_crop(smooth(*SIZES[index % 4], seed=1000 * label + index), resolution)
            for label in (0, 1)
            for index in range(5)
        ]
    )
    difference = (found.int() - expected.int()).abs().float()
    # Squashed to 32 pixels in between; one pixel beside the right place comes to 14.
    assert difference.mean() < 5
    assert (found.roll(1, dims=-1).int() - expected.int()).abs().float().mean() > 8


@pytest.mark.parametrize("num_processes", [0, 2])
def test_methods_of_single_images_get_the_records_unsquashed(packed, num_processes):
    _, data = packed
    assert isinstance(data.train, StreamedSplit)
    image, label = data.train.dataset[3]
    assert isinstance(image, Image.Image)
    assert (image.size, label) == ((90, 30), 0)
    expected = batches(data, 0, 2, trivial_augment={})
    assert [batch.images.shape for batch in expected] == [(8, 3, 16, 16)] * 2
    found = batches(data, 0, 2, num_processes=num_processes, trivial_augment={})
    assert_same(found, expected)


def test_closing_the_batches_ends_the_thread(packed):
    _, data = packed
    loader = TrainLoader(
        data, batch_size=8, seed=0, rank=0, num_workers=1, settings=PackedConfig(path="-"),
        methods=MethodsConfig(), train_px=16, num_processes=0,
    )  # fmt: skip
    opened = loader.batches(0, 1000)
    next(opened)
    assert [thread.name for thread in threading.enumerate() if "packed" in thread.name]
    opened.close()
    assert not [thread.name for thread in threading.enumerate() if "packed" in thread.name]


def test_a_file_that_is_gone_once_training_has_begun_is_an_os_error(tmp_path):
    folder, _ = make_packed(tmp_path)
    data = load(folder)
    (folder / "train-00000.records").unlink()
    with pytest.raises(FileNotFoundError, match=r"train-00000\.records"):
        batches(data)


def private_bytes() -> int:
    """Memory of this process that it shares with no file."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("Linux does not say")


def test_reading_every_record_takes_no_memory_of_its_own(tmp_path):
    folder, _ = make_packed(tmp_path, size_px=1024, train=24, val=1, test=1)
    train = load(folder).train
    assert isinstance(train, StreamedSplit)
    assert isinstance(train.dataset, PackedImages)
    out = np.ones((4, train.dataset.layout.record_bytes), dtype=np.uint8)
    before = private_bytes()
    for first in range(0, 48, 4):
        train.dataset.gather(np.arange(first, first + 4), out)
    # 48 records of 3 MiB went by; what else the process does comes to a few.
    assert private_bytes() - before < 24 * 2**20


def test_a_recipe_trains_on_packed_images_and_resumes_to_the_same_bits(tmp_path):
    folder, _ = make_packed(tmp_path)
    recipe = Recipe.model_validate(
        {
            "model": {"name": "resnet_20", "num_classes": 2},
            "optimizer": {"sgd": {"learning_rate": 0.01}},
            "train_batch_size": 8,
            "max_duration": "2ep",
            "data": {"packed": {"path": str(folder)}},
            "methods": {"resolution": {"train_px": 16, "evaluation_px": 16}},
        }
    )
    through = []
    for result in fit(recipe):
        through.append(result.metrics())
        if result.epoch == 1:
            result.save_checkpoint(tmp_path / "ep1")
    (resumed,) = [result.metrics() for result in fit(recipe, resume_from=tmp_path / "ep1")]
    for name in ("train_loss", "val_loss", "val_accuracy"):
        assert resumed[name] == through[1][name]
