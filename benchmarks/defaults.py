"""What layout, precision and the fused optimizer bring: `resnet_core.fit` against plain fp32 NCHW.

The plain side is a hand-written loop in fp32, memory contiguous, torch's SGD as it comes. The
others are `fit` with the same images and recipe. In this process, in turns, on one thread: beside
other work threads that wait for one another measure that work. ``make bench-defaults``.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.loop_task import Clock
from benchmarks.markdown import origin, table
from benchmarks.results import write_result
from benchmarks.spread import spread
from resnet_core import Recipe, create_resnet, fit
from resnet_core.data.loader import TrainLoader
from resnet_core.data.sources import load_data
from resnet_core.evaluate import named_data
from resnet_core.train_batch import Preparation

ROUNDS, STEPS, WARMUP_STEPS = 3, 4, 1
MODELS = {"resnet18": (112, 8), "resnet_20": (32, 16)}
"""Side in pixels and batch: ResNet-18's stem leaves of 32 px a single one for its last stage."""
ASKED = 1.45
PLAIN = "by hand: fp32, NCHW, plain SGD"
BF16 = "fit: bf16, channels_last, fused"
OURS = {
    "fit: fp32, NCHW, fused": ("fp32", False),
    "fit: fp32, channels_last, fused": ("fp32", True),
    BF16: ("bf16", True),
}

_TEXT = """\
## Layout, precision, fused optimizer

Milliseconds of CPU time per step, one thread, median of {rounds} rounds of {steps} steps in turns,
quartiles in parentheses; wall time beside it. Asked: bf16, channels_last and the fused optimizer at
least {asked} times as fast as fp32 NCHW on the CPU. {verdict}

{table}

{origin}
"""


def recipe_of(name: str, precision: str, *, channels_last: bool) -> Recipe:
    """A training of `STEPS` steps on made-up images."""
    size_px, batch_size = MODELS[name]
    images = {"num_train": STEPS * batch_size, "num_evaluation": 8, "image_size_px": size_px}
    return Recipe.model_validate(
        {
            "model": {"name": name, "num_classes": 10},
            "optimizer": {"sgd": {"learning_rate": 0.01, "momentum": 0.9}},
            "train_batch_size": batch_size,
            "max_duration": f"{STEPS}ba",
            "data": {"fake": images},
            "methods": {"channels_last": channels_last},
            "precision": precision,
        }
    )


def plain(name: str, clock: Clock) -> None:
    """The plain side, with the loader and the preparation that `fit` has."""
    recipe = recipe_of(name, "fp32", channels_last=False)
    data = load_data(named_data(recipe), 10, torch.device("cpu"))
    loader = TrainLoader(
        data, batch_size=recipe.train_batch_size, seed=recipe.seed, rank=0, num_workers=1,
        settings=named_data(recipe).chosen[1], methods=recipe.methods,
        train_px=recipe.image_size_px, num_processes=0,
    )  # fmt: skip
    prepare = Preparation(recipe, data, total_steps=STEPS)
    model = create_resnet(name, num_classes=10).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9)
    for step, batch in enumerate(loader.batches(0, STEPS)):
        images, labels = prepare(batch, step)
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        clock.mark(step + 1)


def ours(name: str, clock: Clock, precision: str, *, channels_last: bool) -> None:
    """`fit`."""
    recipe = recipe_of(name, precision, channels_last=channels_last)
    list(fit(recipe, device="cpu", after_step=lambda training: clock.mark(training.step)))


def measure(rounds: int, names: list[str]) -> dict[str, Any]:
    """Wall and CPU microseconds per step: model -> side -> one for each round."""
    found: dict[str, Any] = {name: {} for name in names}
    for number in range(rounds + 1):
        for name in names:
            for side, run in _sides(name).items():
                clock = Clock(WARMUP_STEPS, STEPS)
                run(clock)
                if number:  # the first round pays for torch's first calls
                    found[name].setdefault(side, []).append(clock.microseconds())
    return {"models": found, "bf16_instructions": _bf16_instructions()}


def _sides(name: str) -> dict[str, Callable[[Clock], None]]:
    def side(precision: str, channels_last: bool) -> Callable[[Clock], None]:
        return lambda clock: ours(name, clock, precision, channels_last=channels_last)

    return {
        PLAIN: lambda clock: plain(name, clock),
        **{what: side(precision, layout) for what, (precision, layout) in OURS.items()},
    }


def _bf16_instructions() -> list[str]:
    file = Path("/proc/cpuinfo")
    flags = file.read_text().split() if file.exists() else []
    return [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags]


def section(result: dict[str, Any]) -> str:
    """Its part of docs/performance.md."""
    rows, asked = [], []
    for name, sides in result["models"].items():
        base = spread([one["cpu"] / 1e3 for one in sides[PLAIN]]).median
        for side, values in sides.items():
            cpu, wall = (spread([one[clock] / 1e3 for one in values]) for clock in ("cpu", "wall"))
            times = base / cpu.median
            if side == BF16:
                asked.append(times)
            rows.append([f"{name}, {side}", cpu.text(1), wall.text(1), f"{times:.2f}"])
    some = next(iter(result["models"].values()))
    has = result["bf16_instructions"]
    return _TEXT.format(
        rounds=len(some[PLAIN]),
        steps=STEPS - WARMUP_STEPS,
        asked=ASKED,
        verdict=f"{'Met' if min(asked) >= ASKED else 'Not met here'}. "
        + (
            f"This processor has {' and '.join(has)}."
            if has
            else "This processor has no instructions for\nbf16 and only imitates it, which says "
            "nothing of processors that have them."
        ),
        table=table(["model and side", "CPU ms per step", "wall ms per step", "times plain"], rows),
        origin=origin(result),
    )


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--into", type=Path, help="folder of the result")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(args.rounds, args.models)
    print(section(write_result("defaults", found, versions={}, folder=args.into)))


if __name__ == "__main__":
    main()
