"""Seconds from the decision to run a trial to its first optimizer step: gangs and the plain way.

Both run the same recipe, one trial after another, in one slot of one local Ray:

- *nested*: Ray's documented way to tune a `TorchTrainer`, a fresh one inside each trial's function,
  with `TuneReportCallback`.
- *gang*: this project's sweep.

The first trial of each is left out: both pay for the first worker there. Run it with
``make bench-start``; ``--trials`` sets the number of trials of each.
"""

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.alone import REPOSITORY, temporary_home
from benchmarks.machine import describe_machine, machine_line

TRIALS = 6
RECIPE = REPOSITORY / "configs/recipes/resnet18_digits.yaml"


def nested(trials: int, folder: Path) -> list[float]:
    """Start-up seconds of each trial the plain way."""
    import ray
    from ray import tune
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback
    from ray.tune.search import BasicVariantGenerator

    suggested: list[float] = []

    class Clock(BasicVariantGenerator):
        """Notes when Tune asks for each trial."""

        def next_trial(self) -> Any:
            trial = super().next_trial()
            if trial is not None:
                suggested.append(time.time())
            return trial

    def train_one(config: dict[str, Any]) -> None:
        import ray.train

        from resnet_core import Recipe, fit

        recipe = Recipe.from_yaml(config["recipe"], ["max_duration=1ep"])
        first_step: list[float] = []
        for result in fit(
            recipe, after_step=lambda _: first_step or first_step.append(time.time())
        ):
            ray.train.report({**result.metrics(), "first_step_at": first_step[0]})

    def trial(config: dict[str, Any]) -> None:
        TorchTrainer(
            train_one,
            train_loop_config=config,
            scaling_config=ScalingConfig(num_workers=1),
            run_config=RunConfig(
                name=f"nested-{time.time_ns()}",
                storage_path=str(folder),
                callbacks=[TuneReportCallback()],
            ),
        ).fit()

    os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.1"  # the kindest setting for this way
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        ray.init(
            address="local", log_to_driver=False, logging_level=logging.ERROR, _temp_dir=temporary
        )
        results = tune.Tuner(
            tune.with_resources(trial, {"memory": 1}),
            param_space={"recipe": str(RECIPE)},
            tune_config=tune.TuneConfig(
                num_samples=trials, max_concurrent_trials=1, search_alg=Clock(max_concurrent=1)
            ),
            run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
        ).fit()
        ray.shutdown()
    first_steps = sorted((result.metrics or {})["first_step_at"] for result in results)
    return [step - start for start, step in zip(sorted(suggested), first_steps, strict=True)]


def gang(trials: int, folder: Path) -> list[float]:
    """Start-up seconds of each trial of a sweep, by the sweep's own records."""
    from rich.console import Console

    from sweeps import launch
    from sweeps.display import Display
    from sweeps.loading import load_sweep
    from sweeps.storage import SweepFolder

    file = folder / "bench.yaml"
    file.write_text(
        "version: 1\nname: bench\n"
        f"extends: {RECIPE}\n"
        "space: {seed: {int: [1, 1000000]}}\n"
        f"search: {{algorithm: random, trials: {trials}, seed: 17}}\n"
        "early_stopping: null\n"
        "resources: {max_concurrent_trials: 1}\n"
        f"tracking: {{uri: 'sqlite:///{folder}/mlflow.db', "
        "register_winner: false, figures: false}\n"
    )
    sweep = load_sweep(file, ["max_duration=1ep"])
    sweep_folder = SweepFolder(folder / "bench")
    with sweep_folder.locked():
        launch.begin(sweep_folder, sweep)
        result = launch.run(sweep, sweep_folder, Display(Console(stderr=True)))
    seconds = [row.record.start_seconds for row in result.rows]
    return [value for value in seconds if value is not None]


def measure(trials: int) -> dict[str, list[float]]:
    """Start-up seconds of trial 2 and later, each way."""
    seconds: dict[str, list[float]] = {}
    for way in (nested, gang):
        with temporary_home() as folder:
            seconds[way.__name__] = way(trials, folder)[1:]
    return seconds


def ratio(seconds: dict[str, list[float]]) -> float:
    """How many times as long the nested way takes, by the medians."""
    return statistics.median(seconds["nested"]) / statistics.median(seconds["gang"])


def lines(seconds: dict[str, list[float]]) -> list[str]:
    """The figures as text."""
    return [
        "trial start to first optimizer step, seconds, trial 2 onwards",
        *(
            f"{way:8} median {statistics.median(values):8.3f}  min {min(values):8.3f}  "
            f"max {max(values):8.3f}"
            for way, values in seconds.items()
        ),
        f"nested / gang = {ratio(seconds):.0f}",
    ]


def main() -> None:
    """Run both and print the table, and the same as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--trials", type=int, default=TRIALS, help="of each way, the first left out"
    )
    machine = describe_machine()
    seconds = measure(parser.parse_args().trials)
    print(machine_line(machine))
    print("\n".join(lines(seconds)))
    print(json.dumps({"machine": machine, "seconds": seconds, "ratio": ratio(seconds)}))


if __name__ == "__main__":
    main()
