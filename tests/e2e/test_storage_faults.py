"""What becomes of a sweep whose disk fills up, or whose checkpoints are damaged meanwhile."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from resnet_core import Recipe, fit
from sweeps.tracking.points import METRICS
from tests.e2e.conftest import Cluster, Home, wait_for_line
from tests.faults.damage import flip_a_bit
from tests.faults.table import Outcome, Table

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow, pytest.mark.faults]

SWEEP = (
    "space: {optimizer.decoupled_sgdw.learning_rate: {grid: [0.01, 0.05]}}\n"
    "search: {algorithm: grid}\nstorage: {checkpoint_share: 1}\n"
)
NUM_TRIALS, NUM_EPOCHS, STEPS_PER_EPOCH = 3, 4, 30
CHECKPOINT_BYTES = 2_300_000  # of a ResNet-20 with its momentum


Curves = dict[str, dict[str, list[tuple[int, float]]]]
"""Trial -> metric -> (step, value) of each epoch, without what differs from run to run."""
_TIMES = {"images_per_second", "elapsed_seconds"}


def undisturbed(home: Home) -> Curves:
    """Each trial's recipe, trained here without a break."""
    found: Curves = {}
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the worker: another number adds in another order
    for file in sorted((home.path / "results/e2e/trials").glob("t*/recipe.yaml")):
        curves = found.setdefault(file.parent.name[:5], {})
        for result in fit(Recipe.from_yaml(file)):
            for name, value in result.metrics().items():
                if name in METRICS and name not in _TIMES:
                    curves.setdefault(name, []).append((result.step, float(value)))
    torch.set_num_threads(num_threads)
    return found


def in_store(home: Home) -> Curves:
    """The same as MLflow's own client reads it; a doubled point is there twice."""
    found: Curves = {}
    for trial, run in home.runs().items():
        names = {name for name in run.data.metrics if not name.startswith("system/")} - _TIMES
        found[trial] = {
            name: sorted(
                (one.step, one.value)
                for one in home.client.get_metric_history(run.info.run_id, name)
            )
            for name in names
        }
    return found


def assert_undisturbed(home: Home, outcome: Outcome) -> None:
    found, expected = in_store(home), undisturbed(home)
    outcome.points_lost = sum(
        len(set(points) ^ set(found[trial][name]))
        for trial, curves in expected.items()
        for name, points in curves.items()
    )
    assert found == expected


@pytest.fixture
def small_results(home: Home) -> Iterator[Path]:
    """``results`` on a disk of its own; `resized` makes it larger."""
    results = home.path / "results"
    results.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(results)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"this machine lets no test mount a disk: {done.stderr.strip()}")
    yield results
    subprocess.run(["umount", "--lazy", str(results)], check=True)


def resized(disk: Path, size: float) -> None:
    options = f"remount,size={round(size)}"
    subprocess.run(["mount", "-o", options, str(disk)], check=True)


def test_a_sweep_stops_at_a_full_disk_and_goes_on_once_there_is_room(
    home: Home, cluster: Cluster, small_results: Path, faults: Table,
    moments: random.Random,
):  # fmt: skip
    home.ray = cluster.ray
    file = home.write(SWEEP)
    # Trials keep one or two checkpoints each, and write one more before they let one go.
    resized(small_results, moments.uniform(1.5, 4.5) * CHECKPOINT_BYTES)
    with faults.trial("disk full during a sweep") as outcome:
        process = home.start("run", file, "-o", "json")
        out, err = process.communicate(timeout=240)
        assert process.returncode in (4, 5), out + err  # none finished, or too few
        told = [t for t in json.loads(out)["trials"] if t["status"] == "failed"]
        assert {trial["reason"] for trial in told} == {"storage"}
        assert f"{told[0]['trial']} failed (storage)" in err
        assert str(small_results) in err
        assert "No space left on device" in err
        assert "once that is put right: go on with: python -m sweeps resume e2e" in err
        resized(small_results, 100 * CHECKPOINT_BYTES)
        started = time.monotonic()
        out, _ = home.run("resume", "e2e", "-o", "json")
        outcome.seconds = time.monotonic() - started
        assert [t["status"] for t in json.loads(out)["trials"]] == ["completed"] * NUM_TRIALS
        assert_undisturbed(home, outcome)
        assert {run.info.status for run in home.runs().values()} == {"FINISHED"}


def test_a_damaged_checkpoint_is_told_on_the_terminal_and_the_one_before_it_used(
    home: Home, cluster: Cluster, faults: Table, moments: random.Random
):
    home.ray = cluster.ray
    file = home.write(SWEEP)
    with faults.trial("newest checkpoint damaged before a resume") as outcome:
        process = home.start("run", file)
        wait_for_line(process, "t0001: epoch 2/4")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        saved = sorted((home.path / "results/e2e/trials").glob("t0001-*/checkpoints/ep*"))
        flip_a_bit(saved[-1], moments)
        epoch = int(saved[-1].name[2:])
        before = int(saved[-2].name[2:]) if len(saved) > 1 else 0
        _, err = home.run("resume", "e2e")
        (line,) = [one for one in err.splitlines() if "is damaged" in one]
        assert f"t0001: checkpoint {saved[-1].name} is damaged and was set aside as" in line
        outcome.steps_repeated = STEPS_PER_EPOCH * (epoch - before)
        assert_undisturbed(home, outcome)
