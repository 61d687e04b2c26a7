"""Images per second and core that reach a training batch: from JPEGs, and from packed records.

    python -m benchmarks.feed [--json FILE] [--images 256] [--rounds 7]

Every way delivers uint8 batches of the same images, in this process, without loader processes and
with one thread of torch, so images per second of CPU time are images per second and core. Ways take
turns, round after round, so that a machine that becomes slower does so to all of them. What packed
records leave to the device, cropping and resizing, is timed apart, on the device there is.

The pictures are made here: noise whose power falls with the square of the frequency, as that of
photographs does, at sizes usual in ImageNet, as JPEGs of quality 90. The pages of all files are in
memory before the clock starts.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from benchmarks.machine import describe_machine, machine_line
from resnet_core.data.dataset import StreamedSplit
from resnet_core.data.loader import TrainLoader
from resnet_core.data.packed.feed import training_cut
from resnet_core.data.packed.images import PackedImages
from resnet_core.data.packed.layout import Layout, PixelFormat
from resnet_core.data.packed.pack import pack
from resnet_core.data.packed.resample import cut_out
from resnet_core.data.section import DataConfig
from resnet_core.data.sources import load_data
from resnet_core.methods.section import MethodsConfig

BATCH, PX = 64, 224
SIZES = ((500, 375), (500, 375), (375, 500), (500, 333), (400, 300))
REFERENCE = "PIL + torchvision"
CPU = torch.device("cpu")


def make_pictures(root: Path, num_images: int) -> None:
    """A folder as ImageNet's, of so many training images."""
    rng = np.random.default_rng(0)
    for split, number in (("train", num_images), ("val", 1), ("test", 1)):
        folder = root / split / "a"
        folder.mkdir(parents=True)
        for index in range(number):
            picture(*SIZES[index % len(SIZES)], rng).save(folder / f"{index:05d}.jpg", quality=90)


def picture(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Noise with the spectrum of photographs."""
    frequency = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width) ** 2
    frequency[0, 0] = 1
    waves = np.fft.rfft2(rng.standard_normal((3, height, width))) / np.sqrt(frequency)
    pixels = np.fft.irfft2(waves, s=(height, width))
    pixels *= 45 / pixels.std(axis=(1, 2), keepdims=True)
    return Image.fromarray((pixels + 120).clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def ways(folder: Path, num_images: int) -> dict[str, Callable[[], None]]:
    """Each delivers every image of an epoch once; a name, and what does it."""
    source = folder / "images"
    found: dict[str, Callable[[], None]] = {
        REFERENCE: _reference(source, num_images),
        "image_folder": _ours({"image_folder": {"path": str(source)}}, num_images),
    }
    if (by_opencv := _opencv(source, num_images)) is not None:
        found["OpenCV"] = by_opencv
    formats: tuple[PixelFormat, ...] = ("rgb", "yuv420")
    for pixel_format in formats:
        packed = folder / pixel_format
        pack(source, packed, Layout(256, pixel_format))
        found[f"packed {pixel_format}"] = _gathered(packed, num_images)
        found[f"packed {pixel_format}, cut on CPU"] = _ours(
            {"packed": {"path": str(packed)}}, num_images
        )
    return found


def _reference(source: Path, num_images: int) -> Callable[[], None]:
    """torchvision's training reference with its PIL backend, as a DataLoader's process does it."""
    crop = transforms.Compose(
        [transforms.RandomResizedCrop(PX), transforms.RandomHorizontalFlip(),
         transforms.PILToTensor()]
    )  # fmt: skip
    files = sorted(source.glob("train/*/*.jpg"))

    def deliver() -> None:
        for first in range(0, num_images, BATCH):
            opened = (Image.open(file).convert("RGB") for file in files[first : first + BATCH])
            torch.stack([crop(image) for image in opened])  # pyright: ignore[reportArgumentType]

    return deliver


def _opencv(source: Path, num_images: int) -> Callable[[], None] | None:
    """Decoded and resized by OpenCV, if it is installed; the product does not use it."""
    try:
        import cv2  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    cv2.setNumThreads(1)
    files = sorted(source.glob("train/*/*.jpg"))

    def deliver() -> None:
        for first in range(0, num_images, BATCH):
            batch = []
            for file in files[first : first + BATCH]:
                pixels = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR_RGB)
                shape: Any = torch.empty(3, *pixels.shape[:2], device="meta")
                top, left, height, width = transforms.RandomResizedCrop.get_params(
                    shape, [0.08, 1.0], [3 / 4, 4 / 3]
                )
                part = pixels[top : top + height, left : left + width]
                resized = cv2.resize(part, (PX, PX), interpolation=cv2.INTER_AREA)
                if torch.rand(1) < 0.5:
                    resized = resized[:, ::-1]
                batch.append(torch.from_numpy(resized.transpose(2, 0, 1).copy()))
            torch.stack(batch)

    return deliver


def _ours(section: dict[str, Any], num_images: int) -> Callable[[], None]:
    """The product's own loader, whole: order, decoding or gathering, augmentation."""
    config = DataConfig.model_validate(section)
    loader = TrainLoader(
        load_data(config, 1, CPU), batch_size=BATCH, seed=0, rank=0, num_workers=1,
        settings=config.chosen[1], methods=MethodsConfig(), train_px=PX, num_processes=0,
    )  # fmt: skip
    epoch = iter(range(10**6))

    def deliver() -> None:
        first = next(epoch) * loader.steps_per_epoch
        for _ in loader.batches(first, first + num_images // BATCH):
            pass

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
                images, order[first : first + BATCH], slice(None), seed=0, step=next(steps)
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


def measure(found: dict[str, Callable[[], None]], num_images: int, rounds: int) -> dict[str, Any]:
    """Images per second of CPU time and of the clock, of each way; medians and extremes."""
    rates: dict[str, dict[str, list[float]]] = {
        name: {"per_cpu_second": [], "per_second": []} for name in found
    }
    for number in range(rounds + 1):
        for name, deliver in found.items():
            # Fast ways have more to do, so that each takes a hundredth of a second at the least.
            repeats = 20 if name in ("packed rgb", "packed yuv420") else 1
            clock, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeats):
                deliver()
            cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
            if number:  # the first round brings files and code into memory
                rates[name]["per_cpu_second"].append(repeats * num_images / cpu)
                rates[name]["per_second"].append(repeats * num_images / clock)
    return {
        name: {
            kind: {"median": statistics.median(v), "min": min(v), "max": max(v)}
            for kind, v in of_way.items()
        }
        for name, of_way in rates.items()
    }


def on_device(folder: Path, device: torch.device, rounds: int) -> dict[str, Any]:
    """Milliseconds a batch that cropping and resizing take on the device; of CPU time on a CPU."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    found = {}
    for pixel_format in ("rgb", "yuv420"):
        images = _packed(folder / pixel_format)
        cut = training_cut(images, np.arange(BATCH), slice(None), seed=0, step=0)
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
        times = times[1:]
        found[pixel_format] = {
            "median": statistics.median(times), "min": min(times), "max": max(times),
        }  # fmt: skip
    return found


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def lines(result: dict[str, Any]) -> list[str]:
    """The figures as text."""
    reference = result["ways"][REFERENCE]["per_cpu_second"]["median"]
    told = [
        machine_line(result["machine"]),
        f"{result['num_images']} made-up JPEGs of about {result['kilobytes']:.0f} kB to "
        f"{PX} px, batches of {BATCH}, {result['rounds']} rounds",
        f"{'':26} {'images per CPU second':>32} {'of the clock':>14} {'x':>8}",
    ]
    for name, rates in result["ways"].items():
        cpu, clock = rates["per_cpu_second"], rates["per_second"]
        spread = f"({cpu['min']:,.0f} to {cpu['max']:,.0f})"
        told.append(
            f"{name:26} {cpu['median']:10,.0f} {spread:>21} {clock['median']:14,.0f} "
            f"{cpu['median'] / reference:8.1f}"
        )
    for name, times in result["device_ms"].items():
        told.append(
            f"crop and resize {name} on {result['device']}: {times['median']:.2f} ms a batch "
            f"({times['min']:.2f} to {times['max']:.2f}), "
            f"{1000 * BATCH / times['median']:,.0f} images/s"
        )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # pyright: ignore[reportOptionalMemberAccess]
    parser.add_argument("--images", type=int, default=256, help="A multiple of 64.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="Write everything there as well.")
    options = parser.parse_args()
    machine = describe_machine()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory(prefix="bench-feed-") as temporary:
        folder = Path(temporary)
        make_pictures(folder / "images", options.images)
        files = list(folder.glob("images/train/*/*.jpg"))
        found = ways(folder, options.images)
        result = {
            "machine": machine,
            "num_images": options.images,
            "kilobytes": statistics.fmean(file.stat().st_size for file in files) / 1000,
            "rounds": options.rounds,
            "ways": measure(found, options.images, options.rounds),
            "device": str(device) if device.type == "cpu" else torch.cuda.get_device_name(device),
            "device_ms": on_device(folder, device, options.rounds),
        }
    print("\n".join(lines(result)))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
