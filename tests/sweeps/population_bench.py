"""A population without Ray's processes: Tune's schedulers, driven by hand over real folders."""

import json
from pathlib import Path
from typing import Any

from ray.tune.schedulers import TrialScheduler

from resnet_core import Recipe
from sweeps.population.config import PbtConfig
from sweeps.population.mutations import current_values, read_mutations
from sweeps.population.population import build_population
from sweeps.sections import ObjectiveConfig
from sweeps.space.domains import read_domain
from sweeps.spool import Spool

LR = "optimizer.sgd.learning_rate"
DOMAINS = {LR: read_domain({"loguniform": [1e-4, 1.0]})}
RECIPE = Recipe.model_validate(
    {
        "model": {"name": "resnet18", "num_classes": 4},
        "optimizer": {"sgd": {"learning_rate": 0.01, "momentum": 0.9}},
        "train_batch_size": 16,
        "max_duration": "9ep",
    }
)


class FakeTrial:
    """What the schedulers look at of a Tune trial."""

    def __init__(self, folder: Path, index: int, copy: int = 0) -> None:
        self.config: dict[str, Any] = {"index": index, "folder": str(folder), "copy": copy}
        self.status = "RUNNING"
        self.last_result: dict[str, Any] = {}
        self.experiment_tag = ""

    def __str__(self) -> str:
        return f"t{self.config['index']:04d}"

    def is_finished(self) -> bool:
        return self.status in ("TERMINATED", "ERROR")

    def set_config(self, config: dict[str, Any]) -> None:
        self.config = config


class Bench:
    """A population over folders, and the part of Tune's loop that matters to it."""

    def __init__(self, root: Path, *, rule: Any = None, slots: int = 9, size: int = 4) -> None:
        self.root = root
        folders = [root / f"t{index:04d}" for index in range(size)]
        for index, folder in enumerate(folders):
            if not folder.exists():
                folder.mkdir()
                recipe = {**RECIPE.to_dict()}
                recipe["optimizer"]["sgd"]["learning_rate"] = 0.01 * (index + 1)
                text = Recipe.model_validate(recipe).to_yaml()
                (folder / "recipe.yaml").write_text(text)
        self.population = build_population(
            rule or PbtConfig(), DOMAINS, ObjectiveConfig(), seed=5, slots=slots, folders=folders
        )
        self.population.everyone_is_here = True
        self.trials = [FakeTrial(folder, index) for index, folder in enumerate(folders)]
        for trial in self.trials:
            values = current_values(Path(trial.config["folder"]), [LR])
            trial.config["genes"] = self.population.encode(values)
            self.population.on_trial_add(None, trial)
        self.sent_on: list[int] = []

    def _schedule_trial_train(self, trial: FakeTrial) -> None:
        self.sent_on.append(trial.config["index"])

    def report(self, index: int, epoch: int, accuracy: float) -> str:
        """What a trial's workers leave behind after an epoch, and what Tune is told of it."""
        trial = self.trials[index]
        folder = self.root / f"t{index:04d}"
        checkpoint = folder / "checkpoints" / f"ep{epoch:04d}"
        if not checkpoint.exists():
            checkpoint.mkdir(parents=True)
            (checkpoint / "model.pt").write_text(f"weights of {index} after {epoch}")
            manifest = {"epoch": epoch, "sha256": {"model.pt": f"sha-{index}-{epoch}"}}
            (checkpoint / "manifest.json").write_text(json.dumps(manifest))
        point = {"kind": "epoch", "epoch": epoch, "val_accuracy": accuracy}
        Spool(folder).append(point)
        trial.last_result = point
        decision = self.population.on_trial_result(self, trial, point)
        if decision == TrialScheduler.PAUSE:
            trial.status = "PAUSED"
        return decision

    def turn(self) -> FakeTrial | None:
        """One turn of Tune's loop."""
        return self.population.choose_trial_to_run(self)

    def epoch(self, epoch: int, accuracies: list[float], order: list[int] | None = None) -> None:
        for index in order or range(len(accuracies)):
            self.report(index, epoch, accuracies[index])
        self.turn()

    def mutations(self) -> dict[int, list[tuple[int, int]]]:
        return {
            index: [(m.epoch, m.donor) for m in read_mutations(self.root / f"t{index:04d}")]
            for index in range(len(self.trials))
        }
