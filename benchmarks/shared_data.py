"""Memory that one more training on a machine needs for its images: a copy of its own, or mapped.

Made-up images of CIFAR-10's number and size are left as `shared_splits` leaves them. Each process
then reads every image once, as an epoch does, and its private memory (USS) before and after is
compared: of processes that read the arrays into their memory, and of such that map them while
another one has them mapped already. Prints one JSON object on the last line.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import psutil
import torch

from benchmarks.alone import run_alone, temporary_home
from benchmarks.machine import describe_machine, machine_line
from resnet_core.data.dataset import Split
from resnet_core.data.shared_splits import map_splits, write_splits

_COUNTS = (45_000, 5_000, 10_000)
_BATCH = 500


def main() -> None:
    """Measure, or, with ``--read``, be one of the processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--read", choices=("copied", "mapped"), help="used by the benchmark itself")
    parser.add_argument("folder", type=Path, nargs="?")
    args = parser.parse_args()
    if args.read is not None:
        print(_private_mb(args.folder, copied=args.read == "copied"))
        return
    machine = describe_machine()
    print(machine_line(machine), flush=True)
    with temporary_home() as home:
        folder = home / "splits"
        train, validation, test = (_images(count) for count in _COUNTS)
        write_splits(folder, (train, validation, test))
        first = _read_all(_mapped(folder))  # of the machine's trainings; kept until the end
        found = {
            how: [
                float(run_alone(home, "benchmarks.shared_data", "--read", how, folder).output)
                for _ in range(3)
            ]
            for how in ("copied", "mapped")
        }
    del first
    for how, megabytes in found.items():
        print(f"{how}: {max(megabytes):6.1f} MB private memory more, at most of 3 processes")
    print(json.dumps({"machine": machine, **found}))


def _images(count: int) -> Split:
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Split(images, torch.zeros(count, dtype=torch.int64))


def _private_mb(folder: Path, *, copied: bool) -> float:
    process = psutil.Process()
    _read_all([torch.zeros(_BATCH, 3, 32, 32, dtype=torch.uint8)])  # what torch takes for itself
    before = process.memory_full_info().uss
    arrays = _copied(folder) if copied else _mapped(folder)
    _read_all(arrays)
    return (process.memory_full_info().uss - before) / 1e6


def _copied(folder: Path) -> list[torch.Tensor]:
    return [torch.from_numpy(np.load(file)) for file in sorted(folder.glob("*.images.npy"))]


def _mapped(folder: Path) -> list[torch.Tensor]:
    splits = map_splits(folder)
    assert splits is not None
    return [split.images for split in splits]


def _read_all(arrays: list[torch.Tensor]) -> list[torch.Tensor]:
    for images in arrays:
        for batch in images.split(_BATCH):
            batch.max()  # without a buffer of its own
    return arrays


if __name__ == "__main__":
    main()
