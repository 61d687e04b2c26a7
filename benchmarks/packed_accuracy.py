"""Accuracy of the same recipe on a folder of images and on what it was packed into, seed by seed.

The task is real and small: the handwritten digits of scikit-learn, enlarged to PNGs of 40 x 48
pixels, packed as squares of 32, cropped at random and mirrored as photographs are, and trained on
at 16 pixels by ResNet-20. Both ways cut the same seed's images at the same boxes.
``make bench-accuracy``.
"""

import argparse
import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from scipy import stats

from benchmarks.markdown import origin, table
from benchmarks.results import write_result
from resnet_core import Recipe, fit
from resnet_core.data.digits import load_digits
from resnet_core.data.packed.layout import Layout
from resnet_core.data.packed.pack import pack
from resnet_core.data.section import NUM_DIGITS

FOLDER = "image_folder"
WAYS = (FOLDER, "packed rgb", "packed yuv420")

_TEXT = """\
## Accuracy on packed images

ResNet-20 on handwritten digits as PNGs, {epochs} epochs, {seeds} seeds each way, accuracy on the
{images} validation images; means with 95 % intervals (Student's t), differences seed by seed.

{table}

Asked: the same accuracy within the noise; {verdict}.

{origin}
"""


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


def measure(seeds: int, epochs: int) -> dict[str, list[float]]:
    """Accuracy of each way, seed by seed."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="bench-accuracy-") as temporary:
        folder = Path(temporary)
        write_digits(folder / "images")
        sections = {FOLDER: {"image_folder": {"path": str(folder / "images")}}}
        for way, layout in zip(WAYS[1:], (Layout(32, "rgb"), Layout(32, "yuv420")), strict=True):
            pack(folder / "images", folder / layout.pixel_format, layout)
            sections[way] = {"packed": {"path": str(folder / layout.pixel_format)}}
        for seed in range(seeds):
            for way in WAYS:
                found[way].append(accuracy(sections[way], seed, epochs))
                print(f"seed {seed} {way:14} {found[way][-1]:.4f}", flush=True)
    return found


def mean_and_interval(values: list[float]) -> tuple[float, float]:
    """The mean, and half of its 95 % interval by Student's t."""
    error = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), float(stats.t.ppf(0.975, len(values) - 1)) * error


def section(result: dict[str, Any]) -> str:
    """Its part of docs/performance.md."""
    ways, rows, same = result["ways"], [], []
    for way, values in ways.items():
        mean, half = mean_and_interval(values)
        row = [way, f"{100 * mean:.2f} +- {100 * half:.2f}"]
        if way == FOLDER:
            rows.append([*row, ""])
            continue
        gap, width = mean_and_interval(
            [ours - theirs for ours, theirs in zip(values, ways[FOLDER], strict=True)]
        )
        same.append(abs(gap) <= width)
        rows.append([*row, f"{round(100 * gap, 2) + 0.0:+.2f} +- {100 * width:.2f}"])
    return _TEXT.format(
        seeds=len(ways[FOLDER]),
        epochs=result["epochs"],
        images=NUM_DIGITS["validation"],
        table=table(["way", "accuracy, %", "less the folder's, points"], rows),
        verdict="met: zero lies within the intervals" if all(same) else "not met here",
        origin=origin(result),
    )


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--into", type=Path, help="folder of the result")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = {"epochs": args.epochs, "ways": measure(args.seeds, args.epochs)}
    print(section(write_result("packed_accuracy", found, versions={}, folder=args.into)))


if __name__ == "__main__":
    main()
