"""Population based training on a local Ray: what was taken over, checked by training it again."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_core import Recipe, fit
from resnet_core.dotted_paths import set_path
from tests.e2e.conftest import Cluster, Home

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

# The first trials' rates lie far apart, so that somebody is weakest at every comparison.
SWEEP = """\
space:
  optimizer.decoupled_sgdw.learning_rate: {loguniform: [1e-6, 0.1]}
search: {algorithm: random, trials: 4, seed: 1}
early_stopping: {fidelity: truncate, pbt: {perturbation_interval: 1ep}}
resources: {max_concurrent_trials: 2}
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the workers: another number adds in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trial_folders(home: Home) -> list[Path]:
    return sorted((home.path / "results/e2e/trials").glob("t*"))


def mutations_of(folder: Path) -> list[dict[str, Any]]:
    file = folder / "mutations.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def history_of(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    points = [json.loads(line.partition(" ")[2]) for line in lines]
    return [(point["epoch"], point["val_loss"]) for point in points]


def with_values(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    data = recipe.to_dict()
    for path, value in values.items():
        data = set_path(data, path, value)
    return Recipe.model_validate(data)


def trained_again(home: Home, scratch: Path) -> tuple[list[list[tuple[int, float]]], set[bool]]:
    """Every trial by `fit` alone, taking over checkpoints where the logs say so.

    Returns:
        Their histories, and whether the weights taken over have the digests of the logs.
    """
    folders = trial_folders(home)
    logs = [{one["epoch"]: one for one in mutations_of(folder)} for folder in folders]
    recipes = []
    for folder, log in zip(folders, logs, strict=True):
        recipe = Recipe.from_yaml(folder / "recipe.yaml")
        recipes.append(with_values(recipe, log[min(log)]["before"]) if log else recipe)
    origins: list[dict[str, Any]] = [{} for _ in folders]
    histories: list[list[tuple[int, float]]] = [[] for _ in folders]
    same = set()
    for epoch in range(1, 5):
        for index, recipe in enumerate(recipes):
            result = next(fit(recipe, **origins[index]))
            histories[index].append((result.epoch, result.val_loss))
            result.save_checkpoint(scratch / f"{index}-{epoch}")
            origins[index] = {"resume_from": scratch / f"{index}-{epoch}"}
        for index, log in enumerate(logs):
            if epoch in log:
                donor = scratch / f"{log[epoch]['donor']}-{epoch}"
                weights = hashlib.sha256((donor / "model.pt").read_bytes()).hexdigest()
                same.add(weights == log[epoch]["model_sha256"])
                origins[index] = {"inherit_from": donor}
                recipes[index] = with_values(recipes[index], log[epoch]["after"])
    return histories, same


def test_an_exploit_copies_the_donors_weights_bit_for_bit_and_trains_on_with_them(
    home: Home, tmp_path, cluster: Cluster
):
    home.ray = cluster.ray
    out, _ = home.run("run", home.write(SWEEP), "-o", "json")
    trials = json.loads(out)["trials"]
    assert [(trial["status"], trial["epochs"]) for trial in trials] == [("completed", 4)] * 4
    folders = trial_folders(home)
    logs = [mutations_of(folder) for folder in folders]
    assert logs[0] == []  # the recipe trains its own schedule
    assert sum(map(len, logs)) > 0
    for folder, log in zip(folders, logs, strict=True):
        if log:
            recipe = Recipe.from_yaml(folder / "recipe.yaml")
            assert with_values(recipe, log[-1]["after"]) == recipe
    histories, same_weights = trained_again(home, tmp_path / "again")
    assert histories == [history_of(folder) for folder in folders]
    assert same_weights == {True}
    assert [home.epochs(run) for run in home.runs().values()] == [[1, 2, 3, 4]] * 4
