"""What can go wrong in a training itself: it harms its own trial at most, and never the sweep."""

import json
import multiprocessing
import random
import re
import shutil
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_core import Recipe, fit
from resnet_core.data.loader import lost_a_loader
from tests.e2e.conftest import Cluster, Home
from tests.faults import faulty_images
from tests.faults.table import Outcome, Table

pytestmark = [pytest.mark.faults, pytest.mark.slow]

RECIPE = """\
model: {name: resnet_20, num_classes: 4, initial_stem: cifar}
optimizer:
  decoupled_sgdw: {learning_rate: 0.02, momentum: 0.9, weight_decay: 5e-4}
train_batch_size: 16
micro_batch_size: auto
max_duration: 4ep
loader_processes: 1
methods: {resolution: {train_px: 8, evaluation_px: 8}}
data: {custom: {entry: "faulty_images:Images", options: {}}}
"""
EPOCHS = 4
STEPS_PER_EPOCH = 48 // 16
STEPS = EPOCHS * STEPS_PER_EPOCH


def steps_taken(log: Path) -> list[int]:
    if not log.exists():  # it is made at the first step
        return []
    return [int(line.split()[0]) for line in log.read_text().splitlines()]


def note_recovery(log: Path, outcome: Outcome) -> None:
    """How many steps were taken twice, and how long after the fault training was under way again.

    After a loader was killed the batches that it had sent before are trained still.
    """
    happened = Path(f"{log}.once").stat().st_mtime
    times = [float(line.split()[1]) for line in log.read_text().splitlines()]
    steps = steps_taken(log)
    assert set(steps) == set(range(STEPS))
    outcome.steps_repeated = len(steps) - STEPS
    _, gap_end = max(
        (after - max(before, happened), after)
        for before, after in pairwise([happened, *times])
        if after > happened
    )
    outcome.seconds = gap_end - happened


def losses(home: Home, run: Any) -> list[tuple[int, float]]:
    """Every loss of a run that MLflow has, with its step; those that it has twice, twice."""
    points = [
        point
        for name in ("train_loss", "val_loss")
        for point in home.client.get_metric_history(run.info.run_id, name)
    ]
    return sorted((point.step, point.value) for point in points)


def reference(folder: Path, monkeypatch: pytest.MonkeyPatch, *sets: str) -> list[float]:
    """The validation losses of an undisturbed training in this process, on one thread as there."""
    monkeypatch.syspath_prepend(folder)
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [one.val_loss for one in fit(Recipe.from_yaml(folder / "recipe.yaml", sets))]
    finally:
        torch.set_num_threads(num_threads)


@pytest.mark.faults_in_ci
@pytest.mark.e2e
@pytest.mark.ray
def test_a_fault_of_a_training_ends_its_own_trial_or_costs_it_nothing(
    home: Home,
    cluster: Cluster,
    faults: Table,
    moments: random.Random,
    monkeypatch: pytest.MonkeyPatch,
):
    home.ray = cluster.ray
    shutil.copy(faulty_images.__file__, home.path)
    nan_at, oom_at, hang_at = (moments.randrange(STEPS) for _ in range(3))
    options: list[dict[str, Any]] = [
        {"fault": "nan", "at": nan_at},
        {"fault": "oom", "at": oom_at},
        {"fault": "oom_above", "at": 4},
        {"fault": "hang", "at": hang_at, "once": True},
        {"fault": "loader", "at": moments.randrange(48), "once": True},
    ]
    for number, one in enumerate(options, start=1):
        one["log"] = str(home.path / f"steps{number}")
    file = home.write(
        f"space: {{data.custom.options: {{grid: {json.dumps(options)}}}}}\n"
        "search: {algorithm: grid}\n"
        "resources: {max_concurrent_trials: 2, hang_timeout: 8sec}\n",
        RECIPE,
    )
    out, _ = home.run("run", file, "-o", "json")
    logs = [home.path / f"steps{number}" for number in range(6)]
    ends = [(trial["status"], trial["reason"]) for trial in json.loads(out)["trials"]]
    runs = home.runs()
    undisturbed = losses(home, runs["t0000"])
    assert ends[0] == ("completed", None)
    assert len(undisturbed) == 2 * EPOCHS

    for number, name, at, reason in (
        (1, "loss not finite at a step", nan_at, "nan"),
        (2, "out of memory at a step", oom_at, "oom"),
    ):
        with faults.trial(name) as outcome:
            assert ends[number] == ("infeasible", reason)
            # Tried once: the steps up to the fault (of NaN: to its epoch's end) and none again.
            num_epochs = at // STEPS_PER_EPOCH
            last = at if reason == "oom" else (num_epochs + 1) * STEPS_PER_EPOCH
            assert steps_taken(logs[number]) == list(range(last))
            found = losses(home, runs[f"t{number:04d}"])
            expected = [one for one in undisturbed if one[0] <= num_epochs * STEPS_PER_EPOCH]
            outcome.points_lost, outcome.steps_repeated = len(expected) - len(found), 0
            assert found == expected

    with faults.trial("out of memory, micro_batch_size: auto") as outcome:
        assert ends[3] == ("completed", None)
        outcome.steps_repeated = len(steps_taken(logs[3])) - STEPS
        assert steps_taken(logs[3]) == list(range(STEPS))  # 16 and 8 images took none
        found = [value for step, value in val_losses(home, runs["t0003"])]
        assert found == reference(
            home.path, monkeypatch, "data.custom.options={}", "micro_batch_size=4"
        )

    for number, name in ((4, "training hangs"), (5, "loader process killed, in a sweep")):
        with faults.trial(name) as outcome:
            assert ends[number] == ("completed", None)
            note_recovery(logs[number], outcome)
            found = losses(home, runs[f"t{number:04d}"])
            outcome.points_lost = len(undisturbed) - len(found)
            assert found == undisturbed
    (hangs,) = (home.path / "results/e2e/trials").glob("t0004-*/hangs.txt")
    assert "faulty_images.py" in hangs.read_text()  # where it hung
    assert hangs.read_text().endswith("training began again\n")


def val_losses(home: Home, run: Any) -> list[tuple[int, float]]:
    points = home.client.get_metric_history(run.info.run_id, "val_loss")
    return sorted((point.step, point.value) for point in points)


@pytest.mark.beyond
@pytest.mark.e2e
@pytest.mark.ray
def test_a_trial_of_two_workers_that_always_hangs_is_given_up_and_the_next_one_is_trained(
    home: Home,
    cluster: Cluster,
    faults: Table,
    moments: random.Random,
):
    home.ray = cluster.ray
    shutil.copy(faulty_images.__file__, home.path)
    options = {"fault": "hang", "at": moments.randrange(STEPS), "rank": moments.randrange(2)}
    file = home.write(
        f"space: {{data.custom.options: {{grid: [{json.dumps(options)}, {{at: 1}}]}}}}\n"
        "search: {algorithm: grid}\n"
        "resources: {workers_per_trial: 2, hang_timeout: 5sec}\n",
        RECIPE,
    )
    with faults.trial("a worker of two hangs each time"):
        out, err = home.run("run", file, "-o", "json")
        trials = json.loads(out)["trials"]
        assert [(trial["status"], trial["reason"]) for trial in trials] == [
            ("completed", None), ("failed", "hang"), ("completed", None),
        ]  # fmt: skip
        assert trials[2]["value"] == trials[0]["value"]
        # The first batch of an attempt, which may begin with an epoch, has six times as long.
        limit = "(5|30)" if options["at"] % STEPS_PER_EPOCH == 0 else "5"
        assert re.search(f"HangDetected: no batch for {limit} s; rank", err)
        assert "faulty_images.py" in err


@pytest.mark.faults_in_ci
def test_a_training_whose_loader_process_was_killed_goes_on_to_the_same_bits(
    tmp_path: Path, faults: Table, moments: random.Random, monkeypatch: pytest.MonkeyPatch
):
    """In a thread, as in a sweep: torch's signal handler, which raises anywhere, is not asked."""
    shutil.copy(faulty_images.__file__, tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    expected = reference(tmp_path, monkeypatch)
    recipe = Recipe.from_yaml(tmp_path / "recipe.yaml", ["loader_processes=2"])
    at = moments.randrange(1, STEPS // 2)  # two processes load four batches ahead
    steps: list[int] = []
    found: list[float] = []
    saved: list[Path] = []

    def kill_a_loader(training: Any) -> None:
        steps.append(training.step)
        if len(steps) == at:
            loaders = sorted(multiprocessing.active_children(), key=lambda one: one.pid or 0)
            moments.choice(loaders).kill()

    def train() -> None:
        for result in fit(recipe, after_step=kill_a_loader):
            saved.append(tmp_path / f"ep{result.epoch}")
            result.save_checkpoint(saved[-1])
            found.append(result.val_loss)

    def go_on() -> None:
        resumed = fit(recipe, resume_from=saved[-1] if saved else None)
        found.extend(result.val_loss for result in resumed)

    with faults.trial("loader process killed") as outcome:
        error = raised_in_a_thread_by(train)
        assert error is not None
        assert lost_a_loader(error), error
        assert multiprocessing.active_children() == []
        outcome.steps_repeated = len(steps) - STEPS_PER_EPOCH * len(saved)
        assert raised_in_a_thread_by(go_on) is None
        assert found == expected


def raised_in_a_thread_by(function: Callable[[], None]) -> RuntimeError | None:
    raised: list[RuntimeError] = []

    def catch() -> None:
        torch.set_num_threads(1)  # of this thread
        try:
            function()
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=catch)
    thread.start()
    thread.join()
    return raised[0] if raised else None


@pytest.mark.beyond
@pytest.mark.e2e
def test_train_says_that_a_loader_was_killed_and_goes_on_when_run_again(
    home: Home,
    faults: Table,
    moments: random.Random,
):
    shutil.copy(faulty_images.__file__, home.path)
    log = home.path / "steps"
    options = {"fault": "loader", "at": moments.randrange(48), "once": True, "log": str(log)}
    recipe = home.path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("options: {}", f"options: {json.dumps(options)}"))
    command = ["train", recipe, "--checkpoints", home.path / "saved", "-o", "json"]
    with faults.trial("loader process killed, sweeps train") as outcome:
        first, err = home.run(*command, status=4)
        assert "DataLoader worker (pid" in err
        assert "run it again to go on" in err
        assert "Traceback" not in err
        second, _ = home.run(*command)
        lines = [json.loads(line) for line in (first + second).splitlines()]
        assert [line["epoch"] for line in lines] == list(range(1, EPOCHS + 1))
        note_recovery(log, outcome)
