"""The tracker's load: so many trials that report epochs, mirrored to MLflow.

The trials' folders are written as workers and driver write them; nothing is trained and no Ray is
started. MLflow is a database here, or the server that ``--uri`` names. Prints one JSON object.
"""

import argparse
import json
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.alone import temporary_home
from benchmarks.many_trials import SWEEP
from sweeps.loading import load_sweep
from sweeps.record import SweepState, TrialRecord
from sweeps.spool import Spool
from sweeps.storage import SweepFolder
from sweeps.tracking.points import METRICS
from sweeps.tracking.tracker import Tracker

EPOCHS = 10


def measure(home: Path, trials: int, uri: str | None) -> dict[str, Any]:
    """Mirror so many new trials, then one more epoch of each of them while they run."""
    file = home / "bench.yaml"
    file.write_text(f"{SWEEP}search: {{algorithm: random, trials: {trials}}}\n")
    store = uri or f"sqlite:///{home}/mlflow.db"
    sweep = load_sweep(file, [f"tracking.uri={store}", f"tracking.experiment=e{uuid.uuid4().hex}"])
    folder = SweepFolder(home / "results" / "bench")
    folder.trials_path.mkdir(parents=True)
    folder.write_state(SweepState(id=uuid.uuid4().hex, started_at=time.time()))
    folder.sweep_file.write_text(sweep.resolved_yaml())
    (folder.path / "sweep.yaml").write_text(sweep.text)
    (folder.path / "environment.json").write_text("{}")
    records = [
        TrialRecord(index, f"t{index:04d}", f"{index:064d}", {}, status="running",
                    suggested_at=time.time())
        for index in range(trials)
    ]  # fmt: skip
    for record in records:
        folder.create_training(record, None, sweep.recipe.to_yaml())
        folder.write_record(record)
        for epoch in range(1, EPOCHS + 1):
            _report(folder, record, epoch)
    first = _mirrored(sweep, folder)
    for record in records:
        _report(folder, record, EPOCHS + 1)
    again = _mirrored(sweep, folder)
    for record in records:
        folder.write_record(replace(record, status="completed", ended_at=time.time()))
    ended = _mirrored(sweep, folder)
    return {
        "trials": trials,
        "new_ms_per_trial": 1000 * first / trials,
        "epoch_ms_per_trial": 1000 * again / trials,
        "end_ms_per_trial": 1000 * ended / trials,
    }


def _report(folder: SweepFolder, record: TrialRecord, epoch: int) -> None:
    numbers = {name: 0.5 for name in METRICS if name != "epoch"}
    Spool(folder.trial_folder(record)).append({**numbers, "epoch": epoch, "step": 4 * epoch})


def _mirrored(sweep: Any, folder: SweepFolder) -> float:
    """CPU seconds of this process until everything has arrived, less what a driver always takes."""
    return _finished(sweep, folder) - _finished(sweep, folder)


def _finished(sweep: Any, folder: SweepFolder) -> float:
    tracker = Tracker(sweep, folder)
    began = time.process_time()
    tracker.start()
    assert tracker.finish()
    return time.process_time() - began


def main() -> None:
    """Measure each number of trials in a home of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 30, 100, 300, 1000])
    parser.add_argument("--uri", help="Of a tracking server; default: a database.")
    args = parser.parse_args()
    found = []
    for trials in (args.trials[0], *args.trials):  # once before: MLflow is imported by then
        with temporary_home() as home:
            found.append(measure(home, trials, args.uri))
    print(json.dumps(found[1:]))


if __name__ == "__main__":
    main()
