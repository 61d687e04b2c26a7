"""Size of a 500-trial sweep's report, and seconds until a browser shows it: `make bench-report`.

The sweep is made of recorded learning curves (``benchmarks/search/``), each trial one of them in
turn, stopped after the schedules of 3 or 9 epochs or trained for all 27. Needs chromium.
"""

import argparse
import json
import shutil
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.alone import temporary_home
from benchmarks.machine import describe_machine, machine_line
from benchmarks.search_record import FOLDER
from benchmarks.search_replay import Curves, load_curves
from benchmarks.search_tasks import NUM_EPOCHS, draw_overrides
from sweeps.loading import load_sweep
from sweeps.page.report import write_report
from sweeps.record import SweepState, TrialRecord
from sweeps.spool import Spool
from sweeps.storage import SweepFolder

TRIALS, RUNGS, REPEATS = 500, (3, 9), 3
_SPACE = {
    "optimizer.decoupled_sgdw.learning_rate": {"loguniform": [0.003, 1.0]},
    "optimizer.decoupled_sgdw.weight_decay": {"loguniform": [1e-5, 3e-2]},
    "optimizer.decoupled_sgdw.momentum": {"choice": [0.8, 0.9, 0.95]},
    "model.name": {"choice": ["resnet_20", "resnet_32"]},
}
_RECIPE = {
    "model": {"name": "resnet_20", "num_classes": 10, "initial_stem": "cifar"},
    "optimizer": {"decoupled_sgdw": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4}},
    "train_batch_size": 64,
    "max_duration": f"{NUM_EPOCHS}ep",
    "data": {"digits": {}},
}


def make_sweep(home: Path, trials: int) -> SweepFolder:
    """The folder of a finished sweep of so many trials."""
    folder = SweepFolder(home / "results" / "recorded")
    folder.trials_path.mkdir(parents=True)
    text = json.dumps(
        {
            "version": 1, "name": "recorded", "recipe": _RECIPE, "space": _SPACE,
            "search": {"algorithm": "random", "trials": trials},
            "early_stopping": {"asha": {"grace_period": "3ep", "reduction_factor": 3}},
        }
    )  # fmt: skip
    for name in ("sweep.yaml", "resolved.yaml"):
        (folder.path / name).write_text(text)
    (folder.path / "environment.json").write_text(json.dumps({"cpus": 2, "gpus": None}))
    folder.write_state(SweepState(id="recorded", status="finished", reason="all trials"))
    curves = [one for file in sorted(FOLDER.glob("*.jsonl")) for one in load_curves(file)]
    for index in range(trials):
        _write_trial(folder, index, curves[index % len(curves)])
    return folder


def _write_trial(folder: SweepFolder, index: int, curve: Curves) -> None:
    drawn: dict[str, Any] = draw_overrides(index)
    overrides = {path: drawn[path] for path in _SPACE} if index else {}
    record = TrialRecord(index, f"t{index:04d}", f"{index:064x}", overrides)
    whole = index % 9 == 0 and len(curve.whole) == NUM_EPOCHS
    rungs = () if index == 0 else RUNGS if whole or index % 3 == 0 else RUNGS[:1]
    ends = [{"epochs": rung, "value": curve.complete[rung]} for rung in rungs]
    status = "completed" if whole else "stopped_early"
    record = replace(record, status=status, rungs=ends, worker_seconds=20.0, ended_at=1.0 + index)
    for rung in (*rungs, None):
        place = folder.create_training(record, rung, "")
        epochs = rung or NUM_EPOCHS
        values = curve.whole if rung is None and whole else curve.whole[:epochs] if rung else []
        lines = [
            {"epoch": n, "num_epochs": epochs, "finished": n == epochs, "step": 5 * n,
             "elapsed_seconds": 0.7 * n, "val_accuracy": value}
            for n, value in enumerate(values, start=1)
        ]  # fmt: skip
        for line in lines:
            Spool(place).append(line)
    folder.write_record(record)


def open_in_browser(file: Path) -> dict[str, float]:
    """Seconds from the request until the first figure is drawn."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise RuntimeError("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        started = time.perf_counter()
        page.goto(file.as_uri(), wait_until="commit")
        page.wait_for_selector("p.answer")
        text = time.perf_counter() - started
        page.wait_for_selector(".main-svg")
        figure = time.perf_counter() - started
        browser.close()
    return {"answer": text, "first_figure": figure}


def main() -> None:
    """Measure, print, and print the same as JSON on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=TRIALS)
    args = parser.parse_args()
    machine = describe_machine()
    print(machine_line(machine), flush=True)
    with temporary_home() as home:
        folder = make_sweep(home, args.trials)
        sweep = load_sweep(folder.sweep_file)
        started = time.perf_counter()
        file = write_report(folder, sweep)
        written = time.perf_counter() - started
        size = file.stat().st_size
        runs = [open_in_browser(file) for _ in range(REPEATS)]
    opened = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print(
        f"{args.trials} trials: {size / 1e6:.2f} MB, written in {written:.1f} s; in a browser the "
        f"answer is there after {opened['answer']:.2f} s, the first figure after "
        f"{opened['first_figure']:.2f} s (medians of {REPEATS})"
    )
    print(json.dumps({"machine": machine, "bytes": size, "write_seconds": written, **opened}))


if __name__ == "__main__":
    main()
