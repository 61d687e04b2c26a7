"""Accuracy of the same recipe on a folder of images and on what it was packed into, seed by seed.

    python -m benchmarks.packed_accuracy [--seeds 5] [--epochs 8]

The task is real and small: the handwritten digits of scikit-learn, enlarged to PNGs of 40 x 48
pixels, packed as squares of 32, cropped at random and mirrored as photographs are, and trained on
at 16 pixels by ResNet-20. Both ways have the same seeds, but draw other boxes.
"""

import argparse
import math
import statistics
import tempfile
from pathlib import Path

import torch
from PIL import Image

from benchmarks.machine import describe_machine, machine_line
from resnet_core import Recipe, fit
from resnet_core.data.digits import load_digits
from resnet_core.data.packed.layout import Layout
from resnet_core.data.packed.pack import pack

WAYS = ("image_folder", "packed rgb", "packed yuv420")


def write_digits(root: Path) -> None:
    """A folder as ImageNet's, of the three splits."""
    for name, split in zip(("train", "val", "test"), load_digits(), strict=True):
        for index, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            folder = root / name / str(int(label))
            folder.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(image.permute(1, 2, 0).numpy())
            picture.resize((40, 48), Image.Resampling.BICUBIC).save(folder / f"{index:04d}.png")


def accuracy(section: dict[str, dict[str, str]], seed: int, epochs: int) -> float:
    """On the validation split, after the last epoch."""
    recipe = Recipe.model_validate(
        {
            "model": {"name": "resnet_20", "num_classes": 10},
            "optimizer": {"decoupled_sgdw": {"learning_rate": 0.1, "momentum": 0.9,
                                             "weight_decay": 5e-4}},
            "lr_schedulers": {"linear_warmup": "1ep", "cosine_decay": {"T_max": f"{epochs - 1}ep"}},
            "train_batch_size": 64,
            "max_duration": f"{epochs}ep",
            "loader_processes": 0,
            "data": section,
            "seed": seed,
            "methods": {"resolution": {"train_px": 16, "evaluation_px": 16, "crop_ratio": 0.9}},
        }
    )  # fmt: skip
    last = None
    for result in fit(recipe):
        last = result.val_accuracy
    assert last is not None
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine_line(describe_machine()))
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="bench-accuracy-") as temporary:
        folder = Path(temporary)
        write_digits(folder / "images")
        sections = {"image_folder": {"image_folder": {"path": str(folder / "images")}}}
        for way, layout in zip(WAYS[1:], (Layout(32, "rgb"), Layout(32, "yuv420")), strict=True):
            pack(folder / "images", folder / layout.pixel_format, layout)
            sections[way] = {"packed": {"path": str(folder / layout.pixel_format)}}
        for seed in range(options.seeds):
            for way in WAYS:
                found[way].append(accuracy(sections[way], seed, options.epochs))
                print(f"seed {seed} {way:14} {found[way][-1]:.4f}", flush=True)
    for way, values in found.items():
        error = statistics.stdev(values) / math.sqrt(len(values))
        gap = [ours - theirs for ours, theirs in zip(values, found[WAYS[0]], strict=True)]
        spread = statistics.stdev(gap) / math.sqrt(len(gap))
        print(
            f"{way:14} {100 * statistics.fmean(values):.2f} +- {100 * error:.2f} % "
            f"(standard errors); less the folder's {100 * statistics.fmean(gap):+.2f} +- "
            f"{100 * spread:.2f} points"
        )


if __name__ == "__main__":
    main()
