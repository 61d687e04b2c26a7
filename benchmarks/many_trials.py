"""The driver of a sweep of very many, very short trials: its memory, its time, and trials a second.

The driver is the process that `sweeps run` is: it decides, writes down, shows lines and mirrors to
an MLflow database. A trial is one epoch of four steps of a ResNet-20 on made-up images, so that
what is measured is the sweep and not the training. Prints one JSON object with a sample of this
process after every tenth of the trials.
"""

import argparse
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from benchmarks.alone import run_alone, temporary_home
from sweeps.display import Lines
from sweeps.loading import load_sweep
from sweeps.record import TrialRecord
from sweeps.storage import SweepFolder
from sweeps.tracking.mark import Mark

TRIALS, SAMPLES = 1000, 10
MEGABYTE = 1_000_000

SWEEP = """\
version: 1
name: bench
recipe:
  model: {name: resnet_20, num_classes: 4}
  optimizer: {decoupled_sgdw: {learning_rate: 0.01, momentum: 0.9, weight_decay: 5e-4}}
  lr_schedulers: {cosine_decay: {T_max: 1ep}}
  train_batch_size: 8
  max_duration: 1ep
  data: {fake: {num_train: 32, num_evaluation: 16, image_size_px: 8}}
space:
  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.001, 0.1]}
  optimizer.decoupled_sgdw.weight_decay: {loguniform: [1e-5, 1e-3]}
early_stopping: null
tracking: {register_winner: false, figures: false}
"""


@dataclass(frozen=True)
class Sample:
    """The driver after so many trials.

    Attributes:
        trials: That have ended.
        seconds: Since the first of them began.
        resident_bytes: RSS of the driver.
        cpu_seconds: Of each of the driver's threads by name, since it started; ``other`` is Ray's.
        ray_bytes: RSS of all processes that the driver has started, pages they share counted twice.
        mirrored: Trials whose end has arrived in MLflow.
    """

    trials: int
    seconds: float
    resident_bytes: int
    cpu_seconds: dict[str, float]
    ray_bytes: int
    mirrored: int


class Sampling(Lines):
    """The lines that a log would get, and a sample each time a tenth of the trials has ended."""

    def __init__(self, console: Console, folder: SweepFolder, every: int) -> None:
        super().__init__(console)
        self.samples: list[Sample] = []
        self._folder, self._every, self._ended = folder, every, 0
        self._began_at = 0.0

    def started(self, record: TrialRecord) -> None:
        """Notes when the first one begins."""
        self._began_at = self._began_at or time.monotonic()
        super().started(record)

    def ended(self, record: TrialRecord, metrics: dict[str, Any]) -> None:
        """Counts."""
        super().ended(record, metrics)
        self._ended += 1
        if self._ended % self._every == 0:
            seconds = time.monotonic() - self._began_at
            self.samples.append(take_sample(self._ended, seconds, self._folder))


def take_sample(trials: int, seconds: float, folder: SweepFolder) -> Sample:
    """Of this process, now."""
    process = psutil.Process()
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    cpu: dict[str, float] = {}
    for thread in process.threads():
        name = names.get(thread.id, "other")
        cpu[name] = cpu.get(name, 0.0) + thread.user_time + thread.system_time
    marks = [Mark.read(file.parent) for file in folder.trials_path.glob("t*/trial.json")]
    return Sample(
        trials,
        seconds,
        process.memory_info().rss,
        cpu,
        sum(_resident(child) for child in process.children(recursive=True)),
        sum(mark is not None and mark.status == "completed" for mark in marks),
    )


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def drive(home: Path, trials: int, algorithm: str) -> dict[str, Any]:
    """Run the sweep in this process."""
    from sweeps import launch

    file = home / "bench.yaml"
    file.write_text(f"{SWEEP}search: {{algorithm: {algorithm}, trials: {trials}, seed: 17}}\n")
    sweep = load_sweep(file, [f"tracking.uri=sqlite:///{home}/mlflow.db"])
    folder = SweepFolder(home / "results" / sweep.spec.name)
    with (home / "driver.log").open("w") as log, folder.locked():
        display = Sampling(Console(file=log, width=200), folder, max(1, trials // SAMPLES))
        launch.begin(folder, sweep)
        started = time.monotonic()
        result = launch.run(sweep, folder, display)
        seconds = time.monotonic() - started
    return {
        "completed": result.count("completed"),
        "seconds": seconds,
        "samples": [asdict(sample) for sample in display.samples],
    }


def measure(trials: int, algorithm: str = "tpe") -> dict[str, Any]:
    """Run it in a process and a home of its own."""
    with temporary_home() as home:
        ran = run_alone(
            home, "benchmarks.many_trials", "--trials", str(trials), "--algorithm", algorithm
        )
        return json.loads(ran.output.splitlines()[-1])


def growth_bytes(found: dict[str, Any]) -> int:
    """How far the driver's memory is, at most, from its size at the first sample."""
    first, *rest = [sample["resident_bytes"] for sample in found["samples"]]
    return max((abs(other - first) for other in rest), default=0)


def lines(found: dict[str, Any]) -> list[str]:
    """The figures as text."""
    rows = [
        f"{found['completed']} trials of one epoch, one at a time; the whole sweep took "
        f"{found['seconds']:.0f} s",
        f"{'':>7} {'driver':>8} {'trials':>8} {'driver, CPU ms/trial':>38} {'Ray':>8} "
        f"{'mirrored':>9}",
        f"{'trials':>7} {'RSS MB':>8} {'/s':>8} {'main':>12} {'tracker':>12} {'other':>12} "
        f"{'RSS MB':>8} {'trials':>9}",
    ]
    before: dict[str, Any] = {"trials": 0, "seconds": 0.0, "cpu_seconds": {}}
    for sample in found["samples"]:
        num = sample["trials"] - before["trials"]
        spent = {
            name: 1000 * (seconds - before["cpu_seconds"].get(name, 0.0)) / num
            for name, seconds in sample["cpu_seconds"].items()
        }
        main, tracker = spent.pop("MainThread", 0.0), spent.pop("tracker", 0.0)
        rows.append(
            f"{sample['trials']:7} {sample['resident_bytes'] / MEGABYTE:8.1f} "
            f"{num / (sample['seconds'] - before['seconds']):8.2f} {main:12.1f} {tracker:12.1f} "
            f"{sum(spent.values()):12.1f} {sample['ray_bytes'] / MEGABYTE:8.0f} "
            f"{sample['mirrored']:9}"
        )
        before = sample
    first, last = found["samples"][0]["trials"], found["samples"][-1]["trials"]
    rows.append(
        f"driver's memory from trial {first} to {last}: within "
        f"{growth_bytes(found) / MEGABYTE:.1f} MB"
    )
    return rows


def main() -> None:
    """Be the driver; the home is ``$SWEEPS_HOME``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--algorithm", default="tpe")
    args = parser.parse_args()
    print(json.dumps(drive(Path(os.environ["SWEEPS_HOME"]), args.trials, args.algorithm)))


if __name__ == "__main__":
    main()
