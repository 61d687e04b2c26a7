"""A sweep whose folder lies in an S3 bucket, seen from processes that share nothing else."""

import json
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from sweeps.mirror import at
from sweeps.object_store import ObjectStore, join
from tests.e2e.conftest import Cluster, Home, wait_for_line
from tests.object_storage import s3_folder

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

SWEEP = """\
space: {optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.001, 0.1]}}
search: {algorithm: random, trials: 2, seed: 5}
confirm: {top_k: 1, seeds: 2}
"""


def outcome(home: Home, *storage: str) -> dict[str, Any]:
    out, _ = home.run("status", "e2e", "-o", "json", *storage)
    keep = ("trial", "name", "status", "value", "epochs", "rungs", "overrides", "rank")
    return {row["trial"]: {key: row[key] for key in keep} for row in json.loads(out)["trials"]}


def copies() -> set[Path]:
    return {*Path(tempfile.gettempdir()).glob("sweeps-copy-*")}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_sweep_in_a_bucket_whose_driver_is_killed_ends_as_one_in_a_folder(
    home: Home, tmp_path_factory: pytest.TempPathFactory, cluster: Cluster
):
    before = copies()
    in_folder = Home(tmp_path_factory.mktemp("undisturbed"))
    in_folder.ray = cluster.ray
    in_folder.run("run", in_folder.write(SWEEP))
    with s3_folder() as address:
        file = home.write(f"{SWEEP}storage: {{path: '{address}'}}\n")
        process = home.start("run", file)
        wait_for_line(process, ": epoch ", times=2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        _, told = home.run("run", file)
        assert join(address, "e2e") in told

        elsewhere = Home(tmp_path_factory.mktemp("elsewhere"))
        assert outcome(elsewhere, "--storage", address) == outcome(in_folder)
        best, _ = elsewhere.run("best", "e2e", "--storage", address)
        assert best.splitlines()[0] == in_folder.run("best", "e2e")[0].splitlines()[0]
        assert "python -m sweeps train e2e-best.yaml" in best
        assert (elsewhere.path / "e2e-best.yaml").read_text() == (
            in_folder.path / "results/e2e/best.yaml"
        ).read_text()
        listed, _ = elsewhere.run("ls", "--storage", address, "-o", "json")
        assert [one["sweep"] for one in json.loads(listed)] == ["e2e"]

        assert not (home.path / "results").exists()
        own = {path.relative_to(in_folder.path / "results") for path in files_of(in_folder)}
        assert {Path(one.name) for one in ObjectStore(address).listed()} == own
        reference = in_folder.path / "results/e2e/trials"
        with at(join(address, "e2e/trials")) as trials:
            for manifest in reference.glob("t*/checkpoints/ep*/manifest.json"):
                there = trials / manifest.relative_to(reference)
                assert json.loads(there.read_text())["sha256"] == digests(manifest)
    assert home.epochs(home.runs()["t0000"]) == in_folder.epochs(in_folder.runs()["t0000"])
    assert copies() == before


def files_of(home: Home) -> list[Path]:
    return [path for path in (home.path / "results").rglob("*") if path.is_file()]


def digests(manifest: Path) -> dict[str, str]:
    return json.loads(manifest.read_text())["sha256"]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_sweep_in_a_bucket_is_cancelled_from_elsewhere(
    home: Home, tmp_path_factory: pytest.TempPathFactory
):
    with s3_folder() as address:
        process = home.start("run", home.write(f"{SWEEP}storage: {{path: '{address}'}}\n"))
        wait_for_line(process, ": epoch ", times=1)
        elsewhere = Home(tmp_path_factory.mktemp("elsewhere"))
        _, busy = elsewhere.run("resume", "e2e", "--storage", address, status=3)
        assert "another driver is running 'e2e'" in busy
        elsewhere.run("cancel", "e2e", "--storage", address)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        store = ObjectStore(address)
        state = json.loads(store.read("e2e/state.json") or b"{}")
        assert state["status"] == "cancelled"
        assert [store.look(f"e2e/{name}") for name in ("cancel", "driver.lock")] == [None, None]
    assert "RUNNING" not in {run.info.status for run in home.runs().values()}
