"""A sweep whose disk fills up: it stops, says so, and goes on once there is room."""

import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Cluster, Home
from tests.faults.oracles import assert_nothing_left_in, assert_undisturbed
from tests.faults.table import Table

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow, pytest.mark.faults]

SWEEP = (
    "space: {optimizer.decoupled_sgdw.learning_rate: {grid: [0.01, 0.05]}}\n"
    "search: {algorithm: grid}\nstorage: {checkpoint_share: 1}\n"
)
NUM_TRIALS = 3
CHECKPOINT_BYTES = 2_300_000  # of a ResNet-20 with its momentum


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


@pytest.mark.beyond
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
        outcome.points_lost = assert_undisturbed(home)
        assert_nothing_left_in(home)
