"""The same trainings as a sweep's, the plainest way: one after another in one process.

`resnet_core.fit` does a trial's work, every epoch with its evaluation. With ``--checkpoints DIR``
each epoch is saved as well and replaces the one before it, as a careful user would have it (a
sweep's worker does, and keeps the best epoch besides). Prints one JSON object.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import torch

from resnet_core import Recipe, fit


def main() -> None:
    """Train the recipe with each of the seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--threads", type=int, help="of torch; default: its own choice")
    parser.add_argument("--set", dest="sets", metavar="A.B=V", action="append", default=[])
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    started = time.perf_counter()
    final: list[float] = []
    for seed in args.seeds:
        recipe = Recipe.from_yaml(args.recipe, [*args.sets, f"seed={seed}"])
        folder = args.checkpoints / f"seed{seed}" if args.checkpoints else None
        final.append(_train(recipe, folder))
    print(
        json.dumps(
            {
                "threads": torch.get_num_threads(),
                "training_seconds": time.perf_counter() - started,
                "val_accuracy": final,
            }
        )
    )


def _train(recipe: Recipe, checkpoints: Path | None) -> float:
    """Validation accuracy after the last epoch."""
    accuracy, before = 0.0, None
    for result in fit(recipe):
        accuracy = result.val_accuracy
        if checkpoints is not None:
            newest = checkpoints / f"ep{result.epoch:04d}"
            result.save_checkpoint(newest)
            if before is not None:
                shutil.rmtree(before)
            before = newest
    return accuracy


if __name__ == "__main__":
    main()
