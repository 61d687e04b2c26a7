"""The life of a sweep beyond one undisturbed run: killed drivers, more trials, another try."""

import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import RECIPE, Cluster, Home, wait_for_line

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

SPACE = "space:\n  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.001, 0.1]}\n"
STRETCH = "early_stopping: {fidelity: stretch, asha: {grace_period: 1ep, reduction_factor: 2}}\n"


def outcome(home: Home) -> dict[str, Any]:
    """What a sweep has found, without what differs from run to run: times and ids."""
    out, _ = home.run("status", "e2e", "-o", "json")
    keep = ("trial", "name", "status", "value", "epochs", "rungs", "overrides", "rank")
    return {
        trial["trial"]: {key: trial[key] for key in keep} for trial in json.loads(out)["trials"]
    }


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_sweep_whose_driver_is_killed_ends_as_one_that_was_left_alone(
    home: Home, tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, moments: random.Random
):
    sweep = f"{SPACE}search: {{algorithm: tpe, trials: 12, seed: 5}}\n{STRETCH}"
    undisturbed = Home(tmp_path_factory.mktemp("undisturbed"))
    undisturbed.ray = cluster.ray
    undisturbed.run("run", undisturbed.write(sweep))

    file = home.write(sweep)
    home.ray = cluster.ray
    process = home.start("run", file)
    wait_for_line(process, ": epoch ", times=moments.randint(1, 3))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished: dict[Path, str] = {}
    for record in (home.path / "results/e2e/trials").glob("t*/trial.json"):
        if json.loads(record.read_text())["status"] == "completed":
            finished[record] = record.read_text()
    home.run("run", file)

    assert outcome(home) == outcome(undisturbed)
    assert {record: record.read_text() for record in finished} == finished
    runs, expected = home.runs(), undisturbed.runs()
    assert {trial: home.epochs(run) for trial, run in runs.items()} == {
        trial: undisturbed.epochs(run) for trial, run in expected.items()
    }
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert {trial: run.data.metrics["val_loss"] for trial, run in runs.items()} == {
        trial: run.data.metrics["val_loss"] for trial, run in expected.items()
    }


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_sweep_is_extended_varied_confirmed_and_told_the_same_as_json(
    home: Home, cluster: Cluster
):
    home.ray = cluster.ray
    file = home.write(
        f"{SPACE}search: {{algorithm: tpe, trials: 2, seed: 5}}\n"
        "resources: {max_concurrent_trials: auto}\n",
        RECIPE.replace("max_duration: 4ep", "max_duration: 2ep").replace(
            "T_max: 3ep", "T_max: 1ep"
        ),
    )
    home.run("run", file)
    first = outcome(home)
    home.run("extend", "e2e", "--trials", "+1")
    home.run("rerun", "e2e/t0001", "--set", "label_smoothing=0.1", status=2)
    home.run("rerun", "e2e/t0001", "--set", "methods.label_smoothing={smoothing: 0.1}")
    after = outcome(home)
    assert {trial: after[trial] | {"rank": None} for trial in first} == {
        trial: row | {"rank": None} for trial, row in first.items()
    }
    assert [row["status"] for row in after.values()] == ["completed"] * 4
    assert after["t0003"]["overrides"] == {
        **after["t0001"]["overrides"],
        "methods.label_smoothing": {"smoothing": 0.1},
    }
    home.run("run", file)  # the file has not changed, so this starts nothing
    assert outcome(home) == after

    out, _ = home.run("confirm", "e2e", "--top-k", "1", "--seeds", "2", "-o", "json")
    found = json.loads(out)
    confirmation = found["confirmation"]
    (candidate,) = confirmation["candidates"]
    seeds = [one["seed"] for one in candidate["values"]]
    assert len(set(seeds) - {0}) == 2
    assert [one["seed"] for one in confirmation["recipe"]["values"]] == seeds
    winner = confirmation["winner"]
    assert set(found["test"]) >= {f"{t}-s{s}" for t in {winner, "t0000"} for s in (1, 2)}
    out, _ = home.run("best", "e2e")
    assert confirmation["text"][0] in out
    best = home.path / "results/e2e/best.yaml"
    recipe = home.path / f"results/e2e/trials/{winner}-*/recipe.yaml"
    (own,) = Path(home.path).glob(str(recipe.relative_to(home.path)))
    assert best.read_text().endswith(own.read_text())


def test_cancel_ends_a_sweep_from_elsewhere_and_resume_goes_on(home: Home, cluster: Cluster):
    home.ray = cluster.ray
    file = home.write(f"{SPACE}search: {{algorithm: random, trials: 1}}\n")
    process = home.start("run", file, "--set", "max_duration=15ep")
    wait_for_line(process, "t0000: epoch 1/15")
    _, err = home.run("cancel", "e2e")
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert "e2e is cancelled; go on with: python -m sweeps resume e2e" in err
    assert {run.info.status for run in home.runs().values()} == {"KILLED"}
    home.run("resume", "e2e")
    assert [row["status"] for row in outcome(home).values()] == ["completed"]
    (run,) = home.runs().values()
    assert home.epochs(run) == list(range(1, 16))


def test_constraints_and_duplicates_cost_no_training_and_reach_mlflow(home: Home, cluster: Cluster):
    home.ray = cluster.ray
    file = home.write(
        "space:\n  model.name: {grid: [resnet_20, resnet_56, resnet50]}\n"
        "constraints: [parameters <= 1M]\n"
        "search: {algorithm: grid}\nobjective: {against: [parameters, flops]}\n"
    )
    out, _ = home.run("run", file, "-o", "json", "--set", "max_duration=1ep")
    found = json.loads(out)
    assert [(trial["status"], trial["reason"]) for trial in found["trials"]] == [
        ("completed", None), ("duplicate", None), ("completed", None), ("infeasible", "constraint"),
    ]  # fmt: skip
    trials = {trial["trial"]: trial for trial in found["trials"]}
    assert trials["t0001"]["twin"] == "t0000"
    assert trials["t0001"]["value"] == trials["t0000"]["value"]
    # resnet_20 and resnet_56 with 4 classes instead of 10: 6 * (64 + 1) weights less.
    assert [trials[t]["costs"]["parameters"] for t in ("t0000", "t0002")] == [
        272_474 - 390, 855_770 - 390,
    ]  # fmt: skip
    assert set(found["pareto"]) <= {"t0000", "t0002"}
    assert "t0000" in found["pareto"]  # nothing is smaller
    tags = {trial: run.data.tags for trial, run in home.runs().items()}
    assert {t: tag["trial.status"] for t, tag in tags.items()} == {
        trial["trial"]: trial["status"] for trial in found["trials"]
    }


def test_a_sweep_stops_at_data_that_cannot_be_read_and_names_the_file(home: Home, cluster: Cluster):
    home.ray = cluster.ray
    recipe = home.path / "recipe.yaml"
    file = home.write(f"{SPACE}search: {{algorithm: random, trials: 9}}\n")
    text = recipe.read_text()
    missing = home.path / "no-such-folder"
    recipe.write_text(
        text[: text.index("data:")] + f"data: {{image_folder: {{path: {missing}}}}}\n"
    )
    out, err = home.run("run", file, "-o", "json", status=4)
    trials = json.loads(out)["trials"]
    assert [(trial["status"], trial["reason"]) for trial in trials] == [("failed", "data")]
    assert "the sweep was stopped: t0000 failed (data)" in err
    assert str(missing) in err
