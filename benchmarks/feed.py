"""Images per second and core that reach a training batch: from JPEGs, packed, and small ones.

Every way of photographs delivers batches of the same images at 224 px, of uint8 but for those
*normalised*, in this process, without loader processes and with one thread of torch, so images per
second of CPU time are images per second and core. Ways take turns, round after round, so that a
machine that becomes slower does so to all of them. What packed records leave to the device,
cropping and resizing, is timed apart, on the device there is. Small images: `feed_small`.
``make bench-feed``.

The pages of all files are in memory before the clock starts.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from benchmarks.feed_page import FOLDER, FOLDER_NORMALISED, REFERENCE, SCRIPT, section
from benchmarks.feed_peers import PACKAGES, peers
from benchmarks.feed_pictures import make_pictures
from benchmarks.feed_small import NUM_IMAGES, small_ways
from benchmarks.results import write_result
from resnet_core.data.augment import normalise
from resnet_core.data.dataset import IMAGENET_MEAN, IMAGENET_STD, StreamedSplit
from resnet_core.data.loader import TrainLoader
from resnet_core.data.packed.feed import training_cut
from resnet_core.data.packed.images import PackedImages
from resnet_core.data.packed.layout import Layout, PixelFormat
from resnet_core.data.packed.pack import pack
from resnet_core.data.packed.resample import cut_out
from resnet_core.data.section import DataConfig
from resnet_core.data.sources import load_data
from resnet_core.methods.section import MethodsConfig

BATCH, PX, IMAGES, ROUNDS = 64, 224, 256, 7
CPU = torch.device("cpu")
FASTEST = {"packed rgb": 20, "packed yuv420": 20, "resident": 4}
"""Ways with more to do in a round, so that each takes a hundredth of a second at the least."""


def ways(folder: Path, num_images: int) -> dict[str, Callable[[], None]]:
    """Each delivers every image of an epoch once; a name, and what does it."""
    source = folder / "images"
    found: dict[str, Callable[[], None]] = {
        REFERENCE: _reference(source, num_images),
        SCRIPT: _reference(source, num_images, normalised=True),
        FOLDER: _ours({"image_folder": {"path": str(source)}}, num_images),
        FOLDER_NORMALISED: _ours(
            {"image_folder": {"path": str(source)}}, num_images, normalised=True
        ),
    }
    found |= peers(source, folder, batch=BATCH, px=PX)
    formats: tuple[PixelFormat, ...] = ("rgb", "yuv420")
    for pixel_format in formats:
        packed = folder / pixel_format
        pack(source, packed, Layout(256, pixel_format))
        found[f"packed {pixel_format}"] = _gathered(packed, num_images)
        found[f"packed {pixel_format}, cut on CPU"] = _ours(
            {"packed": {"path": str(packed)}}, num_images
        )
    return found


def _reference(source: Path, num_images: int, *, normalised: bool = False) -> Callable[[], None]:
    """What a process of a DataLoader does in torchvision's training reference, its PIL backend.

    Args:
        source: Of the images.
        num_images: Of an epoch.
        normalised: To the end, floats; or up to uint8.
    """
    steps: list[Any] = [
        transforms.RandomResizedCrop(PX), transforms.RandomHorizontalFlip(),
        transforms.PILToTensor(),
    ]  # fmt: skip
    if normalised:
        normalise_all = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
        steps += [transforms.ConvertImageDtype(torch.float), normalise_all]
    crop = transforms.Compose(steps)
    files = sorted(source.glob("train/*/*.jpg"))

    def deliver() -> None:
        for first in range(0, num_images, BATCH):
            opened = (Image.open(file).convert("RGB") for file in files[first : first + BATCH])
            torch.stack([crop(image) for image in opened])  # pyright: ignore[reportArgumentType]

    return deliver


def _ours(
    section: dict[str, Any], num_images: int, *, normalised: bool = False
) -> Callable[[], None]:
    """The product's own loader, whole: order, decoding or gathering, augmentation.

    With ``normalised``, also what is left to the device.
    """
    config = DataConfig.model_validate(section)
    data = load_data(config, 1, CPU)
    loader = TrainLoader(
        data, batch_size=BATCH, seed=0, rank=0, num_workers=1,
        settings=config.chosen[1], methods=MethodsConfig(), train_px=PX, num_processes=0,
    )  # fmt: skip
    epoch = iter(range(10**6))

    def deliver() -> None:
        first = next(epoch) * loader.steps_per_epoch
        for batch in loader.batches(first, first + num_images // BATCH):
            if normalised:
                normalise(batch.images, data.mean, data.std)

    return deliver


def _gathered(folder: Path, num_images: int) -> Callable[[], None]:
    """What a core does for packed images: boxes are drawn, and records copied to the batch."""
    images = _packed(folder)
    records = _batch(images)
    rng, steps = np.random.default_rng(0), iter(range(10**9))

    def deliver() -> None:
        order = rng.permutation(num_images)
        for first in range(0, num_images, BATCH):
            cut = training_cut(
                images, order[first : first + BATCH], slice(0, BATCH), seed=0, step=next(steps)
            )
            images.gather(cut.indices, records.numpy())

    return deliver


def _batch(images: PackedImages) -> torch.Tensor:
    return torch.zeros((BATCH, images.layout.record_bytes), dtype=torch.uint8)


def _packed(folder: Path) -> PackedImages:
    section = {"packed": {"path": str(folder)}}
    train = load_data(DataConfig.model_validate(section), 1, CPU).train
    assert isinstance(train, StreamedSplit)
    assert isinstance(train.dataset, PackedImages)
    return train.dataset


def measure(
    found: dict[str, Callable[[], None]], num_images: int, rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Images per second of CPU time and of the clock, of each way in each round."""
    rates: dict[str, dict[str, list[float]]] = {name: {"cpu": [], "wall": []} for name in found}
    for number in range(rounds + 1):
        for name, deliver in found.items():
            repeats = FASTEST.get(name, 1)
            clock, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeats):
                deliver()
            cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
            if number:  # the first round brings files and code into memory
                rates[name]["cpu"].append(repeats * num_images / cpu)
                rates[name]["wall"].append(repeats * num_images / clock)
    return rates


def on_device(folder: Path, device: torch.device, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a batch that cropping and resizing take on the device; of CPU time on a CPU."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    found = {}
    for pixel_format in ("rgb", "yuv420"):
        images = _packed(folder / pixel_format)
        cut = training_cut(images, np.arange(BATCH), slice(0, BATCH), seed=0, step=0)
        records = _batch(images)
        images.gather(cut.indices, records.numpy())
        ready = records.to(device), torch.from_numpy(cut.boxes).to(device)
        times = []
        for _ in range(rounds + 1):
            _wait(device)
            began = clock()
            cut_out(*ready, images.layout, PX)
            _wait(device)
            times.append(1000 * (clock() - began))
        found[pixel_format] = times[1:]
    return found


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _versions() -> dict[str, str]:
    found = {}
    for package in ("pillow", "simplejpeg", "torchvision", *PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=IMAGES, help=f"a multiple of {BATCH}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--into", type=Path, help="folder of the result")
    args = parser.parse_args()
    if args.images % BATCH or args.images < BATCH:
        parser.error(f"--images: a multiple of {BATCH}, got {args.images}")
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory(prefix="bench-feed-") as temporary:
        folder = Path(temporary)
        make_pictures(folder / "images", args.images)
        files = list(folder.glob("images/train/*/*.jpg"))
        found = {
            "num_images": args.images,
            "kilobytes": statistics.fmean(file.stat().st_size for file in files) / 1000,
            "px": PX,
            "batch": BATCH,
            "ways": measure(ways(folder, args.images), args.images, args.rounds),
            "device": "CPU, one core" if device == CPU else torch.cuda.get_device_name(device),
            "device_ms": on_device(folder, device, args.rounds),
            "small": measure(small_ways(), NUM_IMAGES, args.rounds),
        }
    print(section(write_result("feed", found, versions=_versions(), folder=args.into)))


if __name__ == "__main__":
    main()
